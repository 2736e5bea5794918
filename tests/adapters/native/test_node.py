"""The embedded node as a process: killed, restarted, and kept from starting on a damaged chain."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.native.app.application import Application
from adapters.native.app.proof import verify
from adapters.native.app.records import account_key
from adapters.native.app.state_store import MemoryStateStore
from adapters.native.app.transaction import Transfer, Unsigned
from adapters.native.cometbft.block import Block, BlockId, base64_bytes, base64_text
from adapters.native.cometbft.genesis import GenesisDocument, ValidatorKey
from adapters.native.node.block_store import BlockStore, CorruptBlocks
from adapters.native.node.chain import Chain
from tests.adapters.native.chain_fixture import ALICE, BOB
from tests.adapters.native.network import Network


class Client:
    def __init__(self, network: Network) -> None:
        self._url = f"http://127.0.0.1:{network.port}"
        config = json.loads((network.folder / "config" / "genesis.json").read_text())
        self.genesis = GenesisDocument.from_json(config).hash()

    def get(self, call: str) -> Any:
        return httpx.get(f"{self._url}/{call}", trust_env=False).json()["result"]

    def post(self, method: str, **params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return httpx.post(self._url, json=request, trust_env=False, timeout=20).json()["result"]

    def transfer(self, sequence: int) -> Any:
        operation = Transfer("COIN", BOB.account, 1)
        unsigned = Unsigned(self.genesis, ALICE.account, sequence, operation)
        raw = unsigned.signed(ALICE.sign_now(unsigned.digest())).encode()
        return self.post("broadcast_tx_commit", tx=base64_text(raw))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path, interval=0.05)
    yield network
    network.kill()


def test_kill_9_loses_no_committed_block(own: Network) -> None:
    own.start()
    client = Client(own)
    for sequence in range(6):
        outcome = client.transfer(sequence)
        assert outcome["tx_result"]["code"] == 0, outcome
        height = int(outcome["height"])
        block = client.get(f"block?height={height}")
        own.kill()
        own.start()
        assert client.get(f"block?height={height}") == block
        assert client.get(f"tx?hash=0x{outcome['hash']}")["height"] == str(height)
        data = account_key(ALICE.account).hex()
        proved = client.get(f'abci_query?path="/key"&data=0x{data}&height={height}&prove=true')
        value = base64_bytes(proved["response"]["value"])
        proof = base64_bytes(proved["response"]["proofOps"]["ops"][0]["data"])
        root = base64_bytes(client.get(f"block_results?height={height}")["app_hash"])
        assert verify(root, account_key(ALICE.account), value, proof)


def test_sigterm_ends_it_with_status_0_and_frees_the_port(own: Network) -> None:
    own.start()
    assert own.stop() == 0
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", own.port))


def test_a_port_in_use_is_named(own: Network) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", own.port))
        taken.listen()
        status, said = own.run_to_its_end()
    assert status == 2
    assert f"port {own.port}" in said
    assert "Traceback" not in said


def test_a_second_process_on_the_same_folder_is_refused(own: Network) -> None:
    own.start()
    (spec,) = own.devnet.processes()
    argv = ["0" if entry == str(own.port) else entry for entry in spec.argv]
    second = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    assert second.returncode == 2
    assert b"locked" in second.stderr


@pytest.mark.parametrize("name", ["genesis.json", "priv_validator_key.json"])
def test_configuration_that_is_missing_or_noise_is_named(own: Network, name: str) -> None:
    path = own.folder / "config" / name
    path.write_text('{"priv_key": {"value": "c2VjcmV0"}}')
    status, said = own.run_to_its_end()
    assert (status, name in said, "c2VjcmV0" in said) == (2, True, False)
    path.unlink()
    status, said = own.run_to_its_end()
    assert (status, name in said) == (2, True)


# --- damage --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a chain of some blocks with transactions, whose node has ended."""
    network = Network(tmp_path_factory.mktemp("made"), interval=0.05)
    network.start()
    client = Client(network)
    for sequence in range(4):
        client.transfer(sequence)
    network.kill()
    return network.folder


def opened(folder: Path) -> Chain:
    """What the node does when it starts, in this process."""
    genesis = GenesisDocument.from_json(
        json.loads((folder / "config" / "genesis.json").read_text())
    )
    key = ValidatorKey.from_json(
        json.loads((folder / "config" / "priv_validator_key.json").read_text())
    )
    store = BlockStore.open(folder / "blocks.db", genesis.hash())
    try:
        return Chain(genesis, key, Application(MemoryStateStore()), store, lambda: 0)
    finally:
        store.close()


@pytest.fixture
def damaged(made: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the chain's blocks, to be damaged; ``tmp_path`` is its folder."""
    (tmp_path / "config").symlink_to(made / "config")
    copy = sqlite3.connect(tmp_path / "blocks.db", isolation_level=None)
    source = sqlite3.connect(made / "data" / "blocks.db")
    source.backup(copy)
    source.close()
    yield copy
    copy.close()


def test_an_undamaged_copy_starts_and_replays_to_the_same_state(
    damaged: sqlite3.Connection, tmp_path: Path
) -> None:
    damaged.close()
    chain = opened(tmp_path)
    assert chain.newest is not None
    assert chain.application.info().last_block_app_hash == chain.newest.app_hash


WITH_TX = "(SELECT min(height) FROM tx)"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM block WHERE height = 3", "missing"),
        ("DELETE FROM block WHERE height < 3", "missing"),
        (f"UPDATE block SET block = substr(block, 1, 400) WHERE height = {WITH_TX}", "read"),
        (
            'UPDATE block SET block = replace(block, \'"chain_id": "i\', \'"chain_id": "j\')',
            "chain",
        ),
        (
            'UPDATE block SET block = replace(block, \'"proposer_address": "\','
            ' \'"proposer_address": "00\') WHERE height = 3',
            "read",
        ),
        (
            "UPDATE block SET block = json_set(block, '$.data.txs[0]', 'AAAA') WHERE height = "
            + WITH_TX,
            "transactions are not",
        ),
        (
            "UPDATE block SET block = json_set(block, '$.last_commit.round', 1) WHERE height = 3",
            "signed",
        ),
        (
            "UPDATE block SET block = json_set(block, '$.last_commit.signatures', json('[]'))"
            " WHERE height = 3",
            "commit",
        ),
        (
            "UPDATE block SET block = json_set(block, '$.header.time', '2030-01-01T00:00:00Z')"
            " WHERE height = 3",
            "hash",
        ),
        ("UPDATE block SET results = '[]' WHERE height = " + WITH_TX, "results"),
        (
            "UPDATE block SET results = json_set(results, '$[0].code', 5) WHERE height = "
            + WITH_TX,
            "results",
        ),
        ("UPDATE block SET app_hash = x'00' WHERE height = 3", "app hash"),
        (
            "UPDATE block SET app_hash = x'00' WHERE height = (SELECT max(height) FROM block)",
            "another state",
        ),
        (
            "UPDATE block SET block_id = (SELECT block_id FROM block WHERE height = 2)"
            " WHERE height = 3",
            "hash",
        ),
        ("UPDATE chain SET genesis = x'00'", "another genesis"),
        ("DROP TABLE block", "cannot be read"),
        ("PRAGMA user_version = 99", "version"),
        ("PRAGMA application_id = 7", "not a block store"),
    ],
)
def test_a_damaged_block_store_is_refused(
    damaged: sqlite3.Connection, tmp_path: Path, damage: str, said: str
) -> None:
    damaged.execute(damage)
    damaged.close()
    with pytest.raises(CorruptBlocks, match=said):
        opened(tmp_path)


def test_a_block_that_names_another_before_it_is_refused(
    damaged: sqlite3.Connection, tmp_path: Path
) -> None:
    """Everything else about the newest block is made to fit."""
    height, text = damaged.execute("SELECT max(height), block FROM block").fetchone()
    block = Block.from_json(json.loads(text))
    other = replace(block.header, last_block_id=BlockId(b"\xab" * 32, 1, b"\xcd" * 32))
    forged = replace(block, header=other)
    damaged.execute(
        "UPDATE block SET block = ?, block_id = ?, hash = ? WHERE height = ?",
        (
            json.dumps(forged.to_json()),
            json.dumps(forged.block_id().to_json()),
            forged.header.hash(),
            height,
        ),
    )
    damaged.close()
    with pytest.raises(CorruptBlocks, match="does not name the block before it"):
        opened(tmp_path)


def test_a_truncated_or_overwritten_file_is_refused(
    damaged: sqlite3.Connection, tmp_path: Path
) -> None:
    damaged.close()
    path = tmp_path / "blocks.db"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"noise" * 2000):
        path.write_bytes(content)
        with pytest.raises(CorruptBlocks):
            opened(tmp_path)


@pytest.mark.parametrize("which", ["application.db", "blocks.db"])
def test_the_process_says_what_is_damaged_and_ends(own: Network, which: str) -> None:
    own.start()
    Client(own).transfer(0)
    own.kill()
    path = own.folder / "data" / which
    db = sqlite3.connect(path, isolation_level=None)
    if which == "application.db":
        db.execute(
            "UPDATE item SET value = zeroblob(length(value))"
            " WHERE substr(key, 1, 8) = CAST('balance/' AS BLOB)"
        )
    else:
        db.execute("DELETE FROM block WHERE height > 2")
    db.close()
    status, said = own.run_to_its_end()
    assert status == 2
    assert "cannot start" in said
    assert "backup" in said
    assert "Traceback" not in said


def test_a_crash_between_block_and_state_is_made_good(own: Network) -> None:
    """The block is stored first: an application that is behind gets the block replayed."""
    own.start()
    client = Client(own)
    outcome = client.transfer(0)
    own.kill()
    # As if the application had never committed: it starts from nothing, and catches up.
    for path in (own.folder / "data").glob("application.db*"):
        path.unlink()
    own.start()
    assert client.get(f"tx?hash=0x{outcome['hash']}")["height"] == outcome["height"]
    assert client.transfer(0)["check_tx"]["code"] != 0
    assert client.transfer(1)["tx_result"]["code"] == 0


def test_the_genesis_of_the_application_is_the_documents(own: Network) -> None:
    own.start()
    text = Client(own).get("genesis")["genesis"]
    document = GenesisDocument.from_json(text)
    assert document.hash() == Client(own).genesis
    assert text["app_state"]["accounts"][0]["public_key"] == ALICE.compressed.hex()


def test_bad_arguments_are_one_line(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "adapters.native.node", "--home", str(tmp_path), "--port", "1"]
    done = subprocess.run([*argv, "--block-interval", "0"], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"--block-interval" in done.stderr
