"""Recorded histories of swaps, and how they are written and replayed.

``python -m tests.golden.histories`` records them anew from the simulation; do that only where the
protocol was changed on purpose, and read the difference. A file holds the history of one swap on
one side, as the journal keeps it, and the phases and snapshot that it led to.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relayers.journal.port import Taken
from relayers.journal.records import at_codec, fact_codec, swap_codec
from relayers.protocol.facts import At, Fact, FactBody
from relayers.protocol.state import Swap
from relayers.protocol.swap import step
from tests.simulation.loop import run
from tests.simulation.plan import START, Crash, Deviation, Plan, plan_of
from tests.simulation.world import World

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recording:
    name: str
    side: str
    plan: Plan


def _calm(**changes: Any) -> Plan:
    plan = replace(
        plan_of(0),
        late_a=False,
        late_b=False,
        slack=40,
        adversary=None,
        deviation=None,
        crashes={},
        freezes={},
        message_faults=0.0,
        submission_faults=0.0,
        strangers=0,
        tower=False,
        broken=None,
        reorgs=dict.fromkeys(plan_of(0).reorgs, ()),
    )
    return replace(plan, **changes)


RECORDINGS = (
    Recording("happy_initiator", "alice", _calm()),
    Recording("happy_responder", "bob", _calm()),
    Recording("refund_initiator", "alice", _calm(adversary="bob", deviation=Deviation.NEVER_LOCK)),
    Recording(
        "refund_responder", "bob", _calm(adversary="alice", deviation=Deviation.NEVER_REVEAL)
    ),
    Recording("crash_initiator", "alice", _calm(crashes={"alice": Crash(22, 6.0)})),
    Recording("crash_responder", "bob", _calm(crashes={"bob": Crash(26, 8.0)})),
)


def record(recording: Recording) -> tuple[Taken, ...]:
    """Plays the plan and returns what the side's journal kept."""
    worlds: list[World] = []

    async def play() -> None:
        world = World(recording.plan)
        worlds.append(world)
        verdict = await world.play()
        assert not verdict.failures, verdict.failures

    run(play(), float(START))
    (gateway,) = [side for side in worlds[0].gateways() if side.name == recording.side]
    return tuple(gateway.store.taken_by_key[worlds[0].offer.hashlock])


@dataclass(frozen=True)
class History:
    """Facts as they were taken in, the phase after each, and the snapshot at the end."""

    facts: tuple[tuple[FactBody, At], ...]
    phases: tuple[str, ...]
    snapshot: Swap

    def replay(self) -> Iterator[Swap]:
        """The state after each fact, by the code as it is now."""
        state: Swap | None = None
        for body, at in self.facts:
            state = step(state, Fact(body, at)).state
            assert state is not None
            yield state

    def to_json(self) -> str:
        entries = [
            {
                "fact": json.loads(fact_codec().encode(body)),
                "at": json.loads(at_codec().encode(at)),
                "phase": phase,
            }
            for (body, at), phase in zip(self.facts, self.phases, strict=True)
        ]
        snapshot = json.loads(swap_codec().encode(self.snapshot))
        return json.dumps({"history": entries, "snapshot": snapshot}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> History:
        found = json.loads(text)
        facts = tuple(
            (fact_codec().decode(_record(entry["fact"])), at_codec().decode(_record(entry["at"])))
            for entry in found["history"]
        )
        phases = tuple(entry["phase"] for entry in found["history"])
        return cls(facts, phases, swap_codec().decode(_record(found["snapshot"])))


def _record(value: Any) -> bytes:
    """As the journal writes it: without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def history_of(taken: tuple[Taken, ...]) -> History:
    state: Swap | None = None
    phases = []
    for one in taken:
        state = step(state, Fact(one.body, one.at)).state
        assert state is not None
        phases.append(state.phase.value)
    assert state is not None
    return History(tuple((one.body, one.at) for one in taken), tuple(phases), state)


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.json"


def main() -> None:
    for recording in RECORDINGS:
        history = history_of(record(recording))
        path_of(recording.name).write_text(history.to_json(), encoding="utf-8")
        sys.stdout.write(f"{recording.name}: {len(history.facts)} facts, {history.phases[-1]}\n")


if __name__ == "__main__":
    main()
