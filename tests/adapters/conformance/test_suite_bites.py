"""The suite finds what is wrong: each defect here makes a test of the suite fail, named with it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from adapters.conformance import suite
from adapters.model import (
    AccountId,
    Action,
    AssetId,
    Claim,
    Cursor,
    Head,
    Lock,
    LockClaimed,
    LockEvent,
    LockId,
    LockOpened,
    LockRecord,
    LockTerms,
    Notice,
    Refund,
    Stage,
    Submission,
    Transaction,
)
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.chain import Rules
from adapters.simulated.contract import (
    Key,
    LockContract,
    Read,
    Refusal,
    Value,
    add,
    balance_key,
)
from adapters.spi import AdapterError, Credential, Rejected, RejectionReason
from tests.adapters.conformance.simulated_ledger import SimulatedLedger

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


class TakesForeignIds(SimulatedAdapter):
    async def balance(self, account: AccountId, asset: AssetId) -> int:
        return self._chain.balance(account, asset)


class ObjectsToNothing(SimulatedAdapter):
    async def objections(self, terms: LockTerms) -> Sequence[str]:
        return ()


class ObjectsToAll(SimulatedAdapter):
    async def objections(self, terms: LockTerms) -> Sequence[str]:
        return ("no",)


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


# --- what finds them -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Defect:
    made: type[LockContract] | type[SimulatedAdapter]
    found_by: Callable[..., Any]
    said: str
    """A pattern in the failure, so that it is this defect that was found."""


def _name(defect: Defect) -> str:
    return f"{defect.made.__name__.strip('_')} {defect.found_by.__name__.removeprefix('test_')}"


DEFECTS = [
    Defect(
        forgives(RejectionReason.WRONG_PREIMAGE),
        suite.test_a_wrong_preimage_is_refused,
        r"DID NOT RAISE",
    ),
    Defect(
        forgives(RejectionReason.DEADLINE_PASSED),
        suite.test_after_the_deadline_a_lock_is_refunded_and_not_claimed,
        r"DID NOT RAISE",
    ),
    Defect(
        forgives(RejectionReason.DEADLINE_PASSED),
        suite.test_a_deadline_that_is_not_in_the_future_is_refused,
        r"DID NOT RAISE",
    ),
    Defect(
        forgives(RejectionReason.DEADLINE_NOT_REACHED),
        suite.test_before_the_deadline_there_is_no_refund,
        r"DID NOT RAISE",
    ),
    Defect(
        forgives(RejectionReason.INSUFFICIENT_BALANCE),
        suite.test_more_than_the_balance_is_refused,
        r"DID NOT RAISE",
    ),
    Defect(
        forgives(RejectionReason.LOCK_EXISTS),
        suite.test_the_same_lock_again_is_refused_while_it_is_open,
        r"DID NOT RAISE",
    ),
    Defect(
        forgives(RejectionReason.NOT_AUTHORISED),
        suite.test_only_the_sender_locks_what_the_sender_holds,
        r"DID NOT RAISE",
    ),
    Defect(
        forgives(RejectionReason.BAD_TERMS),
        suite.test_terms_that_the_model_refuses_are_refused_by_the_chain_too,
        r"DID NOT RAISE",
    ),
    Defect(
        forgives(RejectionReason.BAD_TERMS),
        suite.test_an_asset_that_is_not_there_is_refused,
        r"DID NOT RAISE",
    ),
    Defect(ForgetsSettledLocks, suite.test_a_claimed_lock_is_a_tombstone, r"DID NOT RAISE"),
    Defect(
        ForgetsSettledLocks,
        suite.test_after_the_deadline_a_lock_is_refunded_and_not_claimed,
        r"not as lock_settled",
    ),
    Defect(
        PaysWhoeverCalls,
        suite.test_a_claim_by_a_stranger_pays_the_recipient,
        r"the recipient should hold",
    ),
    Defect(
        PaysWhoeverCalls,
        suite.test_after_the_deadline_a_lock_is_refunded_and_not_claimed,
        r"the sender should hold",
    ),
    Defect(
        PaysOneTooFew,
        suite.test_a_claim_pays_the_recipient_in_every_asset,
        r"the recipient should hold",
    ),
    Defect(
        EmitsOtherTerms, suite.test_the_chain_gives_the_lock_id_that_was_computed, r"LockOpened"
    ),
    Defect(HeadIsAheadOfItself, suite.test_heads_only_move_forward, r"<="),
    Defect(FinalTooEarly, suite.test_a_notice_says_final_only_of_what_its_head_holds_final, r"<="),
    Defect(FinalTwice, suite.test_stages_follow_each_other_and_final_comes_once, r"Position"),
    Defect(BackwardsInOneNotice, suite.test_events_come_in_the_chains_order, r"_in_chain_order"),
    Defect(
        RetractsNothing,
        suite.test_a_reorg_retracts_what_was_pending,
        r"has not shown .* as retracted",
    ),
    Defect(CursorAtTheHead, suite.test_resuming_from_any_cursor_loses_nothing, r"== .*Observation"),
    Defect(CursorIgnored, suite.test_resuming_from_any_cursor_loses_nothing, r"went further back"),
    Defect(StreamWaitsForEver, suite.test_heads_only_move_forward, r"has not shown"),
    Defect(LookupIsTooSure, suite.test_lookup_is_no_surer_than_the_head, r"<="),
    Defect(
        LookupIsNeverSure, suite.test_lookup_is_no_surer_than_the_head, r"preimage=None\)\.final"
    ),
    Defect(
        LookupShowsNoPreimage,
        suite.test_a_claim_pays_the_recipient_in_every_asset,
        r"None == Preimage",
    ),
    Defect(IdLeavesOutTheDeadline, suite.test_lock_id_is_pure_and_depends_on_every_term, r"not in"),
    Defect(TakesForeignIds, suite.test_identifiers_of_other_chains_are_refused, r"DID NOT RAISE"),
    Defect(ObjectsToNothing, suite.test_an_absent_asset_meets_an_objection, r"assert \(\)"),
    Defect(ObjectsToAll, suite.test_good_terms_meet_no_objection, r"no"),
    Defect(ReceiptsOfAnotherBlock, suite.test_ledger_reads_agree_with_events, r"x00"),
    Defect(
        BreaksWhenCancelled,
        suite.test_a_cancelled_submission_took_effect_once_or_not_at_all,
        r"still going on",
    ),
    Defect(
        CancellationSendsTwice,
        suite.test_a_cancelled_submission_took_effect_once_or_not_at_all,
        r"the sender should hold",
    ),
    Defect(
        SendsOneAtATime,
        suite.test_twenty_locks_at_once_from_one_account,
        r"has not shown LockOpened",
    ),
    Defect(TellsThePreimage, suite.test_a_refused_preimage_is_in_no_error_and_no_log, r"_shows"),
    Defect(LogsThePreimage, suite.test_a_claim_leaves_its_preimage_in_no_log, r"_shows"),
    Defect(
        TellsNoReason,
        suite.test_a_wrong_preimage_is_refused,
        r"refused as other, not as wrong_preimage",
    ),
    Defect(DoctorFindsFault, suite.test_diagnose_finds_all_well, r"Finding"),
    Defect(IsNotTakenUpAgain, suite.test_a_restarted_node_is_taken_up_again, r""),
]


def _ledger(defect: Defect) -> SimulatedLedger:
    made = defect.made
    if issubclass(made, SimulatedAdapter):
        return SimulatedLedger(Rules(depth=4), view=made, patience=2.0)
    ledger = SimulatedLedger(Rules(depth=4), patience=2.0)
    sound = ledger.chain.locks
    ledger.chain.locks = made(
        **{field.name: getattr(sound, field.name) for field in fields(LockContract)}
    )
    return ledger


@pytest.mark.parametrize("defect", DEFECTS, ids=_name)
async def test_a_defect_is_found(defect: Defect, caplog: pytest.LogCaptureFixture) -> None:
    wanted = defect.found_by.__code__.co_varnames[: defect.found_by.__code__.co_argcount]
    given = {"harness": _ledger(defect), "caplog": caplog}
    failures = (AssertionError, AdapterError, TimeoutError, pytest.fail.Exception)
    with pytest.raises(failures) as caught:
        await defect.found_by(**{name: given[name] for name in wanted})
    assert re.search(defect.said, str(caught.value), re.DOTALL), caught.value
