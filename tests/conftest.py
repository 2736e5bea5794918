"""How the suite runs as a whole, alone or on several workers.

What a run left out is said at its end; with CI set, it may be nothing but real Fabric. A test that
needs what a machine may lack skips with a reason of the form ``PART: how to get it``.

On several workers (``pytest -n 2 --dist loadgroup --no-loadscope-reorder``, as ``make test`` does
it) the tests of one file run in one worker, in their order; files that share a network that is
dear to start are one group. The longest groups begin first, so that the workers end together.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

MAY_BE_ABSENT_IN_CI = "Hyperledger Fabric 3.1"
"""Its programs are in no package registry."""

SHARED_NETWORKS = {
    "adapters/fabric/test_conformance_real.py": "real fabric",
    "adapters/fabric/test_driver_real.py": "real fabric",
    "adapters/fabric/devnet/": "fabric devnet",
}
"""Files, or folders, whose tests share a network of the session, and the group that they make."""

LONGEST = {
    "e2e/": 400,
    "networks/test_many_swaps.py": 160,
    "networks/test_demo_real.py": 120,
    "networks/test_killed_in_a_swap.py": 110,
    "networks/test_native_cometbft.py": 150,
    "networks/test_native_faults.py": 150,
    "networks/test_ethereum_faults.py": 130,
    "networks/test_ethereum_geth.py": 125,
    "networks/": 90,
    "real fabric": 220,
    "simulation/": 200,
    "adapters/ethereum/test_conformance.py": 180,
    "fabric devnet": 120,
    "adapters/fabric/test_conformance_devnet.py": 90,
    "adapters/ethereum/test_contracts.py": 60,
    "adapters/native/": 60,
    "gateway/": 60,
    "relayers/protocol/": 60,
    "adapters/ethereum/": 40,
}
"""Seconds that groups take, by the start of a group's name. Only their order is of matter."""


def _group(nodeid: str) -> str:
    path = nodeid.partition("::")[0].removeprefix("tests/")
    return next((group for start, group in SHARED_NETWORKS.items() if path.startswith(start)), path)


def _seconds(group: str) -> int:
    return next((taken for start, taken in LONGEST.items() if group.startswith(start)), 0)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.pluginmanager.has_plugin("xdist") or not os.environ.get("PYTEST_XDIST_WORKER"):
        return
    for item in items:
        # A mark of the file's own is the closer one, and counts.
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_group(item.nodeid)))
    # Stable: within a file nothing changes its place.
    items.sort(key=lambda item: -_seconds(_group(item.nodeid)))


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


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    table: Path | None = terminalreporter.config.getoption("--table")
    if table is not None:
        # Imported here: it needs the adapters, and few runs ask for it.
        from tests.networks.table import page, shown, versions_here

        table.write_text(page(shown(terminalreporter), versions_here(), datetime.now(UTC).date()))
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
    if any(map(_forbidden, _left_out(reporter))):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
