"""``python -m adapters.fabric.chaincode``: the lock chaincode beside its peer."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time

from adapters.fabric.chaincode.contract import Contract
from adapters.fabric.chaincode.environment import BadEnvironment, read_consent, read_service
from adapters.fabric.chaincode.server import CannotListen, serve


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        service = read_service(os.environ)
        contract = Contract(read_consent(os.environ), time.time_ns)
        asyncio.run(serve(contract, service.package, service.address, service.tls))
    except (BadEnvironment, CannotListen) as error:
        print(f"isthmus chaincode: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
