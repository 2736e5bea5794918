"""Views of a simulated chain, and the faults that a plan injects into what passes through them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from adapters.model import (
    AccountId,
    Action,
    Claim,
    Cursor,
    InvalidValue,
    Lock,
    LockState,
    Notice,
    Stage,
)
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.faults import FaultPlan, SubmissionFate
from adapters.spi import (
    AdapterError,
    Credential,
    Misconfigured,
    NotSent,
    Rejected,
    RejectionReason,
    Scheme,
    SigningFailed,
    Unavailable,
    Unknown,
)
from tests.adapters.simulated.parties import (
    ANN,
    BOB,
    CEM,
    CHAIN,
    COIN,
    FUNDS,
    claim,
    lock,
    new_chain,
    preimage_of,
    terms_of,
    view_of,
)

ERROR_CLASSES: list[type[AdapterError]] = [Rejected, NotSent, Unknown, Unavailable, Misconfigured]


class _Scripted(FaultPlan):
    """One fate for every submission, one error for some readings, notices told twice or not."""

    def __init__(
        self,
        fate: SubmissionFate | None = None,
        errors: dict[str, AdapterError] | None = None,
        twice: bool = False,
    ) -> None:
        self._fate = fate or SubmissionFate()
        self._errors = errors or {}
        self._twice = twice
        self.asked: list[tuple[str, type[Action], AccountId, int]] = []

    def submission(
        self, view: str, action: Action, account: AccountId, time: int
    ) -> SubmissionFate:
        self.asked.append((view, type(action), account, time))
        return self._fate

    def reading(self, view: str, call: str) -> AdapterError | None:
        return self._errors.get(call)

    def repeats(self, view: str) -> bool:
        return self._twice


# --- submissions ---------------------------------------------------------------------------------


async def test_a_plan_is_told_who_submits_what_where_and_when() -> None:
    plan = _Scripted()
    await lock(view_of(new_chain(), plan, "north"), terms_of())
    assert plan.asked == [("north", Lock, ANN.account, 1_000)]


async def test_a_delayed_submission_is_included_when_its_time_has_come() -> None:
    chain = new_chain()
    view = view_of(chain, _Scripted(SubmissionFate(delay=30)))
    transaction = await lock(view, terms_of())
    chain.produce_block(1_029)
    with pytest.raises(InvalidValue):
        await view.transaction(transaction)
    chain.produce_block(1_030)
    assert (await view.transaction(transaction)).succeeded


async def test_a_lost_submission_never_arrives() -> None:
    chain = new_chain()
    view = view_of(chain, _Scripted(SubmissionFate(copies=0)))
    await lock(view, terms_of())
    chain.produce_block(1_010)
    assert (await view.lookup(view.lock_id(terms_of()))).state is LockState.ABSENT


async def test_a_submission_delivered_twice_takes_effect_once() -> None:
    chain = new_chain()
    view = view_of(chain, _Scripted(SubmissionFate(copies=2)))
    await lock(view, terms_of())
    block = chain.produce_block(1_010)
    assert [receipt.refusal is None for receipt in block.receipts] == [True, False]
    assert chain.balance(ANN.account, COIN.id) == FUNDS - 10


@pytest.mark.parametrize("kind", ERROR_CLASSES)
@pytest.mark.parametrize("after", [False, True])
async def test_an_error_comes_before_or_after_the_submission_took_effect(
    kind: type[AdapterError], after: bool
) -> None:
    chain = new_chain()
    fault = kind("a: the node is at fault")
    plan = _Scripted(SubmissionFate(copies=int(after), error=fault))
    view = view_of(chain, plan)
    with pytest.raises(kind) as caught:
        await lock(view, terms_of())
    assert caught.value is fault
    chain.produce_block(1_010)
    state = (await view.lookup(view.lock_id(terms_of()))).state
    assert state is (LockState.OPEN if after else LockState.ABSENT)


async def test_an_endorsement_that_its_holder_sits_on_lands_after_the_deadline() -> None:
    chain = new_chain(depth=0, late=True)
    terms = terms_of(deadline=1_100)
    await lock(view_of(chain), terms)
    chain.produce_block(1_090)
    held_back = view_of(chain, _Scripted(SubmissionFate(delay=60)))
    await claim(held_back, terms)
    chain.produce_block(1_149)
    assert (await held_back.lookup(held_back.lock_id(terms))).state is LockState.OPEN
    chain.produce_block(1_150)
    assert (await held_back.lookup(held_back.lock_id(terms))).state is LockState.CLAIMED


class _LockedKey:
    scheme = Scheme.SECP256K1
    public_key = ANN.signer.public_key

    async def sign(self, digest: bytes) -> bytes:
        raise SigningFailed("the vault is sealed")


async def test_a_key_that_cannot_be_used_sends_nothing() -> None:
    chain = new_chain()
    with pytest.raises(NotSent, match="the vault is sealed"):
        await view_of(chain).submit(Lock(terms_of()), Credential(ANN.account, _LockedKey()))
    assert chain.mempool == ()


async def test_a_key_speaks_for_its_own_account_only() -> None:
    chain = new_chain()
    with pytest.raises(Rejected, match="does not speak for") as caught:
        await view_of(chain).submit(Lock(terms_of()), Credential(ANN.account, CEM.signer))
    assert caught.value.reason is RejectionReason.NOT_AUTHORISED
    assert chain.mempool == ()


# --- what a view shows ---------------------------------------------------------------------------


async def test_a_view_that_lags_shows_an_older_chain() -> None:
    chain = new_chain(depth=0)
    terms = terms_of()
    await lock(view_of(chain), terms)
    for time in (1_010, 1_020, 1_030):
        chain.produce_block(time)
    view = view_of(chain)
    view.lag = 3
    assert ((await view.head()).height, (await view.head()).time) == (0, 1_000)
    assert (await view.lookup(view.lock_id(terms))).state is LockState.ABSENT
    assert await view.balance(ANN.account, COIN.id) == FUNDS
    with pytest.raises(InvalidValue):
        await view.header(1)
    view.lag = 2
    assert (await view.lookup(view.lock_id(terms))).state is LockState.OPEN
    assert await view.balance(ANN.account, COIN.id) == FUNDS - 10


async def test_a_frozen_view_judges_by_its_old_head() -> None:
    """So a node with a stale head takes a claim that comes too late; the chain does not."""
    chain = new_chain(depth=0)
    terms = terms_of(deadline=1_100)
    view, frozen = view_of(chain), view_of(chain)
    await lock(view, terms)
    chain.produce_block(1_010)
    frozen.freeze()
    chain.produce_block(1_100)
    with pytest.raises(Rejected) as caught:
        await claim(view, terms)
    assert caught.value.reason is RejectionReason.DEADLINE_PASSED
    assert (await frozen.head()).time == 1_010
    transaction = await claim(frozen, terms)
    chain.produce_block(1_110)
    receipt = await view.transaction(transaction)
    assert not receipt.succeeded
    assert receipt.status.startswith("deadline_passed")
    frozen.thaw()
    assert await frozen.head() == await view.head()


async def test_a_frozen_view_goes_on_showing_a_vanished_fork() -> None:
    chain = new_chain()
    terms = terms_of()
    view = view_of(chain)
    await lock(view, terms)
    old = chain.produce_block(1_010)
    view.freeze()
    chain.reorg(1, loses=lambda transaction: True)
    assert (await view.head()).hash == old.hash
    assert (await view.header(1)).hash == old.hash
    assert (await view.lookup(view.lock_id(terms))).state is LockState.OPEN
    view.thaw()
    assert (await view.head()).hash != old.hash
    assert (await view.lookup(view.lock_id(terms))).state is LockState.ABSENT


async def test_a_node_that_is_down_answers_nothing() -> None:
    chain = new_chain()
    view = view_of(chain)
    stream = view.events(None)
    await anext(stream)
    view.down = True
    with pytest.raises(Unavailable, match="does not answer"):
        await anext(stream)
    with pytest.raises(Unavailable):
        await view.head()
    with pytest.raises(NotSent):
        await lock(view, terms_of())
    [finding] = await view.diagnose(None)
    assert not finding.ok
    assert finding.mend
    view.down = False
    assert (await view.head()).height == 0


@pytest.mark.parametrize(
    ("call", "read"),
    [
        ("head", lambda view: view.head()),
        ("lookup", lambda view: view.lookup(view.lock_id(terms_of()))),
        ("balance", lambda view: view.balance(ANN.account, COIN.id)),
        ("header", lambda view: view.header()),
        ("block", lambda view: view.block()),
        ("transaction", lambda view: view.transaction("00")),
        ("events", lambda view: anext(view.events(None))),
    ],
)
async def test_a_plan_can_fail_any_reading(
    call: str, read: Callable[[SimulatedAdapter], Awaitable[object]]
) -> None:
    fault = Unavailable("a view: garbage")
    view = view_of(new_chain(), _Scripted(errors={call: fault}))
    with pytest.raises(Unavailable) as caught:
        await read(view)
    assert caught.value is fault


async def test_diagnose_says_how_far_a_view_is_behind() -> None:
    chain = new_chain()
    view = view_of(chain)
    view.freeze()
    chain.produce_block(1_010)
    bad = [finding for finding in await view.diagnose(None) if not finding.ok]
    assert [(finding.check, finding.seen) for finding in bad] == [
        ("head", "1 blocks behind the chain")
    ]


async def test_a_party_that_can_veto_meets_an_objection() -> None:
    chain = new_chain(depth=0, late=True)
    view = view_of(chain)
    assert await view.objections(terms_of()) == ()
    chain.vetoing.add(ANN.account)
    [objection] = await view.objections(terms_of())
    assert str(ANN.account) in objection


# --- streams -------------------------------------------------------------------------------------


async def _told(stream: AsyncIterator[Notice], count: int) -> list[Notice]:
    return [await anext(stream) for _ in range(count)]


async def test_a_plan_can_have_notices_told_twice() -> None:
    chain = new_chain(depth=0)
    view = view_of(chain, _Scripted(twice=True))
    stream = view.events(None)
    await anext(stream)
    await lock(view, terms_of())
    chain.produce_block(1_010)
    first, second = await _told(stream, 2)
    assert first.observations
    assert first is second


async def test_streams_wait_for_the_chain_without_turning() -> None:
    """No polling: a waiting stream makes no call until the chain changes."""
    chain = new_chain()
    calls: list[str] = []

    class Counting(FaultPlan):
        def reading(self, view: str, call: str) -> AdapterError | None:
            calls.append(call)
            return None

    stream = view_of(chain, Counting()).events(None)
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    made = len(calls)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(calls) == made
    chain.tick(1_005)
    assert (await waiting).head.time == 1_005


async def test_a_closed_stream_is_no_longer_told() -> None:
    chain = new_chain()
    view = view_of(chain)
    stream = view.events(None)
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert chain.listeners == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert chain.listeners == 0


async def test_a_head_that_does_not_move_sends_no_notice() -> None:
    chain = new_chain()
    view = view_of(chain)
    stream = view.events(None)
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    view.freeze()
    chain.produce_block(1_010)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    view.thaw()
    assert (await waiting).head.height == 1


async def test_a_preimage_is_seen_pending_then_retracted_then_final() -> None:
    chain = new_chain(depth=1)
    view = view_of(chain)
    terms = terms_of()
    await lock(view, terms)
    chain.produce_block(1_010)
    chain.produce_block(1_020)
    stream = view.events(None)
    opened = await anext(stream)
    assert [seen.stage for seen in opened.observations] == [Stage.FINAL]
    await view.submit(Claim(view.lock_id(terms), preimage_of(0)), BOB)
    chain.produce_block(1_030)
    [pending] = (await anext(stream)).observations
    chain.reorg(1, delay=5)
    [retracted] = (await anext(stream)).observations
    chain.produce_block(1_040)
    [again] = (await anext(stream)).observations
    chain.produce_block(1_050)
    [final] = (await anext(stream)).observations
    assert [seen.stage for seen in (pending, retracted, again, final)] == [
        Stage.PENDING,
        Stage.RETRACTED,
        Stage.PENDING,
        Stage.FINAL,
    ]
    assert retracted.position == pending.position
    assert final.position == again.position != pending.position


async def test_a_cursor_of_another_chain_is_refused_by_the_stream() -> None:
    with pytest.raises(InvalidValue):
        await anext(view_of(new_chain()).events(Cursor("7:00")))


def test_the_profile_says_what_the_chain_is() -> None:
    view = SimulatedAdapter(new_chain(fee=3), bounds=view_of(new_chain()).profile.bounds)
    assert view.profile.chain == CHAIN
    assert view.profile.fee_asset == COIN.id
    assert view.profile.stale_after == 12
    assert view_of(new_chain()).profile.fee_asset is None
