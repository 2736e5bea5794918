"""Ten thousand whole swaps under faults: every invariant holds in each, and enough was met.

A failing seed is printed; ``python -m tests.simulation --seed N -v`` plays it again. The number of
seeds can be set for a longer hunt: ISTHMUS_SIMULATION_SEEDS.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.simulation.plan import Bound, Deviation, Fault, plan_of
from tests.simulation.world import simulate

SEEDS = int(os.environ.get("ISTHMUS_SIMULATION_SEEDS", "10000"))
WORKERS = 2
CHUNK = 50
FLOOR = 25
"""Transitions that every kind of fault must at least have met."""

Hop = tuple[str, str, str]
Chunk = tuple[list[str], Counter[tuple[Hop, str]], Counter[str]]


def _play(start: int) -> Chunk:
    logging.disable(logging.CRITICAL)
    failures: list[str] = []
    met: Counter[tuple[Hop, str]] = Counter()
    kinds: Counter[str] = Counter()
    for seed in range(start, min(start + CHUNK, SEEDS)):
        plan = plan_of(seed)
        try:
            verdict = simulate(plan)
        except Exception as error:  # noqa: BLE001 - the seed must be named
            failures.append(f"seed {seed}: {type(error).__name__}: {error}")
            continue
        failures.extend(f"seed {seed}: {failure}" for failure in verdict.failures)
        met.update((hop, fault.value) for hop in verdict.hops for fault in plan.faults)
        kinds.update(f"{name} {end}" for name, end in verdict.ends.items())
        if plan.deviation is not None:
            kinds[f"{plan.adversary} plays {plan.deviation}"] += 1
        if plan.broken is not None:
            kinds[f"breaks {plan.broken}"] += 1
    return failures, met, kinds


def _chunks() -> Iterator[Chunk]:
    # Fresh processes, not forks: the test process may hold threads and event loops.
    context = multiprocessing.get_context("spawn")
    with context.Pool(WORKERS) as pool:
        yield from pool.imap_unordered(_play, range(0, SEEDS, CHUNK))


def _report(met: Counter[tuple[Hop, str]], kinds: Counter[str]) -> str:
    """Which transitions met which faults, as lines of text."""
    faults = [fault.value for fault in Fault]
    lines = ["transition | " + " | ".join(faults)]
    for hop in sorted({hop for hop, _ in met}):
        counts = " | ".join(str(met[hop, fault]) for fault in faults)
        lines.append(f"{hop[0]}: {hop[1]} -> {hop[2]} | {counts}")
    per_fault = Counter(name for _, name in met)
    lines.append("in all | " + " | ".join(str(per_fault[fault]) for fault in faults))
    lines += [f"{kind}: {count}" for kind, count in sorted(kinds.items())]
    return "\n".join(lines)


@pytest.mark.alone  # It takes every core itself.
@pytest.mark.timeout(900)
def test_every_seed_holds_and_enough_was_met(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    failures: list[str] = []
    met: Counter[tuple[Hop, str]] = Counter()
    kinds: Counter[str] = Counter()
    for failed, chunk_met, chunk_kinds in _chunks():
        failures += failed
        met.update(chunk_met)
        kinds.update(chunk_kinds)
    report = _report(met, kinds)
    with capsys.disabled():
        sys.stdout.write(f"\n{SEEDS} seeds in {time.monotonic() - began:.0f} s\n{report}\n")
    assert not failures, "\n".join(sorted(failures)[:20])
    if SEEDS < 2_000:
        return  # a shorter run meets less; its floor would say nothing
    for fault in Fault:
        if fault is not Fault.NONE:
            hops = {hop for hop, name in met if name == fault.value}
            assert len(hops) >= FLOOR, f"{fault}: met only {len(hops)} transitions\n{report}"
    for deviation in Deviation:
        assert any(kind.endswith(f"plays {deviation}") for kind in kinds), deviation
    for bound in Bound:
        assert kinds[f"breaks {bound}"] > 0, bound


def test_a_seed_replays_exactly() -> None:
    logging.disable(logging.CRITICAL)
    try:
        for seed in range(20):
            first = simulate(plan_of(seed), verbose=True)
            second = simulate(plan_of(seed), verbose=True)
            assert first.log == second.log
            assert first.alerts == second.alerts
            assert first.ends == second.ends
    finally:
        logging.disable(logging.NOTSET)
