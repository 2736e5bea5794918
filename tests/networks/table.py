"""docs/reference/networks.md: what the tests of real networks showed when they last ran.

A test, or a whole file, says what it shows: ``@pytest.mark.shows(ledger, network, scenario)``. A
scenario that several tests show has the worst of their results.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import pytest

from adapters.ethereum.real_network import GETH
from adapters.ethereum.tooling import ToolSet, installed
from adapters.native.real_network import COMETBFT
from adapters.programs import Program, ProgramMissing, version_of
from gateway.settings import programs_here

PROPERTY = "shows"
"""The user property of a test's report: ledger, network and scenario."""


class Result(IntEnum):
    """The worst is the highest."""

    PASSED = 0
    SKIPPED = 1
    FAILED = 2


WORDS = {Result.PASSED: "passed", Result.SKIPPED: "left out", Result.FAILED: "**failed**"}


@dataclass(frozen=True, slots=True, order=True)
class Row:
    ledger: str
    network: str
    scenario: str


def rows(results: Sequence[tuple[Row, Result]]) -> Mapping[Row, Result]:
    """Each row with its worst result, in order."""
    worst: dict[Row, Result] = {}
    for row, result in results:
        worst[row] = max(result, worst.get(row, Result.PASSED))
    return dict(sorted(worst.items()))


def page(worst: Mapping[Row, Result], versions: Mapping[str, str], today: date) -> str:
    """The whole page, as Markdown."""
    lines = [
        "# What was shown on real networks",
        "",
        f"Written by `make test-networks`, last on {today.isoformat()}. Versions: "
        + "; ".join(f"{name} {version}" for name, version in versions.items())
        + ".",
        "",
        "| ledger | network | scenario | result |",
        "|---|---|---|---|",
        *(
            f"| {row.ledger} | {row.network} | {row.scenario} | {WORDS[result]} |"
            for row, result in worst.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def versions_here() -> Mapping[str, str]:
    """Of every program that is there, and of Python."""
    programs = programs_here()
    found = {"Python": platform.python_version()}
    peer = Program("peer", ("version",), r"Version: v?3\.", "")
    for name, program in (("CometBFT", COMETBFT), ("Geth", GETH), ("Fabric", peer)):
        try:
            found[name] = _number(version_of(programs.find(program), program))
        except ProgramMissing:
            found[name] = "not there"
    tools = installed(ToolSet.NODE)
    if tools is not None:
        anvil = Program("anvil", ("--version",), "", "")
        found["Anvil"] = _number(version_of(tools.anvil, anvil))
    return found


def _number(said: str) -> str:
    match = re.search(r"\d+\.\d+\.\d+", said)
    return match[0] if match is not None else "?"


def _result(report: pytest.TestReport) -> Result | None:
    """None for the set-up and the end of a test that went well."""
    if report.failed:
        return Result.FAILED
    if report.skipped:
        return Result.SKIPPED
    return Result.PASSED if report.when == "call" else None


def shown(reporter: pytest.TerminalReporter) -> Mapping[Row, Result]:
    """What the tests of a run have shown."""
    seen: list[tuple[Row, Result]] = []
    for reports in reporter.stats.values():
        for report in reports:
            result = _result(report) if isinstance(report, pytest.TestReport) else None
            if result is not None:
                properties = [row for name, row in report.user_properties if name == PROPERTY]
                seen += [(Row(*row), result) for row in properties]
    return rows(seen)
