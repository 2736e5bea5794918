"""What survives kill -9, and what is refused at start."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import pytest
from fabric_protos.common import common_pb2

from adapters.fabric.devnet.provision import LEDGER_FILE
from tests.adapters.fabric.devnet.conftest import endorsing
from tests.adapters.fabric.devnet.networks import DevelopmentNetwork
from tests.ports import free_block

_PORTS = free_block(9).start


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevelopmentNetwork]:
    network = DevelopmentNetwork(tmp_path_factory.mktemp("restart"), _PORTS, batch_timeout_ms=30)
    try:
        network.start()
        yield network
    finally:
        network.stop()


async def test_kill_9_under_load_keeps_whole_blocks_and_every_commit_that_was_told(
    own: DevelopmentNetwork,
) -> None:
    client = own.client(1)
    committed: dict[str, tuple[str, int]] = {}
    enough = asyncio.Event()

    async def work(number: int) -> None:
        try:
            for step in range(1000):
                key = f"load{number}-{step}"
                transaction, block = await client.invoke("put", key, "x")
                committed[transaction] = (key, block)
                if len(committed) == 60:
                    enough.set()
        except grpc.aio.AioRpcError:
            return

    workers = [asyncio.create_task(work(number)) for number in range(8)]
    await enough.wait()
    own.kill_network()
    await asyncio.gather(*workers)
    await client.close()
    own.start_network()
    client = own.client(1)
    await endorsing(client)
    for transaction, (key, block) in committed.items():
        assert await client.status(transaction) == ("VALID", block)
        assert await client.evaluate("get", key) == b"x"
    events = client.events(0)
    seen: set[str] = set()
    while not seen >= set(committed):
        seen.add((await anext(events))[1])
    await events.aclose()
    await client.invoke("put", "goes-on", "x")
    await client.close()


async def test_a_stop_ends_open_event_streams_with_status_0(own: DevelopmentNetwork) -> None:
    client = own.client(2)
    await endorsing(client)
    waiting = asyncio.create_task(anext(client.events(None)))
    await client.evaluate("who")
    assert own.stop_network() == 0
    with pytest.raises(grpc.aio.AioRpcError):
        await waiting
    await client.close()
    own.start_network()


async def test_chaincodes_reconnect_after_the_networks_restart(own: DevelopmentNetwork) -> None:
    client = own.client(3)
    await endorsing(client)
    assert await client.evaluate("who", chaincode="token", orgs=["OrgCMSP"]) == b"token3"
    await client.close()


async def test_a_call_that_takes_too_long_is_given_up(own: DevelopmentNetwork) -> None:
    """``token`` may take one second here; on a real peer it is thirty."""
    client = own.client(1)
    await endorsing(client)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.evaluate("hang", chaincode="token", orgs=["OrgAMSP"])
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert await client.evaluate("who", chaincode="token") == b"token1"
    await client.close()


def test_a_second_process_on_one_ledger_is_refused(own: DevelopmentNetwork, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    shutil.copytree(own.folder, folder, ignore=shutil.ignore_patterns("ledger*"))
    (folder / LEDGER_FILE).symlink_to(own.folder / LEDGER_FILE)
    path = folder / "network.json"
    written = path.read_text()
    for own_port, other in zip(range(_PORTS, _PORTS + 9), free_block(9), strict=True):
        written = written.replace(f"127.0.0.1:{own_port}", f"127.0.0.1:{other}")
    path.write_text(written)
    assert "is open in another process; stop that one first" in _refused(folder)


# --- stores that must not be served --------------------------------------------------------------


@pytest.fixture
def stopped(own: DevelopmentNetwork, tmp_path: Path) -> Iterator[Path]:
    """A copy of a network's folder with some blocks in it, of which no process is running."""
    own.stop_network()
    folder = tmp_path / "copy"
    shutil.copytree(own.folder, folder)
    yield folder
    own.start_network()


def _refused(folder: Path) -> str:
    """Starts a network that must refuse to, and returns the one line that says why."""
    done = subprocess.run(
        [sys.executable, "-m", "adapters.fabric.devnet", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_truncated_store_is_refused(stopped: Path) -> None:
    path = stopped / LEDGER_FILE
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert f"ledger {path} is damaged" in _refused(stopped)


def test_garbage_for_a_store_is_refused(stopped: Path) -> None:
    (stopped / LEDGER_FILE).write_bytes(b"not a database at all" * 1000)
    assert "is damaged (file is not a database)" in _refused(stopped)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DELETE FROM block WHERE number = 2", "block 2 is missing"),
        ("DELETE FROM block WHERE number = (SELECT max(number) FROM block)", "is missing"),
        ("DELETE FROM block", "block 0 is missing"),
        ("UPDATE block SET body = x'ffff' WHERE number = 2", "block 2 cannot be read"),
        ("UPDATE block SET hash = x'00' WHERE number = 2", "index that does not fit"),
        ("UPDATE state SET value = x'00' WHERE block = 2", "block 2 did not make the state"),
        ("DELETE FROM state WHERE block = 2", "block 2 did not make the state"),
        ("UPDATE format SET version = 99", "has format 99; this program reads 1"),
    ],
)
def test_a_store_that_was_changed_is_refused(stopped: Path, statement: str, why: str) -> None:
    with sqlite3.connect(stopped / LEDGER_FILE) as db:
        db.execute(statement)
    db.close()
    assert why in _refused(stopped)


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("data", "does not hold the data that its header names"),
        ("previous", "is not linked to the block before it"),
        ("flags", "did not make the state that is stored"),
    ],
)
def test_a_block_that_was_changed_is_refused(stopped: Path, part: str, why: str) -> None:
    with sqlite3.connect(stopped / LEDGER_FILE) as db:
        (body,) = db.execute("SELECT body FROM block WHERE number = 2").fetchone()
        block = common_pb2.Block.FromString(body)
        match part:
            case "data":
                block.data.data[0] = block.data.data[0] + b"\x00"
            case "previous":
                block.header.previous_hash = bytes(32)
            case "flags":
                block.metadata.metadata[common_pb2.TRANSACTIONS_FILTER] = b"\x0b" * len(
                    block.data.data
                )
        db.execute("UPDATE block SET body = ? WHERE number = 2", (block.SerializeToString(),))
    db.close()
    assert f"block 2 {why}" in _refused(stopped)


def test_another_channels_store_is_refused(stopped: Path, tmp_path: Path) -> None:
    other = DevelopmentNetwork(tmp_path / "other", free_block(9).start)
    shutil.copy(stopped / LEDGER_FILE, other.folder / LEDGER_FILE)
    assert "belongs to another channel" in _refused(other.folder)


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    assert "prepare the network first" in _refused(tmp_path)


def test_a_wrong_configuration_names_its_key(stopped: Path) -> None:
    path = stopped / "network.json"
    path.write_text(path.read_text().replace('"timeout_ms": 30', '"timeout_ms": -1'))
    assert "batch.timeout_ms: Input should be greater than or equal to 1" in _refused(stopped)


def test_a_changed_definition_needs_a_new_sequence(stopped: Path) -> None:
    path = stopped / "network.json"
    loaded = json.loads(path.read_text())
    loaded["chaincodes"][0]["policy"] = "OutOf(1,'OrgAMSP.peer','OrgBMSP.peer')"
    path.write_text(json.dumps(loaded))
    assert "chaincode isthmus is defined on the channel with sequence 1" in _refused(stopped)


def test_a_taken_port_is_refused(own: DevelopmentNetwork, tmp_path: Path) -> None:
    other = DevelopmentNetwork(tmp_path / "other", _PORTS)
    assert f"cannot listen on 127.0.0.1:{_PORTS}" in _refused(other.folder)
