"""Logs of the lock contract over ranges of blocks, in pieces that the node is willing to answer.

Nodes limit a range, the number of results, or the time of a query, each in words of its own. So a
refusal of any kind halves the range; a range of one block that is refused is a failure of the node.
It grows again as the event streams read on (``Stretch``).
"""

from __future__ import annotations

from typing import Any

from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import (
    CLAIMED,
    OPENED,
    REFUNDED,
    LockContract,
    LockLog,
    read_log,
)
from adapters.ethereum.node_errors import NodeFailed, NodeRefused
from adapters.ethereum.quantities import items, to_hex
from adapters.ethereum.rpc import Node
from adapters.model import LockId
from adapters.stretch import Stretch


class LogReader:
    """Reads a contract's logs. ``stretch``: how long a range its nodes bear, as it stands."""

    def __init__(self, contract: LockContract, stretch: Stretch) -> None:
        self._contract = contract
        self.stretch = stretch

    async def between(
        self, node: Node, first: int, last: int, lock_id: LockId | None = None
    ) -> list[LockLog]:
        """All lock events in blocks first to last, in the chain's order; of one lock, if given.
        Raises NodeFailed."""
        found: list[LockLog] = []
        start = first
        while start <= last:
            end = min(last, start + self.stretch.blocks - 1)
            where = {"fromBlock": to_hex(start), "toBlock": to_hex(end)}
            try:
                logs = await self._query(node, where, lock_id)
            except NodeRefused as refused:
                self._shrink(start, end, str(refused))
                continue
            except NodeFailed as failure:
                # Too long an answer ends in a time-out or a broken connection as well. A node
                # that was not reached at all has said nothing of the range.
                if not failure.sent or start == end:
                    raise
                self._shrink(start, end, str(failure))
                continue
            for log in logs:
                if not start <= log.height <= end:
                    raise NodeFailed(f"answered a log of block {log.height} for {start} to {end}")
                if lock_id is not None and log.event.lock_id != lock_id:
                    # Its terms become those of the claim: a preimage must not go to another lock.
                    raise NodeFailed("answered a log of another lock than was asked for")
            found += logs
            start = end + 1
        return sorted(found, key=lambda log: (log.height, log.index))

    async def of_block(self, node: Node, block_hash: bytes) -> list[LockLog]:
        """All lock events of one block, known by its hash (EIP-234). Raises NodeFailed."""
        try:
            logs = await self._query(node, {"blockHash": to_hex(block_hash)}, None)
        except NodeRefused as refused:
            raise NodeFailed(f"does not give the logs of its block: {refused}") from None
        if any(log.block_hash != block_hash for log in logs):
            raise NodeFailed("answered a log of another block than was asked for")
        return sorted(logs, key=lambda log: log.index)

    def _shrink(self, start: int, end: int, why: str) -> None:
        if start == end:
            raise NodeFailed(f"does not give the logs of block {start}: {why}")
        self.stretch.too_long(end - start + 1)

    async def _query(
        self, node: Node, where: dict[str, Any], lock_id: LockId | None
    ) -> list[LockLog]:
        topics: list[Any] = [[to_hex(OPENED), to_hex(CLAIMED), to_hex(REFUNDED)]]
        if lock_id is not None:
            topics.append(to_hex(lock_id))
        query = {"address": checksummed(self._contract.address), "topics": topics, **where}
        logs = [
            read_log(self._contract, log)
            for log in items(await node.call("eth_getLogs", query), "the logs")
        ]
        return [log for log in logs if log is not None]
