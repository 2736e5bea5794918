"""Locks on a native chain in tests, through the driver: opened, claimed, refunded, waited for."""

from __future__ import annotations

import asyncio
import time

from adapters.model import Action, Head, Lock, LockId, LockState, LockTerms, Preimage
from adapters.spi import (
    Adapter,
    Credential,
    NotSent,
    Rejected,
    RejectionReason,
    Unavailable,
    Unknown,
)
from tests.adapters.native.chain_fixture import ALICE, BOB
from tests.networks.cometbft import PATIENCE, CometNetwork

AMOUNT = 5


def terms_on(
    adapter: Adapter, network: CometNetwork, preimage: Preimage, seconds: int = 3600
) -> LockTerms:
    """Alice's to Bob; the deadline is so many seconds from now."""
    return LockTerms(
        chain=adapter.profile.chain,
        contract=adapter.profile.contract,
        sender=network.credential(ALICE).account,
        recipient=network.credential(BOB).account,
        asset=network.assets[0],
        amount=AMOUNT,
        hashlock=preimage.hashlock(),
        deadline=int(time.time()) + seconds,
    )


async def opened(
    adapter: Adapter, network: CometNetwork, preimage: Preimage, seconds: int = 3600
) -> LockId:
    """A lock that is on the chain."""
    terms = terms_on(adapter, network, preimage, seconds)
    await carried_out(adapter, Lock(terms), network.credential(ALICE), LockState.OPEN)
    return adapter.lock_id(terms)


async def carried_out(
    adapter: Adapter, action: Action, credential: Credential, state: LockState
) -> None:
    """Submits as the engine does: the chain is asked whether it has happened, and what was not
    sent, or was lost with a node, is sent again."""
    lock_id = adapter.lock_id(action.terms) if isinstance(action, Lock) else action.lock_id  # type: ignore[union-attr]
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await adapter.submit(action, credential)
            except (NotSent, Unknown, Unavailable):
                pass
            except Rejected as error:
                # Perhaps because it has happened meanwhile, or waits to be in a block.
                if error.reason is RejectionReason.LOCK_EXISTS:
                    pass
                elif (await adapter.lookup(lock_id)).state is not state:
                    raise
            try:
                await in_state(adapter, lock_id, state, seconds=adapter.profile.bounds.inclusion)
                return
            except TimeoutError:
                continue


async def in_state(
    adapter: Adapter, lock_id: LockId, state: LockState, seconds: float = PATIENCE
) -> None:
    """Returns when the chain shows the lock so. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                if (await adapter.lookup(lock_id)).state is state:
                    return
            except Unavailable:
                pass
            await asyncio.sleep(0.1)


async def chain_time(adapter: Adapter, seconds: int) -> Head:
    """The first head at this block time or later."""
    async with asyncio.timeout(PATIENCE):
        while True:
            head = await adapter.head()
            if head.time >= seconds:
                return head
            await asyncio.sleep(0.1)


async def balance_of_bob(adapter: Adapter, network: CometNetwork) -> int:
    return await adapter.balance(network.credential(BOB).account, network.assets[0])
