"""Geth for tests: a process on a port of its own, in developer mode, and what can be done to it.

It runs as ``RealNetwork`` runs it, but for when it makes blocks, and with the namespaces by which a
test makes them: ``dev`` and ``testing``, and ``debug``, which sets the chain back.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest

from adapters.devnet import Participant
from adapters.ethereum.real_network import GETH, RealNetwork
from adapters.programs import ProgramMissing
from gateway.settings import programs_here
from tests.adapters.ethereum.anvil import Process, rpc
from tests.adapters.ethereum.signer import LocalSigner
from tests.ports import free_port

NETWORK = "Geth, developer mode"


def geth_or_skip() -> Path:
    try:
        return programs_here().find(GETH)
    except ProgramMissing:
        pytest.skip(f"Geth 1.17: get it {GETH.source}", allow_module_level=True)


class Blocks(IntEnum):
    """When blocks are made: ``--dev.period``."""

    WITH_EACH_TRANSACTION = 0
    EACH_SECOND = 1
    ON_DEMAND = 1_000_000


class GethNetwork:
    """A development network on Geth with its process, as a gateway would have it."""

    def __init__(self, folder: Path, signers: Sequence[LocalSigner], blocks: Blocks) -> None:
        self.folder = folder
        self.signers = list(signers)
        self.blocks = blocks
        self.reached = -1
        """The height at which it was stopped."""
        self.devnet = RealNetwork(folder, programs_here())
        self.names = [f"party-{number}" for number in range(len(self.signers))]
        self.devnet.prepare(
            [free_port()],
            [
                Participant(name, signer.public_key)
                for name, signer in zip(self.names, self.signers, strict=True)
            ],
        )
        argv = list(self.devnet.processes()[0].argv)
        argv[argv.index("--dev.period") + 1] = str(int(blocks))
        argv[argv.index("--http.api") + 1] += ",dev,testing,debug,txpool"
        self.process = Process(argv, self.devnet.url, folder / "geth.log")

    def copy_to(self, folder: Path, blocks: Blocks) -> GethNetwork:
        """The same network once more, in a folder and on a port of its own, not yet started. This
        one must have been stopped."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("geth.log", "LOCK"))
        copy = GethNetwork(folder, self.signers, blocks)
        copy.reached = self.reached
        return copy

    @property
    def url(self) -> str:
        return self.devnet.url

    def rpc(self, method: str, *params: Any) -> Any:
        return rpc(self.url, method, *params)

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {**self.devnet.settings(self.names[0]), **changes}

    def head(self) -> dict[str, Any]:
        block: dict[str, Any] = self.rpc("eth_getBlockByNumber", "latest", False)
        return block

    def height(self) -> int:
        return int(self.rpc("eth_blockNumber"), 16)

    def mine(self, count: int = 1, *, at: int | None = None) -> None:
        """Makes blocks of what waits in the pool, each a second after the one before, the first at
        ``at`` where it is given."""
        for number in range(count):
            self._make_block(at if number == 0 else None)

    def _make_block(self, at: int | None) -> None:
        while True:
            moment = at if at is not None else int(self.head()["timestamp"], 16) + 1
            attributes = {
                "timestamp": hex(moment),
                "prevRandao": "0x" + "00" * 32,
                "suggestedFeeRecipient": "0x" + "00" * 20,
                "withdrawals": [],
                "parentBeaconBlockRoot": "0x" + "00" * 32,
            }
            try:
                self.rpc("testing_commitBlockV1", attributes, None, None)
            except AssertionError as error:
                # Developer mode makes one of its own when it starts, perhaps just now.
                if at is not None or "invalid timestamp" not in str(error):
                    raise
            else:
                return

    def make_empty_block(self) -> None:
        """One more, as the simulated beacon of developer mode makes it, which names blocks safe and
        finalized. For ``WITH_EACH_TRANSACTION``: a withdrawal of nothing makes the block."""
        before = self.height()
        withdrawal = {"index": "0x0", "validatorIndex": "0x0", "amount": "0x0"}
        self.rpc("dev_addWithdrawal", {**withdrawal, "address": "0x" + "00" * 20})
        while self.height() == before:
            time.sleep(0.01)

    def set_back(self, blocks: int) -> None:
        """Takes the newest blocks off the chain, with what was in them. What the pool has not yet
        taken note of as being in a block, it would offer for the next one again."""
        while int(self.rpc("txpool_status")["pending"], 16):
            time.sleep(0.01)
        self.rpc("debug_setHead", hex(self.height() - blocks))


@contextmanager
def running(network: GethNetwork) -> Iterator[GethNetwork]:
    network.process.start()
    try:
        if network.blocks is not Blocks.WITH_EACH_TRANSACTION:
            # It makes one by itself as soon as it has started.
            while network.height() <= max(0, network.reached):
                time.sleep(0.02)
        yield network
        with suppress(OSError):  # A test may leave it killed.
            network.reached = network.height()
    finally:
        network.process.stop()
