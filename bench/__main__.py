"""Runs the benchmarks, prints them with the machine's description, and writes them as JSON.

    python -m bench [--runs N] [--swaps N] [--json FILE]

Engine rates are the medians of several runs. Exit status 1 where the engine misses a floor, by the
wall clock: on a machine that is busy with other things look at ``per_cpu_second`` as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import sys
import tempfile
from pathlib import Path

import structlog

from bench import swap
from bench.engine import FLOORS, Rate, run
from bench.machine import machine


def engine(runs: int, swaps: int, folder: Path) -> dict[str, dict[str, object]]:
    measured: dict[str, list[Rate]] = {name: [] for name in FLOORS}
    for number in range(runs):
        below = folder / str(number)
        below.mkdir()
        for name, rate in asyncio.run(run(swaps, below)).items():
            measured[name].append(rate)
    found: dict[str, dict[str, object]] = {}
    for name, rates in measured.items():
        wall = statistics.median(rate.wall for rate in rates)
        found[name] = {
            "facts_per_second": round(wall),
            "per_cpu_second": round(statistics.median(rate.cpu for rate in rates)),
            "floor": FLOORS[name],
            "ok": wall >= FLOORS[name],
        }
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of Isthmus.")
    parser.add_argument("--runs", type=int, default=3, help="of the engine, for the median")
    parser.add_argument("--swaps", type=int, default=2_000, help="in one run of the engine")
    parser.add_argument("--whole", type=int, default=10, help="swaps between two gateways")
    parser.add_argument("--interval", type=float, default=0.1, help="seconds between two blocks")
    parser.add_argument("--json", type=Path, default=Path("bench/results/bench.json"))
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    described = machine()
    with tempfile.TemporaryDirectory() as folder:
        rates = engine(arguments.runs, arguments.swaps, Path(folder))
    result = {
        "machine": described,
        "engine": rates,
        "swap": asyncio.run(swap.measure(arguments.whole, arguments.interval)),
    }
    text = json.dumps(result, indent=2) + "\n"
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(text)
    sys.stdout.write(text)
    return 0 if all(rate["ok"] for rate in rates.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
