"""The chain in memory: time, blocks, settlement, reorgs, and reading as of any block."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.model import Action, Claim, InvalidValue, Lock, LockState, Refund, Withdraw
from adapters.simulated.chain import PooledTransaction, SimulatedChain
from adapters.simulated.identity import lock_id_of
from adapters.spi import Credential, RejectionReason
from tests.adapters.simulated.parties import (
    ANN,
    BOB,
    CEM,
    COIN,
    FUNDS,
    GOLD,
    new_chain,
    preimage_of,
    terms_of,
)


def _submit(
    chain: SimulatedChain, action: Action, by: Credential = ANN, not_before: int = 0
) -> str:
    transaction = chain.next_transaction()
    chain.submit(PooledTransaction(transaction, by.account, action, not_before))
    return transaction


def test_the_same_steps_make_the_same_chain() -> None:
    def made() -> SimulatedChain:
        chain = new_chain()
        for step in range(5):
            _submit(chain, Lock(terms_of(step)))
            chain.produce_block(1_010 + step)
        chain.reorg(2, extra=1)
        return chain

    assert made().newest.hash == made().newest.hash


def test_time_never_goes_back() -> None:
    chain = new_chain()
    chain.produce_block(1_010)
    chain.tick(1_020)
    assert chain.time == 1_020
    for step in (chain.produce_block, chain.tick):
        with pytest.raises(InvalidValue, match="time 1019 is before"):
            step(1_019)
    assert (chain.newest.height, chain.time) == (1, 1_020)


def test_accounts_are_funded_before_the_first_block_only() -> None:
    chain = new_chain()
    chain.produce_block(1_001)
    with pytest.raises(InvalidValue, match="has blocks already"):
        chain.fund(ANN.account, COIN.id, 5)


def test_a_transaction_waits_for_its_time() -> None:
    chain = new_chain()
    transaction = _submit(chain, Lock(terms_of()), not_before=1_020)
    chain.produce_block(1_019)
    assert chain.place_of(transaction) is None
    chain.produce_block(1_020)
    assert chain.place_of(transaction) == 2


@pytest.mark.parametrize("late", [False, True])
def test_a_claim_taken_in_time_and_included_late(late: bool) -> None:
    """Lands on a late chain, fails on the other: there the block's time decides."""
    chain = new_chain(late=late)
    terms = terms_of(deadline=1_100)
    lock_id = lock_id_of(terms)
    _submit(chain, Lock(terms))
    chain.produce_block(1_010)
    claim = Claim(lock_id, preimage_of(0))
    assert chain.refusal(claim, BOB.account, chain.newest, 1_099) is None
    _submit(chain, claim, BOB)
    block = chain.produce_block(1_100)
    found = chain.lock(lock_id)
    assert found is not None
    if late:
        assert found[1].state is LockState.CLAIMED
    else:
        assert found[1].state is LockState.OPEN
        [receipt] = block.receipts
        assert receipt.refusal is not None
        assert receipt.refusal.reason is RejectionReason.DEADLINE_PASSED


def test_on_a_late_chain_a_claim_loses_against_the_refund_before_it() -> None:
    chain = new_chain(late=True)
    terms = terms_of(deadline=1_100)
    _submit(chain, Lock(terms))
    chain.produce_block(1_010)
    _submit(chain, Claim(lock_id_of(terms), preimage_of(0)), BOB, not_before=1_300)
    _submit(chain, Refund(lock_id_of(terms)), CEM, not_before=1_200)
    chain.produce_block(1_200)
    chain.produce_block(1_300)
    found = chain.lock(lock_id_of(terms))
    assert found is not None
    assert found[1].state is LockState.REFUNDED
    assert chain.balance(ANN.account, COIN.id) == FUNDS
    assert chain.balance(BOB.account, COIN.id) == FUNDS


@pytest.mark.parametrize(
    ("time", "claimed", "refunded"), [(1_099, True, False), (1_100, False, True)]
)
def test_the_deadline_to_the_second(time: int, claimed: bool, refunded: bool) -> None:
    chain = new_chain()
    terms = terms_of(deadline=1_100)
    _submit(chain, Lock(terms))
    chain.produce_block(1_010)
    claim = Claim(lock_id_of(terms), preimage_of(0))
    refund = Refund(lock_id_of(terms))
    assert (chain.refusal(claim, CEM.account, chain.newest, time) is None) == claimed
    assert (chain.refusal(refund, CEM.account, chain.newest, time) is None) == refunded


@pytest.mark.parametrize(("deadline", "taken"), [(1_050, False), (1_051, True)])
def test_a_lock_needs_a_deadline_in_the_future(deadline: int, taken: bool) -> None:
    chain = new_chain()
    chain.tick(1_050)
    lock = Lock(terms_of(deadline=deadline))
    assert (chain.refusal(lock, ANN.account, chain.newest, chain.time) is None) == taken
    _submit(chain, lock)
    [receipt] = chain.produce_block(1_050).receipts
    assert (receipt.refusal is None) == taken


def test_a_push_of_coin_that_fails_becomes_credit() -> None:
    chain = new_chain()
    chain.refusing.add(BOB.account)
    for asset in (COIN.id, GOLD.id):
        terms = terms_of(asset=asset)
        _submit(chain, Lock(terms))
        _submit(chain, Claim(lock_id_of(terms), preimage_of(0)), BOB)
    chain.produce_block(1_010)
    assert chain.balance(BOB.account, COIN.id) == FUNDS
    assert chain.credit(BOB.account, COIN.id) == 10
    assert chain.balance(BOB.account, GOLD.id) == FUNDS + 10
    withdraw = Withdraw(COIN.id)
    refusal = chain.refusal(withdraw, BOB.account, chain.newest, 1_010)
    assert refusal is not None
    chain.refusing.clear()
    _submit(chain, withdraw, BOB)
    chain.produce_block(1_020)
    assert chain.balance(BOB.account, COIN.id) == FUNDS + 10
    assert chain.credit(BOB.account, COIN.id) == 0
    refusal = chain.refusal(withdraw, BOB.account, chain.newest, 1_020)
    assert refusal is not None
    assert refusal.reason is RejectionReason.INSUFFICIENT_BALANCE


def test_a_reorg_takes_transactions_back_and_includes_them_again() -> None:
    chain = new_chain()
    before = chain.produce_block(1_010)
    kept = _submit(chain, Lock(terms_of(1)))
    lost = _submit(chain, Lock(terms_of(2)))
    old = chain.produce_block(1_020)
    chain.produce_block(1_030)
    vanished = chain.reorg(2, loses=lambda transaction: transaction.id == lost)
    assert vanished[0] is old
    assert chain.newest.height == 3
    assert chain.at(2).hash != old.hash
    assert chain.at(2).parent is before
    assert (chain.place_of(kept), chain.place_of(lost)) == (2, None)
    assert chain.lock(lock_id_of(terms_of(1))) is not None
    assert chain.lock(lock_id_of(terms_of(2))) is None
    assert chain.balance(ANN.account, COIN.id) == FUNDS - 10


def test_a_reorg_can_delay_what_it_takes_back() -> None:
    chain = new_chain()
    _submit(chain, Lock(terms_of()))
    chain.produce_block(1_010)
    chain.reorg(1, delay=15)
    assert chain.lock(lock_id_of(terms_of())) is None
    chain.produce_block(1_025)
    assert chain.lock(lock_id_of(terms_of())) is not None


def test_a_block_is_read_as_it_was_even_after_it_has_vanished() -> None:
    chain = new_chain()
    terms = terms_of()
    _submit(chain, Lock(terms))
    locked = chain.produce_block(1_010)
    _submit(chain, Claim(lock_id_of(terms), preimage_of(0)), BOB)
    claimed = chain.produce_block(1_020)
    chain.reorg(2, loses=lambda transaction: True)
    for block, state, paid in ((locked, LockState.OPEN, 0), (claimed, LockState.CLAIMED, 10)):
        found = chain.lock(lock_id_of(terms), block)
        assert found is not None
        assert found[1].state is state
        assert chain.balance(BOB.account, COIN.id, block) == FUNDS + paid
    assert chain.lock(lock_id_of(terms)) is None
    assert chain.balance(ANN.account, COIN.id) == FUNDS


def test_fees_are_taken_from_those_who_send_and_for_failures_too() -> None:
    chain = new_chain(fee=3)
    terms = terms_of()
    _submit(chain, Lock(terms))
    _submit(chain, Lock(terms))
    block = chain.produce_block(1_010)
    assert [receipt.refusal is None for receipt in block.receipts] == [True, False]
    assert chain.balance(ANN.account, COIN.id) == FUNDS - 10 - 2 * 3


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (FUNDS + 1, RejectionReason.INSUFFICIENT_BALANCE),
        (FUNDS, RejectionReason.INSUFFICIENT_FEE),
        (FUNDS - 3, None),
    ],
)
def test_the_fee_comes_on_top_of_the_amount(amount: int, reason: RejectionReason | None) -> None:
    chain = new_chain(fee=3)
    refusal = chain.refusal(Lock(terms_of(amount=amount)), ANN.account, chain.newest, 1_000)
    assert (refusal.reason if refusal is not None else None) is reason


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lock", "claim", "refund", "block", "reorg"]),
        st.integers(0, 3),
        st.integers(0, 60),
    ),
    max_size=40,
)


@given(steps=STEPS, late=st.booleans(), refusing=st.booleans())
def test_nothing_is_made_or_lost(
    steps: list[tuple[str, int, int]], late: bool, refusing: bool
) -> None:
    """Balances, credits and open locks add up to what was funded, whatever happens."""
    chain = new_chain(late=late)
    if refusing:
        chain.refusing.add(BOB.account)
    for kind, number, seconds in steps:
        terms = terms_of(number, deadline=1_100, amount=200)
        match kind:
            case "lock":
                _submit(chain, Lock(terms), not_before=chain.time + seconds)
            case "claim":
                claim = Claim(lock_id_of(terms), preimage_of(number))
                _submit(chain, claim, BOB, chain.time + seconds)
            case "refund":
                _submit(chain, Refund(lock_id_of(terms)), CEM, chain.time + seconds)
            case "block":
                chain.produce_block(chain.time + seconds)
            case "reorg" if chain.newest.height > number:
                loses = (lambda _: True) if seconds % 2 else (lambda _: False)
                chain.reorg(number + 1, loses=loses, delay=seconds)
        held = [chain.balance(party.account, COIN.id) for party in (ANN, BOB, CEM)]
        credit = chain.credit(BOB.account, COIN.id)
        assert min(*held, credit) >= 0
        assert sum(held) + credit + chain.escrowed(COIN.id) == 3 * FUNDS
