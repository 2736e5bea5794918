"""A lock on a real Fabric channel, from one organisation's user to another's, and what may happen
to it: pursued as a gateway pursues it, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from adapters.fabric.driver import FabricAdapter
from adapters.fabric.gateway import connect
from adapters.fabric.identity import identity_of
from adapters.fabric.pem_signer import PemSigner
from adapters.model import (
    Action,
    AssetId,
    Claim,
    Cursor,
    Lock,
    LockClaimed,
    LockEvent,
    LockId,
    LockOpened,
    LockRecord,
    LockState,
    LockTerms,
    Preimage,
    Stage,
)
from adapters.spi import AdapterError, Credential, NotSent, Rejected, Unavailable, Unknown
from tests.adapters.fabric.real_harness import credential_of, settings_of
from tests.networks.fabric import CHAINCODE, CLOCK_BOUND, FabricNetwork

SECOND = 10**9
AMOUNT = 5
LONG = 120
"""Seconds of a bound that is not to be broken, however busy the machine."""
_PAUSE = 0.1


@asynccontextmanager
async def driver(
    network: FabricNetwork, number: int, off: float = 0.0, **changes: Any
) -> AsyncIterator[FabricAdapter]:
    """An organisation's driver, whose own clock is so many seconds off."""

    def clock() -> int:
        return time.time_ns() + int(off * SECOND)

    assets = [f"asset:{asset.reference}" for asset in network.real.assets()]
    wanted: dict[str, Any] = {"inclusion": LONG, "assets": assets} | changes
    settings = settings_of(network, number, **wanted)
    reader = network.user(number, "User2")
    identity = identity_of(
        reader.msp_id, reader.certificate.read_bytes(), PemSigner.load(reader.key)
    )
    async with connect("fabric", settings, identity, time.time_ns) as gateway:
        adapter = FabricAdapter("fabric", settings, gateway, clock)
        await adapter.check()
        yield adapter


class Swap:
    """One lock of organisation 1's User1 to organisation 2's."""

    def __init__(self, network: FabricNetwork, adapter: FabricAdapter, lasts: int = 3600) -> None:
        self.preimage = Preimage(secrets.token_bytes(32))
        self.sender: Credential = credential_of(network, 1)
        self.recipient: Credential = credential_of(network, 2)
        self.asset: AssetId = network.real.assets()[0]
        self.terms = LockTerms(
            chain=adapter.profile.chain,
            contract=adapter.profile.contract,
            sender=self.sender.account,
            recipient=self.recipient.account,
            asset=self.asset,
            amount=AMOUNT,
            hashlock=self.preimage.hashlock(),
            deadline=int(time.time()) + lasts,
        )
        self.id: LockId = adapter.lock_id(self.terms)

    @property
    def lock(self) -> Lock:
        return Lock(self.terms)

    @property
    def claim(self) -> Claim:
        return Claim(self.id, self.preimage)

    @property
    def told(self) -> Sequence[LockEvent]:
        """What a watcher is to see of it, once each."""
        return [
            LockOpened(self.id, self.terms),
            LockClaimed(self.id, self.terms.hashlock, self.preimage),
        ]

    async def balances(self, adapter: FabricAdapter) -> tuple[int, int]:
        """The sender's and the recipient's."""
        return (
            await adapter.balance(self.sender.account, self.asset),
            await adapter.balance(self.recipient.account, self.asset),
        )


async def split_holding(network: FabricNetwork) -> None:
    """The sender's first lock splits its one holding into many: what a lost transaction holds back
    for a while then does not hold back the next."""
    async with driver(network, 1) as one:
        swap = Swap(network, one)
        await pursued(one, swap.lock, swap.sender, swap, LockState.OPEN)


async def pursued(
    adapter: FabricAdapter,
    action: Action,
    credential: Credential,
    swap: Swap,
    wanted: LockState,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[AdapterError]:
    """Submits until the chain says that it is done, as an executor does: after each failure it asks
    the chain first. ``meanwhile`` is called after each. Returns the failures."""
    failures: list[AdapterError] = []
    while True:
        try:
            await adapter.submit(action, credential)
        except (NotSent, Unknown, Unavailable, Rejected) as error:
            failures.append(error)
            meanwhile()
            if (await looked_up(adapter, swap.id)).state is wanted:
                return failures
            if isinstance(error, Rejected):
                raise
            await asyncio.sleep(_PAUSE)
        else:
            return failures


async def looked_up(adapter: FabricAdapter, lock_id: LockId) -> LockRecord:
    """As soon as the own peer answers."""

    async def look() -> LockRecord:
        return await adapter.lookup(lock_id)

    return await answered(look)


async def answered(ask: Callable[[], Awaitable[LockRecord]]) -> LockRecord:
    while True:
        try:
            return await ask()
        except Unavailable:
            await asyncio.sleep(_PAUSE)


async def told_of(adapter: FabricAdapter, swap: Swap) -> list[LockEvent]:
    """All final events of the lock, in order, up to its claim; where the stream breaks, it is
    resumed behind what it had told, as a watcher does."""
    seen: list[LockEvent] = []
    cursor: Cursor | None = None
    while True:
        try:
            async for notice in adapter.events(cursor):
                cursor = notice.cursor
                for observed in notice.observations:
                    if observed.stage is Stage.FINAL and observed.event.lock_id == swap.id:
                        seen.append(observed.event)
                if seen and isinstance(seen[-1], LockClaimed):
                    return seen
        except Unavailable:
            await asyncio.sleep(_PAUSE)


async def make_blocks(network: FabricNetwork, number: int, count: int) -> None:
    """So many blocks, each of one transaction that changes nothing, by an organisation's peer."""
    msp_id = network.msp_id(number)
    admin = network.user(number, "Admin")
    identity = identity_of(msp_id, admin.certificate.read_bytes(), PemSigner.load(admin.key))
    words = ("configure", network.genesis_hash.hex(), str(CLOCK_BOUND))
    async with network.real.gateway_of(msp_id) as gateway:
        for _ in range(count):
            proposal, envelope = await gateway.endorse(
                identity, CHAINCODE, words, time.time_ns(), [network.msp_id(2), network.msp_id(3)]
            )
            await gateway.submit(identity, proposal, envelope)
            assert await gateway.commit_status(proposal.transaction, LONG) == "VALID"
