"""isthmus devnet up, status and down, in every state that its folder can be in."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.devnet.ports import is_free
from gateway.devnet.processes import Processes
from gateway.devnet.turn import sole_turn
from gateway.settings import load_gateway
from tests.gateway.cli.command import environment, isthmus, refused
from tests.ports import free_block

LEDGERS = ("--chains", "native")
PORTS_NEEDED = 7


def there(path: Path) -> bool:
    return path.exists()


def damage(folder: Path) -> None:
    folder.mkdir()
    (folder / "devnet.json").write_text("{")


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    yield tmp_path / "devnet"
    await isthmus("devnet", "down", "--dir", tmp_path / "devnet")


@pytest.fixture
def base() -> int:
    return free_block(PORTS_NEEDED).start


async def test_up_twice_killed_up_again_and_down(folder: Path, base: int) -> None:
    here = ("--dir", folder)
    up = ("devnet", "up", *here, *LEDGERS)
    assert "isthmus devnet up" in await refused("devnet", "status", *here)
    assert "isthmus devnet up" in await refused("devnet", "down", *here)
    started = await isthmus(*up, "--ports", base)
    assert started.status == 0, started
    assert "isthmus gateway run -c " in started.out
    for name in ("alpha", "beta"):
        settings = load_gateway(folder / name / "gateway.yaml", {})
        assert [chain.name for chain in settings.chains] == ["native"]
    assert "is up already" in await refused(*up)
    assert "holds an embedded network of native" in await refused(
        "devnet", "up", *here, "--chains", "ethereum"
    )
    status = await isthmus("devnet", "status", *here, "--json")
    assert status.status == 0
    assert set(status.json["processes"].values()) == {True}

    processes = Processes(folder, die_with_us=False)
    (name,) = processes.names()
    processes.signal(name, signal.SIGKILL)
    status = await isthmus("devnet", "status", *here)
    assert status.status == 1
    assert "has ended" in status.out
    keys = (folder / "alpha" / "keys" / "identity.json").read_bytes()
    again = await isthmus(*up, "--json")
    assert again.status == 0, again
    assert json.loads(again.out)["gateways"].keys() == {"alpha", "beta"}
    assert (folder / "alpha" / "keys" / "identity.json").read_bytes() == keys

    down = await isthmus("devnet", "down", *here, "--json")
    assert down.json == {"folder": str(folder), "ended": [name], "killed": []}
    assert all(is_free(port) for port in range(base, base + PORTS_NEEDED))
    assert "is down" in (await isthmus("devnet", "status", *here)).out
    assert "nothing was running" in (await isthmus("devnet", "down", *here)).out


async def test_a_port_that_is_taken_is_named_and_nothing_starts(folder: Path, base: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + 2))
        taken.listen()
        message = await refused("devnet", "up", "--dir", folder, *LEDGERS, "--ports", base)
    assert f"port {base + 2} on 127.0.0.1 is in use" in message
    assert "--ports BASE" in message
    assert not there(folder)


async def test_an_unknown_ledger_is_refused(folder: Path) -> None:
    for ledgers in ("bitcoin", "", "native,native"):
        assert "--chains" in await refused("devnet", "up", "--dir", folder, "--chains", ledgers)
    assert not there(folder)


async def test_a_damaged_folder_is_not_taken_for_a_network(folder: Path) -> None:
    damage(folder)
    for command in ("up", "status", "down"):
        message = await refused("devnet", command, "--dir", folder)
        assert "devnet.json is damaged" in message


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_interrupted_in_the_middle(folder: Path, base: int, number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "devnet", "up"),
        *("--dir", str(folder), *LEDGERS, "--ports", str(base)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    async with asyncio.timeout(60):
        while not there(folder / "pids" / "native-node"):  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.01)
    os.kill(process.pid, number)
    _, err = await process.communicate()
    assert b"Traceback" not in err, err.decode()
    if number is not signal.SIGKILL:
        assert all(is_free(port) for port in range(base, base + PORTS_NEEDED))
    else:
        await isthmus("devnet", "down", "--dir", folder)
    again = await isthmus("devnet", "up", "--dir", folder, *LEDGERS)
    assert again.status == 0, again


async def test_one_command_at_a_time_works_in_a_folder(folder: Path, base: int) -> None:
    await isthmus("devnet", "up", "--dir", folder, *LEDGERS, "--ports", base)
    assert (await isthmus("devnet", "down", "--dir", folder)).status == 0
    with sole_turn(folder):
        for command in (("up", *LEDGERS), ("down",)):
            said = await refused("devnet", *command, "--dir", folder)
            assert said.startswith("another isthmus devnet up or down is at work in ")
    assert (await isthmus("devnet", "down", "--dir", folder)).status == 0
