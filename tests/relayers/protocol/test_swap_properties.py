"""Property tests of ``step``: whatever happens in whatever order, what must hold holds."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from adapters.model import LockState, Stage
from relayers.protocol.intents import Kind
from relayers.protocol.state import Role
from tests.relayers.protocol import samples
from tests.relayers.protocol.samples import CHAIN_A, CHAIN_B, LOCK_A, LOCK_B
from tests.relayers.protocol.side import REVEAL_LIMIT, Side

SECONDS = st.sampled_from([0, 1, 5, 20, 40, samples.T2 - samples.START, samples.T1])
MARKS = st.sampled_from([samples.VALID_UNTIL, REVEAL_LIMIT, samples.T2, samples.T1])


class SwapMachine(RuleBasedStateMachine):
    """One side, and everything that can happen to it. The checks stand in ``Side``."""

    side: Side

    @initialize(role=st.sampled_from(list(Role)), agreed=st.booleans(), fails=st.booleans())
    def begin(self, role: Role, agreed: bool, fails: bool) -> None:
        self.side = Side(role)
        if fails:
            self.side.reveal()
            self.side.agree()
        self.side.begin()
        if agreed:
            self.side.agree()

    @rule()
    def offer_again(self) -> None:
        self.side.begin(b"other")

    @rule()
    def agree(self) -> None:
        self.side.agree()

    @rule()
    def decline(self) -> None:
        self.side.decline()

    @rule(
        event=st.sampled_from(["opened", "claimed", "refunded"]),
        lock_id=st.sampled_from([LOCK_A, LOCK_B]),
        stage=st.sampled_from(list(Stage)),
        block=st.integers(1, 3),
    )
    def see(self, event: str, lock_id: samples.LockId, stage: Stage, block: int) -> None:
        self.side.see(event, lock_id, stage, block)

    @rule(
        lock_id=st.sampled_from([LOCK_A, LOCK_B]),
        state=st.sampled_from(list(LockState)),
        final=st.booleans(),
    )
    def look_up(self, lock_id: samples.LockId, state: LockState, final: bool) -> None:
        self.side.look_up(lock_id, state, final)

    @rule(lock_id=st.sampled_from([LOCK_A, LOCK_B]))
    def see_lock_final(self, lock_id: samples.LockId) -> None:
        self.side.see("opened", lock_id, Stage.FINAL)

    @rule(
        field=st.sampled_from(["amount", "recipient", "deadline", "contract"]),
        stage=st.sampled_from(list(Stage)),
    )
    def see_stranger(self, field: str, stage: Stage) -> None:
        self.side.see_stranger(field, stage)

    @rule()
    def see_stranger_claimed(self) -> None:
        self.side.see_stranger_claimed()

    @rule(lock_id=st.sampled_from([LOCK_B, LOCK_B, LOCK_A]))
    def reveal(self, lock_id: samples.LockId) -> None:
        self.side.reveal(lock_id)

    @rule(kind=st.sampled_from(list(Kind)), by_chain=st.booleans())
    def refuse(self, kind: Kind, by_chain: bool) -> None:
        self.side.refuse(kind, by_chain)

    @rule(kind=st.sampled_from(list(Kind)))
    def deliver(self, kind: Kind) -> None:
        self.side.deliver(kind)

    @rule(clock=SECONDS, chain_a=st.integers(-30, 60), chain_b=st.integers(-30, 60))
    def pass_time(self, clock: int, chain_a: int, chain_b: int) -> None:
        self.side.pass_time(clock, chain_a, chain_b)

    @rule(mark=MARKS, before=st.sampled_from([0, 1, 2]))
    def come_to(self, mark: int, before: int) -> None:
        """Everything moves together to a moment that matters, or just before it."""
        step = max(0, mark - before - self.side.now)
        self.side.pass_time(step, step, step)

    @rule(chain=st.sampled_from([CHAIN_A, CHAIN_B]), frozen=st.booleans())
    def freeze(self, chain: samples.ChainId, frozen: bool) -> None:
        self.side.freeze(chain, frozen)

    @rule()
    def heed_wakes(self) -> None:
        self.side.heed_wakes()

    @rule(index=st.integers(0, 100))
    def again(self, index: int) -> None:
        self.side.again(index)

    @rule(back=st.integers(1, 10))
    def crash(self, back: int) -> None:
        self.side.check_replay(max(0, len(self.side.history) - back))

    def teardown(self) -> None:
        if hasattr(self, "side"):
            self.side.check_replay(0)
            for own_claimed, their_claimed in ((False, False), (True, True), (False, True)):
                side = Side(self.side.role)
                side.__dict__.update(self.side.__dict__)
                side.heads = dict(self.side.heads)
                side.heeded = set(self.side.heeded)
                side.history, side.snapshots = list(side.history), list(side.snapshots)
                side.finish(own_claimed, their_claimed)


SwapMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    # Without shrinking, which takes minutes here; each check names what it saw.
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
)
TestSwapMachine = SwapMachine.TestCase
