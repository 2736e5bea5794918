"""What a gateway or a watchtower does not start with: one sentence, and nothing is changed."""

from __future__ import annotations

import re
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relayers.journal.port import SCHEMA_VERSION
from relayers.journal.sqlite import SqliteJournal
from tests.gateway.cli.command import refusal
from tests.gateway.cli.forked_command import ForkedCommand, started
from tests.gateway.two_gateways import World, files_below, make_world, write_watchtower
from tests.ports import free_port


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in files_below(folder)}


async def refused_unchanged(folder: Path, *arguments: object, **options: Any) -> str:
    """The one sentence; no file below the folder is another, or a new one, afterwards."""
    before = contents(folder)
    assert before
    message = refusal(await started(*arguments, **options))
    after = contents(folder)
    assert after.keys() == before.keys()
    assert [name for name in before if after[name] != before[name]] == []
    return message


def truncated(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes()[:-4096])


def emptied(journal: Path) -> None:
    journal.write_bytes(b"")


def newer(journal: Path) -> None:
    with sqlite3.connect(journal) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()


def damaged(journal: Path) -> None:
    """Whole by its header, and not by what is in it."""
    content = bytearray(journal.read_bytes())
    content[8192 : 8192 + 4096] = b"\xff" * 4096
    journal.write_bytes(content)


def somebodys_text(journal: Path) -> None:
    journal.write_text("a shopping list, longer than the header of a database\n" * 3)


async def with_journal(world: World) -> Path:
    path = world.alice.folder / "journal.db"
    await (await SqliteJournal.open(path, "alice")).close()
    return path


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncated, "is truncated: it has"),
        (emptied, "is empty, so it was truncated"),
        (newer, f"has schema version {SCHEMA_VERSION + 1}, and this program reads up to"),
        (damaged, "is damaged"),
        (somebodys_text, "is not a journal of this program"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
async def test_a_journal_that_cannot_be_used_is_left_as_it_is(
    world: World, spoil: Callable[[Path], None], message: str
) -> None:
    path = await with_journal(world)
    spoil(path)
    said = await refused_unchanged(world.alice.folder, "gateway", "run", "-c", world.alice.file)
    assert said.startswith(f"journal {path} {message}"), said


async def test_a_journal_of_another_organisation_is_left_as_it_is(world: World) -> None:
    path = await with_journal(world)
    said = await refused_unchanged(
        world.alice.folder,
        *("gateway", "run", "-c", world.alice.file),
        env={"ISTHMUS_GATEWAY__ORGANISATION": "mallory"},
    )
    assert said.startswith(f"journal {path} belongs to alice, not to mallory")


async def test_what_a_running_gateway_has_is_not_taken_from_it(world: World) -> None:
    run = ("gateway", "run", "-c", world.alice.file)
    first = ForkedCommand(*run)
    try:
        await first.logged('"event": "running"')
        api, peer = str(free_port()), str(free_port())
        for elsewhere, message in (
            ({}, f"api: port {world.alice.api_port} of 127.0.0.1 is in use by another process"),
            (
                {"ISTHMUS_API__PORT": api},
                f"peer_api: port {world.alice.peer_port} of 127.0.0.1 is in use",
            ),
            (
                {"ISTHMUS_API__PORT": api, "ISTHMUS_PEER_API__PORT": peer},
                f"journal {world.alice.folder / 'journal.db'} is open in another process",
            ),
        ):
            said = refusal(await started(*run, env=elsewhere))
            assert said.startswith(message), said
        assert first.lives
    finally:
        first.end()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"GATEWAY__SWAP_KEY__PASSPHRASE": "file:token"}, "gateway.swap_key: .*passphrase is wr"),
        ({"CHAINS__BETA__KEY__PASSPHRASE": "file:token"}, "chains.beta.key: .*passphrase is wr"),
        ({"CHAINS__BETA__KEY__PASSPHRASE": "file:none"}, "the passphrase of chains.beta.key: "),
        ({"CHAINS__BETA__CHAIN": "sim"}, "CHAINS__BETA__CHAIN: chains.beta.chain: .*CAIP-2"),
        ({"CHAINS__BETA__ADAPTER": "besu"}, "chains.beta.adapter: there is no adapter 'besu'"),
        ({"PEERS__0__ADDRESS": "'0x12'"}, "peers.0.address: "),
        ({"API__TOKEN": "file:none"}, "api.token.*none"),
    ],
)
async def test_what_a_configuration_cannot_mean_changes_nothing(
    world: World, changes: dict[str, str], message: str
) -> None:
    said = await refused_unchanged(
        world.alice.folder,
        *("gateway", "run", "-c", world.alice.file),
        env={f"ISTHMUS_{name}": value for name, value in changes.items()},
    )
    assert re.search(message, said), said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": {"port": "TAKEN"}}, "metrics: port [0-9]+ of 127.0.0.1 is in use"),
        ({"serves": ["sim:nowhere:ann"]}, "serves.0: account .* not configured here"),
        ({"serves": ["ann"]}, "serves.0: .*CAIP-10"),
        ({"patience": -1}, "patience: .*greater than or equal to 0"),
    ],
)
async def test_a_watchtower_says_in_one_sentence_why_it_does_not_start(
    world: World, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "tower"
    folder.mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        if "metrics" in changes:
            changes = {"metrics": {"port": taken.getsockname()[1]}}
        file = write_watchtower(world, folder, **changes)
        said = await refused_unchanged(folder, "watchtower", "run", "-c", file)
    assert re.search(message, said), said


async def test_a_watchtower_with_a_wrong_passphrase_does_not_start(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "tower"
    folder.mkdir()
    file = write_watchtower(world, folder)
    said = await refused_unchanged(
        folder,
        *("watchtower", "run", "-c", file),
        env={"ISTHMUS_CHAINS__BETA__KEY__PASSPHRASE": "file:tower.yaml"},
    )
    assert re.search("chains.beta.key: .*passphrase is wrong", said), said
