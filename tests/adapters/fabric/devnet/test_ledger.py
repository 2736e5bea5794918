"""State as of a height: what a simulation sees while blocks go on being committed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.fabric.devnet.block import make_block
from adapters.fabric.devnet.ledger import Ledger, StateWrite, Version
from adapters.fabric.devnet.simulation import Simulation


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger", make_block(0, b"", [b"genesis"]))
    yield opened
    opened.close()


def commit(ledger: Ledger, values: dict[str, bytes | None]) -> None:
    block = make_block(ledger.height, ledger.last_hash, [b"envelope"])
    name = f"tx{ledger.height}"
    writes = [StateWrite("cc", key, 0, value, name) for key, value in values.items()]
    ledger.commit(block, b"\x00", {0: name}, writes)


def test_a_simulation_keeps_the_state_it_began_with(ledger: Ledger) -> None:
    commit(ledger, {"a": b"1", "b": b"1"})
    simulation = Simulation(ledger, "tx")
    commit(ledger, {"a": b"2", "b": None, "c": b"2"})
    assert simulation.get_state("cc", "a") == b"1"
    assert simulation.get_state("cc", "b") == b"1"
    assert simulation.get_state("cc", "c") is None
    scan = simulation.scan("cc", "", "")
    found = [scan.take(), scan.take(), scan.take()]
    assert [one and (one.key, one.value) for one in found] == [("a", b"1"), ("b", b"1"), None]
    later = Simulation(ledger, "tx")
    assert [later.get_state("cc", key) for key in "abc"] == [b"2", None, b"2"]


def test_a_scan_goes_on_in_its_own_state_over_many_pages(ledger: Ledger) -> None:
    commit(ledger, {f"k{number:04d}": b"x" for number in range(1000)})
    scan = ledger.scan("cc", "k0100", "k0900", ledger.height)
    seen = [next(scan)]
    for number in range(5):
        commit(ledger, {f"k{number + 200:04d}": None, f"k{number + 300:04d}x": b"new"})
        seen += [next(scan) for _ in range(100)]
    seen += scan
    assert [one.key for one in seen] == [f"k{number:04d}" for number in range(100, 900)]
    assert {one.version for one in seen} == {Version(1, 0)}


def test_keys_with_zero_bytes_are_kept_apart(ledger: Ledger) -> None:
    keys = ["\x00kind\x00a\x00", "\x00kind\x00ab\x00", "\x00kind\x00\U0010ffff", "kind"]
    commit(ledger, {key: key.encode() for key in keys})
    assert [one.key for one in ledger.scan("cc", "\x00kind\x00a", "\x00kind\x00b", 2)] == keys[:2]
    assert [one.key for one in ledger.scan("cc", "", "", 2)] == keys
    assert ledger.get("cc", "\x00kind\x00", 2) is None


def test_a_failed_commit_leaves_no_trace(ledger: Ledger) -> None:
    commit(ledger, {"a": b"1"})
    before = (ledger.height, ledger.last_hash)
    block = make_block(ledger.height, ledger.last_hash, [b"envelope"])
    twice = [StateWrite("cc", "a", 0, b"2", "tx"), StateWrite("cc", "a", 0, b"3", "tx")]
    with pytest.raises(Exception, match="UNIQUE"):
        ledger.commit(block, b"\x00", {0: "tx"}, twice)
    assert (ledger.height, ledger.last_hash) == before
    assert ledger.transaction("tx") is None
    commit(ledger, {"a": b"4"})
    found = ledger.get("cc", "a", ledger.height)
    assert found is not None
    assert found.value == b"4"


def test_a_block_that_does_not_follow_is_refused(ledger: Ledger) -> None:
    for block in (make_block(2, ledger.last_hash, [b"x"]), make_block(1, bytes(32), [b"x"])):
        with pytest.raises(ValueError, match="does not follow"):
            ledger.commit(block, b"\x00", {}, [])


def test_a_store_is_the_same_after_it_was_opened_again(tmp_path: Path) -> None:
    genesis = make_block(0, b"", [b"genesis"])
    ledger = Ledger.open(tmp_path / "ledger", genesis)
    for number in range(5):
        commit(ledger, {"a": str(number).encode(), f"b{number}": b"x"})
    before = (ledger.height, ledger.last_hash, ledger.previous_hash)
    ledger.close()
    again = Ledger.open(tmp_path / "ledger", genesis)
    assert (again.height, again.last_hash, again.previous_hash) == before
    commit(again, {"a": b"5"})
    assert [one.value for one in again.history("cc", "a", again.height)] == [
        str(number).encode() for number in range(5, -1, -1)
    ]
    again.close()
