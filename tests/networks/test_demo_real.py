"""The demonstration on real networks: every scenario, on every pair whose programs are here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest

from gateway.devnet.ledgers import LEDGERS, Ledgers
from gateway.devnet.processes import Processes
from gateway.settings import programs_here
from tests.networks.organisations import skip_without

NETWORKS = {"native": "CometBFT", "ethereum": "Geth", "fabric": "Fabric"}
DEMO = (sys.executable, "-m", "gateway.cli", "demo", "--real", "--json")


@pytest.mark.timeout(660)
@pytest.mark.parametrize(
    "group",
    [
        pytest.param(
            pairs,
            id=name,
            marks=pytest.mark.shows(name, networks, "every scenario of the demonstration"),
        )
        for name, networks, pairs in (
            (
                "native and ethereum",
                "CometBFT and Geth",
                [pair for pair in permutations(LEDGERS, 2) if "fabric" not in pair],
            ),
            (
                "fabric and both",
                "Fabric, CometBFT and Geth",
                [pair for pair in permutations(LEDGERS, 2) if "fabric" in pair],
            ),
        )
    ],
)
def test_every_scenario_comes_out_right(tmp_path: Path, group: list[tuple[str, str]]) -> None:
    names = sorted({ledger for pair in group for ledger in pair})
    processes = Processes(tmp_path, die_with_us=True)
    skip_without(Ledgers(tmp_path, names, processes, programs_here()).missing())
    wanted = [word for a, b in group for word in ("--pair", f"{a}:{b}")]
    demo = subprocess.run(
        [*DEMO, *wanted],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        check=False,
    )
    answer = json.loads(demo.stdout)
    wrong = [run for run in answer["scenarios"] if run["outcome"] != run["expected"]]
    assert not wrong, demo.stderr[-4000:]
    assert answer["ok"], (answer["ledgers"], demo.stderr[-4000:])
    assert len(answer["scenarios"]) == 6 * len(group)
