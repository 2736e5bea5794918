"""The demonstration on real networks: every scenario, on every pair whose programs are here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from gateway.demo.scenarios import SCENARIOS
from gateway.devnet.ledgers import LEDGERS, open_network
from gateway.settings import programs_here
from tests.networks.organisations import skip_without

# Its deadlines are short and real: the gateways' outage budget is six seconds.
pytestmark = pytest.mark.alone

NETWORKS = {"native": "CometBFT", "ethereum": "Geth", "fabric": "Fabric"}
DEMO = (sys.executable, "-m", "gateway.cli", "demo", "--real", "--json")


@dataclass(frozen=True, slots=True)
class Played:
    """What one demonstration answered, all pairs together, and what it said meanwhile."""

    answer: Any
    said: str
    status: int

    def of(self, scenario: str, pair: tuple[str, str]) -> Any:
        (run,) = (
            run
            for run in self.answer["scenarios"]
            if run["name"] == scenario and tuple(run["pair"]) == pair
        )
        return run


@pytest.fixture(scope="module")
def absent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """For each ledger the programs that are missing."""
    folder = tmp_path_factory.mktemp("absent")
    programs = programs_here()
    return {name: list(open_network(name, folder / name, programs).missing()) for name in LEDGERS}


@pytest.fixture(scope="module")
def played(absent: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One demonstration of everything that the programs allow."""
    there = [name for name in LEDGERS if not absent[name]]
    pairs = [word for a, b in permutations(there, 2) for word in ("--pair", f"{a}:{b}")]
    demo = subprocess.run(
        [*DEMO, *pairs],
        cwd=tmp_path_factory.mktemp("demo"),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        check=False,
    )
    assert demo.stdout, demo.stderr[-4000:]
    return Played(json.loads(demo.stdout), demo.stderr, demo.returncode)


def _runs() -> list[ParameterSet]:
    return [
        pytest.param(
            (a, b),
            scenario.name,
            id=f"{a}:{b} {scenario.name}",
            marks=pytest.mark.shows(
                f"{a} → {b}", f"{NETWORKS[a]}, {NETWORKS[b]}", f"demo: {scenario.name}"
            ),
        )
        for a, b in permutations(LEDGERS, 2)
        for scenario in SCENARIOS
    ]


@pytest.mark.timeout(660)
@pytest.mark.parametrize(("pair", "scenario"), _runs())
def test_every_scenario_comes_out_right(
    absent: dict[str, list[str]],
    request: pytest.FixtureRequest,
    pair: tuple[str, str],
    scenario: str,
) -> None:
    skip_without([said for name in pair for said in absent[name]])
    played: Played = request.getfixturevalue("played")
    run = played.of(scenario, pair)
    assert run["outcome"] == run["expected"], (run, played.said[-4000:])


@pytest.mark.timeout(660)
def test_every_balance_read_back_is_right(
    absent: dict[str, list[str]], request: pytest.FixtureRequest
) -> None:
    there = [name for name in LEDGERS if not absent[name]]
    if len(there) < 2:
        skip_without([said for name in LEDGERS for said in absent[name]])
    played: Played = request.getfixturevalue("played")
    assert played.answer["ok"], (played.answer["ledgers"], played.said[-4000:])
    assert played.status == 0
