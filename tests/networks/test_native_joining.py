"""docs/how-to/join-a-cometbft-chain.md, command by command, on a chain of four validators.

A fifth node joins block by block, a sixth from a snapshot; the driver works with each.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.devnet import ProcessSpec
from adapters.model import Claim, LockState
from adapters.native.real_network import node_id
from adapters.spi import Misconfigured
from tests.adapters.native.bench import fresh
from tests.adapters.native.chain_fixture import BOB
from tests.networks.cometbft import (
    NETWORK,
    CometNetwork,
    ask,
    cometbft_or_skip,
    height_of,
    reached,
    running,
)
from tests.networks.native_locks import carried_out, opened
from tests.ports import free_port

COMETBFT = cometbft_or_skip()
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "join-a-cometbft-chain.md"
SNAPSHOT = 100


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CometNetwork]:
    with running(CometNetwork(tmp_path_factory.mktemp("joining"), commit="50ms")) as network:
        yield network


@dataclass(frozen=True)
class Page:
    """The page's commands: each block in a shell, under its heading."""

    text: str

    def blocks(self, heading: str) -> list[str]:
        _, found, rest = self.text.partition(f"\n## {heading}\n")
        assert found, f"the page has no heading {heading!r}"
        return re.findall(r"(?ms)^```sh\n(.*?)^```$", rest.partition("\n## ")[0])


class Joining:
    """A node that is made as the page says. What a reader fills in is ``given``."""

    def __init__(self, network: CometNetwork, folder: Path) -> None:
        self.network = network
        self.page = Page(PAGE.read_text())
        self.rpc = free_port()
        folder.mkdir()
        self._folder = folder
        peers = ",".join(f"{node_id(one.home)}@127.0.0.1:{one.p2p}" for one in network.validators)
        self._given: Mapping[str, str] = {
            "NODE": str(folder / "node"),
            "PEERS": peers,
            "P2P": str(free_port()),
            "RPC": str(self.rpc),
            "APPLICATION": str(free_port()),
            "RPC_SERVERS": ",".join(one.url for one in network.validators[:2]),
            "PATH": f"{COMETBFT.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        shutil.copy(network.validators[0].home / "config" / "genesis.json", folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.rpc}"

    async def run(self, *blocks: str) -> str:
        """What the last of these commands printed. Blocks in which a reader fills something in
        (``export``) are filled in by ``given``."""
        printed = ""
        for block in blocks:
            if block.startswith("export "):
                continue
            done = await asyncio.to_thread(
                subprocess.run,
                ["bash", "-euo", "pipefail", "-c", block],
                cwd=self._folder,
                env=os.environ | dict(self._given),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, f"{block}\n{done.stderr}"
            printed = done.stdout
        return printed

    async def make(self) -> str:
        """The chain id that the page has the reader compare."""
        _, init, identify, configure = self.page.blocks("Make the node")
        await self.run(init)
        printed = await self.run(identify)
        await self.run(configure)
        # All nodes here have one address; on the page each has its own.
        self.configure("allow_duplicate_ip = false", "allow_duplicate_ip = true")
        self.configure("addr_book_strict = true", "addr_book_strict = false")
        return printed.strip()

    def configure(self, old: str, new: str) -> None:
        path = self._folder / "node" / "config" / "config.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def start(self, name: str) -> None:
        services = [
            block for block in self.page.blocks("Start it") if block.startswith("# a service\n")
        ]
        assert len(services) == 2
        for number, block in enumerate(services):
            self.network.processes.start(
                ProcessSpec(f"{name}-{number}", ("bash", "-euc", block), self._given)
            )

    async def caught_up(self) -> None:
        """As the page asks for it."""
        (asks,) = [block for block in self.page.blocks("Start it") if block.startswith("curl")]
        async with asyncio.timeout(120):
            while True:
                try:
                    if (await self.run(asks)).strip() == "false":
                        return
                except AssertionError:
                    pass  # it does not answer yet
                await asyncio.sleep(0.3)

    async def claims(self) -> None:
        """A lock and its claim through this node alone."""
        async with self.network.adapter(urls=[self.url]) as adapter:
            preimage = fresh()
            lock_id = await opened(adapter, self.network, preimage)
            await carried_out(
                adapter, Claim(lock_id, preimage), self.network.credential(BOB), LockState.CLAIMED
            )


@pytest.mark.shows("native", NETWORK, "a fifth node joins by the page of the docs")
async def test_a_fifth_node_joins_block_by_block(network: CometNetwork, tmp_path: Path) -> None:
    joining = Joining(network, tmp_path / "fifth")
    assert await joining.make() == network.settings().chain
    joining.start("fifth")
    await joining.caught_up()
    await reached(joining.url, await network.height())
    await joining.claims()
    status = await ask(joining.url, "status")
    assert status["sync_info"]["earliest_block_height"] == "1"
    assert status["validator_info"]["voting_power"] == "0"


@pytest.mark.shows("native", NETWORK, "a node joins from a snapshot")
async def test_a_sixth_node_joins_from_a_snapshot(network: CometNetwork, tmp_path: Path) -> None:
    await network.reached(SNAPSHOT + 3)
    joining = Joining(network, tmp_path / "sixth")
    await joining.make()
    await joining.run(*joining.page.blocks("Start from a snapshot instead"))
    # Peers are asked for snapshots for as long as that; all are here at once.
    joining.configure('discovery_time = "15s"', 'discovery_time = "5s"')
    joining.start("sixth")
    await joining.caught_up()
    height = await height_of(joining.url)
    await network.reached(height)
    status = await ask(joining.url, "status")
    assert int(status["sync_info"]["earliest_block_height"]) >= SNAPSHOT
    headers = [
        (await ask(url, "header", height=str(height)))["header"]
        for url in (joining.url, network.validators[0].url)
    ]
    assert headers[0] == headers[1]
    await joining.claims()
    # What the page says of a gateway that begins to read at the first block.
    async with network.adapter(urls=[joining.url]) as adapter:
        with pytest.raises(Misconfigured, match="keeps blocks only from height"):
            async for _ in adapter.events(None):
                pass
