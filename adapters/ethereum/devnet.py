"""A development network of Ethereum: Anvil, the lock contract, a token, funded participants.

Anvil writes its state to a file every second and when it is stopped; a kill -9 loses the blocks
since the last of these writes, at most one second of them. It starts through ``anvil_process``,
which keeps the file whole: Anvil writes it in place, and a write cut short must not be what it
starts from.

A contract that an older version of this package deployed is deployed anew, at an address of its
own: gateways refuse code that they do not know. What the old one holds stays in it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.codec.secp256k1 import address_of
from adapters.devnet import Participant, ProcessSpec
from adapters.ethereum.account import Account
from adapters.ethereum.artifact import Artifact, load
from adapters.ethereum.fees import FeePolicy
from adapters.ethereum.identity import Identities, checksummed
from adapters.ethereum.lock_contract import BALANCE_OF, TRANSFER, Call, encode
from adapters.ethereum.node_errors import NodeFailed, NodeRefused
from adapters.ethereum.quantities import data, quantity, to_hex
from adapters.ethereum.rpc import Node, Rpc
from adapters.ethereum.tooling import ToolSet, install
from adapters.model import AssetId, ChainId
from adapters.spi import AdapterError, Misconfigured, Scheme, Unavailable

log = logging.getLogger(__name__)

CHAIN_NUMBER = 31337
COIN_EACH = 10_000 * 10**18
"""Wei that each participant starts with."""
TOKENS_EACH = 1_000_000 * 10**6
"""Smallest units of the demo token that each participant starts with."""
_TOKEN = ("Demo Dollar", "DUSD", 6, 10**6 * TOKENS_EACH)
_CONTRACTS = {"contract": "HashTimeLockCancun", "token": "DemoToken"}
"""Artefacts, by the names that their addresses have in the record of the deployment."""
_PATIENCE = 60.0


class Devnet:
    """One Anvil in one folder."""

    name = "ethereum"
    ports_needed = 1

    def __init__(self, folder: Path, *, block_time: int = 1, tools: Path | None = None) -> None:
        self._folder = folder
        self._block_time = block_time
        self._tools = tools

    @property
    def _plan(self) -> Path:
        return self._folder / "devnet.json"

    @property
    def _deployment(self) -> Path:
        return self._folder / "deployment.json"

    @property
    def _key_file(self) -> Path:
        return self._folder / "deployer.key"

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            read: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise Misconfigured(
                f"the ethereum development network in {self._folder} has no readable "
                f"{path.name}: prepare it first, or remove the folder"
            ) from error
        return read

    def missing(self) -> Sequence[str]:
        return ()

    def prepare(self, ports: Sequence[int], participants: Sequence[Participant]) -> None:
        """Installs Anvil if it is not there, and writes the plan and a deployer's key."""
        plan = {
            "port": ports[0],
            "participants": {one.name: to_hex(address_of(one.public_key)) for one in participants},
        }
        install(ToolSet.NODE, self._tools)
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._plan.exists():
            there = self._read(self._plan)
            if there["participants"] != plan["participants"]:
                raise Misconfigured(
                    f"the ethereum development network in {self._folder} was prepared for other "
                    "participants: remove the folder to begin anew"
                )
        if not self._key_file.exists():
            _write_whole(self._key_file, secrets.token_hex(32), 0o600)
        _write_whole(self._plan, json.dumps(plan, indent=1), 0o644)

    def processes(self) -> Sequence[ProcessSpec]:
        anvil = install(ToolSet.NODE, self._tools).anvil
        argv = (
            *(sys.executable, "-m", "adapters.ethereum.anvil_process"),
            *(str(self._folder / "state"), str(anvil)),
            *("--host", "127.0.0.1", "--port", str(self._read(self._plan)["port"])),
            *("--chain-id", str(CHAIN_NUMBER), "--block-time", str(self._block_time)),
            *("--accounts", "1", "--quiet"),
        )
        return [ProcessSpec("anvil", argv, {})]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._read(self._plan)['port']}"

    async def ready(self) -> None:
        rpc = Rpc("ethereum development network", (self.url,), CHAIN_NUMBER, 10.0)
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._answers(rpc)
                await self._deploy_and_fund(rpc)
        except (TimeoutError, AdapterError, NodeRefused, NodeFailed) as error:
            raise Unavailable(
                f"the ethereum development network at {self.url} is not ready: {error}; read the "
                f"log of its process anvil (folder {self._folder})"
            ) from error
        finally:
            await rpc.close()

    async def _answers(self, rpc: Rpc) -> None:
        while True:
            try:
                await rpc.call("eth_blockNumber")
            except Unavailable:
                await asyncio.sleep(0.1)
            else:
                return

    async def _deploy_and_fund(self, rpc: Rpc) -> None:
        deployer = _deployer(rpc, bytes.fromhex(self._key_file.read_text()))
        made = self._read(self._deployment) if self._deployment.exists() else {}
        wanted = [one for one in _CONTRACTS if not await self._deployed(rpc, one, made)]
        if wanted:
            await rpc.call(
                "anvil_setBalance", checksummed(deployer.address), to_hex(1_000_000 * 10**18)
            )
        for one in wanted:
            made |= await self._deploy(rpc, deployer, one)
            _write_whole(self._deployment, json.dumps(made, indent=1), 0o644)
        token = bytes.fromhex(made["token"][2:])
        waiting = []
        for address in map(_bytes, self._read(self._plan)["participants"].values()):
            if await self._funded(rpc, token, address):
                continue
            await rpc.call("anvil_setBalance", checksummed(address), to_hex(COIN_EACH))
            call = Call(token, 0, encode(TRANSFER, address, TOKENS_EACH))
            waiting.append(await deployer.send(call, 100_000))
        for transaction in waiting:
            await _receipt(rpc, transaction)

    async def _deployed(self, rpc: Rpc, one: str, made: Mapping[str, Any]) -> bool:
        """Whether this contract is there, made from the artefact that the package carries."""
        if one not in made:
            return False
        code = data(await rpc.call("eth_getCode", made[one], "latest"), "a contract's code")
        if code and not _is_made_from(code, load(_CONTRACTS[one])):
            log.warning(
                "the %s at %s was deployed by another version of Isthmus: a new one is deployed; "
                "what the old one holds stays there",
                _CONTRACTS[one],
                made[one],
            )
            return False
        return bool(code)

    async def _deploy(self, rpc: Rpc, deployer: Account, one: str) -> dict[str, Any]:
        """What is to be written down of it."""
        arguments = _token_arguments() if one == "token" else b""
        address, height = await _created(rpc, deployer, load(_CONTRACTS[one]), arguments)
        place: dict[str, Any] = {one: checksummed(address)}
        return {**place, "at": height} if one == "contract" else place

    async def _funded(self, rpc: Rpc, token: bytes, address: bytes) -> bool:
        """Whether it was given tokens before, however few are left: its balance, or its having
        made a transaction, shows that."""

        async def ask(node: Node) -> bool:
            sent = await node.call("eth_getTransactionCount", checksummed(address), "latest")
            if quantity(sent, "a transaction count"):
                return True
            call = {"to": checksummed(token), "data": to_hex(encode(BALANCE_OF, address))}
            held = data(await node.call("eth_call", call, "latest"), "a balance", 32)
            return any(held)

        return await rpc.run(ask)

    def settings(self, participant: str) -> Mapping[str, Any]:
        """Final at a depth of two blocks: Anvil has no votes, and waiting should be short."""
        if participant not in self._read(self._plan)["participants"]:
            raise Misconfigured(f"the ethereum development network has no {participant!r}")
        made = self._read(self._deployment)
        return {
            "adapter": "ethereum",
            "chain": f"eip155:{CHAIN_NUMBER}",
            "urls": [self.url],
            "contract": made["contract"],
            "deployed_at": made["at"],
            "tokens": [made["token"]],
            "final_by": 2,
            "poll_interval": 0.25,
            "inclusion": 3 * self._block_time,
            "finality": 4 * self._block_time,
            "clock": 2,
            "stale_after": 10 * self._block_time,
        }

    def issued_key(self, participant: str) -> str | None:
        return None

    def assets(self) -> Sequence[AssetId]:
        made = self._read(self._deployment)
        ids = Identities(ChainId("eip155", str(CHAIN_NUMBER)), _bytes(made["contract"]))
        return [ids.coin, ids.asset(_bytes(made["token"]))]


def _is_made_from(code: bytes, artifact: Artifact) -> bool:
    """Whether a contract's code is the artefact's. Immutables, which are zero in the artefact and
    set at deployment, may be anything."""
    made = artifact.deployed
    return len(code) == len(made) and all(
        seen == byte or not byte for seen, byte in zip(code, made, strict=True)
    )


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _write_whole(path: Path, text: str, mode: int) -> None:
    """All of the text or nothing, for its owner only where that is the mode."""
    part = path.with_suffix(".part")
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(file, "w") as opened:
        opened.write(text)
    part.replace(path)


class _FolderKey:
    """The key that was made for the folder. It owns nothing outside of it."""

    scheme = Scheme.SECP256K1

    def __init__(self, secret: bytes) -> None:
        from eth_keys.datatypes import PrivateKey

        self._key = PrivateKey(secret)
        self.public_key = b"\x04" + self._key.public_key.to_bytes()

    async def sign(self, digest: bytes) -> bytes:
        return self._key.sign_msg_hash(digest).to_bytes()


def _deployer(rpc: Rpc, secret: bytes) -> Account:
    key = _FolderKey(secret)
    policy = FeePolicy(cap=None, tip=None, gas_price=None, legacy=False)
    return Account(rpc, CHAIN_NUMBER, address_of(key.public_key), key, policy, _PATIENCE)


def _token_arguments() -> bytes:
    """The constructor's: two strings, decimals, supply, as Solidity's ABI has them."""
    name, symbol, decimals, supply = _TOKEN
    texts = [name.encode(), symbol.encode()]
    head = encode(b"", 128, 192, decimals, supply)
    return head + b"".join(len(text).to_bytes(32, "big") + text.ljust(32, b"\0") for text in texts)


async def _created(
    rpc: Rpc, deployer: Account, artifact: Artifact, arguments: bytes
) -> tuple[bytes, int]:
    """Deploys; the new contract's address and the block it is in."""
    call = Call(b"", 0, artifact.bytecode + arguments)
    receipt = await _receipt(rpc, await deployer.send(call, 5_000_000))
    address = data(receipt.get("contractAddress"), "a new contract's address", 20)
    return address, quantity(receipt.get("blockNumber"), "a block number")


async def _receipt(rpc: Rpc, transaction: str) -> Mapping[str, Any]:
    """The receipt, once there is one. Raises Unavailable where the transaction failed."""
    while True:
        receipt = await rpc.call("eth_getTransactionReceipt", transaction)
        if receipt is not None:
            if receipt.get("status") != "0x1":
                raise Unavailable(f"transaction {transaction} failed")
            found: Mapping[str, Any] = receipt
            return found
        await asyncio.sleep(0.1)
