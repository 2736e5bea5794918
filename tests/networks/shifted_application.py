"""The application of a validator whose clock is off.

``python -m tests.networks.shifted_application`` takes the arguments of
``python -m adapters.native.abci`` and, before them, the seconds by which its clock is off.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from adapters.native.abci.__main__ import now, run
from adapters.native.app.application import Application
from adapters.native.app.timestamp import Timestamp


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("off", type=int)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    arguments.home.mkdir(parents=True, exist_ok=True)

    def clock() -> Timestamp:
        true = now()
        return Timestamp(true.seconds + arguments.off, true.nanos)

    failed = asyncio.run(run(arguments.home, "127.0.0.1", arguments.port, Application, clock))
    return 0 if failed is None else 1


if __name__ == "__main__":
    sys.exit(main())
