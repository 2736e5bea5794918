"""What the pages for people name is there: files, tests, links; the whole adapter interface."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from adapters.spi import Adapter

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FOLDERS = ("adapters", "bench", "docs", "gateway", "relayers", "tests")
_NAMED = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(rf"({'|'.join(_FOLDERS)})/[\w./*-]*")
_TEST = re.compile(r"(?:(?P<path>[\w./-]+)::)?(?P<test>test_\w+)")
_LINK = re.compile(r"\]\(([^)#\s]+)")


@cache
def known_tests() -> frozenset[str]:
    """The names of all test functions, in the files that the repository holds."""
    listed = subprocess.run(
        ["git", "ls-files", "tests", "adapters/conformance"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    files = (ROOT / name for name in listed if name.endswith(".py"))
    found = (re.findall(r"def (test_\w+)", path.read_text()) for path in files if path.exists())
    return frozenset(name for names in found for name in names)


def absent(page: Path) -> list[str]:
    text = page.read_text()
    gone = []
    for name in _NAMED.findall(text):
        if _PATH.fullmatch(name) and not any(ROOT.glob(name.rstrip("/"))):
            gone.append(name)
        elif (test := _TEST.fullmatch(name)) is not None:
            path = test["path"]
            if test["test"] not in known_tests() or (path and not (ROOT / path).exists()):
                gone.append(name)
    for link in _LINK.findall(text):
        if not link.startswith(("http://", "https://")) and not (page.parent / link).exists():
            gone.append(link)
    return gone


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    assert absent(page) == []


def test_what_is_not_there_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`tests/absent.py` `tests/test_docs.py` `test_nobody_wrote` [no](absent.md)\n"
        "`test_what_is_not_there_is_noticed` `relayers/protocol/` [yes](page.md)\n"
    )
    assert absent(page) == ["tests/absent.py", "test_nobody_wrote", "absent.md"]


def test_the_page_for_authors_of_adapters_names_the_whole_interface() -> None:
    named = set(_NAMED.findall((ROOT / "docs/how-to/write-an-adapter.md").read_text()))
    parts = {name for name in vars(Adapter) if not name.startswith("_")}
    assert len(parts) > 10
    assert parts <= named
