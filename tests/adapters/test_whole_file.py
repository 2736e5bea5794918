"""A file is written whole, for whom it is meant, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from adapters.whole_file import write_whole


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_what_was_there_is_replaced_and_nothing_is_left_beside(tmp_path: Path) -> None:
    path = tmp_path / "place"
    write_whole(path, b"one")
    write_whole(path, b"other")
    assert path.read_bytes() == b"other"
    assert [one.name for one in tmp_path.iterdir()] == ["place"]


def test_a_draft_that_a_crash_has_left_open_to_all_gives_nothing_away(tmp_path: Path) -> None:
    path, draft = tmp_path / "key", tmp_path / "key.new"
    draft.write_bytes(b"half")
    draft.chmod(0o666)
    with draft.open("rb") as reader:
        write_whole(path, b"secret")
        assert reader.read() == b"half"
    assert mode_of(path) == 0o600


def test_the_new_name_is_synced_once_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sync = tmp_path / "place", os.fsync
    synced: list[tuple[bool, bool]] = []

    def noted(file: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(file).st_mode), path.exists()))
        sync(file)

    monkeypatch.setattr(os, "fsync", noted)
    write_whole(path, b"new")
    assert synced == [(False, False), (True, True)]


def test_what_cannot_be_written_whole_leaves_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "place"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
