"""Every alert that can be raised has a runbook, and the runbooks name only what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from gateway.cli.main import app
from gateway.telemetry.runbooks import runbook
from relayers.protocol.alerts import AlertKind

FOLDER = Path(__file__).parents[3] / "docs" / "runbooks"
_ROW = re.compile(r"^\| (?P<alerts>`.+`) \| \[.+\]\((?P<page>.+)\) \|$", re.M)
_COMMAND = re.compile(r"`isthmus ([a-z]+)(?:\s+([a-z]+))?")
PAGES = sorted(path.name for path in FOLDER.glob("*.md"))


def rows() -> Iterator[tuple[str, str]]:
    """Each alert of the table, as it is written there, and its page."""
    for row in _ROW.finditer((FOLDER / "README.md").read_text()):
        for alert in row["alerts"].split(", "):
            yield alert.strip("`"), row["page"]


@pytest.mark.parametrize("kind", AlertKind)
def test_each_alert_leads_to_its_page(kind: AlertKind) -> None:
    """The first row that fits is the one that an operator finds; the log must name the same."""
    pages = [page for alert, page in rows() if fnmatchcase(kind, alert)]
    assert pages, f"no row of docs/runbooks/README.md is for {kind}"
    assert pages[0] == runbook(kind)
    assert (FOLDER / pages[0]).is_file()


def test_each_row_and_each_page_is_for_something() -> None:
    table = list(rows())
    for alert, _ in table:
        if not alert.startswith("isthmus_"):
            assert any(fnmatchcase(kind, alert) for kind in AlertKind), alert
    assert {page for _, page in table} | {"README.md"} == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_exist(page: str) -> None:
    commands = typer.main.get_command(app)
    assert isinstance(commands, TyperGroup)
    for first, second in _COMMAND.findall((FOLDER / page).read_text()):
        assert first in commands.commands, f"isthmus {first}"
        group = commands.commands[first]
        if isinstance(group, TyperGroup):
            assert second in group.commands, f"isthmus {first} {second}"
