"""Headers, blocks, and transactions with their receipts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from adapters.codec.keccak import keccak256
from adapters.ethereum import rlp
from adapters.ethereum.heads import read_header
from adapters.ethereum.identity import checksummed
from adapters.ethereum.node_errors import INDEXING, NodeFailed, NodeRefused
from adapters.ethereum.quantities import data, fields, items, quantity, to_hex
from adapters.ethereum.rpc import Node
from adapters.model import AccountId, Block, ChainId, InvalidValue, Transaction

_ID = re.compile(r"0x[0-9a-fA-F]{64}")


async def read_block(node: Node, chain: ChainId, height: int | None) -> Block:
    """Raises InvalidValue where there is no such block, NodeFailed."""
    if height is not None and not 0 <= height < 2**63:
        raise InvalidValue(f"height {height} is not a block number of {chain}")
    where = "latest" if height is None else to_hex(height)
    block = await node.call("eth_getBlockByNumber", where, False)
    if block is None:
        raise InvalidValue(f"{chain} has no block {height}")
    header = read_header(chain, block)
    if height not in (None, header.height):
        raise NodeFailed(f"answered block {header.height} where {height} was asked for")
    ids = items(fields(block, "a block").get("transactions"), "a block's transactions")
    return Block(header, tuple(to_hex(data(one, "a transaction id", 32)) for one in ids))


async def read_transaction(node: Node, chain: ChainId, transaction: str) -> Transaction:
    """Raises InvalidValue where there is no such transaction in a block, NodeFailed."""
    if _ID.fullmatch(transaction) is None:
        raise InvalidValue(
            f"transaction {transaction[:80]!r} is not an id of {chain}: 0x and 64 hex digits"
        )
    try:
        receipt = await node.call("eth_getTransactionReceipt", transaction)
    except NodeRefused as refused:
        if INDEXING.search(refused.message) is None:
            raise
        # Another node may have it; that it is nowhere cannot be said yet.
        raise NodeFailed(f"is not ready: {refused.message}", sent=False) from None
    if receipt is None:
        raise InvalidValue(f"{chain} has no transaction {transaction} in a block")
    seen = fields(receipt, "a receipt")
    status = quantity(seen.get("status"), "a receipt's status")
    gas = quantity(seen.get("gasUsed"), "a receipt's gas")
    price = quantity(seen.get("effectiveGasPrice", "0x0"), "a receipt's gas price")
    return Transaction(
        id=transaction.lower(),
        height=quantity(seen.get("blockNumber"), "a receipt's block"),
        block_hash=data(seen.get("blockHash"), "a receipt's block hash", 32),
        index=quantity(seen.get("transactionIndex"), "a receipt's index"),
        succeeded=status == 1,
        status=str(status),
        fee=gas * price,
        raw=await _raw(node, transaction),
        payer=AccountId(chain, checksummed(data(seen.get("from"), "a receipt's sender", 20))),
    )


async def _raw(node: Node, transaction: str) -> bytes:
    """The transaction's own encoding, which hashes to its id."""
    raw = b""
    try:
        answer = await node.call("eth_getRawTransactionByHash", transaction)
        raw = data(answer, "a raw transaction") if answer is not None else b""
    except NodeRefused:
        described = await node.call("eth_getTransactionByHash", transaction)
        raw = _encoded(fields(described, "a transaction"))
    if to_hex(keccak256(raw)) != transaction.lower():
        raise NodeFailed(f"does not give the encoding of transaction {transaction}", sent=False)
    return raw


def _encoded(seen: Mapping[str, Any]) -> bytes:
    """Encodes a transaction of type 0, 1 or 2 anew; nothing for another type."""

    def number(field: str) -> int:
        return quantity(seen.get(field), f"a transaction's {field}")

    kind = number("type") if seen.get("type") is not None else 0
    to = data(seen["to"], "a recipient", 20) if seen.get("to") is not None else b""
    rest: list[rlp.Item] = [
        *(number("gas"), to, number("value")),
        data(seen.get("input"), "a transaction's data"),
    ]
    access: list[rlp.Item] = []
    if kind:
        for entry in items(seen.get("accessList"), "an access list"):
            keys = items(entry.get("storageKeys"), "an access list's keys")
            access.append(
                [data(entry.get("address"), "an address", 20), [data(k, "a key", 32) for k in keys]]
            )
    match kind:
        case 0:
            signature: list[rlp.Item] = [number("v"), number("r"), number("s")]
            return rlp.encode([number("nonce"), number("gasPrice"), *rest, *signature])
        case 1 | 2:
            parity = number("yParity") if seen.get("yParity") is not None else number("v")
            paid: list[rlp.Item] = (
                [number("gasPrice")]
                if kind == 1
                else [number("maxPriorityFeePerGas"), number("maxFeePerGas")]
            )
            body = [number("chainId"), number("nonce"), *paid, *rest, access]
            return bytes([kind]) + rlp.encode([*body, parity, number("r"), number("s")])
        case _:
            return b""
