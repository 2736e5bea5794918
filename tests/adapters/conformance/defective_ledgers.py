"""Ledgers with one defect each, for the suite to find: contracts, and adapters over sound ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from adapters.model import (
    AccountId,
    Action,
    Asset,
    AssetId,
    Capability,
    ChainProfile,
    Claim,
    Cursor,
    Head,
    Header,
    InvalidValue,
    Lock,
    LockClaimed,
    LockEvent,
    LockId,
    LockOpened,
    LockRecord,
    LockState,
    LockTerms,
    Notice,
    Refund,
    Stage,
    Submission,
    Transaction,
)
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.contract import (
    Key,
    LockContract,
    LockEntry,
    Read,
    Refusal,
    Value,
    add,
    balance_key,
    lock_key,
)
from adapters.simulated.identity import lock_id_of
from adapters.spi import AdapterError, Credential, NotSent, Rejected, RejectionReason, Unavailable

# --- defective contracts -------------------------------------------------------------------------


class _Forgives(LockContract):
    """Does not refuse for one reason."""

    forgiven: RejectionReason

    def refusal(
        self, action: Action, account: AccountId, read: Read, time: int | None
    ) -> Refusal | None:
        refusal = super().refusal(action, account, read, time)
        if refusal is not None and refusal.reason is self.forgiven:
            return None
        return refusal


def forgives(reason: RejectionReason) -> type[LockContract]:
    return type("_Forgives", (_Forgives,), {"forgiven": reason})


class PaysWhoeverCalls(LockContract):
    def apply(
        self, action: Action, account: AccountId, read: Read, writes: dict[Key, Value]
    ) -> LockEvent | None:
        event = super().apply(action, account, read, writes)
        match action:
            case Claim(lock_id, _) | Refund(lock_id):
                entry: Any = writes[("lock", lock_id)]
                terms = entry.terms
                owner = terms.recipient if isinstance(action, Claim) else terms.sender
                add(read, writes, balance_key(owner, terms.asset), -terms.amount)
                add(read, writes, balance_key(account, terms.asset), terms.amount)
            case _:
                pass
        return event


class PaysOneTooFew(LockContract):
    def apply(
        self, action: Action, account: AccountId, read: Read, writes: dict[Key, Value]
    ) -> LockEvent | None:
        event = super().apply(action, account, read, writes)
        if isinstance(event, LockClaimed):
            entry: Any = writes[("lock", event.lock_id)]
            add(read, writes, balance_key(entry.terms.recipient, entry.terms.asset), -1)
        return event


class EmitsOtherTerms(LockContract):
    def apply(
        self, action: Action, account: AccountId, read: Read, writes: dict[Key, Value]
    ) -> LockEvent | None:
        event = super().apply(action, account, read, writes)
        if isinstance(event, LockOpened):
            return LockOpened(event.lock_id, replace(event.terms, amount=event.terms.amount + 1))
        return event


class ForgetsSettledLocks(LockContract):
    def refusal(
        self, action: Action, account: AccountId, read: Read, time: int | None
    ) -> Refusal | None:
        def forgetful(key: Key) -> Value | None:
            value = read(key)
            settled = key[0] == "lock" and getattr(value, "state", "open") != "open"
            return None if settled else value

        return super().refusal(action, account, forgetful, time)


# --- defective adapters --------------------------------------------------------------------------


class HeadIsAheadOfItself(SimulatedAdapter):
    async def head(self) -> Head:
        head = await super().head()
        return replace(head, final_height=head.height + 1)

    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        async for notice in super().events(cursor):
            yield replace(notice, head=replace(notice.head, final_height=notice.head.height + 1))


class _Restages(SimulatedAdapter):
    """Changes the observations of every notice."""

    def changed(self, notice: Notice) -> Notice:
        return notice

    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        async for notice in super().events(cursor):
            yield self.changed(notice)


class FinalTooEarly(_Restages):
    def changed(self, notice: Notice) -> Notice:
        early = (
            replace(seen, stage=Stage.FINAL)
            for seen in notice.observations
            if seen.stage is Stage.PENDING
        )
        return replace(notice, observations=tuple(early))


class FinalTwice(_Restages):
    def changed(self, notice: Notice) -> Notice:
        return replace(notice, observations=notice.observations * 2)


class RetractsNothing(_Restages):
    def changed(self, notice: Notice) -> Notice:
        kept = (seen for seen in notice.observations if seen.stage is not Stage.RETRACTED)
        return replace(notice, observations=tuple(kept))


class BackwardsInOneNotice(_Restages):
    def changed(self, notice: Notice) -> Notice:
        return replace(notice, observations=notice.observations[::-1])


class CursorAtTheHead(_Restages):
    """Resumption loses what was pending when the cursor was made."""

    def changed(self, notice: Notice) -> Notice:
        return replace(notice, cursor=Cursor(f"{notice.head.height}:{notice.head.hash.hex()}"))


class CursorIgnored(SimulatedAdapter):
    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        async for notice in super().events(None):
            yield notice


class StreamWaitsForEver(SimulatedAdapter):
    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        stream = super().events(cursor)
        yield await anext(aiter(stream))
        await asyncio.Event().wait()


class LookupIsTooSure(SimulatedAdapter):
    async def lookup(self, lock_id: LockId) -> LockRecord:
        return replace(await super().lookup(lock_id), final=True)


class LookupIsNeverSure(SimulatedAdapter):
    async def lookup(self, lock_id: LockId) -> LockRecord:
        return replace(await super().lookup(lock_id), final=False)


class LookupShowsNoPreimage(SimulatedAdapter):
    async def lookup(self, lock_id: LockId) -> LockRecord:
        return replace(await super().lookup(lock_id), preimage=None)


class IdLeavesOutTheDeadline(SimulatedAdapter):
    def lock_id(self, terms: LockTerms) -> LockId:
        return super().lock_id(replace(terms, deadline=1))


class ReadsAnySpelling(SimulatedAdapter):
    """As an Ethereum driver that knows an address whatever the case of its letters."""

    def lock_id(self, terms: LockTerms) -> LockId:
        sender = AccountId(terms.sender.chain, terms.sender.address.lower())
        return super().lock_id(replace(terms, sender=sender))


class EchoesTheAsset(SimulatedAdapter):
    """Knows an asset in any spelling, and tells of it in the one in which it was asked for."""

    async def asset(self, asset: AssetId) -> Asset:
        known = replace(asset, reference=asset.reference.lower())
        return replace(await super().asset(known), id=asset)

    def lock_id(self, terms: LockTerms) -> LockId:
        if terms.asset.reference != terms.asset.reference.lower():
            raise InvalidValue(f"asset {terms.asset} is not in lower case")
        return super().lock_id(terms)


class TakesForeignIds(SimulatedAdapter):
    async def balance(self, account: AccountId, asset: AssetId) -> int:
        return self._chain.balance(account, asset)


class ObjectsToNothing(SimulatedAdapter):
    async def objections(self, terms: LockTerms) -> Sequence[str]:
        return ()


class ObjectsToAll(SimulatedAdapter):
    async def objections(self, terms: LockTerms) -> Sequence[str]:
        return ("no",)


class AbandonsInWordsOnly(SimulatedAdapter):
    async def abandon(self, terms: LockTerms, credential: Credential) -> bool:
        if credential.account != terms.sender:
            return await super().abandon(terms, credential)
        return True


class AbandonsForAnybody(SimulatedAdapter):
    async def abandon(self, terms: LockTerms, credential: Credential) -> bool:
        return True


class AbandonsWhatItKnowsOnly(SimulatedAdapter):
    async def abandon(self, terms: LockTerms, credential: Credential) -> bool:
        if all(waiting.action != Lock(terms) for waiting in self._chain.mempool):
            raise Rejected("there is nothing to abandon", RejectionReason.LOCK_ABSENT)
        return await super().abandon(terms, credential)


class AbandonsForEver(SimulatedAdapter):
    async def abandon(self, terms: LockTerms, credential: Credential) -> bool:
        done = await super().abandon(terms, credential)
        if self._chain.lock(lock_id_of(terms)) is None:
            self._chain.assets.pop(terms.asset)
        return done


class AbandonsClaimsToo(SimulatedAdapter):
    async def abandon(self, terms: LockTerms, credential: Credential) -> bool:
        for waiting in self._chain.mempool:
            self._chain.withdraw(waiting.action, waiting.account)
        return await super().abandon(terms, credential)


class ReceiptsOfAnotherBlock(SimulatedAdapter):
    async def transaction(self, transaction: str) -> Transaction:
        return replace(await super().transaction(transaction), block_hash=bytes(32))


class BreaksWhenCancelled(SimulatedAdapter):
    _busy = False

    async def submit(self, action: Action, credential: Credential) -> Submission:
        if self._busy:
            raise AdapterError("a call that was cancelled is still going on")
        self._busy = True
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self._busy = False
        return await super().submit(action, credential)


class SendsOneAtATime(SimulatedAdapter):
    """Of submissions that overlap, all but the first get lost."""

    _sending = False

    async def submit(self, action: Action, credential: Credential) -> Submission:
        if self._sending:
            return Submission("lost")
        self._sending = True
        try:
            await asyncio.sleep(0)
            return await super().submit(action, credential)
        finally:
            self._sending = False


class CancellationSendsTwice(SimulatedAdapter):
    async def submit(self, action: Action, credential: Credential) -> Submission:
        submission = await super().submit(action, credential)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            twin = action
            if isinstance(action, Lock):
                twin = Lock(replace(action.terms, deadline=action.terms.deadline + 1))
            await super().submit(twin, credential)
            raise
        return submission


class TellsThePreimage(SimulatedAdapter):
    async def submit(self, action: Action, credential: Credential) -> Submission:
        try:
            return await super().submit(action, credential)
        except Rejected as error:
            if isinstance(action, Claim):
                told = f"{error} (tried {action.preimage.value.hex()})"
                raise Rejected(told, error.reason) from None
            raise


class LogsThePreimage(SimulatedAdapter):
    async def submit(self, action: Action, credential: Credential) -> Submission:
        if isinstance(action, Claim):
            logging.getLogger(__name__).warning("claiming with %s", action.preimage.value.hex())
        return await super().submit(action, credential)


class TellsNoReason(SimulatedAdapter):
    async def submit(self, action: Action, credential: Credential) -> Submission:
        try:
            return await super().submit(action, credential)
        except Rejected as error:
            raise Rejected(str(error)) from error


class DoctorFindsFault(SimulatedAdapter):
    async def diagnose(self, credential: Credential | None) -> Any:
        found = await super().diagnose(credential)
        return (*found, replace(found[0], ok=False))


class IsNotTakenUpAgain(SimulatedAdapter):
    """After an outage the node's streams begin at its head of then."""

    _was_down = False

    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        if self._was_down:
            await asyncio.Event().wait()
        try:
            async for notice in super().events(cursor):
                yield notice
        except AdapterError:
            self._was_down = True
            raise


class _Profiled(SimulatedAdapter):
    """Says something else of itself. ``changes`` is given the profile and how many there were."""

    made = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        _Profiled.made += 1
        self.profile = self.changed(self.profile)

    def changed(self, profile: ChainProfile) -> ChainProfile:
        return profile


class ProfileWithoutHashLock(_Profiled):
    def changed(self, profile: ChainProfile) -> ChainProfile:
        return replace(profile, capabilities=frozenset({Capability.LEDGER_READS}))


class ProfileOfItsOwn(_Profiled):
    def changed(self, profile: ChainProfile) -> ChainProfile:
        return replace(profile, name=f"view {_Profiled.made}")


class ServesOneClaimAtATime(_Profiled):
    _busy = False

    def changed(self, profile: ChainProfile) -> ChainProfile:
        return replace(profile, at_once=4)

    async def submit(self, action: Action, credential: Credential) -> Submission:
        if not isinstance(action, Claim):
            return await super().submit(action, credential)
        if self._busy:
            raise NotSent("still at another claim")
        self._busy = True
        try:
            await asyncio.sleep(0)
            return await super().submit(action, credential)
        finally:
            self._busy = False


class FindsWhatNeverWas(SimulatedAdapter):
    async def lookup(self, lock_id: LockId) -> LockRecord:
        record = await super().lookup(lock_id)
        return replace(record, state=LockState.REFUNDED) if record.terms is None else record


class OneLockPerHashlock(LockContract):
    """A claim settles whatever other lock has the same hashlock."""

    def apply(
        self, action: Action, account: AccountId, read: Read, writes: dict[Key, Value]
    ) -> LockEvent | None:
        event = super().apply(action, account, read, writes)
        if isinstance(event, LockOpened):
            first = read(("lock", LockId(event.terms.hashlock)))
            if isinstance(first, LockEntry):
                other = lock_key(lock_id_of(first.terms))
                writes[other] = replace(first, state=LockState.REFUNDED)
            writes[("lock", LockId(event.terms.hashlock))] = LockEntry(event.terms, LockState.OPEN)
        return event


class CursorEndsTheStream(SimulatedAdapter):
    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        async for notice in super().events(cursor):
            yield notice
            if cursor is not None:
                return


class CursorOfThisAdapterOnly(SimulatedAdapter):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._given: set[Cursor] = set()

    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        if cursor is not None and cursor not in self._given:
            raise Unavailable("a cursor of another adapter")
        async for notice in super().events(cursor):
            self._given.add(notice.cursor)
            yield notice


class BreaksWhenAReadIsCancelled(SimulatedAdapter):
    _busy = False

    async def balance(self, account: AccountId, asset: AssetId) -> int:
        if self._busy:
            raise Unavailable("a call that was cancelled is still going on")
        self._busy = True
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self._busy = False
        return await super().balance(account, asset)


class BreaksWhenAStreamIsCancelled(SimulatedAdapter):
    async def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        try:
            async for notice in super().events(cursor):
                yield notice
        except asyncio.CancelledError:
            self.down = True
            raise


class AssetsWithoutSymbols(SimulatedAdapter):
    async def asset(self, asset: AssetId) -> Asset:
        return replace(await super().asset(asset), symbol="")


class PoorParties(SimulatedAdapter):
    async def balance(self, account: AccountId, asset: AssetId) -> int:
        return min(await super().balance(account, asset), 999)


class HeadersWithoutParents(SimulatedAdapter):
    async def header(self, height: int | None = None) -> Header:
        return replace(await super().header(height), parent_hash=bytes(32))


class HeadersThatNeverWere(SimulatedAdapter):
    async def header(self, height: int | None = None) -> Header:
        newest = await super().header()
        if height is None or not 0 <= height <= newest.height:
            return newest
        return await super().header(height)


class SettlesTwice(LockContract):
    """As if each transaction were judged by the state before its block only."""

    def refusal(
        self, action: Action, account: AccountId, read: Read, time: int | None
    ) -> Refusal | None:
        refusal = super().refusal(action, account, read, time)
        if refusal is not None and refusal.reason is RejectionReason.LOCK_SETTLED:
            return None
        return refusal


# --- adapters that raise what nobody awaits ------------------------------------------------------


class LetsSigningFail(SimulatedAdapter):
    """Hands a failed signature on as it is."""

    async def submit(self, action: Action, credential: Credential) -> Submission:
        await credential.signer.sign(bytes(32))
        return await super().submit(action, credential)


class TakesForeignLocks(SimulatedAdapter):
    """Takes a lock of any chain for one of its own."""

    async def submit(self, action: Action, credential: Credential) -> Submission:
        if isinstance(action, Lock) and action.terms.chain != self.profile.chain:
            return Submission("of no matter")
        return await super().submit(action, credential)


class StumblesOverCredentials(SimulatedAdapter):
    """Looks a foreign account up in its own book, and finds nothing."""

    async def submit(self, action: Action, credential: Credential) -> Submission:
        book = {self.profile.chain: credential.account}
        book[credential.account.chain]
        return await super().submit(action, credential)
