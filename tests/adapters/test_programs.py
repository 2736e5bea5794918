"""Programs from outside: the right version is found, and what is missing says where to get it."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.programs import Program, ProgramMissing, Programs

LEDGER = Program("ledgerd", ("version",), r"^2\.1\.", "from its makers")


def put(folder: Path, words: str, mode: int = 0o755) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LEDGER.name
    path.write_text(f'#!/bin/sh\n[ "$1" = version ] && echo "{words}"\n')
    path.chmod(mode)
    return path


def test_the_first_of_the_right_version_is_taken(tmp_path: Path) -> None:
    put(tmp_path / "old", "1.9.0")
    right = put(tmp_path / "right", "2.1.7")
    put(tmp_path / "later", "2.1.8")
    folders = [tmp_path / name for name in ("absent", "old", "right", "later")]
    assert Programs(folders).find(LEDGER) == right


def test_what_is_missing_is_told_with_its_source(tmp_path: Path) -> None:
    old = put(tmp_path / "old", "1.9.0")
    put(tmp_path / "not executable", "2.1.7", 0o644)
    programs = Programs([tmp_path / "old", tmp_path / "not executable"])
    with pytest.raises(ProgramMissing) as caught:
        programs.find(LEDGER)
    said = str(caught.value)
    assert f"{old} says '1.9.0'" in said
    assert said.endswith("get it from its makers")
    assert programs.missing([LEDGER]) == [said]


def test_a_program_that_does_not_answer_is_of_no_version(tmp_path: Path) -> None:
    path = tmp_path / LEDGER.name
    path.write_text("no program at all")
    path.chmod(0o755)
    with pytest.raises(ProgramMissing, match="get it from its makers"):
        Programs([tmp_path]).find(LEDGER)
