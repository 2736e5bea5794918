"""A gateway in a process of its own that kills itself (SIGKILL) at a chosen write of its journal.

The process runs what ``isthmus gateway run`` runs; only its journal is a subclass that counts. It
is forked from a server that has imported everything already: a hundred starts cost little.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

import adapters.ethereum.plugin
import adapters.native.plugin  # noqa: F401 - both are imported before the fork
from gateway import compose
from gateway.settings import load_gateway
from gateway.telemetry.logs import set_up_logs
from relayers.journal.port import (
    Answer,
    Appended,
    ChainCursor,
    Consumption,
    FactEntry,
    StoredEvent,
)
from relayers.journal.sqlite import SqliteJournal

T = TypeVar("T")
_PR_SET_PDEATHSIG = 1

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.e2e.mortal_gateway"])


@dataclass(frozen=True, slots=True)
class Death:
    """At the ``write``-th write since the start, counted from 1: before it, or once it is durable.

    A write is whatever carries a fact or what became of one; a chain's cursor alone is none: it is
    written with every block, and says nothing of a swap.
    """

    write: int
    before: bool

    def __str__(self) -> str:
        return f"{'before' if self.before else 'after'} write {self.write}"


def _counting(death: Death) -> type[SqliteJournal]:
    class MortalJournal(SqliteJournal):
        _writes = 0

        async def append(
            self,
            facts: Sequence[FactEntry],
            *,
            cursor: ChainCursor | None = None,
            answer: Answer | None = None,
        ) -> tuple[Appended, ...]:
            work = super().append(facts, cursor=cursor, answer=answer)
            return await self._counted(work) if facts else await work

        async def commit(self, consumptions: Sequence[Consumption]) -> tuple[StoredEvent, ...]:
            return await self._counted(super().commit(consumptions))

        async def _counted(self, work: Awaitable[T]) -> T:
            type(self)._writes += 1
            here = type(self)._writes == death.write
            if here and death.before:
                os.kill(os.getpid(), signal.SIGKILL)
            done = await work
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

    return MortalJournal


def _run(configuration: str, log: str, death: Death | None) -> None:
    os.setsid()
    if sys.platform.startswith("linux"):
        # The server that this was forked from ends with the test's process, however that ends.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(out, sys.stdout.fileno())
    os.dup2(out, sys.stderr.fileno())
    if death is not None:
        setattr(compose, "SqliteJournal", _counting(death))  # noqa: B010 - it is no export
    settings = load_gateway(Path(configuration))
    set_up_logs(settings.root.log.level)
    asyncio.run(compose.run_gateway(settings))


class MortalGateway:
    """The process of one gateway, started again as often as is wanted. Logs go on in one file."""

    def __init__(self, configuration: Path) -> None:
        self.configuration = configuration
        self.log = configuration.with_name("gateway.log")
        self._process: BaseProcess | None = None

    def start(self, death: Death | None = None) -> None:
        assert self._process is None, "it runs already"
        process = _SERVER.Process(target=_run, args=(str(self.configuration), str(self.log), death))
        process.start()
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def bury(self) -> None:
        """Takes note of a death, which must have been by SIGKILL."""
        process = self._process
        assert process is not None
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"it ended with {process.exitcode}; {self.log}"
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.join(20)
            self._process.kill()
            self._process.join()
            self._process = None
