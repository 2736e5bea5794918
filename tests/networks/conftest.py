"""Collects what the tests of real networks show, and writes it down where ``--table`` says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.networks.fabric import FabricNetwork, running
from tests.networks.table import PROPERTY, Result, Row, page, rows, versions_here


@pytest.fixture(scope="session")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FabricNetwork]:
    """One for all files of the group "real fabric network"."""
    with running(FabricNetwork(tmp_path_factory.mktemp("fabric"))) as network:
        yield network


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", type=Path, help="where to write what was shown, as Markdown")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("shows"):
            item.user_properties.append((PROPERTY, list(mark.args)))


def _result(report: pytest.TestReport) -> Result | None:
    """None for the set-up and the end of a test that went well."""
    if report.failed:
        return Result.FAILED
    if report.skipped:
        return Result.SKIPPED
    return Result.PASSED if report.when == "call" else None


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    path: Path | None = config.getoption("--table", default=None)
    if path is None:
        return
    seen: list[tuple[Row, Result]] = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if not isinstance(report, pytest.TestReport):
                continue
            result = _result(report)
            if result is None:
                continue
            seen += [
                (Row(*shown), result) for name, shown in report.user_properties if name == PROPERTY
            ]
    path.write_text(page(rows(seen), versions_here(), datetime.now(UTC).date()))
    terminalreporter.section("shown on real networks")
    terminalreporter.line(f"{len(rows(seen))} rows in {path}")
