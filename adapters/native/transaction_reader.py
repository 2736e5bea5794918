"""Reads one transaction and what became of it: from a node's index, or from its newest blocks."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial

from adapters.model import Head, InvalidValue, Transaction
from adapters.native.answers import (
    FoundTransaction,
    Meta,
    read_block,
    read_result,
    read_transaction,
)
from adapters.native.app.transaction import transaction_id
from adapters.native.cometbft.block import base64_text
from adapters.native.rpc_client import RpcClient, RpcFailure
from adapters.spi import Unavailable

_INDEX_LAG = 2
"""Blocks by which a node's index of transactions may be behind."""

_TRANSACTION_ID = re.compile(r"[0-9A-F]{64}")


class TransactionReader:
    """``head`` gives the newest block, ``meta`` a block's header by its height."""

    def __init__(
        self,
        label: str,
        client: RpcClient,
        head: Callable[[], Awaitable[Head]],
        meta: Callable[[int], Awaitable[Meta]],
    ) -> None:
        self._label = label
        self._client = client
        self._head = head
        self._meta = meta

    async def read(self, transaction: str) -> Transaction:
        """Raises InvalidValue where there is no such transaction, Unavailable."""
        if _TRANSACTION_ID.fullmatch(transaction) is None:
            raise InvalidValue("a native transaction's id is 64 upper-case hex digits")
        try:
            found = await self._find(transaction)
        except RpcFailure as failure:
            raise Unavailable(f"{self._label}: {failure}") from failure
        if found is None:
            raise InvalidValue(f"there is no transaction {transaction}")
        if transaction_id(found.raw) != transaction:
            raise Unavailable(f"{self._label}: the node shows another transaction than was asked")
        said = f"code {found.code}: {found.log[:300]}" if found.code else "code 0"
        return Transaction(
            id=transaction,
            height=found.height,
            block_hash=(await self._meta(found.height)).hash,
            index=found.index,
            succeeded=found.code == 0,
            status=said,
            fee=0,
            raw=found.raw,
        )

    async def _find(self, transaction: str) -> FoundTransaction | None:
        params = {"hash": base64_text(bytes.fromhex(transaction)), "prove": False}
        try:
            return await self._client.read("tx", params, read_transaction)
        except RpcFailure as failure:
            if "not found" not in failure.data:
                raise
        return await self._among_newest(transaction)

    async def _among_newest(self, transaction: str) -> FoundTransaction | None:
        """CometBFT's index of transactions is a moment behind its blocks."""
        newest = (await self._head()).height
        for height in range(newest, max(0, newest - _INDEX_LAG), -1):
            params = {"height": str(height)}
            _, block = await self._client.read("block", params, read_block)
            for index, raw in enumerate(block.txs):
                if transaction_id(raw) == transaction:
                    parse = partial(read_result, block=block, index=index)
                    return await self._client.read("block_results", params, parse)
        return None
