"""isthmus devnet up --real: up, killed, up again where it was, down to the last process."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from adapters.devnet import Participant
from adapters.native.real_network import COMETBFT, VALIDATORS, RealNetwork
from gateway.devnet.environment import ORGANISATIONS
from gateway.devnet.ledgers import open_network
from gateway.devnet.ports import is_free
from gateway.devnet.processes import Processes
from gateway.settings import load_gateway, programs_here
from tests.adapters.native.chain_fixture import ALICE, BOB
from tests.gateway.cli.command import environment, isthmus, refused
from tests.networks.organisations import skip_without
from tests.ports import free_block

NETWORK = "CometBFT, four validators"
CHAINS = ("--real", "--chains", "native")
PORTS_NEEDED = 3 * VALIDATORS + 2 * (len(ORGANISATIONS) + 1)


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    skip_without(programs_here().missing([COMETBFT]))
    yield tmp_path / "devnet"
    await isthmus("devnet", "down", "--dir", tmp_path / "devnet")


def there(path: Path) -> bool:
    return path.exists()


async def height(base: int) -> int:
    """The newest block at the first validator, whose RPC has the first port."""
    async with httpx.AsyncClient() as client:
        status = (await client.get(f"http://127.0.0.1:{base}/status")).json()
    return int(status["result"]["sync_info"]["latest_block_height"])


def of_folder(folder: Path) -> list[psutil.Process]:
    """Every living process that was started for the folder, by its environment."""
    found = []
    for process in psutil.process_iter(["environ", "status"]):
        environ = process.info["environ"] or {}
        if (
            environ.get("ISTHMUS_DEVNET") == str(folder.resolve())
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ):
            found.append(process)
    return found


@pytest.mark.shows("native", NETWORK, "devnet up, down, and up again where it was")
async def test_it_goes_on_where_it_was(folder: Path) -> None:
    base = free_block(PORTS_NEEDED).start
    up = ("devnet", "up", "--dir", folder, *CHAINS)
    started = await isthmus(*up, "--ports", base)
    assert started.status == 0, started
    chain = load_gateway(folder / "alpha" / "gateway.yaml", {}).chains[0].settings.chain
    status = await isthmus("devnet", "status", "--dir", folder, "--json")
    assert list(status.json["processes"].values()) == [True] * 2 * VALIDATORS
    assert "holds a real network of native" in await refused(
        "devnet", "up", "--dir", folder, "--chains", "native"
    )
    node = Processes(folder, die_with_us=False).find("native-validator2")
    assert node is not None
    assert node.needs == ("native-application-2",)
    reached = await height(base)
    down = await isthmus("devnet", "down", "--dir", folder, "--json")
    assert len(down.json["ended"]) == 2 * VALIDATORS
    assert down.json["killed"] == []
    assert not of_folder(folder)
    assert all(is_free(port) for port in range(base, base + PORTS_NEEDED))

    again = await isthmus(*up)
    assert again.status == 0, again
    assert await height(base) >= reached
    assert load_gateway(folder / "alpha" / "gateway.yaml", {}).chains[0].settings.chain == chain


KILLED = "devnet up killed in the middle leaves nothing after down"


@pytest.mark.parametrize(
    ("chain", "started"),
    [
        pytest.param("native", 3, marks=pytest.mark.shows("native", NETWORK, KILLED)),
        # All of its processes: what is killed then is the commands that set the channel up.
        pytest.param("fabric", 7, marks=pytest.mark.shows("fabric", "Fabric", KILLED)),
    ],
)
async def test_killed_in_the_middle_down_ends_the_rest(
    tmp_path: Path, chain: str, started: int
) -> None:
    network = open_network(chain, tmp_path / "none", programs_here())
    skip_without(network.missing())
    folder = tmp_path / "devnet"
    needed = network.ports_needed + 2 * (len(ORGANISATIONS) + 1)
    base = free_block(needed).start
    arguments = ("devnet", "up", "--real", "--chains", chain, "--dir", str(folder))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", *arguments, "--ports", str(base)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(),
    )
    while len(Processes(folder, die_with_us=False).names()) < started:
        assert process.returncode is None
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert of_folder(folder)
    down = await isthmus("devnet", "down", "--dir", folder)
    assert down.status == 0, down
    assert not of_folder(folder)
    assert all(is_free(port) for port in range(base, base + needed))


async def test_a_port_that_is_taken_is_named_and_nothing_is_started(folder: Path) -> None:
    ports = free_block(PORTS_NEEDED)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", ports[5])
    async with server:
        said = await refused("devnet", "up", "--dir", folder, *CHAINS, "--ports", ports.start)
    assert f"port {ports[5]} on 127.0.0.1 is in use" in said
    assert not there(folder)


async def test_a_release_that_is_not_there_is_named(tmp_path: Path) -> None:
    nowhere = {"FABRIC_HOME": str(tmp_path), "PATH": str(Path(sys.executable).parent)}
    said = await refused(
        *("devnet", "up", "--real", "--chains", "fabric", "--dir", tmp_path / "devnet"),
        env=nowhere,
    )
    assert "Hyperledger Fabric" in said
    assert "FABRIC_HOME" in said
    assert not there(tmp_path / "devnet")


async def test_an_ordering_that_cannot_be_is_refused(tmp_path: Path) -> None:
    for words, said in (
        (("--real", "--chains", "fabric", "--ordering", "bzt"), "'bzt' is none of raft"),
        (("--real", "--chains", "native", "--ordering", "bft"), "only a real Fabric channel"),
        (("--chains", "fabric", "--ordering", "bft"), "only a real Fabric channel"),
    ):
        refusal = await refused("devnet", "up", *words, "--dir", tmp_path / "devnet")
        assert refusal.startswith("--ordering: ")
        assert said in refusal
    assert not there(tmp_path / "devnet")


@pytest.mark.shows(
    "fabric", "Fabric, four BFT orderers", "devnet up, down, and up again where it was"
)
async def test_a_channel_of_bft_orderers_goes_on_where_it_was(tmp_path: Path) -> None:
    skip_without(open_network("fabric", tmp_path / "none", programs_here(), "bft").missing())
    folder = tmp_path / "devnet"
    up = ("devnet", "up", "--real", "--chains", "fabric", "--dir", folder)
    try:
        started = await isthmus(*up, "--ordering", "bft")
        assert started.status == 0, started
        names = Processes(folder, die_with_us=False).names()
        assert sum(name.startswith("fabric-orderer") for name in names) == 4
        assert (await isthmus("devnet", "down", "--dir", folder)).status == 0
        assert "has bft" in await refused(*up, "--ordering", "raft")
        again = await isthmus(*up)
        assert again.status == 0, again
        assert Processes(folder, die_with_us=False).names() == names
    finally:
        await isthmus("devnet", "down", "--dir", folder)


def test_a_network_that_was_prepared_for_others_is_refused(tmp_path: Path) -> None:
    network = RealNetwork(tmp_path, programs_here())
    ports = range(20_000, 20_000 + network.ports_needed)
    network.prepare(ports, [Participant("alice", ALICE.public_key)])
    genesis = (tmp_path / "validator0/config/genesis.json").read_bytes()
    with pytest.raises(ValueError, match="prepared for other participants"):
        network.prepare(ports, [Participant("bob", BOB.public_key)])
    network.prepare(
        range(21_000, 21_000 + network.ports_needed), [Participant("alice", ALICE.public_key)]
    )
    assert (tmp_path / "validator0/config/genesis.json").read_bytes() == genesis
    assert "21001" in (tmp_path / "validator1/config/config.toml").read_text()
