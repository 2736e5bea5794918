"""What a development network of Ethereum puts on its chain: the lock contract, a token, and what
the participants start with.

A contract that an older version of this package deployed is deployed anew, at an address of its
own: gateways refuse code that they do not know. What the old one holds stays in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from adapters.codec.secp256k1 import address_of
from adapters.ethereum.account import Account
from adapters.ethereum.artifact import load
from adapters.ethereum.deployment import code_at, deploy, is_made_from, receipt_of
from adapters.ethereum.devnet_folder import DevnetFolder
from adapters.ethereum.fees import FeePolicy
from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import BALANCE_OF, TRANSFER, Call, encode
from adapters.ethereum.node_errors import NodeFailed, NodeRefused
from adapters.ethereum.quantities import data, quantity, to_hex
from adapters.ethereum.rpc import Rpc
from adapters.spi import AdapterError, Unavailable

log = logging.getLogger(__name__)

COIN_EACH = 10_000 * 10**18
"""Wei that each participant starts with."""
TOKENS_EACH = 1_000_000 * 10**6
"""Smallest units of the demo token that each participant starts with."""

Give = Callable[[Rpc, bytes], Awaitable[None]]
"""Gives an address COIN_EACH."""

_TOKEN = ("Demo Dollar", "DUSD", 6, 10**6 * TOKENS_EACH)
_CONTRACTS = {"contract": "HashTimeLockCancun", "token": "DemoToken"}
"""Artefacts, by the names that their addresses have in the record of the deployment."""
_GAS_OF_A_CONTRACT = 5_000_000
_GAS_OF_A_TRANSFER = 100_000
_READY_WITHIN = 60.0


async def make_ready(folder: DevnetFolder, process: str, give: Give | None = None) -> None:
    """Returns when the node takes transactions, the contracts are there and every participant is
    funded. ``process``: the name of the node's, for an error. ``give``: where the deployer and the
    participants have no coin by the genesis. Idempotent. Raises Unavailable."""
    rpc = Rpc("ethereum development network", (folder.url,), folder.chain, 10.0)
    try:
        async with asyncio.timeout(_READY_WITHIN):
            await _answers(rpc)
            deployer = _deployer(rpc, folder)
            if give is not None:
                await _give_coin(rpc, [deployer.address, *folder.participants.values()], give)
            await _deploy(rpc, deployer, folder)
            await _give_tokens(rpc, deployer, folder)
    except (TimeoutError, AdapterError, NodeRefused, NodeFailed) as error:
        said = str(error) or f"it was not in {_READY_WITHIN:.0f} seconds"
        raise Unavailable(
            f"the ethereum development network at {folder.url} is not ready: {said}; read the "
            f"log of its process {process} (folder {folder.path})"
        ) from error
    finally:
        await rpc.close()


async def _answers(rpc: Rpc) -> None:
    while True:
        try:
            await rpc.call("eth_blockNumber")
        except Unavailable:
            await asyncio.sleep(0.1)
        else:
            return


def _deployer(rpc: Rpc, folder: DevnetFolder) -> Account:
    key = folder.deployer
    policy = FeePolicy(cap=None, tip=None, gas_price=None, legacy=False)
    return Account(rpc, folder.chain, address_of(key.public_key), key, policy, _READY_WITHIN)


async def _deploy(rpc: Rpc, deployer: Account, folder: DevnetFolder) -> None:
    """Each contract that is not there, written down as soon as it is."""
    for one, name in _CONTRACTS.items():
        if await _is_there(rpc, folder, one):
            continue
        arguments = token_arguments() if one == "token" else b""
        made = await deploy(rpc, deployer, load(name), _GAS_OF_A_CONTRACT, arguments)
        record: dict[str, Any] = {**folder.made, one: checksummed(made.address)}
        folder.record(record | {"at": made.height} if one == "contract" else record)


async def _is_there(rpc: Rpc, folder: DevnetFolder, one: str) -> bool:
    """Whether this contract is there, made from the artefact that the package carries."""
    address = folder.made.get(one)
    if address is None:
        return False
    code = await code_at(rpc, bytes.fromhex(address[2:]))
    if code and not is_made_from(code, load(_CONTRACTS[one])):
        log.warning(
            "the %s at %s was deployed by another version of Isthmus: a new one is deployed; "
            "what the old one holds stays there",
            _CONTRACTS[one],
            address,
        )
        return False
    return bool(code)


async def _give_coin(rpc: Rpc, addresses: Sequence[bytes], give: Give) -> None:
    for address in addresses:
        own = checksummed(address)
        held = quantity(await rpc.call("eth_getBalance", own, "latest"), "a balance")
        if not held and not await _has_sent(rpc, address):
            await give(rpc, address)


async def _give_tokens(rpc: Rpc, deployer: Account, folder: DevnetFolder) -> None:
    token = bytes.fromhex(folder.made["token"][2:])
    waiting = []
    for address in folder.participants.values():
        call = {"to": checksummed(token), "data": to_hex(encode(BALANCE_OF, address))}
        held = data(await rpc.call("eth_call", call, "latest"), "a balance", 32)
        if not any(held) and not await _has_sent(rpc, address):
            transfer = Call(token, 0, encode(TRANSFER, address, TOKENS_EACH))
            waiting.append(await deployer.send(transfer, _GAS_OF_A_TRANSFER))
    for transaction in waiting:
        await receipt_of(rpc, transaction)


async def _has_sent(rpc: Rpc, address: bytes) -> bool:
    """Whether it has made a transaction: then it was given everything before, and holds nothing
    because it has paid it out."""
    count = await rpc.call("eth_getTransactionCount", checksummed(address), "latest")
    return quantity(count, "a transaction count") > 0


def token_arguments() -> bytes:
    """Of the demo token's constructor: two strings, decimals, supply, as Solidity's ABI has
    them."""
    name, symbol, decimals, supply = _TOKEN
    texts = [name.encode(), symbol.encode()]
    head = encode(b"", 128, 192, decimals, supply)
    return head + b"".join(len(text).to_bytes(32, "big") + text.ljust(32, b"\0") for text in texts)
