"""Subscriptions over WebSocket: who asked for which events, and what CometBFT sends them."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from adapters.native.app.transaction import transaction_id
from adapters.native.cometbft.block import base64_text
from adapters.native.node.block_store import StoredBlock
from adapters.native.node.rpc import internal

_QUERY = re.compile(r"\s*tm\.event\s*=\s*'(NewBlock|NewBlockHeader|Tx)'\s*")
_QUEUE = 1_000
MAX_SUBSCRIPTIONS = 5


class Subscriber:
    """One connection. Its queue is bounded: who does not read is cut off, as CometBFT does."""

    def __init__(self) -> None:
        self.outgoing: asyncio.Queue[str] = asyncio.Queue(_QUEUE)
        self.overflowed = False
        self.subscriptions: dict[str, tuple[Any, str]] = {}

    def subscribe(self, identity: Any, query: str) -> None:
        """Raises RpcError, in CometBFT's words, for a query that this node does not know."""
        match = _QUERY.fullmatch(query)
        if match is None:
            raise internal(
                "failed to parse query: this node knows tm.event='NewBlock', "
                "tm.event='NewBlockHeader' and tm.event='Tx'"
            )
        if query in self.subscriptions:
            raise internal("already subscribed")
        if len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise internal(f"max_subscriptions_per_client {MAX_SUBSCRIPTIONS} reached")
        self.subscriptions[query] = (identity, match[1])

    def unsubscribe(self, query: str) -> None:
        if self.subscriptions.pop(query, None) is None:
            raise internal("subscription not found")

    def unsubscribe_all(self) -> None:
        if not self.subscriptions:
            raise internal("subscription not found")
        self.subscriptions.clear()

    def send(self, message: Any) -> None:
        try:
            self.outgoing.put_nowait(json.dumps(message, separators=(",", ":")))
        except asyncio.QueueFull:
            self.overflowed = True


class EventHub:
    """Tells every subscriber of every block."""

    def __init__(self) -> None:
        self._subscribers: dict[Subscriber, None] = {}

    def join(self) -> Subscriber:
        subscriber = Subscriber()
        self._subscribers[subscriber] = None
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        self._subscribers.pop(subscriber, None)

    def on_block(self, stored: StoredBlock) -> None:
        for subscriber in self._subscribers:
            for query, (identity, kind) in subscriber.subscriptions.items():
                for data, events in _messages(kind, stored):
                    result = {"query": query, "data": data, "events": events}
                    subscriber.send({"jsonrpc": "2.0", "id": identity, "result": result})


def _messages(kind: str, stored: StoredBlock) -> list[tuple[Any, dict[str, list[str]]]]:
    match kind:
        case "NewBlockHeader":
            value: Any = {"header": stored.block.header.to_json()}
            return [({"type": "tendermint/event/NewBlockHeader", "value": value}, _named(kind))]
        case "NewBlock":
            value = {
                "block": stored.block.to_json(),
                "block_id": stored.block_id.to_json(),
                "result_finalize_block": {
                    "tx_results": list(stored.results),
                    "validator_updates": None,
                    "app_hash": base64_text(stored.app_hash),
                },
            }
            return [({"type": "tendermint/event/NewBlock", "value": value}, _named(kind))]
        case _:
            return [_transaction(stored, index) for index in range(len(stored.block.txs))]


def _transaction(stored: StoredBlock, index: int) -> tuple[Any, dict[str, list[str]]]:
    tx, result = stored.block.txs[index], stored.results[index]
    events = _named("Tx")
    for event in result["events"]:
        for entry in event["attributes"]:
            events.setdefault(f"{event['type']}.{entry['key']}", []).append(entry["value"])
    events |= {"tx.height": [str(stored.height)], "tx.hash": [transaction_id(tx)]}
    value = {
        "TxResult": {
            "height": str(stored.height),
            # Go leaves out a zero.
            **({"index": index} if index else {}),
            "tx": base64_text(tx),
            "result": {"events": result["events"]},
        }
    }
    return {"type": "tendermint/event/Tx", "value": value}, events


def _named(kind: str) -> dict[str, list[str]]:
    return {"tm.event": [kind]}
