"""Anvil and Geth side by side: one chain id, the same rules, keys, contracts, times of blocks."""

from __future__ import annotations

import asyncio
import shutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.codec.secp256k1 import address_of
from adapters.ethereum import erc20
from adapters.ethereum.adapter import EthereumAdapter
from adapters.ethereum.devnet_contracts import COIN_EACH, make_ready
from adapters.ethereum.devnet_folder import DevnetFolder
from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import Call
from adapters.ethereum.real_network import CHAIN_NUMBER
from adapters.ethereum.rpc import Rpc
from adapters.ethereum.signed_transaction import Fees, sign
from adapters.model import InvalidValue
from adapters.spi import AdapterError, Credential, Rejected
from tests.adapters.ethereum.anvil import Process, bare_anvil, rpc
from tests.adapters.ethereum.bench import credential, opened
from tests.adapters.ethereum.signer import LocalSigner
from tests.networks.geth import Blocks, GethNetwork, running

PRICE = 10 * 10**9
"""Of a unit of gas, in wei, fixed: so fees are the same to the wei whatever the base fee."""
PARTIES = 3
FINAL_BY = 2


class Side(ABC):
    """One of the two, and what the sequence does to it."""

    def __init__(self, name: str, url: str, adapter: EthereumAdapter, settings: Any) -> None:
        self.name = name
        self.url = url
        self.adapter = adapter
        self.settings = settings
        self.rpc = Rpc(name, (url,), CHAIN_NUMBER, 20.0)
        self.said = ""
        """The words of the last outcome, for a failure's message."""

    def ask(self, method: str, *params: Any) -> Any:
        return rpc(self.url, method, *params)

    @abstractmethod
    def mine(self, time: int) -> None:
        """Makes a block of this time, in Unix seconds."""

    def signer_of(self, number: int) -> Credential:
        return credential(self.settings, LocalSigner(f"party {number}"))

    async def send(self, signer: LocalSigner, call: Call, nonce: int | None = None) -> None:
        """Signs and hands in what the driver itself would not send."""
        if nonce is None:
            address = checksummed(address_of(signer.public_key))
            nonce = int(self.ask("eth_getTransactionCount", address, "pending"), 16)
        fees = Fees(PRICE, None)
        signed = await sign(signer, CHAIN_NUMBER, nonce, 200_000, fees, call)
        await self.rpc.broadcast(signed.raw)

    async def outcome(self, work: Awaitable[Any]) -> str:
        """What a call comes to, in the interface's words."""
        self.said = ""
        try:
            await work
        except Rejected as error:
            self.said = str(error)
            return f"Rejected {error.reason}"
        except (AdapterError, InvalidValue) as error:
            self.said = str(error)
            return type(error).__name__
        return "taken"


class AnvilSide(Side):
    def mine(self, time: int) -> None:
        self.ask("evm_setNextBlockTimestamp", hex(time))
        self.ask("evm_mine")


class GethSide(Side):
    def __init__(self, network: GethNetwork, adapter: EthereumAdapter, settings: Any) -> None:
        super().__init__("geth", network.url, adapter, settings)
        self._network = network

    def mine(self, time: int) -> None:
        self._network.mine(at=time)


@dataclass
class Pair:
    """Both sides, and the time of their newest blocks."""

    sides: tuple[Side, Side]
    time: int
    begin: int
    """The height of both from which on they are the same."""
    found: dict[str, tuple[str, str]]
    """Differences, by what was done."""

    async def both(self, label: str, act: Callable[[Side], Awaitable[str]]) -> str:
        anvil, geth = [await act(side) for side in self.sides]
        if anvil != geth:
            self.found[label] = (anvil, geth)
        return geth

    def mine(self, seconds: int = 1) -> None:
        self.time += seconds
        for side in self.sides:
            side.mine(self.time)


Grounds = tuple[Process, GethNetwork, dict[str, Any]]
"""Anvil, Geth, and the settings of a chain on Geth."""


@contextmanager
def grounds_in(folder: Path) -> Iterator[Grounds]:
    """Both nodes, with the contracts of one deployer at the same addresses."""
    signers = [LocalSigner(f"party {number}") for number in range(PARTIES)]
    made = GethNetwork(folder / "made", signers, Blocks.WITH_EACH_TRANSACTION)
    with running(made):
        asyncio.run(made.devnet.ready())
    geth = made.copy_to(folder / "geth", Blocks.ON_DEMAND)
    arguments = ("--chain-id", str(CHAIN_NUMBER), "--hardfork", "osaka", "--order", "fifo")
    with running(geth), bare_anvil(folder / "anvil.log", *arguments) as anvil:
        own = _folder_of(anvil, geth, folder / "anvil")
        asyncio.run(make_ready(own, "anvil", _give))
        assert own.made["contract"] == geth.settings()["contract"]
        rpc(anvil.url, "evm_setAutomine", False)
        yield anvil, geth, geth.settings()


def _folder_of(anvil: Process, geth: GethNetwork, path: Path) -> DevnetFolder:
    """With Geth's deployer and participants, at Anvil's port."""
    path.mkdir()
    for name in ("devnet.json", "deployer.key"):
        shutil.copy(geth.folder / name, path / name)
    plan = (path / "devnet.json").read_text()
    port = anvil.url.rpartition(":")[2]
    (path / "devnet.json").write_text(plan.replace(geth.url.rpartition(":")[2], port))
    return DevnetFolder(path, CHAIN_NUMBER)


async def _give(node: Rpc, address: bytes) -> None:
    await node.call("anvil_setBalance", checksummed(address), hex(COIN_EACH))


@asynccontextmanager
async def pair_on(grounds: Grounds) -> AsyncIterator[Pair]:
    anvil, geth, settings = grounds
    common = {
        **settings,
        "deployed_at": 0,
        "gas_price": PRICE,
        "final_by": 2,
        "poll_interval": 0.05,
        "inclusion": 9,
    }
    ours = {**common, "urls": [anvil.url]}
    theirs = {**common, "urls": [geth.url]}
    async with AsyncExitStack() as stack:
        sides = (
            AnvilSide("anvil", anvil.url, await stack.enter_async_context(opened(ours)), ours),
            GethSide(geth, await stack.enter_async_context(opened(theirs)), theirs),
        )
        heights = [int(side.ask("eth_blockNumber"), 16) for side in sides]
        newest = [side.ask("eth_getBlockByNumber", "latest", False) for side in sides]
        now = max(int(block["timestamp"], 16) for block in newest) + 1
        pair = Pair(sides, now, max(heights) + 1, {})
        # As high as each other: heights are compared as well.
        for side, height in zip(sides, heights, strict=True):
            for number in range(max(heights) - height):
                side.mine(pair.time + number)
        pair.time += max(heights) - min(heights)
        for side in sides:
            stack.push_async_callback(side.rpc.close)
        await _approve(pair)
        yield pair


async def _approve(pair: Pair) -> None:
    """Every party's tokens for the contract: the driver would wait for a block with it."""
    settings = pair.sides[0].settings
    token, contract = (_bytes(text) for text in (settings["tokens"][0], settings["contract"]))
    for number in range(PARTIES):
        for side in pair.sides:
            await side.send(LocalSigner(f"party {number}"), erc20.approval(token, contract))
    pair.mine()


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])
