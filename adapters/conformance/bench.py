"""The bench that a conformance test works on: one open adapter, its stream, three parties."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from adapters.conformance.harness import Harness
from adapters.model import (
    AccountId,
    Action,
    AssetId,
    Capability,
    Claim,
    Collect,
    Cursor,
    Lock,
    LockClaimed,
    LockEvent,
    LockId,
    LockOpened,
    LockRefunded,
    LockTerms,
    Notice,
    Observation,
    Preimage,
    Refund,
    Stage,
    Submission,
)
from adapters.spi import Adapter, Credential, Rejected, RejectionReason


class Stream:
    """An event stream, read on demand, that remembers all that it was told."""

    def __init__(self, adapter: Adapter, cursor: Cursor | None, patience: float) -> None:
        self._events = adapter.events(cursor)
        self._patience = patience
        self.notices: list[Notice] = []

    @property
    def observations(self) -> list[Observation]:
        return [seen for notice in self.notices for seen in notice.observations]

    @property
    def cursor(self) -> Cursor:
        return self.notices[-1].cursor

    async def until(self, reached: Callable[[Notice], bool], what: str) -> Notice:
        """Reads on to the first notice that is it; fails when the patience is at an end."""
        try:
            async with asyncio.timeout(self._patience):
                async for notice in self._events:
                    self.notices.append(notice)
                    if reached(notice):
                        return notice
        except TimeoutError:
            pytest.fail(f"after {self._patience:.0f} seconds the stream has not shown {what}")
        pytest.fail("an event stream is endless, but this one ended")

    async def observed(self, lock_id: LockId, kind: type[LockEvent], *stages: Stage) -> Observation:
        """The first such observation, told already or still to come. No stages: FINAL."""
        wanted = stages or (Stage.FINAL,)

        def fits(seen: Observation) -> bool:
            return (
                isinstance(seen.event, kind)
                and seen.event.lock_id == lock_id
                and seen.stage in wanted
            )

        found = next(filter(fits, self.observations), None)
        if found is None:
            notice = await self.until(
                lambda notice: any(map(fits, notice.observations)),
                f"{kind.__name__} of lock {lock_id.hex()[:16]} as {' or '.join(wanted)}",
            )
            found = next(filter(fits, notice.observations))
        return found

    async def close(self) -> None:
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()


@dataclass(frozen=True, slots=True)
class Holdings:
    """Balances of the three parties in one asset, and how much had been submitted by then."""

    asset: AssetId
    amounts: Mapping[AccountId, int]
    submissions: int


class Bench:
    """One adapter at work. ``sender``, ``recipient`` and ``stranger`` are funded parties."""

    def __init__(self, harness: Harness, adapter: Adapter) -> None:
        self.harness = harness
        self.adapter = adapter
        self.profile = adapter.profile
        self.sender, self.recipient, self.stranger = harness.credentials[:3]
        self.asset = harness.assets[0]
        bounds = self.profile.bounds
        self.patience = bounds.inclusion + bounds.finality + 2 * bounds.clock + harness.margin
        self.stream = Stream(adapter, None, self.patience)
        self._submitted: list[tuple[AccountId, Submission]] = []

    # --- terms ---------------------------------------------------------------------------------

    async def far(self) -> int:
        """A deadline that no test reaches."""
        bounds = self.profile.bounds
        head = await self.adapter.head()
        return head.time + 10 * (bounds.inclusion + bounds.finality + bounds.clock) + 3600

    async def soon(self, also: int = 0) -> int:
        """The nearest deadline for a lock that is to be final ``also`` seconds before it."""
        bounds = self.profile.bounds
        head = await self.adapter.head()
        return head.time + bounds.inclusion + bounds.finality + bounds.clock + 2 + also

    async def terms(self, preimage: Preimage, **changes: Any) -> LockTerms:
        """Terms from sender to recipient; 7 smallest units of the first asset, a far deadline."""
        deadline = changes.pop("deadline", None)
        terms = LockTerms(
            chain=self.profile.chain,
            contract=self.profile.contract,
            sender=self.sender.account,
            recipient=self.recipient.account,
            asset=self.asset,
            amount=7,
            hashlock=preimage.hashlock(),
            deadline=deadline if deadline is not None else await self.far(),
        )
        return replace(terms, **changes)

    # --- acting ----------------------------------------------------------------------------------

    async def submit(self, action: Action, credential: Credential) -> Submission:
        async with asyncio.timeout(self.patience):
            submission = await self.adapter.submit(action, credential)
        self._submitted.append((credential.account, submission))
        return submission

    async def locked(self, terms: LockTerms) -> LockId:
        """Locks, and returns when that is final."""
        await self.submit(Lock(terms), self.sender)
        lock_id = self.adapter.lock_id(terms)
        await self.stream.observed(lock_id, LockOpened)
        return lock_id

    async def refunded(self, lock_id: LockId, deadline: int, by: Credential) -> Observation:
        """Refunds as soon as that is valid, and returns when it is final."""
        await self.pass_time(deadline)
        await self.submit(Refund(lock_id), by)
        return await self.settled(lock_id, LockRefunded)

    async def settled(self, lock_id: LockId, kind: type[LockClaimed | LockRefunded]) -> Observation:
        """Returns when the end of a lock, which has been asked for, is final. What the lock then
        still owes a stranger collects."""
        if (await self.adapter.lookup(lock_id)).owed:
            await self.submit(Collect(lock_id), self.stranger)
        return await self.stream.observed(lock_id, kind)

    async def pass_time(self, to: int) -> None:
        """Returns when chain time is ``to`` or later, as this adapter's head shows it."""
        head = await self.adapter.head()
        async with asyncio.timeout(self.patience + max(0, to - head.time)):
            await self.harness.advance_time(to)
        if (await self.adapter.head()).time < to:
            await self.stream.until(lambda notice: notice.head.time >= to, f"time {to}")

    async def refused(
        self, action: Action, credential: Credential, *reasons: RejectionReason
    ) -> Rejected:
        """Submits, and sees that the chain refuses it for one of these reasons."""
        with pytest.raises(Rejected) as caught:
            await self.submit(action, credential)
        assert caught.value.reason in reasons, (
            f"refused as {caught.value.reason}, not as {' or '.join(reasons)}: {caught.value}"
        )
        assert str(caught.value), "a refusal says why"
        return caught.value

    # --- balances --------------------------------------------------------------------------------

    async def holdings(self, asset: AssetId) -> Holdings:
        parties = (self.sender.account, self.recipient.account, self.stranger.account)
        amounts = {party: await self.adapter.balance(party, asset) for party in parties}
        return Holdings(asset, amounts, len(self._submitted))

    async def moved(self, before: Holdings, **changes: int) -> None:
        """Sees that each party's balance has changed by exactly this much since ``before``, fees
        apart (sender=, recipient=, stranger=; 0 where not given)."""
        after = await self.holdings(before.asset)
        for role in ("sender", "recipient", "stranger"):
            account = getattr(self, role).account
            expected = before.amounts[account] + changes.get(role, 0)
            expected -= await self._fees(account, before)
            assert after.amounts[account] == expected, (
                f"the {role} should hold {expected} of {before.asset} and holds "
                f"{after.amounts[account]}; before it was {before.amounts[account]}"
            )

    async def _fees(self, account: AccountId, before: Holdings) -> int:
        if self.profile.fee_asset != before.asset:
            return 0
        assert Capability.LEDGER_READS in self.profile.capabilities, (
            "fees are read from receipts: a chain with a fee asset needs ledger_reads"
        )
        fees = 0
        for payer, submission in self._submitted[before.submissions :]:
            if payer == account:
                fees += (await self.adapter.transaction(submission.transaction)).fee
        return fees


def new_preimage() -> Preimage:
    return Preimage(secrets.token_bytes(32))


def claim(lock_id: LockId, preimage: Preimage) -> Claim:
    return Claim(lock_id, preimage)


def needs(bench: Bench, capability: Capability) -> None:
    """Skips the test, with the reason, where the chain lacks a capability."""
    if capability not in bench.profile.capabilities:
        pytest.skip(f"{bench.profile.name} does not have the capability {capability}")


@asynccontextmanager
async def bench_on(harness: Harness) -> AsyncIterator[Bench]:
    """A bench whose stream has caught up with the head."""
    async with harness.open() as adapter:
        bench = Bench(harness, adapter)
        try:
            head = await adapter.head()
            await bench.stream.until(
                lambda notice: notice.head.height >= head.height, f"block {head.height}"
            )
            yield bench
        finally:
            await bench.stream.close()


async def settled(task: asyncio.Future[Any], within: float) -> None:
    """Waits for a cancelled call to end, however it ends; fails if it does not."""
    done, _ = await asyncio.wait([task], timeout=within)
    assert done, f"a cancelled call has not ended after {within:.0f} seconds"
    with suppress(asyncio.CancelledError, Exception):
        task.result()


def events_of(notices: list[Notice], stage: Stage) -> list[Observation]:
    return [seen for notice in notices for seen in notice.observations if seen.stage is stage]


Call = Callable[[], Awaitable[Any]]
