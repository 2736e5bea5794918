"""What the driver's tests share: adapters on Anvil, terms, streams read on demand."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from adapters.ethereum.adapter import EthereumAdapter
from adapters.ethereum.plugin import plugin
from adapters.model import (
    Cursor,
    LockTerms,
    Notice,
    Observation,
    Preimage,
    Stage,
)
from adapters.spi import Credential
from tests.adapters.ethereum.signer import LocalSigner

PATIENCE = 60.0


@asynccontextmanager
async def opened(settings: dict[str, Any]) -> AsyncIterator[EthereumAdapter]:
    async with plugin.open("anvil", plugin.settings.model_validate(settings)) as adapter:
        assert isinstance(adapter, EthereumAdapter)
        yield adapter


def credential(settings: dict[str, Any], signer: LocalSigner) -> Credential:
    return plugin.credential(plugin.settings.model_validate(settings), signer)


async def terms_for(
    adapter: EthereumAdapter, sender: Credential, recipient: Credential, **changes: Any
) -> tuple[LockTerms, Preimage]:
    preimage = Preimage(secrets.token_bytes(32))
    head = await adapter.head()
    terms = LockTerms(
        chain=adapter.profile.chain,
        contract=adapter.profile.contract,
        sender=sender.account,
        recipient=recipient.account,
        asset=(await adapter.assets())[0].id,
        amount=5,
        hashlock=preimage.hashlock(),
        deadline=head.time + 100_000,
    )
    return replace(terms, **changes), preimage


class Stream:
    """A stream of notices, read until something is seen."""

    def __init__(self, adapter: EthereumAdapter, cursor: Cursor | None = None) -> None:
        self._events = adapter.events(cursor)
        self.notices: list[Notice] = []

    async def until(self, seen: Callable[[Notice], bool]) -> Notice:
        async with asyncio.timeout(PATIENCE):
            async for notice in self._events:
                self.notices.append(notice)
                if seen(notice):
                    return notice
        raise AssertionError("the stream ended")

    async def stage(self, lock_id: bytes, stage: Stage) -> Observation:
        def fits(one: Observation) -> bool:
            return one.event.lock_id == lock_id and one.stage is stage

        for one in self.observations():
            if fits(one):
                return one
        notice = await self.until(lambda notice: any(map(fits, notice.observations)))
        return next(filter(fits, notice.observations))

    def observations(self) -> list[Observation]:
        return [one for notice in self.notices for one in notice.observations]

    def stages(self, lock_id: bytes) -> list[Stage]:
        return [one.stage for one in self.observations() if one.event.lock_id == lock_id]

    async def close(self) -> None:
        await self._events.aclose()  # type: ignore[attr-defined]
