"""A chain on which submitting takes as long as a block does, as on Fabric."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from adapters.model import Action, Submission
from adapters.simulated.adapter import SimulatedAdapter
from adapters.spi import Credential


class Commits:
    """Makes this view's ``submit`` return once the transaction is in a block, I later. ``most``:
    the most calls of it that ran at a time."""

    def __init__(self, view: SimulatedAdapter, at_once: int) -> None:
        view.profile = replace(view.profile, at_once=at_once)
        self._inclusion = view.profile.bounds.inclusion
        self._submit = view.submit
        self.most = 0
        self._now = 0
        view.submit = self.submit  # type: ignore[method-assign]

    async def submit(self, action: Action, credential: Credential) -> Submission:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            submission = await self._submit(action, credential)
            await asyncio.sleep(self._inclusion)
            return submission
        finally:
            self._now -= 1
