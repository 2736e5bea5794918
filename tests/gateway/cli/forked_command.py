"""The command ``isthmus`` in a process that has imported everything already: it is forked from the
server from which the mortal gateways are forked, so that a start costs a tenth of what it would."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from gateway.cli.main import main
from tests.e2e.mortal_gateway import SERVER
from tests.gateway.cli.command import Outcome, environment

PATIENCE = 30
"""Seconds, for a command that is to end by itself."""


def _run(arguments: tuple[str, ...], env: Mapping[str, str], cwd: Path, out: Path) -> None:
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for stream, path in ((sys.stdout, out / "out"), (sys.stderr, out / "err")):
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(file, stream.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["isthmus", *arguments]
    main()


class ForkedCommand:
    """A command under way. Its output is in ``out`` and ``err`` of a folder of its own."""

    def __init__(
        self, *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._out = Path(self._folder.name)
        told = tuple(map(str, arguments))
        self._process: BaseProcess = SERVER.Process(
            target=_run, args=(told, environment(env), cwd or Path.cwd(), self._out)
        )
        self._process.start()

    @property
    def lives(self) -> bool:
        return self._process.is_alive()

    def err(self) -> str:
        """What it has written to standard error by now."""
        path = self._out / "err"
        return path.read_text() if path.exists() else ""

    async def logged(self, text: str) -> None:
        """Returns once it has written this to standard error. Raises AssertionError where it ends
        without it, or takes too long."""
        async with asyncio.timeout(PATIENCE):
            while text not in self.err():
                assert self.lives, self.err()
                await asyncio.sleep(0.02)

    async def outcome(self) -> Outcome:
        """Once it has ended."""
        await asyncio.to_thread(self._process.join, PATIENCE)
        status = self._process.exitcode
        assert status is not None, f"it runs after {PATIENCE} s: {self.err()}"
        return Outcome(status, (self._out / "out").read_text(), self.err())

    def end(self) -> None:
        """Asks it to stop, and makes it. Its output is gone then."""
        self._process.terminate()
        self._process.join(20)
        self._process.kill()
        self._process.join()
        self._folder.cleanup()


async def started(
    *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Outcome:
    """What a command came to that ends by itself."""
    command = ForkedCommand(*arguments, env=env, cwd=cwd)
    try:
        return await command.outcome()
    finally:
        command.end()
