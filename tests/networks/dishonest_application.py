"""The application of a validator that breaks the rules: it proposes what it is told to propose.

``python -m tests.networks.dishonest_application`` takes the arguments of
``python -m adapters.native.abci``. As long as FOLDER/propose.json is there, a list of transactions
in hex, its proposals are those and nothing else, and it accepts them itself; FOLDER/proposed has a
line for each height at which it did so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from adapters.native.abci.__main__ import run
from adapters.native.app.abci import (
    ProposalStatus,
    RequestPrepareProposal,
    RequestProcessProposal,
)
from adapters.native.app.application import Application
from adapters.native.app.state_store import StateStore
from adapters.native.app.timestamp import Timestamp

PROPOSE, PROPOSED = "propose.json", "proposed"


class DishonestApplication(Application):
    def __init__(self, store: StateStore, folder: Path) -> None:
        super().__init__(store)
        self._folder = folder

    def prepare_proposal(
        self, request: RequestPrepareProposal, clock: Timestamp
    ) -> tuple[bytes, ...]:
        told = self._told()
        if told is None:
            return super().prepare_proposal(request, clock)
        with (self._folder / PROPOSED).open("a") as file:
            file.write(f"{request.height}\n")
        return told

    def process_proposal(self, request: RequestProcessProposal, clock: Timestamp) -> ProposalStatus:
        if request.txs == self._told():
            return ProposalStatus.ACCEPT
        return super().process_proposal(request, clock)

    def _told(self) -> tuple[bytes, ...] | None:
        try:
            return tuple(
                bytes.fromhex(tx) for tx in json.loads((self._folder / PROPOSE).read_text())
            )
        except FileNotFoundError:
            return None


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    home: Path = arguments.home
    home.mkdir(parents=True, exist_ok=True)
    failed = asyncio.run(
        run(home, "127.0.0.1", arguments.port, lambda store: DishonestApplication(store, home))
    )
    return 0 if failed is None else 1


if __name__ == "__main__":
    sys.exit(main())
