"""How the suite runs as a whole, alone or on several workers.

What a run left out is said at its end; with CI set, it may be nothing but real Fabric. A test that
needs what a machine may lack skips with a reason of the form ``PART: how to get it``.

On several workers whole groups of tests go to one worker: tests/groups.py.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.groups import GroupScheduling, group_of, seconds_of

MAY_BE_ABSENT_IN_CI = "Hyperledger Fabric 3.1"
"""Its programs are in no package registry."""

RECURSION_LIMIT = sys.getrecursionlimit()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    return GroupScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("PYTEST_XDIST_WORKER"):
        # Stable: within a file nothing changes its place.
        items.sort(key=lambda item: -seconds_of(group_of(item.nodeid)))


def pytest_collection_finish() -> None:
    # Of what some tests import, py_ecc sets a limit with which deeply nested JSON ends the process.
    sys.setrecursionlimit(RECURSION_LIMIT)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--table", type=Path, help="where to write what was shown on real networks, as Markdown"
    )


def pytest_configure() -> None:
    # A shell starts what it runs in the background with Ctrl-C ignored, and every process inherits
    # that: those that a test interrupts would go on.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


Report = pytest.TestReport | pytest.CollectReport


def _left_out(reporter: pytest.TerminalReporter) -> list[str]:
    """The reason of each skip. A file that is skipped as a whole is told by every worker."""
    told: dict[str, str] = {}
    report: Report
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr
        told[report.nodeid] = str(reason[2] if isinstance(reason, tuple | list) else reason)
    return [reason.removeprefix("Skipped: ") for reason in told.values()]


def _forbidden(reason: str) -> bool:
    return bool(os.environ.get("CI")) and not reason.startswith(MAY_BE_ABSENT_IN_CI)


def _torn(reporter: pytest.TerminalReporter) -> list[str]:
    """The groups whose tests were run by more than one worker."""
    workers: dict[str, set[str]] = {}
    for report in reporter.stats.get("passed", []):
        if (node := getattr(report, "node", None)) is not None:
            workers.setdefault(group_of(report.nodeid), set()).add(node.gateway.id)
    return sorted(group for group, seen in workers.items() if len(seen) > 1)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    table: Path | None = terminalreporter.config.getoption("--table")
    if table is not None:
        # Imported here: it needs the adapters, and few runs ask for it.
        from tests.networks.table import page, shown, versions_here

        table.write_text(page(shown(terminalreporter), versions_here(), datetime.now(UTC).date()))
    for group in _torn(terminalreporter):
        terminalreporter.line(f"{group} was not run by one worker: see tests/groups.py")
    reasons = Counter(_left_out(terminalreporter))
    terminalreporter.section("left out")
    if not reasons:
        terminalreporter.line("nothing: all that there is was run")
        return
    width = max(len(reason.partition(":")[0]) for reason in reasons)
    for reason, count in sorted(reasons.items()):
        part, _, how = reason.partition(":")
        terminalreporter.line(f"{count:5d}  {part:{width}}  {how.strip()}")
        if _forbidden(reason):
            terminalreporter.line(f"{'':7}{'':{width}}  CI is set: this must not be left out")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    # A worker has no such plugin: the one that collects the reports decides.
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or exitstatus != pytest.ExitCode.OK:
        return
    if _torn(reporter) or any(map(_forbidden, _left_out(reporter))):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
