"""The suite finds what is wrong: each defect here makes a test of the suite fail, named with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import pytest

from adapters.conformance import suite
from adapters.model import InvalidValue
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.chain import Rules
from adapters.simulated.contract import LockContract
from adapters.spi import AdapterError, RejectionReason
from tests.adapters.conformance.defective_ledgers import (
    AbandonsClaimsToo,
    AbandonsForAnybody,
    AbandonsForEver,
    AbandonsInWordsOnly,
    AbandonsWhatItKnowsOnly,
    AssetsWithoutSymbols,
    BackwardsInOneNotice,
    BreaksWhenAReadIsCancelled,
    BreaksWhenAStreamIsCancelled,
    BreaksWhenCancelled,
    CancellationSendsTwice,
    CursorAtTheHead,
    CursorEndsTheStream,
    CursorIgnored,
    CursorOfThisAdapterOnly,
    DoctorFindsFault,
    EchoesTheAsset,
    EmitsOtherTerms,
    FinalTooEarly,
    FinalTwice,
    FindsWhatNeverWas,
    ForgetsSettledLocks,
    HeadersThatNeverWere,
    HeadersWithoutParents,
    HeadIsAheadOfItself,
    IdLeavesOutTheDeadline,
    IsNotTakenUpAgain,
    LetsSigningFail,
    LogsThePreimage,
    LookupIsNeverSure,
    LookupIsTooSure,
    LookupShowsNoPreimage,
    ObjectsToAll,
    ObjectsToNothing,
    OneLockPerHashlock,
    PaysOneTooFew,
    PaysWhoeverCalls,
    PoorParties,
    ProfileOfItsOwn,
    ProfileWithoutHashLock,
    ReadsAnySpelling,
    ReceiptsOfAnotherBlock,
    RetractsNothing,
    SendsOneAtATime,
    ServesOneClaimAtATime,
    SettlesTwice,
    StreamWaitsForEver,
    StumblesOverCredentials,
    TakesForeignIds,
    TakesForeignLocks,
    TellsNoReason,
    TellsThePreimage,
    forgives,
)
from tests.adapters.conformance.simulated_ledger import SimulatedLedger


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
        AbandonsInWordsOnly,
        suite.test_an_abandoned_lock_is_in_a_block_or_never_will_be,
        r"has come in after all",
    ),
    Defect(AbandonsForAnybody, suite.test_nobody_abandons_another_ones_lock, r"DID NOT RAISE"),
    Defect(
        AbandonsWhatItKnowsOnly,
        suite.test_abandoning_what_was_never_submitted_changes_nothing,
        r"nothing to abandon",
    ),
    Defect(
        AbandonsForEver,
        suite.test_an_abandoned_lock_that_is_submitted_again_is_wanted_again,
        r"there is no asset",
    ),
    Defect(
        AbandonsClaimsToo,
        suite.test_abandoning_a_lock_that_is_there_leaves_it,
        r"has not shown",
    ),
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
    Defect(LookupIsNeverSure, suite.test_lookup_is_no_surer_than_the_head, r"owed=False\)\.final"),
    Defect(
        LookupShowsNoPreimage,
        suite.test_a_claim_pays_the_recipient_in_every_asset,
        r"None == Preimage",
    ),
    Defect(IdLeavesOutTheDeadline, suite.test_lock_id_is_pure_and_depends_on_every_term, r"not in"),
    Defect(
        ReadsAnySpelling, suite.test_two_spellings_have_no_lock_in_common, r"the id of other terms"
    ),
    Defect(EchoesTheAsset, suite.test_an_asset_is_told_of_in_one_spelling, r"not in lower case"),
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
    Defect(
        forgives(RejectionReason.LOCK_ABSENT),
        suite.test_a_lock_that_is_not_there_is_neither_claimed_nor_refunded,
        "DID NOT RAISE",
    ),
    Defect(ProfileWithoutHashLock, suite.test_profile_is_sound, "hash_lock"),
    Defect(ProfileOfItsOwn, suite.test_two_adapters_on_one_ledger_agree, "view"),
    Defect(FindsWhatNeverWas, suite.test_a_lock_that_never_was_is_absent, "REFUNDED"),
    Defect(OneLockPerHashlock, suite.test_two_locks_under_one_hashlock_are_two_locks, "REFUNDED"),
    Defect(
        CursorEndsTheStream,
        suite.test_resuming_at_the_end_goes_on_with_what_is_new,
        "this one ended",
    ),
    Defect(CursorOfThisAdapterOnly, suite.test_a_cursor_outlives_its_adapter, "of another adapter"),
    Defect(
        BreaksWhenAReadIsCancelled,
        suite.test_a_cancelled_reading_call_leaves_the_adapter_usable,
        "still going on",
    ),
    Defect(
        BreaksWhenAStreamIsCancelled,
        suite.test_a_cancelled_stream_leaves_the_adapter_usable,
        "does not answer",
    ),
    Defect(AssetsWithoutSymbols, suite.test_assets_are_described, "symbol"),
    Defect(PoorParties, suite.test_balances_of_the_parties, "999"),
    Defect(HeadersWithoutParents, suite.test_headers_are_linked_by_their_hashes, "x00"),
    Defect(
        HeadersThatNeverWere,
        suite.test_what_is_not_on_the_ledger_is_an_invalid_value,
        "DID NOT RAISE",
    ),
    Defect(
        SettlesTwice, suite.test_two_parties_settle_at_once_and_one_lock_is_settled_once, "== 1"
    ),
    Defect(
        LetsSigningFail, suite.test_a_key_that_cannot_sign_now_sends_nothing, "raised SigningFailed"
    ),
    Defect(
        ServesOneClaimAtATime,
        suite.test_so_many_claims_go_out_at_once_as_the_profile_says,
        "still at another claim",
    ),
    Defect(TakesForeignLocks, suite.test_a_lock_of_another_chain_is_refused, "submit took it"),
    Defect(
        StumblesOverCredentials,
        suite.test_a_credential_that_the_chain_cannot_use_is_refused,
        "raised KeyError",
    ),
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
    failures = (AssertionError, AdapterError, InvalidValue, TimeoutError, pytest.fail.Exception)
    with pytest.raises(failures) as caught:
        await defect.found_by(**{name: given[name] for name in wanted})
    assert re.search(defect.said, str(caught.value), re.DOTALL), caught.value


def test_every_test_of_the_suite_has_a_defect_that_it_finds() -> None:
    tests = {
        name
        for name, _ in inspect.getmembers(suite, inspect.isfunction)
        if name.startswith("test_")
    }
    assert tests == {defect.found_by.__name__ for defect in DEFECTS}
