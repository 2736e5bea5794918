"""Opens the configured chains side by side: a node that is down holds up nothing but its own chain.

Each chain is opened, held open and closed by one task, as the context managers of adapters demand;
the tasks end with the context that they were started in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from structlog.stdlib import get_logger

from adapters.model import Capability
from adapters.spi import Adapter, Misconfigured, Unavailable
from gateway.services import ChainTrouble
from gateway.settings import ChainConfiguration
from relayers.backoff import Backoff
from relayers.clock import Clock

_log = get_logger("gateway")


class ChainDoor:
    """One chain on its way to being open. ``trouble``: why it is not open yet, after a try."""

    def __init__(
        self, chain: ChainConfiguration, backoff: Backoff, clock: Clock, moved: asyncio.Event
    ) -> None:
        self.configuration = chain
        self.trouble: ChainTrouble | None = None
        self.misconfigured: Misconfigured | None = None
        self.tried = asyncio.Event()
        """Set when it was tried once, whatever came of it."""
        self._moved = moved
        self._backoff = backoff
        self._clock = clock
        self._adapter: Adapter | None = None
        self._opened = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.configuration.name

    @property
    def adapter(self) -> Adapter | None:
        """None while it is not open."""
        return self._adapter

    async def opened(self) -> Adapter:
        """The adapter, once the chain is open."""
        await self._opened.wait()
        assert self._adapter is not None
        return self._adapter

    def start(self) -> asyncio.Task[None]:
        self._task = asyncio.create_task(self._keep(), name=f"chain {self.name}")
        self._task.add_done_callback(lambda _: self._tell())
        return self._task

    def _tell(self) -> None:
        self.tried.set()
        self._moved.set()

    async def close(self) -> None:
        """Closes the adapter, or gives up opening it. Its errors are logged: it ends anyway."""
        if self._task is None:
            return
        self._closing.set()
        if self._adapter is None:
            self._task.cancel()
        (error,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(error, Exception):
            _log.error("a chain did not close well", chain=self.name, error=type(error).__name__)

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                async with self.configuration.plugin.open(
                    self.name, self.configuration.settings
                ) as adapter:
                    if Capability.HASH_LOCK not in adapter.profile.capabilities:
                        raise Misconfigured(
                            f"chain {self.name}: its adapter says that the chain holds no "
                            "hash-time-locks (capability hash_lock), so nothing can be swapped on "
                            "it: take it out of the configuration"
                        )
                    self._adapter = adapter
                    if failures:
                        _log.info("a chain is open at last", chain=self.name)
                    self.trouble, self.misconfigured = None, None
                    self._opened.set()
                    self._tell()
                    await self._closing.wait()
                    return
            except (Unavailable, Misconfigured) as error:
                if self._adapter is not None:
                    raise
                failures += 1
                self._note(error)
            await asyncio.sleep(self._backoff.pause(failures))

    def _note(self, error: Unavailable | Misconfigured) -> None:
        since = self.trouble.since if self.trouble is not None else int(self._clock())
        self.trouble = ChainTrouble(str(error), since)
        if isinstance(error, Misconfigured):
            self.misconfigured = error
            _log.error("a chain cannot be used", chain=self.name, error=str(error))
        else:
            self.misconfigured = None
            _log.warning("waiting for a chain", chain=self.name, error=str(error))
        self._tell()


class ChainDoors:
    """All configured chains, in their order; entering starts to open them."""

    def __init__(
        self, chains: Sequence[ChainConfiguration], backoff: Backoff, clock: Clock
    ) -> None:
        self._moved = asyncio.Event()
        """Set when a try of any of them has come to something."""
        self._doors = tuple(ChainDoor(chain, backoff, clock, self._moved) for chain in chains)
        self._tasks: list[asyncio.Task[None]] = []

    def __iter__(self) -> Iterator[ChainDoor]:
        return iter(self._doors)

    async def __aenter__(self) -> Self:
        self._tasks = [door.start() for door in self._doors]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(door.close() for door in self._doors))

    async def all_tried(self, patience: float) -> None:
        """Returns when each chain was tried once, or after ``patience`` seconds. Raises what is
        neither Unavailable nor Misconfigured."""
        try:
            async with asyncio.timeout(patience):
                for door in self._doors:
                    await door.tried.wait()
        except TimeoutError:
            pass
        self._raise()

    async def first_tries(self, at_stake: Callable[[], bool]) -> None:
        """Runs until cancelled. Raises Misconfigured where the first try of a chain took longer
        than the start waited, and showed that the chain cannot be used, while nothing is at stake:
        what a start refuses must not depend on how slow the machine is."""
        for door in self._doors:
            await door.tried.wait()
        if not at_stake():
            self.raise_misconfigured()
        await asyncio.Event().wait()

    async def all_open(self) -> Sequence[Adapter]:
        """The adapters, once all are open. Raises Misconfigured for one that cannot be used, and
        what is not Unavailable."""
        while any(door.adapter is None for door in self._doors):
            self._moved.clear()
            self._raise()
            self.raise_misconfigured()
            await self._moved.wait()
        return [await door.opened() for door in self._doors]

    def raise_misconfigured(self) -> None:
        """Raises Misconfigured for the first chain whose last try said so."""
        for door in self._doors:
            if door.misconfigured is not None:
                raise door.misconfigured

    async def run(self) -> None:
        """Runs until cancelled, or until a chain's adapter fails as a whole: raises that."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        self._raise()
        await asyncio.Event().wait()

    def _raise(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    def trouble(self) -> Mapping[str, ChainTrouble]:
        """Why those that are not open are not, by name."""
        return {
            door.name: door.trouble or ChainTrouble("its node was not reached yet", 0)
            for door in self._doors
            if door.adapter is None
        }
