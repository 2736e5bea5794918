"""A gateway in a process of its own that kills itself (SIGKILL) at a chosen write of its journal.

The process runs what ``isthmus gateway run`` runs; only its journal is a subclass that names what
it writes. It is forked from a server that has made what every start needs (``preloaded``), so that
a start costs little. Files beside the configuration:

orders.json   what is to happen in the next swap: a death, or nothing but to name the writes. Taken
              (removed) by the write that begins a swap, before that write is made
writes        the names of that swap's writes, in their order, up to the death
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

from adapters.model import Hashlock
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
    Unreadable,
)
from relayers.journal.sqlite import SqliteJournal
from relayers.protocol.facts import FactBody, Observed, OfferMade, OfferReceived

T = TypeVar("T")
_PR_SET_PDEATHSIG = 1
_ORDERS, _WRITES = "orders.json", "writes"

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.e2e.preloaded"])


@dataclass(frozen=True, slots=True, order=True)
class Death:
    """At the write of this name: before it, or once it is durable.

    A name is the journal's operation and what is written, such as ``append Observed fabric
    LockOpened final``; the second write of a name has `` #2`` behind it. A write that carries
    several facts of the swap has a name for each. What carries none (another swap's facts, a
    chain's cursor that moves with the blocks) says nothing of the swap, and is no write here.
    """

    write: str
    before: bool

    def __str__(self) -> str:
        return f"{'before' if self.before else 'after'} {self.write}"


def _name(body: FactBody | Unreadable) -> str:
    if isinstance(body, Observed):
        seen = body.observation
        ledger = str(seen.chain).partition(":")[0]
        return f"Observed {ledger} {type(seen.event).__name__} {seen.stage}"
    return type(body).__name__


def _mortal(folder: Path) -> type[SqliteJournal]:
    class MortalJournal(SqliteJournal):
        """Takes the orders of one swap after another; the swaps follow one another."""

        _under_orders = False
        _key: Hashlock | None = None
        _death: Death | None = None
        _dying = False

        async def append(
            self,
            facts: Sequence[FactEntry],
            *,
            cursor: ChainCursor | None = None,
            answer: Answer | None = None,
        ) -> tuple[Appended, ...]:
            self._begin(facts, answer)
            names = [f"append {_name(fact.body)}" for fact in facts if fact.key == self._key]
            if self._under_orders and answer is not None and not facts:
                names.append("append Answer")
            return await self._watched(names, super().append(facts, cursor=cursor, answer=answer))

        async def commit(self, consumptions: Sequence[Consumption]) -> tuple[StoredEvent, ...]:
            facts = [consumption.fact for consumption in consumptions]
            names = [f"commit {_name(fact.body)}" for fact in facts if fact.key == self._key]
            return await self._watched(names, super().commit(consumptions))

        def _begin(self, facts: Sequence[FactEntry], answer: Answer | None) -> None:
            """A swap begins with its offer or, for who offers, with the reserved answer to it."""
            offers = [f.key for f in facts if isinstance(f.body, OfferMade | OfferReceived)]
            orders = folder / _ORDERS
            if (offers or answer is not None) and orders.exists():
                told = json.loads(orders.read_text())
                # Removed first: who is started again after this death is not to die of it too.
                orders.unlink()
                self._under_orders, self._key = True, None
                self._death = Death(**told) if told else None
                self._seen: Counter[str] = Counter()
            if offers and self._under_orders and self._key is None:
                (self._key,) = offers

        async def _watched(self, names: Iterable[str], work: Awaitable[T]) -> T:
            if self._dying:
                await asyncio.Event().wait()  # nothing may be written beyond the write of the death
            death = self._death if self._note(names) else None
            if death is not None:
                self._dying = True
                if death.before:
                    os.kill(os.getpid(), signal.SIGKILL)
            done = await work
            if death is not None:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        def _note(self, names: Iterable[str]) -> bool:
            """Writes the names down. Whether the death is at one of them."""
            here = False
            with (folder / _WRITES).open("a") as writes:
                for name in names:
                    self._seen[name] += 1
                    times = self._seen[name]
                    whole = name if times == 1 else f"{name} #{times}"
                    writes.write(whole + "\n")
                    here = here or (self._death is not None and self._death.write == whole)
            return here

    return MortalJournal


def _run(configuration: Path, log: Path) -> None:
    os.setsid()
    if sys.platform.startswith("linux"):
        # The server that this was forked from ends with the test's process, however that ends.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(out, sys.stdout.fileno())
    os.dup2(out, sys.stderr.fileno())
    setattr(compose, "SqliteJournal", _mortal(configuration.parent))  # noqa: B010 - no export
    settings = load_gateway(configuration)
    set_up_logs(settings.root.log.level)
    asyncio.run(compose.run_gateway(settings))


class MortalGateway:
    """The process of one gateway, started again as often as is wanted. Logs go on in one file."""

    def __init__(self, configuration: Path) -> None:
        self._configuration = configuration
        self._folder = configuration.parent
        self.log = configuration.with_name("gateway.log")
        self._process: BaseProcess | None = None

    def start(self) -> None:
        assert self._process is None, "it runs already"
        process = SERVER.Process(target=_run, args=(self._configuration, self.log))
        process.start()
        self._process = process

    def order(self, death: Death | None) -> None:
        """In the swap that begins next: to die so, or only to name the writes."""
        (self._folder / _WRITES).write_text("")
        text = json.dumps(asdict(death) if death is not None else {})
        (self._folder / _ORDERS).write_text(text)

    def writes(self) -> list[str]:
        """The names of the writes since the order, in their order, up to a death."""
        return (self._folder / _WRITES).read_text().splitlines()

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
