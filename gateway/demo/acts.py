"""How each scenario is played. An act returns what the ledgers say came of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.model import LockState, LockTerms, Preimage
from gateway.demo.board import PAIRS, Run
from gateway.demo.cheat import Instead, false_terms
from gateway.demo.scenarios import Flaw, Outcome, flaws_of
from gateway.demo.stage import ENDS, Amounts, KnownLock, Stage
from relayers.protocol import timelocks
from relayers.protocol.offer import Offer, OfferedLeg, terms_a, terms_b
from relayers.protocol.timelocks import GatewayBounds, Schedule

CRASH_STEPS = ("offered", "locking", "lock_a_final", "locked", "claiming", "revealing", "claimed")
"""Of the initiator's events, those at which its gateway is killed; the seed chooses."""


ROOM = 60
"""Seconds that deadlines get where a run is to end well before them."""


@dataclass(frozen=True, slots=True)
class Result:
    outcome: Outcome
    locks: Sequence[tuple[KnownLock, LockState]]
    reason: str = ""


async def _judged(stage: Stage, locks: Sequence[KnownLock]) -> list[tuple[KnownLock, LockState]]:
    return [(lock, await stage.state(lock)) for lock in locks]


def _swapped(locks: Sequence[tuple[KnownLock, LockState]]) -> Outcome:
    claimed = all(state is LockState.CLAIMED for _, state in locks)
    return Outcome.SWAPPED if claimed else Outcome.OTHER


async def happy(stage: Stage, run: Run) -> Result:
    swap = await stage.offer(
        run, stage.amounts(run, 0), to="beta", roomy=True, reference=_name(run)
    )
    detail = await stage.ended("alpha", swap.id)
    await stage.ended("beta", swap.id)
    locks = await _judged(stage, stage.agreed(detail, run.pair))
    return Result(_swapped(locks), locks, detail.reason)


async def responder_absent(stage: Stage, run: Run) -> Result:
    swap = await stage.offer(
        run, stage.amounts(run, 1), to="gamma", roomy=False, reference=_name(run)
    )
    await stage.cheat.accept(await stage.cheat.offered(_name(run)))
    stage.say("gamma accepts, and never locks", run, "red")
    detail = await stage.ended("alpha", swap.id)
    locks = await _judged(stage, stage.agreed(detail, run.pair))
    states = [state for _, state in locks]
    right = states == [LockState.REFUNDED, LockState.ABSENT]
    return Result(Outcome.REFUNDED if right else Outcome.OTHER, locks)


async def initiator_silent(stage: Stage, run: Run) -> Result:
    cheat = stage.cheat
    offer, _ = _offer(stage, run, stage.amounts(run, 1), roomy=False)
    swap = "0x" + offer.hashlock.hex()
    stage.belongs(run, swap, offer.a.deadline, offer.b.deadline)
    stage.say("gamma offers beta a swap that it will never finish", run, "red")
    acceptance = await cheat.offer(offer)
    lock_a = await cheat.lock(run.pair.a, terms_a(offer, acceptance))
    detail = await stage.ended("beta", swap)
    locks = stage.agreed(detail, run.pair)
    first = await stage.state(locks[1]) is LockState.REFUNDED
    first = first and await stage.state(locks[0]) is LockState.OPEN
    await cheat.refund(run.pair.a, lock_a, offer.a.deadline)
    judged = await _judged(stage, locks)
    right = first and all(state is LockState.REFUNDED for _, state in judged)
    return Result(Outcome.BOTH_REFUNDED if right else Outcome.OTHER, judged)


async def wrong_lock(stage: Stage, run: Run) -> Result:
    """gamma cheats twice: it answers alpha's lock with a false one, and begins one with beta."""
    false = flaws_of(stage.board.seed, PAIRS.index(run.pair))
    answered, begun = await asyncio.gather(
        _false_answer(stage, run, false.answer), _false_beginning(stage, run, false.beginning)
    )
    locks = [*answered.locks, *begun.locks]
    right = answered.outcome is begun.outcome is Outcome.NOTHING_LOST
    return Result(
        Outcome.NOTHING_LOST if right else Outcome.OTHER,
        locks,
        "; ".join(filter(None, (answered.reason, begun.reason))),
    )


async def _false_answer(stage: Stage, run: Run, flaw: Flaw) -> Result:
    cheat, name = stage.cheat, _name(run)
    swap = await stage.offer(run, stage.amounts(run, 1), to="gamma", roomy=False, reference=name)
    offer = await cheat.offered(name)
    acceptance = await cheat.accept(offer)
    await stage.seen("alpha", swap.id, "locked")
    stage.say(f"gamma answers alpha with a false lock: {flaw}", run, "red")
    false = await _false_lock(stage, run.pair.b, terms_b(offer, acceptance), flaw)
    detail = await stage.ended("alpha", swap.id)
    judged = await _judged(stage, [*stage.agreed(detail, run.pair), false])
    states = [state for _, state in judged]
    right = states == [LockState.REFUNDED, LockState.ABSENT, LockState.REFUNDED]
    return Result(Outcome.NOTHING_LOST if right else Outcome.OTHER, judged)


async def _false_beginning(stage: Stage, run: Run, flaw: Flaw) -> Result:
    cheat = stage.cheat
    offer, _ = _offer(stage, run, stage.amounts(run, 1), roomy=False)
    swap = "0x" + offer.hashlock.hex()
    stage.belongs(run, swap, offer.a.deadline, offer.b.deadline)
    acceptance = await cheat.offer(offer)
    stage.say(f"gamma begins with beta by a false lock: {flaw}", run, "red")
    false = await _false_lock(stage, run.pair.a, terms_a(offer, acceptance), flaw)
    detail = await stage.ended("beta", swap)
    judged = await _judged(stage, [*stage.agreed(detail, run.pair), false])
    states = [state for _, state in judged]
    right = states == [LockState.ABSENT, LockState.ABSENT, LockState.REFUNDED]
    return Result(Outcome.NOTHING_LOST if right else Outcome.OTHER, judged)


async def _false_lock(stage: Stage, ledger: str, terms: LockTerms, flaw: Flaw) -> KnownLock:
    """Makes a lock with a flaw, waits until it can be had back, and takes it back."""
    assets = stage.environment.networks[ledger].assets()
    false = false_terms(
        terms,
        flaw,
        Instead(
            asset=next(asset for asset in assets if asset != terms.asset),
            recipient=terms.sender,
            deadline=int(time.time()) + 15,
        ),
    )
    lock = await stage.cheat.lock(ledger, false)
    await stage.cheat.refund(ledger, lock, false.deadline)
    return KnownLock(
        ledger, lock, str(false.asset), false.amount, str(false.sender), str(false.recipient)
    )


async def responder_down(stage: Stage, runs: Sequence[Run]) -> list[Result]:
    """All runs at once: the gateway that is killed is the same for all.

    gamma begins, and claims only once beta, which has locked in return, is dead. beta's own claims
    are then nobody's but the watchtower's to make.
    """
    cheat = stage.cheat

    async def begin(run: Run) -> tuple[Offer, Preimage, str]:
        offer, preimage = _offer(stage, run, stage.amounts(run, 1), roomy=True)
        swap = "0x" + offer.hashlock.hex()
        stage.belongs(run, swap, offer.a.deadline, offer.b.deadline)
        stage.say("gamma offers beta a swap, and will claim late", run)
        await cheat.lock(run.pair.a, terms_a(offer, await cheat.offer(offer)))
        await stage.seen("beta", swap, "locked")
        return offer, preimage, swap

    begun = await asyncio.gather(*(begin(run) for run in runs))
    details = [await stage.clients["beta"].swap(swap) for _, _, swap in begun]
    locks = [stage.agreed(detail, run.pair) for detail, run in zip(details, runs, strict=True)]
    await stage.kill("beta", "it has locked everywhere, and nobody has claimed yet")

    async def claim(run: Run, preimage: Preimage, pair: tuple[KnownLock, KnownLock]) -> None:
        stage.say("gamma claims: the secret is out, and beta is dead", run, "bold yellow")
        await cheat.claim(run.pair.b, pair[1].id, preimage)
        await stage.becomes(pair[0], LockState.CLAIMED)
        stage.say("the watchtower has claimed for beta", run, "green")

    await asyncio.gather(
        *(
            claim(run, preimage, pair)
            for run, (_, preimage, _), pair in zip(runs, begun, locks, strict=True)
        )
    )
    judged = [await _judged(stage, pair) for pair in locks]
    await stage.restart("beta")
    for _, _, swap in begun:
        await stage.ended("beta", swap)
    return [Result(_swapped(pair), pair) for pair in judged]


async def crash(stage: Stage, run: Run) -> Result:
    chance = random.Random(f"{stage.board.seed}/{run.scenario}/{run.pair}")  # noqa: S311
    step = chance.choice(CRASH_STEPS)
    swap = await stage.offer(
        run, stage.amounts(run, 0), to="beta", roomy=True, reference=_name(run)
    )
    await stage.seen("alpha", swap.id, step, *ENDS)
    await stage.crash_once("alpha", f"{run.pair.arrow} has come to {step.replace('_', ' ')!r}")
    detail = await stage.ended("alpha", swap.id)
    await stage.ended("beta", swap.id)
    locks = await _judged(stage, stage.agreed(detail, run.pair))
    return Result(_swapped(locks), locks, detail.reason)


def _name(run: Run) -> str:
    return f"{run.scenario}/{run.pair}"


def _offer(stage: Stage, run: Run, amounts: Amounts, *, roomy: bool) -> tuple[Offer, Preimage]:
    """gamma's offer to beta, with the earliest deadlines that beta will take, or roomy ones."""
    cheat, plan = stage.cheat, stage.environment.plan
    a, b = stage.adapters[run.pair.a].profile, stage.adapters[run.pair.b].profile
    bounds = GatewayBounds(plan.bounds["reaction"], plan.bounds["outage"])
    schedule = Schedule(a.bounds, b.bounds, bounds, a.stale_after, b.stale_after)
    valid_until = int(time.time()) + plan.offers["valid_for"]
    slack = ROOM if roomy else plan.offers["slack"]
    t1, t2 = timelocks.deadlines(schedule, valid_until, slack)
    salt, preimage = cheat.secret()
    offer = Offer(
        version=1,
        initiator=cheat.address,
        responder=stage.environment.organisations["beta"].address,
        salt=salt,
        hashlock=preimage.hashlock(),
        a=OfferedLeg(
            a.chain, a.contract, amounts.give, amounts.give_amount, cheat.account(run.pair.a), t1
        ),
        b=OfferedLeg(
            b.chain, b.contract, amounts.get, amounts.get_amount, cheat.account(run.pair.b), t2
        ),
        valid_until=valid_until,
        reference=_name(run),
    )
    return offer, preimage
