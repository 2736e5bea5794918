"""What must hold, judged from the chains and from what went out; never from the program's own word.

The sums of the timelock arithmetic are written out once more here, from the design.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from adapters.model import Action, Claim, Lock, LockState, LockTerms
from adapters.simulated.accounts import named_credential
from adapters.simulated.chain import LockEntry, SimulatedChain
from adapters.simulated.identity import lock_id_of
from relayers.protocol.facts import Fact, Refused, RevealBegun
from relayers.protocol.intents import Kind, intent_id
from relayers.protocol.offer import terms_a, terms_b
from relayers.protocol.state import Phase, Role, Swap
from relayers.protocol.swap import step
from relayers.protocol.table import kind_of, path
from tests.simulation.loop import clock
from tests.simulation.plan import DEPTH, GATEWAY, INTERVAL, STALE, A, B, Bound, bounds

if TYPE_CHECKING:
    from tests.simulation.gateway import Gateway
    from tests.simulation.world import World


def open_locks(chain: SimulatedChain) -> Iterator[LockTerms]:
    for versions in chain._history.values():
        entry = versions[-1][1] if versions else None
        if isinstance(entry, LockEntry) and entry.state is LockState.OPEN:
            yield entry.terms


# --- while it runs -------------------------------------------------------------------------------


def of_submission(world: World, gateway: Gateway, action: Action) -> list[str]:
    swap = gateway.store.swaps.get(world.offer.hashlock)
    if swap is None:
        return [f"{gateway.name} acts without a swap"]
    match action:
        case Lock(terms):
            return list(_lock(world, swap, terms))
        case Claim():
            return list(_claim(world, gateway, swap))
        case _:
            return []


def _rooms(world: World) -> tuple[int, int, int, int]:
    """Seconds before t2 needed by the reveal, B's lock and A's lock, and the gap to t1."""
    a, b = bounds(world.plan.late_a), bounds(world.plan.late_b)
    o, r = GATEWAY.outage, GATEWAY.reaction
    reveal = o + r + b.inclusion + b.finality + b.clock
    lock_b = b.inclusion + b.finality + r + reveal
    lock_a = a.inclusion + a.finality + r + lock_b
    gap = b.clock + b.finality + b.late + o + r + a.inclusion + a.finality + a.clock
    return reveal, lock_b, lock_a, gap


def _lock(world: World, swap: Swap, terms: LockTerms) -> Iterator[str]:
    offer, now = world.offer, int(clock())
    _, lock_b, lock_a, gap = _rooms(world)
    if not swap.offer.a.deadline - swap.offer.b.deadline > gap:
        yield f"{swap.role} locks although t1 lies too near to t2"
    room = lock_a if swap.role is Role.INITIATOR else lock_b
    if not now + room < swap.offer.b.deadline:
        yield f"{swap.role} locks too late"
    if swap.role is Role.RESPONDER:
        assert swap.acceptance is not None
        if not _final_lock(world, terms_a(offer, swap.acceptance)):
            yield "the responder locks before the initiator's lock is final and as agreed"


def _claim(world: World, gateway: Gateway, swap: Swap) -> Iterator[str]:
    if swap.role is Role.RESPONDER:
        yield from _prompt(world, gateway)
        return
    if world.exposed_at is not None:
        return
    # The first call that carries the preimage out.
    history = gateway.store.taken_by_key[world.offer.hashlock]
    begun = [taken for taken in history if isinstance(taken.body, RevealBegun)]
    recorded = [taken for taken in begun if taken.ignored is None]
    if swap.phase is not Phase.REVEALING or not recorded:
        yield "the preimage goes out without the record of a reveal"
        return
    at = recorded[-1].at
    reveal = _rooms(world)[0]
    if not at.clock + reveal < swap.offer.b.deadline:
        yield "the initiator reveals inside the margin"
    view = at.view(B)
    if view is None or at.clock - view.head.time > STALE:
        yield "the initiator reveals with a stale head"
    elif view.frozen is not None:
        yield "the initiator reveals on a frozen chain"
    assert swap.acceptance is not None
    terms = terms_b(world.offer, swap.acceptance)
    found = world.chains[B].lock(lock_id_of(terms))
    if world.plan.broken is None and (found is None or found[1].terms != terms):
        yield "the initiator reveals although the other lock is not as agreed"


def _prompt(world: World, gateway: Gateway) -> Iterator[str]:
    """The responder claims as soon as a claim of its lock is in a block, not when it is final."""
    if gateway.claimed or world.plan.broken is not None:
        return
    gateway.claimed = True
    seen = world.claim_seen_at
    if seen is not None and gateway.down_seconds == 0:
        late = clock() - seen
        if late > GATEWAY.reaction:
            yield f"the responder claims {late:.0f} s after the secret was to be seen"


def _final_lock(world: World, terms: LockTerms) -> bool:
    chain = world.chains[terms.chain]
    found = chain.lock(lock_id_of(terms))
    if found is None:
        return world.plan.broken is not None
    height, entry = found
    return entry.terms == terms and (
        height <= chain.newest.height - DEPTH or world.plan.broken is not None
    )


# --- at the end ----------------------------------------------------------------------------------


async def of_end(world: World) -> None:
    verdict, plan = world.verdict, world.plan
    verdict.alerts = world.alerts()
    swaps = world.swaps()
    for gateway in world.gateways():
        swap = swaps.get(gateway.name)
        if swap is None:
            if plan.adversary is None and plan.cut is None:
                verdict.failures.append(f"{gateway.name} never came to have the swap")
            continue
        verdict.ends[gateway.name] = swap.phase
        _paid_and_not_paid(world, gateway, swap)
        if not swap.ended and plan.broken is not Bound.FINALITY:
            verdict.failures.append(f"liveness: {gateway.name} is still {swap.phase}")
        _replays(world, gateway, swap)
    honest = {named_credential(c, g.name).account for c in (A, B) for g in world.gateways()}
    for chain in world.chains.values():
        for terms in open_locks(chain):
            if terms.sender in honest:
                verdict.failures.append(f"a lock of an honest side is open for ever on {chain.id}")
        _conserved(world, chain)
    _same_on_both_sides(world, swaps)
    if plan.broken is not None:
        _alerted(world, swaps)
    if plan.broken is None:
        _no_loss_alert(world)


def _change(world: World, name: str) -> tuple[int, int]:
    """What a side has gained on A and on B."""
    from tests.simulation.world import FUNDS

    gains = []
    for chain in (A, B):
        account = named_credential(chain, name).account
        held = world.chains[chain].balance(account, world.chains[chain].coin.id)
        locked = sum(t.amount for t in open_locks(world.chains[chain]) if t.sender == account)
        gains.append(held + locked - FUNDS)
    return gains[0], gains[1]


def _paid_and_not_paid(world: World, gateway: Gateway, swap: Swap) -> None:
    """Invariant 2."""
    from tests.simulation.world import AMOUNT

    gain_a, gain_b = _change(world, gateway.name)
    own, their = (gain_a, gain_b) if swap.role is Role.INITIATOR else (gain_b, gain_a)
    agreed = AMOUNT[B] if swap.role is Role.INITIATOR else AMOUNT[A]
    lost = own < 0 and their < agreed
    if lost and world.plan.broken is None:
        world.verdict.failures.append(f"{gateway.name} has paid and was not paid: {own}, {their}")
    if lost and not world.verdict.alerts[gateway.name]:
        world.verdict.failures.append(f"{gateway.name} has lost without an alert")
    paid_out = AMOUNT[A] if swap.role is Role.INITIATOR else AMOUNT[B]
    if own < -paid_out:
        world.verdict.failures.append(f"{gateway.name} has paid more than agreed: {own}")
    known = {Phase.COMPLETED: their >= agreed, Phase.REFUNDED: own >= 0, Phase.FAILED: own >= 0}
    untrue = not lost and not known.get(swap.phase, True)
    if untrue and world.plan.broken is not Bound.FINALITY:
        world.verdict.failures.append(f"{gateway.name} says {swap.phase}, but {own}, {their}")


def _conserved(world: World, chain: SimulatedChain) -> None:
    """Invariant 1: a lock is claimed or refunded, never both; nothing is made or lost."""
    from tests.simulation.world import FUNDS

    names = ("alice", "bob", "stranger")
    held = sum(chain.balance(named_credential(chain.id, n).account, chain.coin.id) for n in names)
    if held + chain.escrowed(chain.coin.id) != FUNDS * len(names):
        world.verdict.failures.append(f"{chain.id} does not add up")


def _same_on_both_sides(world: World, swaps: dict[str, Swap]) -> None:
    """Invariant 7: whatever crashed, the end is the same as without."""
    if len(swaps) < 2 or world.plan.broken is not None:
        return
    complete = [swap.phase is Phase.COMPLETED for swap in swaps.values()]
    if any(complete) and not all(complete):
        world.verdict.failures.append("one side completed and the other did not")
    if world.plan.must_complete and not all(complete):
        reasons = "; ".join(f"{name}: {s.phase} ({s.reason})" for name, s in swaps.items())
        world.verdict.failures.append(f"nothing excuses that it did not complete: {reasons}")


def _replays(world: World, gateway: Gateway, swap: Swap) -> None:
    """The stored history gives the snapshot exactly; its transitions are those of the table."""
    state: Swap | None = None
    for taken in gateway.store.taken_by_key[world.offer.hashlock]:
        before = state
        state = step(state, Fact(taken.body, taken.at)).state
        if before is not None and state is not None and before.phase is not state.phase:
            way = path(state.role, before.phase, kind_of(taken.body), state.phase)
            if way is None:
                world.verdict.failures.append(
                    f"{state.role}: {before.phase} -> {state.phase} is not in the table"
                )
            start = before.phase
            for transition in way or ():
                world.verdict.hops.add((state.role, start, transition.to))
                start = transition.to
    if state != swap:
        world.verdict.failures.append(f"{gateway.name}: the history does not give the snapshot")


ALERTS_OF = {
    Bound.INCLUSION: ("bound:inclusion", "bound:finality", "deadline:"),
    Bound.REACTION: ("bound:inclusion", "bound:finality", "deadline:"),
    Bound.FINALITY: ("bound:frozen", "bound:stale", "bound:finality"),
    Bound.CLOCK: ("bound:clock",),
    Bound.LATE: ("bound:late",),
}
SPOILED = (Bound.INCLUSION, Bound.REACTION, Bound.LATE)
"""Bounds whose breaking may meet nothing in a run."""


def _alerted(world: World, swaps: dict[str, Swap]) -> None:
    """A broken bound that a swap has met was told."""
    broken = world.plan.broken
    assert broken is not None
    wanted = ALERTS_OF.get(broken)
    if wanted is None or (broken in SPOILED and not world.spoiled):
        return
    if world.spoiled and all(_called_off(world, swaps, *one) for one in world.spoiled):
        return
    if broken in (Bound.FINALITY, Bound.CLOCK):
        open_then = [
            swap
            for name, swap in swaps.items()
            if world.broke_at is not None
            and swap.begun < world.broke_at - 1
            and (not swap.ended or _ended_at(world, name) > world.broke_at + STALE + 12)
            and (world.plan.adversary is None or _at_stake(swap))
            and not _died_of_it(world, name)
        ]
        if not open_then:
            return
    kinds = [kind for alerts in world.verdict.alerts.values() for kind in alerts]
    if not any(kind.startswith(wanted) for kind in kinds):
        world.verdict.failures.append(f"bound {broken} broke without its alert (had {kinds})")


def _called_off(world: World, swaps: dict[str, Swap], name: str, action: str) -> bool:
    """A lock that its own gateway called off, because its window had closed, before the bound was
    over within which the chain would have had to take it: so nobody saw that it did not."""
    swap = swaps.get(name)
    asked = swap.asked_at(Kind.LOCK) if swap is not None and action == Lock.__name__ else None
    if swap is None or asked is None:
        return False
    bounds = swap.schedule.a if swap.role is Role.INITIATOR else swap.schedule.b
    over = asked + swap.schedule.gateway.reaction + bounds.inclusion
    return any(
        isinstance(taken.body, Refused)
        and taken.body.intent == intent_id(swap.hashlock, Kind.LOCK)
        and not taken.body.by_chain
        and taken.at.clock <= over
        for taken in _side(world, name).store.taken_by_key[world.offer.hashlock]
    )


def _ended_at(world: World, name: str) -> int:
    """When the last fact came that an ended swap took for its own; strangers' locks go on."""
    history = _side(world, name).store.taken_by_key[world.offer.hashlock]
    return max(taken.at.clock for taken in history if taken.ignored is None)


def _died_of_it(world: World, name: str) -> bool:
    """Dead at the sight of it, before the record: what it had in mind alone is gone."""
    broke = world.broke_at
    return broke is not None and any(
        broke <= death < broke + INTERVAL for death in _side(world, name).deaths
    )


def _side(world: World, name: str) -> Gateway:
    return next(gateway for gateway in world.gateways() if gateway.name == name)


def _at_stake(swap: Swap) -> bool:
    """It has locked something: against a side that does not, a swap only waits for its end."""
    leg = swap.a if swap.role is Role.INITIATOR else swap.b
    return leg is not None and leg.opened_at > 0


def _no_loss_alert(world: World) -> None:
    """Where every bound is kept, nobody is told of a loss or of a deadline at risk."""
    for name, kinds in world.verdict.alerts.items():
        for kind in kinds:
            if kind == "lost" or kind.startswith("deadline:"):
                world.verdict.failures.append(f"{name} was alerted of {kind} without cause")
