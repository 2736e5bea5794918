"""Reads CometBFT's answers into values, and refuses what cannot be.

Every reader raises ValueError, KeyError or TypeError (the client turns them into "this node is no
use"): a hash that is not the hash of what it is said to be is caught here.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.model import (
    AssetId,
    ChainId,
    LockClaimed,
    LockEvent,
    LockId,
    LockOpened,
    LockRefunded,
    LockTerms,
    Preimage,
    check_hashlock,
)
from adapters.native.app.locks import CLAIMED, OPENED, REFUNDED
from adapters.native.app.names import LOCK_MODULE, check_symbol
from adapters.native.app.transaction import transaction_id
from adapters.native.cometbft.block import Block, BlockId, Header, base64_bytes, data_hash, int64
from adapters.native.names import ASSET_NAMESPACE, account_name
from adapters.native.rpc_client import Implausible


@dataclass(frozen=True, slots=True)
class Meta:
    """A header that has the hash it is said to have, and how many transactions follow it."""

    hash: bytes
    header: Header
    transactions: int


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    code: int
    log: str
    value: bytes | None
    height: int


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """What a node says of a transaction that was handed to it."""

    code: int
    codespace: str
    log: str
    transaction: str


def read_info_height(result: Any) -> int:
    """The application's height from abci_info: everything up to it can be read."""
    return int64(result["response"].get("last_block_height", "0"))


def read_query(result: Any) -> QueryAnswer:
    response = result["response"]
    value = response["value"]
    return QueryAnswer(
        code=int(response["code"]),
        log=str(response["log"]),
        value=None if value is None else base64_bytes(value),
        height=int64(response["height"]),
    )


def read_check(result: Any) -> CheckAnswer:
    return CheckAnswer(
        int(result["code"]), str(result["codespace"]), str(result["log"]), str(result["hash"])
    )


@dataclass(frozen=True, slots=True)
class FoundTransaction:
    """A transaction in a block, and what became of it."""

    raw: bytes
    height: int
    index: int
    code: int
    log: str


def read_transaction(result: Any) -> FoundTransaction:
    """From ``tx``."""
    return _found(result, base64_bytes(result["tx"]), int64(result["height"]), result["tx_result"])


def read_result(result: Any, block: Block, index: int) -> FoundTransaction:
    """One of a block's, from ``block_results``."""
    height, outcome = block.header.height, result["txs_results"][index]
    if int64(result["height"]) != height:
        raise Implausible(f"the results of block {height} are not those of the block")
    return _found({"index": index}, block.txs[index], height, outcome)


def _found(
    entry: Mapping[str, Any], raw: bytes, height: int, outcome: Mapping[str, Any]
) -> FoundTransaction:
    return FoundTransaction(
        raw, height, int(entry["index"]), int(outcome["code"]), str(outcome["log"])
    )


def read_waiting(result: Any) -> list[bytes]:
    """The transactions that ``unconfirmed_txs`` shows."""
    return [base64_bytes(raw) for raw in result["txs"] or []]


def read_metas(result: Any, first: int, last: int) -> list[Meta]:
    """The blocks first..last, in rising order, from ``blockchain``."""
    metas = [_meta(entry) for entry in reversed(result["block_metas"])]
    if [meta.header.height for meta in metas] != list(range(first, last + 1)):
        raise Implausible(f"it does not show the blocks from {first} to {last}")
    for before, after in itertools.pairwise(metas):
        if after.header.last_block_id.hash != before.hash:
            raise Implausible(f"block {after.header.height} does not follow the one before it")
    return metas


def _meta(entry: Mapping[str, Any]) -> Meta:
    header = Header.from_json(entry["header"])
    identity = BlockId.from_json(entry["block_id"])
    if header.hash() != identity.hash:
        raise Implausible(f"block {header.height} does not have the hash it is said to have")
    return Meta(identity.hash, header, int64(entry["num_txs"]))


def read_block(result: Any) -> tuple[bytes, Block]:
    """A block's hash and the block."""
    block = Block.from_json(result["block"])
    identity = BlockId.from_json(result["block_id"])
    if block.header.hash() != identity.hash or data_hash(block.txs) != block.header.data_hash:
        raise Implausible(f"block {block.header.height} does not have the hash it should have")
    return identity.hash, block


@dataclass(frozen=True, slots=True)
class FoundEvent:
    transaction: str
    event: LockEvent


def read_events(result: Any, block: Block, chain: ChainId) -> list[FoundEvent]:
    """The lock events of a block from ``block_results``, in the chain's order."""
    results = result["txs_results"] or []
    if int64(result["height"]) != block.header.height or len(results) != len(block.txs):
        raise Implausible(f"the results of block {block.header.height} are not those of the block")
    found = []
    for raw, outcome in zip(block.txs, results, strict=True):
        if int(outcome["code"]) != 0:
            continue
        for entry in outcome["events"] or []:
            event = _lock_event(entry, chain)
            if event is not None:
                found.append(FoundEvent(transaction_id(raw), event))
    return found


def _lock_event(entry: Mapping[str, Any], chain: ChainId) -> LockEvent | None:
    kind = entry["type"]
    if kind not in (OPENED, CLAIMED, REFUNDED):
        return None
    fields = {attribute["key"]: attribute["value"] for attribute in entry["attributes"]}
    identity = LockId(_word(fields["lock_id"]))
    hashlock = check_hashlock(_word(fields["hashlock"]))
    match kind:
        case _ if kind == OPENED:
            terms = LockTerms(
                chain=chain,
                contract=LOCK_MODULE,
                sender=account_name(_word(fields["sender"]), chain),
                recipient=account_name(_word(fields["recipient"]), chain),
                asset=AssetId(chain, ASSET_NAMESPACE, check_symbol(fields["asset"])),
                amount=_decimal(fields["amount"]),
                hashlock=hashlock,
                deadline=_decimal(fields["deadline"]),
            )
            return LockOpened(identity, terms)
        case _ if kind == CLAIMED:
            preimage = Preimage(_word(fields["preimage"]))
            if preimage.hashlock() != hashlock:
                raise Implausible("a claim shows a preimage that is not its hashlock's")
            return LockClaimed(identity, hashlock, preimage)
        case _:
            return LockRefunded(identity, hashlock)


def _word(text: Any) -> bytes:
    raw = bytes.fromhex(text)
    if len(raw) != 32:
        raise ValueError("a word must be 32 bytes")
    return raw


def _decimal(text: Any) -> int:
    if not isinstance(text, str) or not text.isascii() or not text.isdecimal() or len(text) > 78:
        raise ValueError("an amount or time must be decimal digits")
    return int(text)
