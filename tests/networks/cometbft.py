"""A native chain on CometBFT for tests: four validators, each part a process of its own.

Everything that is started here is stopped here, by its process object; it also ends when the test
process does, however that ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.devnet import Participant, ProcessSpec
from adapters.model import AssetId
from adapters.native.cometbft.block import validator_address
from adapters.native.cometbft.genesis import ValidatorKey
from adapters.native.plugin import plugin
from adapters.native.real_network import COMETBFT, RealNetwork, Validator
from adapters.native.settings import NativeSettings
from adapters.programs import ProgramMissing
from adapters.spi import Adapter, Credential, Unavailable
from gateway.devnet import end_with_parent
from gateway.settings import programs_here
from tests.adapters.native.chain_fixture import ALICE, BOB, CAROL, Key
from tests.ports import free_port

PARTIES = {"alice": ALICE, "bob": BOB, "carol": CAROL}
NETWORK = "CometBFT, four validators"
PATIENCE = 60.0
"""Seconds for a chain to get on, on a machine that does other things as well."""

_ROOT = Path(__file__).parents[2]
_APPLICATION = "adapters.native.abci"
_PAUSE = 0.05


def cometbft_or_skip() -> Path:
    try:
        return programs_here().find(COMETBFT)
    except ProgramMissing:
        pytest.skip(f"CometBFT 0.38: get it {COMETBFT.source}", allow_module_level=True)


class Processes:
    """Named processes: started, suspended, killed, started again."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, spec: ProcessSpec) -> None:
        command = [sys.executable, end_with_parent.__file__, str(os.getpid()), *spec.argv]
        with self._log(spec.name).open("ab") as log:
            self._running[spec.name] = subprocess.Popen(
                command, env=os.environ | dict(spec.env), stdout=log, stderr=log, cwd=_ROOT
            )

    def send(self, name: str, number: signal.Signals) -> None:
        self._running[name].send_signal(number)

    def kill(self, *names: str) -> None:
        """kill -9: nothing is flushed, nothing is closed."""
        processes = [self._running.pop(name) for name in names]
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()

    def alive(self, name: str) -> bool:
        process = self._running.get(name)
        return process is not None and process.poll() is None

    def stop(self) -> None:
        """Ends all that run; nothing of them is used again."""
        self.kill(*self._running)

    def log(self, name: str) -> str:
        return self._log(name).read_text(errors="replace")

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


class CometNetwork:
    """The development network of the three parties, as ``isthmus devnet up --real`` has it.

    ``applications``: for the validators named, the module that is run instead of the application.
    ``commit``: CometBFT's ``timeout_commit``, for tests that need many blocks.
    """

    def __init__(
        self,
        folder: Path,
        *,
        applications: Mapping[int, Sequence[str]] | None = None,
        commit: str | None = None,
    ) -> None:
        self.folder = folder
        self.real = RealNetwork(folder, programs_here())
        self.real.prepare(
            [free_port() for _ in range(self.real.ports_needed)],
            [Participant(name, key.public_key) for name, key in PARTIES.items()],
        )
        self.validators: Sequence[Validator] = self.real.validators()
        self.processes = Processes(folder)
        if commit is not None:
            for validator in self.validators:
                configure(validator.home, timeout_commit=commit)
        self._specs = {spec.name: spec for spec in self.real.processes()}
        for number, module in (applications or {}).items():
            self.set_application(number, *module)

    def set_application(self, number: int, *module: str) -> None:
        """From its next start on this validator runs this module as its application."""
        name = self.validators[number].application_process
        (spec,) = (spec for spec in self.real.processes() if spec.name == name)
        argv = tuple(
            part for one in spec.argv for part in (module if one == _APPLICATION else (one,))
        )
        self._specs[name] = ProcessSpec(name, argv, spec.env)

    def start(self, *numbers: int) -> None:
        """Starts these validators, or all: their applications first."""
        chosen = [self.validators[number] for number in numbers or range(len(self.validators))]
        for validator in chosen:
            if not self.processes.alive(validator.application_process):
                self.processes.start(self._specs[validator.application_process])
        for validator in chosen:
            if not self.processes.alive(validator.node_process):
                self.processes.start(self._specs[validator.node_process])

    def kill(self, *numbers: int) -> None:
        """kill -9 of these validators, or of all: nodes and applications."""
        chosen = [self.validators[number] for number in numbers or range(len(self.validators))]
        self.processes.kill(
            *(validator.node_process for validator in chosen),
            *(validator.application_process for validator in chosen),
        )

    def stop(self) -> None:
        self.processes.stop()

    async def height(self, number: int = 0) -> int:
        return await height_of(self.validators[number].url)

    async def reached(self, height: int, *numbers: int) -> None:
        """Returns when these validators, or all, have this block."""
        chosen = numbers or range(len(self.validators))
        await asyncio.gather(*(reached(self.validators[number].url, height) for number in chosen))

    async def blocks(self, count: int, number: int = 0) -> int:
        """Returns, with the height, when so many more blocks are there."""
        height = await self.height(number) + count
        await self.reached(height, number)
        return height

    def settings(self, participant: str = "alice", **changes: Any) -> NativeSettings:
        return NativeSettings.model_validate(dict(self.real.settings(participant)) | changes)

    def credential(self, key: Key) -> Credential:
        return plugin.credential(self.settings(key.name), key)

    @asynccontextmanager
    async def adapter(self, *numbers: int, **changes: Any) -> AsyncIterator[Adapter]:
        """The driver, with the nodes of these validators in their order, or with all."""
        if numbers:
            changes["urls"] = [self.validators[number].url for number in numbers]
        async with plugin.open("native", self.settings(**changes)) as adapter:
            yield adapter

    def last_words(self) -> str:
        """The end of each process's log."""
        return "\n".join(
            f"--- {name}\n" + "\n".join(self.processes.log(name).splitlines()[-8:])
            for name in self._specs
        )

    @property
    def assets(self) -> Sequence[AssetId]:
        return self.real.assets()


@contextmanager
def running(network: CometNetwork) -> Iterator[CometNetwork]:
    """The network from its first block on. Where it makes none, the end of each log is told."""
    try:
        network.start()
        try:
            asyncio.run(network.real.ready())
        except Unavailable as error:
            raise AssertionError(f"{error}\n{network.last_words()}") from error
        yield network
    finally:
        network.stop()


def configure(home: Path, **values: str) -> Mapping[str, str]:
    """Changes fields of a node's ``config.toml`` that it has already. What they were before."""
    path = home / "config" / "config.toml"
    text = path.read_text()
    before = {}
    for name, value in values.items():
        before.update(re.findall(rf'(?m)^({name}) = "(.*)"$', text))
        text, found = re.subn(rf"(?m)^{name} = .*$", f'{name} = "{value}"', text)
        assert found == 1, f"{path} has {found} fields named {name}"
    path.write_text(text)
    return before


def address_of(home: Path) -> str:
    """A validator's address as headers write it."""
    key = json.loads((home / "config" / "priv_validator_key.json").read_bytes())
    return validator_address(ValidatorKey.from_json(key).public_key).hex().upper()


async def ask(url: str, method: str, **params: Any) -> Any:
    """The result of one call to a node. Raises httpx.TransportError, KeyError."""
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return (await client.post(url, json=request)).json()["result"]


async def height_of(url: str) -> int:
    return int((await ask(url, "status"))["sync_info"]["latest_block_height"])


async def reached(url: str, height: int) -> None:
    """Returns when the node has this block; one that does not answer yet is asked again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if await height_of(url) >= height:
                    return
            except (httpx.TransportError, ValueError, KeyError):
                pass
            await asyncio.sleep(_PAUSE)
