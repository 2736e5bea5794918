"""A real embedded node as a process of its own, for tests: started, killed, started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from adapters.devnet import Participant
from adapters.model import AssetId
from adapters.native.devnet import Devnet
from adapters.native.plugin import plugin
from adapters.native.settings import NativeSettings
from adapters.spi import Credential
from tests.adapters.native.chain_fixture import ALICE, BOB, CAROL, Key
from tests.ports import free_port

PARTIES = {"alice": ALICE, "bob": BOB, "carol": CAROL}
BLOCK_INTERVAL = 0.2


class Network:
    """The development network of the three parties in one folder."""

    def __init__(self, folder: Path, interval: float = BLOCK_INTERVAL) -> None:
        self.folder = folder
        self.devnet = Devnet(folder, interval)
        self.port = free_port()
        self.devnet.prepare(
            [self.port], [Participant(name, key.public_key) for name, key in PARTIES.items()]
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when the node answers; fails with its log where it ends instead."""
        (spec,) = self.devnet.processes()
        with (self.folder / "node.log").open("ab") as log:
            self._process = subprocess.Popen(
                spec.argv, env=os.environ | dict(spec.env), stdout=log, stderr=log
            )
        try:
            asyncio.run(self._ready())
        except BaseException:
            self.kill()  # Who could not be given a network ends none.
            raise

    async def _ready(self) -> None:
        assert self._process is not None
        waiting = asyncio.create_task(self.devnet.ready())
        while not waiting.done():
            await asyncio.wait([waiting], timeout=0.1)
            if self._process.poll() is not None:
                waiting.cancel()
                await asyncio.wait([waiting])
                raise AssertionError(f"the node ended:\n{self.log()}")
        waiting.result()

    def kill(self) -> None:
        """kill -9: nothing is flushed, nothing is closed."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    async def restart(self) -> None:
        await asyncio.to_thread(self.kill)
        await asyncio.to_thread(self.start)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(timeout=20)

    def run_to_its_end(self) -> tuple[int, str]:
        """For a node that must not start: its exit status, and what it said."""
        (spec,) = self.devnet.processes()
        done = subprocess.run(spec.argv, capture_output=True, timeout=60, check=False)
        return done.returncode, done.stderr.decode()

    def log(self) -> str:
        return (self.folder / "node.log").read_text()

    def settings(self, participant: str = "alice", **changes: Any) -> NativeSettings:
        return NativeSettings.model_validate(dict(self.devnet.settings(participant)) | changes)

    def credential(self, key: Key) -> Credential:
        return plugin.credential(self.settings(key.name), key)

    @property
    def assets(self) -> list[AssetId]:
        return list(self.devnet.assets())
