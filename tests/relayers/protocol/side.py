"""One side of the sample swap, driven by facts, with what must always hold checked at each step.

Everything that can happen is a method; the tests only choose which, and when. Nothing here is
coherent on purpose: chains contradict themselves, heads go back, news come twice and out of order.
"""

from __future__ import annotations

from dataclasses import replace

from adapters.model import ChainId, LockClaimed, LockId, LockOpened, LockState, Stage
from relayers.protocol import timelocks
from relayers.protocol.facts import (
    AcceptanceReceived,
    At,
    ChainView,
    DeclineReceived,
    Delivered,
    Fact,
    FactBody,
    LookedUp,
    Observed,
    OfferAccepted,
    OfferDeclined,
    OfferMade,
    OfferReceived,
    Refused,
    RevealBegun,
    Woken,
)
from relayers.protocol.intents import (
    Kind,
    OwnSecret,
    SubmitClaim,
    SubmitLock,
    SubmitRefund,
    intent_id,
)
from relayers.protocol.state import Ignored, Leg, Move, Phase, Role, Settlement, Swap
from relayers.protocol.swap import Wake, step, wakes
from relayers.protocol.table import FactKind, kind_of, path, row_of
from tests.relayers.protocol import samples
from tests.relayers.protocol.samples import CHAIN_A, CHAIN_B, LOCK_A, LOCK_B, OFFER, SCHEDULE

Hop = tuple[Role, Phase, FactKind, Phase]
REVEAL_LIMIT = timelocks.reveal_limit(SCHEDULE, samples.T2)


class Side:
    def __init__(self, role: Role) -> None:
        self.role = role
        self.state: Swap | None = None
        self.clock = samples.START
        self.heads = {CHAIN_A: samples.START, CHAIN_B: samples.START}
        self.frozen: dict[ChainId, str] = {}
        self.history: list[Fact] = []
        self.snapshots: list[Swap | None] = []
        self.hops: set[Hop] = set()
        self.heeded: set[Wake] = set()
        self.preimage_shown = False

    # --- what can happen -----------------------------------------------------------------------

    def begin(self, body_signature: bytes = samples.SIGNATURE) -> None:
        made = OfferMade if self.role is Role.INITIATOR else OfferReceived
        self.take(made(OFFER, body_signature, SCHEDULE))

    def agree(self) -> None:
        body = AcceptanceReceived if self.role is Role.INITIATOR else OfferAccepted
        self.take(body(samples.ACCEPTANCE, samples.SIGNATURE, LOCK_A, LOCK_B))

    def decline(self) -> None:
        body = DeclineReceived if self.role is Role.INITIATOR else OfferDeclined
        self.take(body("no"))

    def see(self, event: str, lock_id: LockId, stage: Stage, block: int = 1) -> None:
        match event:
            case "opened":
                seen = samples.observation(samples.opened(lock_id), stage, block)
            case "claimed":
                seen = samples.observation(samples.claimed(lock_id), stage, block)
                self.preimage_shown = True
            case "refunded":
                seen = samples.observation(samples.refunded(lock_id), stage, block)
            case _:
                raise AssertionError(event)
        self.take(Observed(seen))

    def see_stranger(self, field: str, stage: Stage) -> None:
        """A lock that differs from the agreed one in a field."""
        terms = samples.terms_of(LOCK_B)
        wrong = {
            "amount": replace(terms, amount=terms.amount - 1),
            "recipient": replace(terms, recipient=samples.account(CHAIN_B, "mallory")),
            "deadline": replace(terms, deadline=terms.deadline - 1),
            "contract": replace(terms, contract="other"),
        }[field]
        event = LockOpened(samples.STRANGER, wrong)
        self.take(Observed(samples.observation(event, stage)))
        assert self.state is None or samples.STRANGER not in (
            leg.lock_id for leg in (self.state.a, self.state.b) if leg is not None
        )

    def look_up(self, lock_id: LockId, state: LockState, final: bool) -> None:
        """The chain is asked; a claim shows its preimage."""
        chain = CHAIN_A if lock_id == LOCK_A else CHAIN_B
        preimage = samples.PREIMAGE if state is LockState.CLAIMED else None
        self.preimage_shown |= preimage is not None
        self.take(LookedUp(chain, lock_id, state, final, preimage))

    def look_for_own(self) -> None:
        """As whatever carries out a refund does: the chain does not have what was not seen."""
        state = self.state
        if state is None or state.own is None or not state.waits_for(Kind.REFUND):
            return
        if state.own.opened is None:
            self.look_up(state.own.lock_id, LockState.ABSENT, False)

    def see_stranger_claimed(self) -> None:
        self.preimage_shown = True
        event = LockClaimed(samples.STRANGER, samples.HASHLOCK, samples.PREIMAGE)
        self.take(Observed(samples.observation(event, Stage.PENDING)))

    def reveal(self, lock_id: LockId = LOCK_B) -> None:
        self.take(RevealBegun(lock_id))

    def refuse(self, kind: Kind, by_chain: bool) -> None:
        self.take(Refused(intent_id(samples.HASHLOCK, kind), by_chain, "because"))

    def deliver(self, kind: Kind) -> None:
        self.take(Delivered(intent_id(samples.HASHLOCK, kind)))

    def pass_time(self, clock: int, chain_a: int, chain_b: int) -> None:
        """Seconds by which each moves on; chains may go back."""
        self.clock += clock
        self.heads[CHAIN_A] += chain_a
        self.heads[CHAIN_B] += chain_b

    def freeze(self, chain: ChainId, frozen: bool) -> None:
        if frozen:
            self.frozen[chain] = "a final block has vanished"
        else:
            self.frozen.pop(chain, None)

    def heed_wakes(self) -> None:
        """Each wake whose time has come, once."""
        while self.state is not None:
            due = [wake for wake in wakes(self.state) if self.has_come(wake)]
            fresh = [wake for wake in due if wake not in self.heeded]
            if not fresh:
                return
            self.heeded.add(fresh[0])
            self.take(Woken(fresh[0].at, fresh[0].chain))

    def has_come(self, wake: Wake) -> bool:
        return (self.clock if wake.chain is None else self.heads[wake.chain]) >= wake.at

    def again(self, index: int) -> None:
        """An old fact comes once more, now."""
        if self.history:
            self.take(self.history[index % len(self.history)].body)

    # --- what must always hold -------------------------------------------------------------------

    @property
    def at(self) -> At:
        views = [
            ChainView(samples.head(chain, time), self.frozen.get(chain))
            for chain, time in self.heads.items()
        ]
        return At(self.clock, tuple(views))

    @property
    def now(self) -> int:
        return max(self.clock, *self.heads.values())

    def take(self, body: FactBody) -> Move:
        fact = Fact(body, self.at)
        before = self.state
        move = step(before, fact)
        self.history.append(fact)
        self.snapshots.append(before)
        self._check_idempotent(fact, move)
        if move.state is not None:
            if before is not None:
                self._check_in_table(before, fact, move.state)
            self._check_intents(before, move)
            self._check_secret(before, fact, move)
            self._check_wakes(move.state)
        self.state = move.state
        return move

    def _check_idempotent(self, fact: Fact, move: Move) -> None:
        """The same fact at the same moment is the same knowledge: nothing more follows."""
        again = step(move.state, fact)
        assert again.state == move.state, (fact, again)
        assert not again.intents
        assert not again.closed

    def _check_in_table(self, before: Swap, fact: Fact, after: Swap) -> None:
        kind = kind_of(fact.body)
        assert row_of(after.role, after.phase) is not None
        if before.phase is not after.phase:
            self.hops.add((self.role, before.phase, kind, after.phase))
            way = path(self.role, before.phase, kind, after.phase)
            assert way is not None, f"{self.role}: {before.phase} -> {after.phase} on {kind}"

    def _check_intents(self, before: Swap | None, move: Move) -> None:
        state = move.state
        assert state is not None
        for intent in move.intents:
            assert intent.id not in move.closed
            match intent:
                case SubmitLock(before=limit):
                    assert state.phase is Phase.LOCKING
                    room = timelocks.responder_lock_limit(SCHEDULE, samples.T2)
                    if self.role is Role.INITIATOR:
                        room = timelocks.initiator_lock_limit(SCHEDULE, samples.T2)
                    assert limit == room
                    assert self.now < limit
                    assert not self.frozen
                    if self.role is Role.RESPONDER:
                        assert state.a is not None
                        assert state.a.open_final
                        assert state.a.settled is None
                case SubmitClaim(secret=OwnSecret()):
                    assert self.role is Role.INITIATOR
                    assert state.phase in (Phase.CLAIMING, Phase.REVEALING)
                case SubmitClaim():
                    assert state.preimage is not None
                case SubmitRefund():
                    assert state.own is not None
                    assert state.own.expired
                case _:
                    pass
        if state.ended:
            asked = (Kind.LOCK, Kind.CLAIM, Kind.REFUND, Kind.SEND_OFFER, Kind.SEND_ACCEPTANCE)
            assert not [kind for kind in asked if state.waits_for(kind)]

    def _check_secret(self, before: Swap | None, fact: Fact, move: Move) -> None:
        state = move.state
        assert state is not None
        assert state.preimage is None or self.preimage_shown
        if state.phase is not Phase.REVEALING or (before and before.phase is Phase.REVEALING):
            return
        if not isinstance(fact.body, RevealBegun):
            assert state.preimage is not None, "revealing without a record or a public secret"
            return
        if state.preimage is None:
            assert before is not None
            assert before.phase is Phase.CLAIMING
            assert move.ignored is None
            assert self.now < REVEAL_LIMIT
            assert self.clock - self.heads[CHAIN_B] <= SCHEDULE.stale_b
            assert CHAIN_B not in self.frozen
            assert state.b is not None
            assert state.b.open_final
            assert state.b.settled is None

    def _check_wakes(self, state: Swap) -> None:
        found = wakes(state)
        assert len(set(found)) == len(found)
        assert len(found) <= 16
        assert all(wake.at > 0 for wake in found)
        if state.ended and state.phase is not Phase.DECLINED:
            assert not found

    def check_replay(self, start: int) -> None:
        """A crash: the snapshot of any moment and the history from there give the same state."""
        state = self.snapshots[start]
        for fact in self.history[start:]:
            state = step(state, fact).state
        assert state == self.state

    # --- the end -----------------------------------------------------------------------------

    def finish(self, own_claimed: bool, their_claimed: bool) -> None:
        """Every fault stops: whatever was ever seen of a lock gets its final word, time passes
        beyond every deadline, and each wake is heeded."""
        assert self.state is not None
        if self.state.a is not None and self.state.own is not None:
            for leg in (self.state.own, self.state.their):
                assert leg is not None
                claimed = own_claimed if leg is self.state.own else their_claimed
                if leg.opened is not None and not leg.settled_final:
                    # A responder who never locked has its swap end before the chain's word on A.
                    self._settle(leg, claimed)
        far = samples.T1 + 10_000 - min(self.clock, *self.heads.values())
        self.pass_time(far, far, far)
        self.heed_wakes()
        self.look_for_own()
        self.heed_wakes()
        assert self.state is not None
        assert self.state.ended, self.state

    def _settle(self, leg: Leg, claimed: bool) -> None:
        settlement = Settlement.CLAIMED if claimed else Settlement.REFUNDED
        self.see("opened", leg.lock_id, Stage.FINAL, 90)
        self.see(settlement.value, leg.lock_id, Stage.FINAL, 91)

    def ignored(self, body: FactBody) -> Ignored | None:
        return self.take(body).ignored
