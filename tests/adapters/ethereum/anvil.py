"""Anvil for tests: a process on a port of its own, and what can be done to it."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.devnet import Participant
from adapters.ethereum.devnet import Devnet
from adapters.ethereum.tooling import ToolSet, install
from tests.adapters.ethereum.signer import LocalSigner
from tests.ports import free_port


def rpc(url: str, method: str, *params: Any) -> Any:
    """One request, synchronously. Raises AssertionError with the node's error."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        read = json.load(answer)
    assert "error" not in read, f"{method}: {read['error']}"
    return read["result"]


class Process:
    """A process that can be stopped, killed and started again."""

    def __init__(self, argv: Sequence[str], url: str, log: Path) -> None:
        self.argv, self.url, self.log = list(argv), url, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        limit = time.monotonic() + 30
        while True:
            try:
                rpc(self.url, "eth_blockNumber")
            except OSError:
                assert self._process.poll() is None, f"it ended: {self.log.read_text()[-2000:]}"
                assert time.monotonic() < limit, f"no answer: {self.log.read_text()[-2000:]}"
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def bare_anvil(log: Path, *arguments: str) -> Iterator[Process]:
    """Anvil with these arguments and a port of its own."""
    port = free_port()
    argv = [str(install(ToolSet.NODE).anvil), "--host", "127.0.0.1", "--port", str(port), "--quiet"]
    process = Process([*argv, *arguments], f"http://127.0.0.1:{port}", log)
    process.start()
    try:
        yield process
    finally:
        process.stop()


class Network:
    """A development network with its process running, as a gateway would have it.

    ``block_time``: seconds, also fractions. Chain time then stands still for some blocks.
    """

    def __init__(self, folder: Path, signers: Sequence[LocalSigner], block_time: float = 1) -> None:
        self.folder = folder
        self.signers = list(signers)
        self.devnet = Devnet(folder)
        self.names = [f"party-{number}" for number in range(len(self.signers))]
        self.devnet.prepare(
            [free_port()],
            [
                Participant(name, signer.public_key)
                for name, signer in zip(self.names, self.signers, strict=True)
            ],
        )
        argv = list(self.devnet.processes()[0].argv)
        argv[argv.index("--block-time") + 1] = str(block_time)
        self.process = Process(argv, self.devnet.url, folder / "anvil.log")

    def copy_to(self, folder: Path) -> Network:
        """The same network once more, in a folder and on a port of its own, not yet started. This
        one must have been stopped."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("*.log"))
        return Network(folder, self.signers)

    @property
    def url(self) -> str:
        return self.devnet.url

    def rpc(self, method: str, *params: Any) -> Any:
        return rpc(self.url, method, *params)

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {**self.devnet.settings(self.names[0]), **changes}

    async def written(self) -> None:
        """Returns when what is now the newest block is in the state file: a kill loses nothing."""
        height = int(self.rpc("eth_blockNumber"), 16)
        state = self.folder / "state" / "state.json"
        async with asyncio.timeout(30):
            while True:
                try:
                    written = json.loads(state.read_text())
                except (OSError, ValueError):
                    written = {}
                if int(written.get("block", {}).get("number", "0x0"), 16) >= height:
                    return
                await asyncio.sleep(0.1)
