"""What the chain's newest state says of a lock: its state from storage, its terms from its events.

The contract stores the blocks in which a lock was opened and settled, so the events are found with
one query for each. On chains whose contracts see another block number than their nodes do, they are
searched for.
"""

from __future__ import annotations

from adapters.ethereum.heads import Heads
from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import LOOKUP, LockContract, LockLog, encode
from adapters.ethereum.log_reader import LogReader
from adapters.ethereum.node_errors import NodeFailed
from adapters.ethereum.quantities import data, to_hex
from adapters.ethereum.rpc import Node
from adapters.model import (
    LockClaimed,
    LockId,
    LockOpened,
    LockRecord,
    LockRefunded,
    LockState,
    LockTerms,
    Preimage,
)


class LockRecords:
    """Looks locks up on one chain."""

    def __init__(self, contract: LockContract, heads: Heads, logs: LogReader, start: int) -> None:
        self._contract = contract
        self._heads = heads
        self._logs = logs
        self._start = start

    async def lookup(self, node: Node, lock_id: LockId) -> LockRecord:
        """Raises NodeFailed."""
        tip = await self._heads.newest(node)
        call = {
            "to": checksummed(self._contract.address),
            "data": to_hex(encode(LOOKUP, lock_id)),
        }
        answer = data(await node.call("eth_call", call, "latest"), "a lock's record")
        state, opened, settled = self._contract.read_lookup(answer)
        if state is LockState.ABSENT:
            return LockRecord(lock_id, state, final=False)
        opening = await self._event(node, lock_id, opened, LockOpened)
        assert isinstance(opening.event, LockOpened)
        terms: LockTerms = opening.event.terms
        if state is LockState.OPEN:
            return LockRecord(lock_id, state, opening.height <= tip.head.final_height, terms)
        kind = LockClaimed if state is LockState.CLAIMED else LockRefunded
        settling = await self._event(node, lock_id, settled, kind)
        preimage: Preimage | None = None
        if isinstance(settling.event, LockClaimed):
            preimage = settling.event.preimage
        final = settling.height <= tip.head.final_height
        return LockRecord(lock_id, state, final, terms, preimage)

    async def _event(
        self,
        node: Node,
        lock_id: LockId,
        height: int,
        kind: type[LockOpened | LockClaimed | LockRefunded],
    ) -> LockLog:
        for first, last in ((height, height), (self._start, None)):
            end = last
            if end is None:
                end = (await self._heads.newest(node)).head.height
            for log in await self._logs.between(node, first, end, lock_id):
                if isinstance(log.event, kind):
                    return log
        raise NodeFailed(f"does not give the {kind.__name__} event of lock {lock_id.hex()}")
