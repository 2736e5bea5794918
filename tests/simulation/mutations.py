"""Deliberate faults in the protocol, each of which the simulation must find.

A mutation is a context in which the program is wrong in one way. ``plan`` bends the seeds towards
where the fault can show, so that it is found soon; what judges is the same as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from adapters.model import LockClaimed, Observation, Stage
from relayers import chain_errands, engine
from relayers.protocol import decisions, swap, timelocks
from relayers.protocol.facts import Fact, Observed
from relayers.protocol.intents import Kind
from relayers.protocol.state import Leg, Move, Phase, Swap
from relayers.protocol.work import Work
from tests.simulation.plan import B, Crash, Deviation, Freeze, Plan

Change = Callable[[Plan], Plan]


@contextmanager
def patched(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    before = [(place, name, getattr(place, name)) for place, name, _ in changes]
    try:
        for place, name, value in changes:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)


@dataclass(frozen=True)
class Mutation:
    name: str
    changes: tuple[tuple[Any, str, Any], ...]
    plan: Change = lambda plan: plan


def _against(adversary: str, *deviations: Deviation) -> Change:
    def change(plan: Plan) -> Plan:
        chosen = deviations[plan.seed % len(deviations)]
        return replace(plan, adversary=adversary, deviation=chosen, broken=None)

    return change


def _late_b(plan: Plan) -> Plan:
    return replace(plan, late_b=True, broken=None)


# --- the faults ----------------------------------------------------------------------------------


def _any_lock(state: Swap, observation: Observation) -> Leg | None:
    """Skips the check of amount, asset, recipient and deadline: hashlock and chain will do."""
    event = observation.event
    if state.b is not None and observation.chain == state.b.terms.chain:
        return replace(state.b, lock_id=event.lock_id)
    return _real_leg_of(state, observation)


_real_leg_of = swap.leg_of


def _no_margin(schedule: timelocks.Schedule, t2: int) -> int:
    return t2


def _lock_before_final(work: Work, state: Swap, their: Leg) -> bool:
    return their.opened is not None


_real_deadlines = timelocks.deadlines


def _swapped(schedule: timelocks.Schedule, start: int, slack: int) -> tuple[int, int]:
    t1, t2 = _real_deadlines(schedule, start, slack)
    return t2, t1


def _no_objection(schedule: timelocks.Schedule, t1: int, t2: int, at: int) -> None:
    return None


_real_own_lock = decisions.own_lock


def _no_refund(work: Work, own: Leg, their: Leg) -> Work:
    after = _real_own_lock(work, own, their)
    if after.state.waits_for(Kind.REFUND) and not work.state.waits_for(Kind.REFUND):
        return work
    return after


def _unrecorded(work: Work, lock_id: bytes) -> Move:
    """Goes on without the record: the swap stays in CLAIMING, and the executor is content."""
    return Move(work.state)


class _ClaimingWillDo:
    REVEALING = Phase.CLAIMING


def _claim_dropped(work: Work, own: Leg, their: Leg) -> Work:
    """Takes a claim that is pending for a claim that is final."""
    after = _real_own_lock(work, own, their)
    return after.close(Kind.CLAIM) if their.settled is not None else after


def _claim_not_resumed(work: Work, their: Leg) -> Work:
    return work if Kind.CLAIM in work.state.closed else work.ask(Kind.CLAIM)


def _gap_without_late(s: timelocks.Schedule) -> int:
    return _real_gap(s) - s.b.late


_real_gap = timelocks.gap
_real_step = swap.step


def _deaf_step(state: Swap | None, fact: Fact) -> Move:
    """Knows a preimage only from a claim that is final."""
    if isinstance(fact.body, Observed):
        seen = fact.body.observation
        if isinstance(seen.event, LockClaimed) and seen.stage is not Stage.FINAL:
            return Move(state)
    return _real_step(state, fact)


def _trusting(work: Work, lock_id: bytes) -> Move:
    """Takes any head for a fresh one."""
    state = replace(work.state, schedule=replace(work.state.schedule, stale_b=10**9))
    move = _real_reveal(replace(work, state=state), lock_id)
    if move.state is None:
        return move
    return replace(move, state=replace(move.state, schedule=work.state.schedule))


_real_reveal = swap._reveal


def _stale_often(plan: Plan) -> Plan:
    """Alice dies when she is about to reveal, and comes back to a node that has stood still."""
    seed = plan.seed
    return replace(
        plan,
        adversary=None,
        deviation=None,
        broken=None,
        message_faults=0.0,
        crashes={"alice": Crash(12 + seed % 25, 10)},
        freezes={"alice": Freeze(B, 18.5 + 3 * ((seed // 25) % 4), 20)},
        slack=60,
    )


def _no_lock_limit(schedule: timelocks.Schedule, t2: int) -> int:
    return t2


async def _idle_refund(self: Any, intent: Any, adapter: Any, credential: Any) -> Any:
    """Never sends a refund."""
    return chain_errands.Pause(10_000.0)


MUTATIONS = (
    Mutation(
        "skip the amount check",
        ((swap, "leg_of", _any_lock),),
        _against("bob", Deviation.WRONG_AMOUNT, Deviation.WRONG_ASSET, Deviation.WRONG_RECIPIENT),
    ),
    Mutation(
        "reveal inside the margin",
        ((timelocks, "reveal_limit", _no_margin),),
        _against("bob", Deviation.LOCK_LATE),
    ),
    Mutation("lock before finality", ((decisions, "may_lock_in_return", _lock_before_final),)),
    Mutation(
        "swap two deadlines",
        ((timelocks, "deadlines", _swapped), (swap.timelocks, "objection", _no_objection)),
    ),
    Mutation("refund not pursued", ((decisions, "own_lock", _no_refund),)),
    Mutation(
        "forget the record of the reveal",
        ((swap, "_reveal", _unrecorded), (chain_errands, "Phase", _ClaimingWillDo)),
    ),
    Mutation(
        "claim not pursued after it was pending",
        ((decisions, "own_lock", _claim_dropped), (decisions, "pursue", _claim_not_resumed)),
    ),
    Mutation("ignore L", ((timelocks, "gap", _gap_without_late),), _late_b),
    Mutation("treat a pending preimage as unknown", ((engine, "step", _deaf_step),)),
    Mutation("accept a stale head", ((swap, "_reveal", _trusting),), _stale_often),
    Mutation(
        "lock in return however late",
        ((timelocks, "responder_lock_limit", _no_lock_limit),),
        _against("alice", Deviation.LOCK_LATE),
    ),
    Mutation("never send a refund", ((chain_errands.ChainErrands, "refund", _idle_refund),)),
)
