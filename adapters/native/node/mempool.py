"""Transactions that wait for a block, in the order in which they came."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from adapters.native.app.abci import CheckTxType, ResponseCheckTx
from adapters.native.app.codes import Code

MAX_TRANSACTIONS = 5_000
MAX_BYTES = 64 * 1024 * 1024
MAX_TRANSACTION_BYTES = 1024 * 1024
CACHE_SIZE = 10_000
"""CometBFT's own bounds, by default."""

CheckTx = Callable[[bytes, CheckTxType], ResponseCheckTx]


class MempoolRefused(Exception):
    """Not taken, in CometBFT's own words: in the cache already, too large, or no room."""


class Mempool:
    """What the application's CheckTx has let in. A committed or waiting transaction stays in a
    cache, so that the same bytes are refused when they come again."""

    def __init__(self, check_tx: CheckTx) -> None:
        self._check_tx = check_tx
        self._waiting: dict[bytes, bytes] = {}
        self._bytes = 0
        self._cache: dict[bytes, None] = {}

    def add(self, tx: bytes) -> ResponseCheckTx:
        """Raises MempoolRefused. A response with another code than 0 means: not taken."""
        if len(self._waiting) >= MAX_TRANSACTIONS or self._bytes + len(tx) > MAX_BYTES:
            raise MempoolRefused(
                f"mempool is full: number of txs {len(self._waiting)} (max: {MAX_TRANSACTIONS}), "
                f"total txs bytes {self._bytes} (max: {MAX_BYTES})"
            )
        if len(tx) > MAX_TRANSACTION_BYTES:
            raise MempoolRefused(
                f"Tx too large. Max size is {MAX_TRANSACTION_BYTES}, but got {len(tx)}"
            )
        name = hashlib.sha256(tx).digest()
        if name in self._cache:
            raise MempoolRefused("tx already exists in cache")
        response = self._check_tx(tx, CheckTxType.NEW)
        if response.code == Code.OK:
            self._remember(name)
            self._waiting[name] = tx
            self._bytes += len(tx)
        return response

    def waiting(self) -> tuple[bytes, ...]:
        return tuple(self._waiting.values())

    @property
    def total_bytes(self) -> int:
        return self._bytes

    def committed(self, txs: Iterable[bytes], codes: Iterable[int]) -> None:
        """Drops what a block has taken, then rechecks the rest on the new state, in order."""
        for tx, code in zip(txs, codes, strict=True):
            name = hashlib.sha256(tx).digest()
            if code == Code.OK:
                self._remember(name)
            else:
                self._cache.pop(name, None)
            self._drop(name)
        for name, tx in list(self._waiting.items()):
            if self._check_tx(tx, CheckTxType.RECHECK).code != Code.OK:
                self._drop(name)
                self._cache.pop(name, None)

    def _drop(self, name: bytes) -> None:
        tx = self._waiting.pop(name, None)
        if tx is not None:
            self._bytes -= len(tx)

    def _remember(self, name: bytes) -> None:
        self._cache.pop(name, None)
        self._cache[name] = None
        while len(self._cache) > CACHE_SIZE:
            self._cache.pop(next(iter(self._cache)))
