"""What a run left out is said at its end; with CI set, it may be nothing but real Fabric.

A test that needs what a machine may lack skips with a reason of the form ``PART: how to get it``.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

MAY_BE_ABSENT_IN_CI = "Hyperledger Fabric 3.1"
"""Its programs are in no package registry."""


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr)


def _forbidden(reason: str) -> bool:
    return bool(os.environ.get("CI")) and not reason.startswith(MAY_BE_ABSENT_IN_CI)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
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
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or exitstatus != pytest.ExitCode.OK:
        return
    skipped = reporter.stats.get("skipped", [])
    if any(_forbidden(_reason(report)) for report in skipped):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
