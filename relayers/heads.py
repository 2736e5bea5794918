"""The newest head of each chain, and what is known of the chain; who waits for its time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from adapters.model import ChainId, Head
from adapters.values import replace
from relayers.clock import Clock
from relayers.protocol.facts import At, ChainView


class Heads:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._views: dict[ChainId, ChainView] = {}
        self._moment: At | None = None
        self._moved = asyncio.Event()

    def restore(self, views: Iterable[ChainView]) -> None:
        """Each chain as it was last stored."""
        for view in views:
            self._set(view)

    def views(self) -> Mapping[ChainId, ChainView]:
        return self._views

    def moment(self) -> At:
        """The gateway's clock and the newest heads. The same value while nothing changes."""
        clock = int(self._clock())
        if self._moment is None or self._moment.clock != clock:
            views = sorted(self._views.values(), key=lambda view: view.head.chain)
            self._moment = At(clock, tuple(views))
        return self._moment

    def see(self, head: Head) -> None:
        """Makes this the newest head of its chain, also where its time is earlier."""
        view = self._views.get(head.chain)
        if view is None or view.head != head:
            self._set(ChainView(head, view.frozen if view is not None else None))

    def freeze(self, head: Head, reason: str) -> ChainView | None:
        """None where the chain was frozen before: the first reason stays."""
        view = self._views.get(head.chain)
        if view is not None and view.frozen is not None:
            return None
        return self._set(ChainView(head, reason))

    def unfreeze(self, chain: ChainId) -> ChainView:
        """Raises KeyError for a chain that was never seen."""
        return self._set(replace(self._views[chain], frozen=None))

    async def reached(self, chain: ChainId, time: int) -> None:
        """Returns when the newest head of a chain has this time or a later one."""
        while True:
            moved = self._moved
            view = self._views.get(chain)
            if view is not None and view.head.time >= time:
                return
            await moved.wait()

    def _set(self, view: ChainView) -> ChainView:
        self._views[view.head.chain] = view
        self._moment = None
        self._moved.set()
        self._moved = asyncio.Event()
        return view
