"""Contracts put on a chain, and what of them is there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.ethereum.account import Account
from adapters.ethereum.artifact import Artifact
from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import Call
from adapters.ethereum.node_errors import INDEXING, NodeRefused
from adapters.ethereum.quantities import data, quantity
from adapters.ethereum.rpc import Rpc
from adapters.spi import Rejected

_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Deployed:
    """A contract that is on the chain."""

    address: bytes
    height: int
    """Of the block that made it."""
    transaction: str


async def deploy(
    rpc: Rpc, deployer: Account, artifact: Artifact, gas: int, arguments: bytes = b""
) -> Deployed:
    """Sends the contract's creation and waits, without end, until a block has it. ``arguments``:
    the constructor's, encoded.

    Raises Rejected where the transaction failed, and what ``Account.send`` raises."""
    call = Call(b"", 0, artifact.bytecode + arguments)
    transaction = await deployer.send(call, gas)
    receipt = await receipt_of(rpc, transaction)
    return Deployed(
        data(receipt.get("contractAddress"), "a new contract's address", 20),
        quantity(receipt.get("blockNumber"), "a block number"),
        transaction,
    )


async def receipt_of(rpc: Rpc, transaction: str) -> Mapping[str, Any]:
    """The receipt, once there is one. Raises Rejected where the transaction failed."""
    while True:
        try:
            receipt = await rpc.call("eth_getTransactionReceipt", transaction)
        except NodeRefused as refused:
            if INDEXING.search(refused.message) is None:
                raise
            receipt = None
        if receipt is not None:
            if receipt.get("status") != "0x1":
                raise Rejected(
                    f"transaction {transaction} is in a block and failed: look at it with the "
                    "node's tools before another is sent"
                )
            found: Mapping[str, Any] = receipt
            return found
        await asyncio.sleep(_LOOK_EVERY)


async def code_at(rpc: Rpc, address: bytes) -> bytes:
    """The code at an address as of the newest block; empty where there is no contract."""
    return data(await rpc.call("eth_getCode", checksummed(address), "latest"), "a contract's code")


def is_made_from(code: bytes, artifact: Artifact) -> bool:
    """Whether a contract's code is the artefact's. Immutables, which are zero in the artefact and
    set at deployment, may be anything."""
    made = artifact.deployed
    return len(code) == len(made) and all(
        seen == byte or not byte for seen, byte in zip(code, made, strict=True)
    )
