"""What the application does with transactions, block by block."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from adapters.model import MAX_AMOUNT
from adapters.native.app.abci import (
    CheckTxType,
    ProposalStatus,
    RequestFinalizeBlock,
    RequestPrepareProposal,
    RequestProcessProposal,
    RequestQuery,
)
from adapters.native.app.application import QUERY_WINDOW, Application, OutOfOrder
from adapters.native.app.codes import Code
from adapters.native.app.ledger import Ledger, Overlay
from adapters.native.app.locks import identify
from adapters.native.app.names import account_id
from adapters.native.app.proof import verify
from adapters.native.app.records import (
    SEQUENCE_WINDOW,
    Account,
    LockEntry,
    Settlement,
    account_key,
    lock_key,
)
from adapters.native.app.state_database import SqliteStateStore
from adapters.native.app.state_store import CorruptState, MemoryStateStore
from adapters.native.app.timestamp import Timestamp
from adapters.native.app.transaction import (
    ClaimLock,
    CreateAccount,
    CreateAsset,
    Issue,
    OpenLock,
    Operation,
    RefundLock,
    RotateKey,
    Transfer,
    Unsigned,
)
from tests.adapters.native.chain_fixture import (
    ALICE,
    BOB,
    CAROL,
    COIN,
    FUNDS,
    Chain,
    Key,
    hashlock,
    preimage,
)

DAVE = Key("dave")
ROOM = 1 << 20


@pytest.fixture
def chain() -> Chain:
    return Chain()


def balance(chain: Chain, key: Key, symbol: str = COIN) -> int:
    return Ledger(Overlay(chain.app._tree)).balance(symbol, key.account)


def lock_terms(chain: Chain, seconds: int = 50, number: int = 1, amount: int = 100) -> OpenLock:
    return OpenLock(BOB.account, COIN, amount, hashlock(number), chain.time.seconds + seconds)


def opened(chain: Chain, seconds: int = 50, number: int = 1) -> bytes:
    terms = lock_terms(chain, seconds, number)
    assert chain.code(chain.sign(ALICE, terms)) == Code.OK
    return identify(chain.genesis, ALICE.account, terms)


def entry_of(chain: Chain, identity: bytes) -> LockEntry:
    value = chain.app.query(RequestQuery("/key", lock_key(identity))).value
    return LockEntry.decode(value)


# --- locks ---------------------------------------------------------------------------------------


def test_a_claim_pays_the_recipient_whoever_sends_it(chain: Chain) -> None:
    identity = opened(chain)
    assert balance(chain, ALICE) == FUNDS - 100
    assert chain.code(chain.sign(CAROL, ClaimLock(identity, preimage(1)))) == Code.OK
    assert balance(chain, BOB) == FUNDS + 100
    assert balance(chain, CAROL) == FUNDS
    assert entry_of(chain, identity).preimage == preimage(1)


def test_claim_strictly_before_the_deadline_refund_from_it_on(chain: Chain) -> None:
    identity = opened(chain, seconds=10)
    deadline = entry_of(chain, identity).deadline
    claim, refund = ClaimLock(identity, preimage(1)), RefundLock(identity)
    ahead = deadline - 1 - chain.time.seconds
    assert chain.code(chain.sign(BOB, refund), after=ahead) == Code.DEADLINE_NOT_REACHED
    assert chain.time.seconds == deadline - 1
    late, due = chain.block(chain.sign(BOB, claim), chain.sign(CAROL, refund)).tx_results
    assert chain.time.seconds == deadline
    assert (late.code, due.code) == (Code.DEADLINE_PASSED, Code.OK)
    assert balance(chain, ALICE) == FUNDS


@pytest.mark.parametrize("settle", ["claim", "refund"])
def test_a_settled_lock_is_a_tombstone(chain: Chain, settle: str) -> None:
    terms = lock_terms(chain, seconds=20)
    assert chain.code(chain.sign(ALICE, terms)) == Code.OK
    identity = identify(chain.genesis, ALICE.account, terms)
    claim, refund = ClaimLock(identity, preimage(1)), RefundLock(identity)
    if settle == "claim":
        assert chain.code(chain.sign(BOB, claim)) == Code.OK
    else:
        assert chain.code(chain.sign(BOB, refund), after=30) == Code.OK
    for operation in (claim, refund):
        assert chain.code(chain.sign(BOB, operation), after=30) == Code.LOCK_SETTLED
    assert chain.code(chain.sign(ALICE, terms)) == Code.LOCK_EXISTS
    expected = Settlement.CLAIMED if settle == "claim" else Settlement.REFUNDED
    assert entry_of(chain, identity).settlement is expected


def test_what_a_lock_refuses(chain: Chain) -> None:
    good = lock_terms(chain)
    refused: list[tuple[OpenLock, Code]] = [
        (replace(good, hashlock=bytes(32)), Code.BAD_TERMS),
        (
            replace(
                good,
                hashlock=bytes.fromhex(
                    "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
                ),
            ),
            Code.BAD_TERMS,
        ),
        (replace(good, deadline=0), Code.BAD_TERMS),
        (replace(good, deadline=2**63), Code.BAD_TERMS),
        (replace(good, deadline=chain.time.seconds + 1), Code.DEADLINE_PASSED),
        (replace(good, symbol="NONE"), Code.UNKNOWN_ASSET),
        (replace(good, recipient=DAVE.account), Code.UNKNOWN_RECIPIENT),
        (replace(good, amount=FUNDS + 1), Code.INSUFFICIENT_BALANCE),
        (replace(good, amount=MAX_AMOUNT), Code.INSUFFICIENT_BALANCE),
    ]
    txs = [chain.sign(ALICE, terms, 0) for terms, _ in refused]
    results = chain.block(*txs).tx_results
    assert [result.code for result in results] == [code for _, code in refused]
    assert balance(chain, ALICE) == FUNDS


def test_a_wrong_preimage_and_a_lock_that_is_not_there(chain: Chain) -> None:
    identity = opened(chain)
    wrong = chain.block(chain.sign(BOB, ClaimLock(identity, preimage(2)))).tx_results[0]
    assert wrong.code == Code.WRONG_PREIMAGE
    assert preimage(2).hex() not in wrong.log
    assert chain.code(chain.sign(BOB, ClaimLock(bytes(32), preimage(1)))) == Code.LOCK_ABSENT
    assert chain.code(chain.sign(BOB, RefundLock(bytes(32)))) == Code.LOCK_ABSENT


# --- accounts and assets -------------------------------------------------------------------------


def test_a_key_rotates_and_the_account_stays(chain: Chain) -> None:
    rotate = RotateKey(DAVE.compressed, chain.possession(ALICE.account, 0, DAVE))
    assert chain.code(chain.sign(ALICE, rotate)) == Code.OK
    transfer = Transfer(COIN, BOB.account, 1)
    assert chain.code(chain.sign(ALICE, transfer)) == Code.BAD_SIGNATURE
    unsigned_by_dave = chain.sign(DAVE, transfer, 0)
    assert chain.code(unsigned_by_dave) == Code.UNKNOWN_ACCOUNT
    unsigned = Unsigned(chain.genesis, ALICE.account, 1, transfer)
    assert chain.code(unsigned.signed(DAVE.sign_now(unsigned.digest())).encode()) == Code.OK
    assert balance(chain, ALICE) == FUNDS - 1


@pytest.mark.parametrize("wrong", ["account", "sequence", "key", "noise"])
def test_a_rotation_needs_the_new_keys_consent_to_this_rotation(chain: Chain, wrong: str) -> None:
    possession = {
        "account": chain.possession(BOB.account, 0, DAVE),
        "sequence": chain.possession(ALICE.account, 1, DAVE),
        "key": chain.possession(ALICE.account, 0, CAROL),
        "noise": bytes(65),
    }[wrong]
    rotate = RotateKey(DAVE.compressed, possession)
    assert chain.code(chain.sign(ALICE, rotate)) == Code.BAD_SIGNATURE
    assert chain.code(chain.sign(ALICE, Transfer(COIN, BOB.account, 1), 0)) == Code.OK


def test_accounts_are_created_once(chain: Chain) -> None:
    assert chain.code(chain.sign(ALICE, Transfer(COIN, DAVE.account, 1), 0)) == (
        Code.UNKNOWN_RECIPIENT
    )
    assert chain.code(chain.sign(ALICE, CreateAccount(DAVE.compressed))) == Code.OK
    assert chain.code(chain.sign(BOB, CreateAccount(DAVE.compressed))) == Code.ACCOUNT_EXISTS
    assert chain.code(chain.sign(ALICE, Transfer(COIN, DAVE.account, 1))) == Code.OK
    assert balance(chain, DAVE) == 1
    assert account_id(DAVE.compressed) == DAVE.account


def test_assets_have_an_issuer_and_a_bounded_supply(chain: Chain) -> None:
    def code(key: Key, operation: Operation) -> int:
        return chain.code(chain.sign(key, operation))

    assert code(BOB, CreateAsset("EURO", 2)) == Code.OK
    assert code(ALICE, CreateAsset("EURO", 6)) == Code.ASSET_EXISTS
    assert code(ALICE, Issue("EURO", ALICE.account, 5)) == Code.NOT_ISSUER
    assert code(BOB, Issue("NONE", ALICE.account, 5)) == Code.UNKNOWN_ASSET
    assert code(BOB, Issue("EURO", DAVE.account, 5)) == Code.UNKNOWN_RECIPIENT
    assert code(BOB, Issue("EURO", ALICE.account, MAX_AMOUNT)) == Code.OK
    assert code(BOB, Issue("EURO", BOB.account, 1)) == Code.SUPPLY_OVERFLOW
    assert balance(chain, ALICE, "EURO") == MAX_AMOUNT
    terms = OpenLock(BOB.account, "EURO", MAX_AMOUNT, hashlock(1), chain.time.seconds + 50)
    assert code(ALICE, terms) == Code.OK


# --- replay --------------------------------------------------------------------------------------


def test_no_transaction_is_good_twice_or_elsewhere(chain: Chain) -> None:
    tx = chain.sign(ALICE, Transfer(COIN, BOB.account, 1))
    assert chain.code(tx) == Code.OK
    assert chain.code(tx) == Code.BAD_SEQUENCE
    other = Chain(chain_id="other")
    assert chain.code(other.sign(ALICE, Transfer(COIN, BOB.account, 1), 5)) == Code.WRONG_CHAIN
    assert balance(chain, BOB) == FUNDS + 1


def test_a_dropped_transaction_holds_up_none_that_came_after(chain: Chain) -> None:
    first = chain.sign(ALICE, Transfer(COIN, BOB.account, 1))
    second = chain.sign(ALICE, Transfer(COIN, BOB.account, 2))
    assert [r.code for r in chain.block(second, first).tx_results] == [Code.OK, Code.OK]
    record = chain.app.query(RequestQuery("/key", account_key(ALICE.account))).value
    assert Account.decode(record) == Account(ALICE.compressed, sequence=2)


def test_a_failed_transaction_changes_nothing_but_the_head(chain: Chain) -> None:
    before = dict(chain.app._tree.items())
    chain.block(chain.sign(ALICE, Transfer(COIN, BOB.account, FUNDS + 1)), b"noise")
    after = dict(chain.app._tree.items())
    assert {k for k in before | after if before.get(k) != after.get(k)} == {b"chain/head"}


def test_sequence_numbers_reach_to_the_end_of_the_window_and_no_further(chain: Chain) -> None:
    transfer = Transfer(COIN, BOB.account, 1)
    assert chain.code(chain.sign(ALICE, transfer, SEQUENCE_WINDOW)) == Code.BAD_SEQUENCE
    assert chain.code(chain.sign(ALICE, transfer, SEQUENCE_WINDOW - 1)) == Code.OK
    assert chain.code(chain.sign(ALICE, transfer, SEQUENCE_WINDOW)) == Code.BAD_SEQUENCE
    assert chain.code(chain.sign(ALICE, transfer, 0)) == Code.OK
    assert chain.code(chain.sign(ALICE, transfer, SEQUENCE_WINDOW)) == Code.OK


def test_a_stored_state_that_was_altered_is_refused() -> None:
    store = MemoryStateStore()
    chain = Chain(store)
    chain.block()
    stored = store.load()
    assert stored is not None
    store.reset(stored.height, stored.root, {**stored.items, b"balance/COIN/x": bytes(32)})
    with pytest.raises(CorruptState, match="backup"):
        Application(store)


# --- proposals -----------------------------------------------------------------------------------


def next_time(chain: Chain) -> Timestamp:
    return Timestamp(chain.time.seconds + 1)


def prepare(chain: Chain, *txs: bytes, lag: int = 0, room: int = ROOM) -> tuple[bytes, ...]:
    time = next_time(chain)
    request = RequestPrepareProposal(room, txs, chain.height + 1, time)
    return chain.app.prepare_proposal(request, Timestamp(time.seconds + lag))


def process(chain: Chain, *txs: bytes, lag: int = 0) -> ProposalStatus:
    time = next_time(chain)
    request = RequestProcessProposal(txs, chain.height + 1, time)
    return chain.app.process_proposal(request, Timestamp(time.seconds + lag))


def test_claims_go_first_and_what_would_fail_is_left_out(chain: Chain) -> None:
    identity = opened(chain)
    transfer = chain.sign(ALICE, Transfer(COIN, BOB.account, 1))
    too_much = chain.sign(CAROL, Transfer(COIN, BOB.account, FUNDS + 1))
    claim = chain.sign(BOB, ClaimLock(identity, preimage(1)))
    late = chain.sign(CAROL, RefundLock(identity))
    chosen = prepare(chain, transfer, too_much, late, b"noise", claim, claim)
    assert chosen == (claim, transfer)
    assert process(chain, *chosen) is ProposalStatus.ACCEPT


def test_a_claim_whose_lock_or_key_comes_with_it_keeps_its_place(chain: Chain) -> None:
    """Left for the next block, the first would be signed by a key that is no longer good."""
    terms, new = lock_terms(chain), Key("new")
    identity = identify(chain.genesis, ALICE.account, terms)
    lock = chain.sign(ALICE, terms)
    claim = chain.sign(BOB, ClaimLock(identity, preimage(1)))
    possession = chain.possession(BOB.account, 1, new)
    rotation = chain.sign(BOB, RotateKey(new.compressed, possession))
    later = Unsigned(chain.genesis, BOB.account, 2, Transfer(COIN, CAROL.account, 1))
    transfer = later.signed(new.sign_now(later.digest())).encode()
    came = (lock, claim, rotation, transfer)
    assert prepare(chain, *came) == came
    assert process(chain, *came) is ProposalStatus.ACCEPT
    assert {result.code for result in chain.block(*came).tx_results} == {Code.OK}


def test_a_proposal_with_anything_that_fails_is_rejected(chain: Chain) -> None:
    good = chain.sign(ALICE, Transfer(COIN, BOB.account, 1))
    for bad in (good, b"noise", chain.sign(BOB, Transfer(COIN, ALICE.account, FUNDS + 2))):
        assert process(chain, good, bad) is ProposalStatus.REJECT


def test_a_proposal_stays_within_its_room(chain: Chain) -> None:
    txs = [chain.sign(ALICE, Transfer(COIN, BOB.account, n)) for n in (1, 2, 3)]
    size = len(txs[0]) + 3
    assert prepare(chain, *txs, room=2 * size) == tuple(txs[:2])
    assert prepare(chain, *txs, room=2 * size - 1) == tuple(txs[:1])


def test_an_old_header_takes_no_claims(chain: Chain) -> None:
    """After a halt the first block carries old time: a claim may in truth be too late."""
    identity = opened(chain)
    claim = chain.sign(BOB, ClaimLock(identity, preimage(1)))
    transfer = chain.sign(ALICE, Transfer(COIN, BOB.account, 1))
    # A proposer allows itself half of that: its block must not be on the edge when it arrives.
    assert prepare(chain, claim, transfer, lag=2) == (claim, transfer)
    assert prepare(chain, claim, transfer, lag=3) == (transfer,)
    assert process(chain, claim, lag=6) is ProposalStatus.REJECT
    assert process(chain, claim, lag=5) is ProposalStatus.ACCEPT
    assert process(chain, transfer, lag=600) is ProposalStatus.ACCEPT


def test_a_header_from_the_future_takes_no_refunds(chain: Chain) -> None:
    identity = opened(chain, seconds=3)
    chain.block(after=10)
    refund = chain.sign(BOB, RefundLock(identity))
    assert prepare(chain, refund, lag=-2) == (refund,)
    assert prepare(chain, refund, lag=-3) == ()
    assert process(chain, refund, lag=-6) is ProposalStatus.REJECT
    assert process(chain, refund, lag=-5) is ProposalStatus.ACCEPT


def test_what_was_accepted_is_accepted_again_until_its_height_is_decided(tmp_path: Path) -> None:
    """Or two validators could be bound for ever to a block that two others refuse from now on."""
    state = SqliteStateStore.open(tmp_path / "application.db")
    chain = Chain(state)
    first, second = opened(chain, number=1), opened(chain, number=2)
    claim = chain.sign(BOB, ClaimLock(first, preimage(1)))
    other = chain.sign(BOB, ClaimLock(second, preimage(2)))
    assert process(chain, claim) is ProposalStatus.ACCEPT
    assert process(chain, claim, lag=600) is ProposalStatus.ACCEPT
    state.close()
    state = SqliteStateStore.open(tmp_path / "application.db")
    chain.app = Application(state)
    assert process(chain, claim, lag=600) is ProposalStatus.ACCEPT
    assert process(chain, other, lag=600) is ProposalStatus.REJECT
    assert process(chain, claim, other, lag=600) is ProposalStatus.REJECT
    chain.block()
    kept = state.load()
    assert kept is not None
    assert not kept.accepted
    assert process(chain, claim, lag=600) is ProposalStatus.REJECT
    chain.app = Application(state)
    assert process(chain, claim, lag=600) is ProposalStatus.REJECT
    state.close()


def test_proposals_leave_the_state_alone(chain: Chain) -> None:
    root = chain.app._tree.root
    tx = chain.sign(ALICE, Transfer(COIN, BOB.account, 1))
    prepare(chain, tx)
    process(chain, tx)
    assert chain.app._tree.root == root
    assert chain.code(tx) == Code.OK


# --- CheckTx and queries -------------------------------------------------------------------------


def test_check_tx_sees_what_it_let_in_before_and_forgets_at_commit(chain: Chain) -> None:
    tx = chain.sign(ALICE, Transfer(COIN, BOB.account, FUNDS))
    again = chain.sign(ALICE, Transfer(COIN, BOB.account, 1))
    assert chain.app.check_tx(tx).code == Code.OK
    assert chain.app.check_tx(again).code == Code.INSUFFICIENT_BALANCE
    chain.block()
    assert chain.app.check_tx(again, CheckTxType.RECHECK).code == Code.OK
    assert chain.app.check_tx(tx, CheckTxType.RECHECK).code == Code.INSUFFICIENT_BALANCE


def test_the_pending_account_counts_what_waits(chain: Chain) -> None:
    chain.app.check_tx(chain.sign(ALICE, Transfer(COIN, BOB.account, 1)))
    key = account_key(ALICE.account)
    pending = Account.decode(chain.app.query(RequestQuery("/pending", key)).value)
    committed = Account.decode(chain.app.query(RequestQuery("/key", key)).value)
    assert (pending.sequence, committed.sequence) == (1, 0)


def test_old_heights_are_answered_with_proofs_within_the_window(chain: Chain) -> None:
    key = account_key(ALICE.account)
    roots = {}
    for _ in range(QUERY_WINDOW + 10):
        tx = chain.sign(ALICE, Transfer(COIN, BOB.account, 1))
        root = chain.block(tx).app_hash
        roots[chain.height] = root
    oldest = chain.height - QUERY_WINDOW + 1
    chain.app = Application(chain.store)  # the window outlives a restart
    for height in (oldest, oldest + 50, chain.height):
        answer = chain.app.query(RequestQuery("/key", key, height, prove=True))
        assert Account.decode(answer.value).sequence == height
        assert verify(roots[height], key, answer.value, answer.proof_ops[0].data)
        absent = chain.app.query(RequestQuery("/key", b"none", height, prove=True))
        assert verify(roots[height], b"none", None, absent.proof_ops[0].data)
    for height in (oldest - 1, chain.height + 1):
        assert chain.app.query(RequestQuery("/key", key, height)).code != Code.OK


def test_consensus_calls_out_of_order_are_refused(chain: Chain) -> None:
    with pytest.raises(OutOfOrder):
        chain.app.commit()
    with pytest.raises(OutOfOrder):
        chain.app.finalize_block(RequestFinalizeBlock((), chain.height + 2, next_time(chain)))
