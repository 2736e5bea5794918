"""The executor and the error tree: what each failure of a chain or a peer leads to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from adapters.model import AccountId, Action, Claim, InvalidValue, Lock, LockId, Preimage, Refund
from adapters.simulated.faults import TAKEN, FaultPlan, SubmissionFate
from adapters.spi import (
    AdapterError,
    Credential,
    Misconfigured,
    NotSent,
    Rejected,
    RejectionReason,
    Signer,
    SigningFailed,
    Unavailable,
    Unknown,
)
from relayers.executor import IntentTry
from relayers.journal.port import StoredEvent
from relayers.protocol.facts import Refused, RevealBegun
from relayers.protocol.intents import Kind, SubmitLock, intent_id
from relayers.protocol.offer import Offer
from relayers.protocol.state import Level, Phase
from tests.relayers.virtual_time import run
from tests.relayers.world import A, B, World, ended, until

DONE = {"alice": (990, 1010), "bob": (1010, 990)}
NOTHING = {"alice": (1000, 1000), "bob": (1000, 1000)}


class Script(FaultPlan):
    """The first so many submissions of one kind of action meet this fate; all are counted."""

    def __init__(self, kind: type[Action], *fates: SubmissionFate) -> None:
        self._kind = kind
        self._fates = list(fates)
        self.submitted: Counter[str] = Counter()
        self.down: set[str] = set()

    def submission(
        self, view: str, action: Action, account: AccountId, time: int
    ) -> SubmissionFate:
        self.submitted[type(action).__name__] += 1
        if isinstance(action, self._kind) and self._fates:
            return self._fates.pop(0)
        return TAKEN

    def reading(self, view: str, call: str) -> AdapterError | None:
        return Unavailable(f"{view} is down") if call in self.down else None


def lost(error: AdapterError | InvalidValue) -> SubmissionFate:
    return SubmissionFate(copies=0, error=error)


async def start(world: World, script: Script, side: str = "alice") -> Offer:
    gateway = world.alice if side == "alice" else world.bob
    for view in gateway.views.values():
        view._faults = script
    await world.alice.start()
    await world.bob.start()
    offer = await world.offer()
    await world.make(offer)
    return offer


@pytest.mark.parametrize("kind", [Lock, Claim])
@pytest.mark.parametrize("side", ["alice", "bob"])
@pytest.mark.parametrize(
    "fate",
    [
        pytest.param(lost(NotSent("not sent")), id="not sent"),
        pytest.param(lost(Unavailable("no answer")), id="unavailable"),
        pytest.param(lost(Unknown("timed out, and lost")), id="unknown and lost"),
        pytest.param(SubmissionFate(error=Unknown("timed out")), id="unknown and there"),
        pytest.param(SubmissionFate(copies=0), id="taken and lost"),
        pytest.param(SubmissionFate(copies=2), id="taken twice"),
    ],
)
def test_a_submission_that_fails_is_tried_again_and_done_once(
    kind: type[Action], side: str, fate: SubmissionFate
) -> None:
    async def main() -> None:
        world = World()
        script = Script(kind, fate)
        offer = await start(world, script, side)
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.COMPLETED
        assert (await ended(world.bob, offer.hashlock)).phase is Phase.COMPLETED
        assert world.balances() == DONE
        there = fate.copies > 0
        assert script.submitted[kind.__name__] == (1 if there else 2)
        await world.close()

    run(main())


@pytest.mark.parametrize(
    ("error", "who"),
    [
        (Rejected("the chain: no", RejectionReason.INSUFFICIENT_BALANCE), "the chain refused"),
        (Misconfigured("another contract"), "this gateway refused"),
        (InvalidValue("asset GOLD is not on this chain"), "this gateway refused"),
    ],
)
def test_a_refused_lock_fails_the_swap_with_the_reason(
    error: AdapterError | InvalidValue, who: str
) -> None:
    async def main() -> None:
        world = World()
        script = Script(Lock, lost(error))
        offer = await start(world, script)
        swap = await ended(world.alice, offer.hashlock)
        assert swap.phase is Phase.FAILED
        assert who in swap.reason
        assert str(error) in swap.reason
        assert script.submitted["Lock"] == 1
        assert world.balances() == NOTHING
        await world.close()

    run(main())


@pytest.mark.parametrize("kind", [Claim, Refund])
@pytest.mark.parametrize(
    "error",
    [
        Rejected("the chain: no"),
        Misconfigured("another contract"),
        InvalidValue("lock id is 31 bytes"),
        NotSent("no"),
    ],
)
def test_a_claim_or_refund_is_never_given_up(
    kind: type[Action], error: AdapterError | InvalidValue
) -> None:
    async def main() -> None:
        world = World()
        script = Script(kind, *[lost(error)] * 6)
        offer = await start(world, script)
        if kind is Refund:
            await until(lambda: world.chains[A].escrowed(offer.a.asset) > 0)
            await world.bob.stop()
            end, balances = Phase.REFUNDED, NOTHING
        else:
            end, balances = Phase.COMPLETED, DONE
        assert (await ended(world.alice, offer.hashlock)).phase is end
        assert script.submitted[kind.__name__] == 7
        told = [event.event async for event in _stored(world)]
        alerts = [event.kind for event in told if event.kind.startswith("refused:")]
        assert len(alerts) == (0 if isinstance(error, NotSent) else 1)
        assert all(str(error) in event.text for event in told if event.kind in alerts)
        history = await world.alice.engine.history(offer.hashlock)
        told_facts = [taken for taken in history if isinstance(taken.body, Refused)]
        assert len(told_facts) == len(alerts)
        if kind is Claim:
            assert (await ended(world.bob, offer.hashlock)).phase is Phase.COMPLETED
        assert world.balances() == balances
        await world.close()

    run(main())


async def _stored(world: World) -> AsyncIterator[StoredEvent]:
    assert world.alice.process is not None
    for event in await world.alice.process.journal.events(0, 10_000):
        yield event


def test_no_secret_leaves_while_the_head_is_stale_and_none_after_the_margin() -> None:
    """B's node stands still before the claim: the reveal is refused again and again, until it is
    too late for it; then both are refunded."""

    async def main() -> None:
        world = World()
        script = Script(Claim)
        offer = await start(world, script)
        await until(lambda: world.chains[B].escrowed(offer.b.asset) > 0)
        world.alice.views[B].freeze()
        assert (await ended(world.bob, offer.hashlock)).phase is Phase.REFUNDED
        assert script.submitted["Claim"] == 0
        world.alice.views[B].thaw()
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.REFUNDED
        assert world.balances() == NOTHING
        await world.close()

    run(main())


class LockedSigner:
    """A key that cannot be used until ``unlocked``."""

    def __init__(self, inner: Signer) -> None:
        self._inner = inner
        self.unlocked = False
        self.scheme = inner.scheme
        self.public_key = inner.public_key

    async def sign(self, digest: bytes) -> bytes:
        if not self.unlocked:
            raise SigningFailed("the token is locked")
        return await self._inner.sign(digest)


@pytest.mark.parametrize("mended", [True, False])
@pytest.mark.parametrize("what", ["fee", "key", "swap key"])
def test_no_secret_leaves_while_the_claim_cannot_be_paid_for_or_sent(
    what: str, mended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again until it is mended, or until it is too late; then both are refunded."""

    async def main() -> None:
        world = World()
        script = Script(Claim)
        offer = await start(world, script)
        await until(lambda: phase(world, offer) is Phase.LOCKED)
        assert world.alice.process is not None
        executor = world.alice.process.executor
        obstacles = ["alice holds 3, and a claim may cost 5"] if what == "fee" else []
        signer = LockedSigner(executor._posts[B].credential.signer)
        signer.unlocked = what != "key"
        secrets = world.alice.secrets
        derive = secrets.preimage

        async def seen(lock_id: LockId, credential: Credential) -> Sequence[str]:
            return tuple(obstacles)

        async def no_key(salt: bytes) -> Preimage:
            raise SigningFailed("the vault is sealed")

        monkeypatch.setattr(world.alice.views[B], "claim_obstacles", seen)
        if what == "swap key":
            monkeypatch.setattr(secrets, "preimage", no_key)
        executor._posts[B] = replace(
            executor._posts[B], credential=replace(executor._posts[B].credential, signer=signer)
        )
        await until(lambda: any(one.failures > 3 for one in tries(world)))
        assert phase(world, offer) is Phase.CLAIMING
        history = await world.alice.engine.history(offer.hashlock)
        assert not [taken for taken in history if isinstance(taken.body, RevealBegun)]
        if what != "swap key":
            told = [event.event async for event in _stored(world) if event.event.kind[:4] == "held"]
            assert [event.level for event in told] == [Level.ALERT]
            assert ("may cost 5" if what == "fee" else "token is locked") in told[0].text
        if mended:
            obstacles.clear()
            signer.unlocked = True
            monkeypatch.setattr(secrets, "preimage", derive)
            end, balances = Phase.COMPLETED, DONE
        else:
            end, balances = Phase.REFUNDED, NOTHING
        if what == "key" and not mended:
            await until(lambda: phase(world, offer) is Phase.REFUNDING)
            signer.unlocked = True
        assert (await ended(world.alice, offer.hashlock)).phase is end
        assert (await ended(world.bob, offer.hashlock)).phase is end
        assert script.submitted["Claim"] == int(mended)
        assert world.balances() == balances
        await world.close()

    run(main())


def test_nothing_stops_a_claim_that_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret is out: what would have kept it back before is not even asked for."""

    async def main() -> None:
        world = World()
        script = Script(Claim, *[lost(NotSent("not sent"))] * 3)
        offer = await start(world, script)
        await until(lambda: script.submitted["Claim"] > 0)

        async def seen(lock_id: LockId, credential: Credential) -> Sequence[str]:
            return ("there is no coin any more",)

        monkeypatch.setattr(world.alice.views[B], "claim_obstacles", seen)
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.COMPLETED
        assert script.submitted["Claim"] == 4
        await world.close()

    run(main())


def test_a_frozen_chain_stops_the_reveal_until_an_operator_says_so() -> None:
    async def main() -> None:
        world = World()
        script = Script(Claim)
        offer = await start(world, script)
        await until(lambda: world.chains[B].escrowed(offer.b.asset) > 0)
        engine = world.alice.engine
        await engine.freeze(engine.views()[B].head, "a test")
        intent = intent_id(offer.hashlock, Kind.CLAIM)
        await asyncio.sleep(40)  # of made time, within the margin of the reveal
        assert script.submitted["Claim"] == 0
        await engine.unfreeze(B)
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.COMPLETED
        assert intent not in [one.id for one in engine.intents()]
        await world.close()

    run(main())


def test_a_node_that_does_not_answer_delays_and_shows() -> None:
    async def main() -> None:
        world = World()
        script = Script(Lock)
        script.down = {"lookup"}
        offer = await start(world, script)
        await until(lambda: any(one.failures > 2 for one in tries(world)))
        (one,) = [one for one in tries(world) if one.error is not None]
        assert one.intent.id == intent_id(offer.hashlock, Kind.LOCK)
        assert "is down" in (one.error or "")
        script.down = set()
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.COMPLETED
        assert tries(world) == ()
        await world.close()

    run(main())


def tries(world: World) -> Sequence[IntentTry]:
    assert world.alice.process is not None
    return world.alice.process.executor.tries()


def test_a_lock_is_not_begun_when_it_is_too_late_for_it() -> None:
    """The node answers again only after the last moment at which the lock was safe."""

    async def main() -> None:
        world = World()
        script = Script(Lock)
        script.down = {"lookup"}
        offer = await start(world, script)
        await until(lambda: phase(world, offer) is Phase.LOCKING)
        (intent,) = world.alice.engine.intents()
        assert isinstance(intent, SubmitLock)
        await until(lambda: world.chains[A].time >= intent.before)
        script.down = set()
        swap = await ended(world.alice, offer.hashlock)
        assert swap.phase is Phase.FAILED
        assert "had to begin before" in swap.reason
        assert script.submitted["Lock"] == 0
        await world.close()

    run(main())


def phase(world: World, offer: Offer) -> Phase | None:
    swap = world.alice.engine.swap(offer.hashlock)
    return swap.phase if swap is not None else None


def test_an_offer_is_sent_until_the_peer_answers() -> None:
    async def main() -> None:
        world = World()
        await world.alice.start()
        offer = await world.offer()
        await world.make(offer)
        await until(lambda: any(one.failures > 1 for one in tries(world)))
        await world.bob.start()
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.COMPLETED
        await world.close()

    run(main())
