"""The methods of CometBFT 0.38's RPC that the embedded node answers, in CometBFT's own JSON.

Source: CometBFT 0.38, ``rpc/core`` and ``rpc/openapi/openapi.yaml``; the tests compare the shapes
with answers that a real node gave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from adapters.native.app.abci import ExecTxResult, RequestQuery
from adapters.native.app.codes import Code
from adapters.native.app.names import APPLICATION_VERSION
from adapters.native.app.transaction import transaction_id
from adapters.native.cometbft.block import BLOCK_PROTOCOL, base64_text, upper_hex
from adapters.native.cometbft.genesis import public_key_json
from adapters.native.cometbft.results import query_json, result_json
from adapters.native.node.block_store import StoredBlock
from adapters.native.node.chain import Chain
from adapters.native.node.mempool import MempoolRefused
from adapters.native.node.parameters import Kind

SPOKEN_VERSION = "0.38.19"
"""The CometBFT version whose RPC this is."""

_COMMIT_TIMEOUT = 10.0
_MAX_METAS = 20


class RpcError(Exception):
    """An answer in JSON-RPC's error form: code, message, data."""

    def __init__(self, code: int, message: str, data: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def internal(data: str) -> RpcError:
    return RpcError(-32603, "Internal error", data)


Handler = Callable[..., Awaitable[Any]]


class Rpc:
    """Answers calls about one chain. ``listen_address`` is what ``status`` shows."""

    def __init__(self, chain: Chain, listen_address: str) -> None:
        self._chain = chain
        self._listen_address = listen_address
        self._awaited: dict[str, asyncio.Future[StoredBlock]] = {}
        height = {"height": Kind.INTEGER}
        tx = {"tx": Kind.BYTES}
        query = {"path": Kind.TEXT, "data": Kind.HEX, **height, "prove": Kind.BOOLEAN}
        heights = {"minHeight": Kind.INTEGER, "maxHeight": Kind.INTEGER}
        self.methods: Mapping[str, tuple[Mapping[str, Kind], Handler]] = {
            "health": ({}, self._health),
            "status": ({}, self._status),
            "genesis": ({}, self._genesis),
            "abci_info": ({}, self._abci_info),
            "abci_query": (query, self._abci_query),
            "broadcast_tx_async": (tx, self._broadcast_tx_async),
            "broadcast_tx_sync": (tx, self._broadcast_tx_sync),
            "broadcast_tx_commit": (tx, self._broadcast_tx_commit),
            "unconfirmed_txs": ({"limit": Kind.INTEGER}, self._unconfirmed_txs),
            "num_unconfirmed_txs": ({}, self._num_unconfirmed_txs),
            "tx": ({"hash": Kind.BYTES, "prove": Kind.BOOLEAN}, self._tx),
            "block": (height, self._block),
            "block_by_hash": ({"hash": Kind.BYTES}, self._block_by_hash),
            "block_results": (height, self._block_results),
            "blockchain": (heights, self._blockchain),
            "header": (height, self._header),
            "validators": (
                {**height, "page": Kind.INTEGER, "per_page": Kind.INTEGER},
                self._validators,
            ),
        }

    def on_block(self, stored: StoredBlock) -> None:
        """Tells the calls of broadcast_tx_commit that wait for one of its transactions."""
        for tx in stored.block.txs:
            waiting = self._awaited.pop(transaction_id(tx), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(stored)

    # --- the node --------------------------------------------------------------------------------

    async def _health(self) -> Any:
        return {}

    async def _status(self) -> Any:
        chain, newest = self._chain, self._chain.newest
        low, _ = chain.store.heights()
        earliest = chain.store.get(low) if low else None
        address = upper_hex(chain.key.address)
        return {
            "node_info": {
                "protocol_version": {
                    "p2p": "8",
                    "block": str(BLOCK_PROTOCOL),
                    "app": str(APPLICATION_VERSION),
                },
                "id": address.lower(),
                "listen_addr": "",
                "network": chain.genesis.chain_id,
                "version": SPOKEN_VERSION,
                "channels": "",
                "moniker": "embedded",
                "other": {"tx_index": "on", "rpc_address": self._listen_address},
            },
            "sync_info": {
                **_sync_info("latest", newest),
                **_sync_info("earliest", earliest),
                "catching_up": False,
            },
            "validator_info": {
                "address": address,
                "pub_key": public_key_json(chain.key.public_key),
                "voting_power": str(chain.genesis.validators[0].power),
            },
        }

    async def _genesis(self) -> Any:
        return {"genesis": self._chain.genesis.to_json()}

    async def _validators(
        self, height: int | None = None, page: int | None = None, per_page: int = 0
    ) -> Any:
        stored = self._stored(height)
        if page not in (None, 1):
            raise internal(f"page should be within [1, 1] range, given {page}")
        validator = self._chain.genesis.validators[0]
        return {
            "block_height": str(stored.height),
            "validators": [
                {
                    "address": upper_hex(self._chain.key.address),
                    "pub_key": public_key_json(validator.public_key),
                    "voting_power": str(validator.power),
                    "proposer_priority": "0",
                }
            ],
            "count": "1",
            "total": "1",
        }

    # --- the application -------------------------------------------------------------------------

    async def _abci_info(self) -> Any:
        info = self._chain.application.info()
        return {
            "response": {
                "data": info.data,
                "version": info.version,
                "app_version": str(info.app_version),
                "last_block_height": str(info.last_block_height),
                "last_block_app_hash": base64_text(info.last_block_app_hash),
            }
        }

    async def _abci_query(
        self, path: str = "", data: bytes = b"", height: int = 0, prove: bool = False
    ) -> Any:
        response = self._chain.application.query(RequestQuery(path, data, height, prove))
        return {"response": query_json(response)}

    # --- transactions ----------------------------------------------------------------------------

    async def _broadcast_tx_async(self, tx: bytes = b"") -> Any:
        await self._broadcast_tx_sync(tx)
        return _taken(tx)

    async def _broadcast_tx_sync(self, tx: bytes = b"") -> Any:
        try:
            response = self._chain.mempool.add(tx)
        except MempoolRefused as refusal:
            raise internal(str(refusal)) from refusal
        return _taken(tx) | {
            "code": int(response.code),
            "log": response.log,
            "codespace": response.codespace,
        }

    async def _broadcast_tx_commit(self, tx: bytes = b"") -> Any:
        identity = transaction_id(tx)
        try:
            check = self._chain.mempool.add(tx)
        except MempoolRefused as refusal:
            raise internal(str(refusal)) from refusal
        outcome = {"check_tx": result_json(check), "hash": identity}
        if check.code != Code.OK:
            return outcome | {"tx_result": result_json(ExecTxResult(0)), "height": "0"}
        waiting = self._awaited[identity] = asyncio.get_running_loop().create_future()
        try:
            stored = await asyncio.wait_for(waiting, _COMMIT_TIMEOUT)
        except TimeoutError as error:
            raise internal("timed out waiting for tx to be included in a block") from error
        finally:
            self._awaited.pop(identity, None)
        result = stored.results[stored.block.txs.index(tx)]
        return outcome | {"tx_result": result, "height": str(stored.height)}

    async def _unconfirmed_txs(self, limit: int = 30) -> Any:
        waiting = self._chain.mempool.waiting()[: max(1, min(limit, 100))]
        counts = await self._num_unconfirmed_txs()
        shown = [base64_text(tx) for tx in waiting]
        return counts | {"n_txs": str(len(shown)), "txs": shown}

    async def _num_unconfirmed_txs(self) -> Any:
        count = str(len(self._chain.mempool.waiting()))
        size = str(self._chain.mempool.total_bytes)
        return {"n_txs": count, "total": count, "total_bytes": size, "txs": None}

    async def _tx(self, hash: bytes = b"", prove: bool = False) -> Any:
        identity = upper_hex(hash)
        found = self._chain.store.transaction(identity)
        if found is None:
            raise internal(
                f"tx ({identity}) not found" if hash else "transaction hash cannot be empty"
            )
        if prove:
            raise internal("this node gives no proofs of transactions; ask without prove")
        return {
            "hash": identity,
            "height": str(found.height),
            "index": found.index,
            "tx_result": found.result,
            "tx": base64_text(found.tx),
        }

    # --- blocks ----------------------------------------------------------------------------------

    async def _block(self, height: int | None = None) -> Any:
        stored = self._stored(height)
        return {"block_id": stored.block_id.to_json(), "block": stored.block.to_json()}

    async def _block_by_hash(self, hash: bytes = b"") -> Any:
        height = self._chain.store.height_of(hash)
        if height is None:
            return {"block_id": {"hash": "", "parts": {"total": 0, "hash": ""}}, "block": None}
        return await self._block(height)

    async def _block_results(self, height: int | None = None) -> Any:
        stored = self._stored(height)
        return {
            "height": str(stored.height),
            "txs_results": list(stored.results) or None,
            "finalize_block_events": None,
            "validator_updates": None,
            "consensus_param_updates": None,
            "app_hash": base64_text(stored.app_hash),
        }

    async def _blockchain(self, minHeight: int = 0, maxHeight: int = 0) -> Any:
        low, high = self._chain.store.heights()
        if minHeight < 0 or maxHeight < 0:
            raise internal("heights must be non-negative")
        top = min(maxHeight or high, high)
        bottom = max(minHeight or 1, low, top - _MAX_METAS + 1)
        if bottom > top:
            raise internal(f"min height {bottom} can't be greater than max height {top}")
        return {
            "last_height": str(high),
            "block_metas": [_meta(self._stored(height)) for height in range(top, bottom - 1, -1)],
        }

    async def _header(self, height: int | None = None) -> Any:
        return {"header": self._stored(height).block.header.to_json()}

    def _stored(self, height: int | None) -> StoredBlock:
        """The newest, where no height is given."""
        newest = self._chain.newest
        reached = newest.height if newest is not None else 0
        if height is not None and height <= 0:
            raise internal(f"height must be greater than 0, but got {height}")
        if newest is None or (height is not None and height > reached):
            raise internal(
                f"height {height} must be less than or equal to "
                f"the current blockchain height {reached}"
            )
        if height is None or height == reached:
            return newest
        stored = self._chain.store.get(height)
        if stored is None:
            low, _ = self._chain.store.heights()
            raise internal(f"height {height} is not available, lowest height is {low}")
        return stored


def _taken(tx: bytes) -> dict[str, Any]:
    return {"code": 0, "data": "", "log": "", "codespace": "", "hash": transaction_id(tx)}


def _meta(stored: StoredBlock) -> dict[str, Any]:
    return {
        "block_id": stored.block_id.to_json(),
        "block_size": str(len(stored.block.encode())),
        "header": stored.block.header.to_json(),
        "num_txs": str(len(stored.block.txs)),
    }


def _sync_info(which: str, stored: StoredBlock | None) -> dict[str, str]:
    header = stored.block.header if stored is not None else None
    return {
        f"{which}_block_hash": upper_hex(stored.block_id.hash) if stored is not None else "",
        f"{which}_app_hash": upper_hex(header.app_hash) if header is not None else "",
        f"{which}_block_height": str(header.height) if header is not None else "0",
        f"{which}_block_time": str(header.time) if header is not None else "0001-01-01T00:00:00Z",
    }
