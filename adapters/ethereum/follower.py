"""Follows the chain: one step reads one stretch of blocks and tells what came to light.

A step is made against one node from start to end and changes the follower only when it has
succeeded, so a node that fails half-way leaves nothing behind. What a step reads is tied together
by hashes: blocks above the final one are linked by their parents' hashes to the newest block known
before, and every log of theirs must carry the hash of its block. If the chain moves under a step,
the step fails and is made again.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.ethereum.cursor import Checkpoint, Mark, thinned, write
from adapters.ethereum.heads import Heads, Tip, behind, header_at
from adapters.ethereum.lock_contract import LockLog
from adapters.ethereum.log_reader import LogReader
from adapters.ethereum.node_errors import NodeFailed
from adapters.ethereum.rpc import Node
from adapters.model import ChainId, FinalityViolation, Notice, Observation, Position, Stage

_BY_HASH = 8
"""Up to so many new blocks, each one's logs are asked for by its hash, which cannot be mistaken."""


def _key(log: LockLog) -> tuple[bytes, int]:
    return log.block_hash, log.index


def _place(log: LockLog) -> tuple[int, int]:
    return log.height, log.index


@dataclass(frozen=True, slots=True)
class _Base:
    """The newest block seen before that is still there. ``violation``: a final one is not."""

    height: int
    hash: bytes | None
    forked: bool
    violation: FinalityViolation | None = None


class Follower:
    """One event stream's place on the chain. ``start``: the first block that can hold events."""

    def __init__(
        self, chain: ChainId, heads: Heads, logs: LogReader, start: int, mark: Mark | None
    ) -> None:
        self._chain = chain
        self._heads = heads
        self._logs = logs
        self._start = start
        self._mark = mark if mark is not None else Mark(final=start - 1)
        self._told: Tip | None = None
        self.caught_up = False

    async def step(self, node: Node) -> Notice | None:
        """What came to light since the step before; None if nothing moved.

        Raises NodeFailed, Misconfigured, NodeRefused."""
        tip = await self._heads.newest(node, any_height=True)
        if self.caught_up and tip == self._told:
            return None
        mark = self._mark
        base = await self._base(node, tip, mark)
        if base.violation is not None:
            tip = tip.as_ruled()
        head = tip.head
        # After a violation, what was final and is no more is read anew.
        final_before = min(mark.final, base.height) if base.violation is not None else mark.final
        first = base.height + 1
        stretch = self._logs.stretch
        last = min(head.height, base.height + stretch.blocks)
        with stretch.reading(last - base.height):
            seen_blocks = await self._blocks(node, tip, base, last)
            fresh = await self._read(node, first, last, seen_blocks)
        final_now = max(final_before, min(head.final_height, last))
        observations = self._compare(mark, base, fresh, last, head.height, final_before, final_now)
        kept = [log for log in mark.pending if log.height <= base.height or log.height > last]
        if last == head.height:
            kept = [log for log in kept if log.height <= last]
        pending = sorted((log for log in [*kept, *fresh] if log.height > final_now), key=_place)
        trail = [point for point in mark.trail if point[0] <= base.height] + seen_blocks
        every = max(8, last - final_now + 1)
        new_mark = Mark(final_now, thinned(trail, every) if trail else (), tuple(pending))
        notice = Notice(head, tuple(observations), write(new_mark), base.violation)
        self._heads.follow(tip, last, forked=base.forked)
        self._mark, self._told, self.caught_up = new_mark, tip, last == head.height
        return notice

    # --- where we were -------------------------------------------------------------------------

    async def _base(self, node: Node, tip: Tip, mark: Mark) -> _Base:
        """Goes back along the trail to the newest block that the chain still has."""
        head = tip.head
        forked = False
        lowest: tuple[Checkpoint, bytes] | None = None
        for height, known in reversed(mark.trail):
            if height > head.height:
                continue
            if height == head.height:
                seen: bytes | None = head.hash
            elif height == head.height - 1:
                seen = tip.parent_hash
            else:
                header = await header_at(node, self._chain, height)
                seen = header.hash if header is not None else None
            if seen is None:
                raise NodeFailed(f"does not give its block {height}", sent=False)
            if seen == known:
                if not forked and mark.trail[-1][0] > head.height:
                    # All that it shows is what we knew: an older view, not another fork.
                    raise behind(mark.trail[-1][0], head.height)
                return _Base(height, known, forked, self._violation(mark, height, lowest))
            forked = True
            lowest = ((height, known), seen)
        if mark.trail and not forked:
            raise behind(mark.trail[-1][0], head.height)
        height = self._start - 1
        return _Base(height, None, forked, self._violation(mark, height, lowest))

    def _violation(
        self, mark: Mark, base: int, lowest: tuple[Checkpoint, bytes] | None
    ) -> FinalityViolation | None:
        """A block at or below the final height is not what it was."""
        if lowest is None or lowest[0][0] > mark.final or base >= mark.final:
            return None
        (height, expected), seen = lowest
        return FinalityViolation(height, expected, seen)

    # --- what is there -------------------------------------------------------------------------

    async def _blocks(self, node: Node, tip: Tip, base: _Base, last: int) -> list[Checkpoint]:
        """Hashes of the final block and of the new ones that may still vanish, linked to each
        other and, where they follow it directly, to the base; and of the last one in any case."""
        head = tip.head
        first = max(base.height + 1, min(head.final_height, last))
        found: list[Checkpoint] = []
        above: bytes | None = None
        for height in range(last, first - 1, -1):
            if height == head.height:
                block_hash, parent = head.hash, tip.parent_hash
            else:
                header = await header_at(node, self._chain, height)
                if header is None:
                    raise NodeFailed(f"does not give its block {height}", sent=False)
                block_hash, parent = header.hash, header.parent_hash
            if above is not None and above != block_hash:
                raise NodeFailed("moved to another fork while it was read", sent=False)
            found.append((height, block_hash))
            above = parent
        if above is not None and first == base.height + 1 and base.hash not in (None, above):
            raise NodeFailed("moved to another fork while it was read", sent=False)
        return list(reversed(found))

    async def _read(
        self, node: Node, first: int, last: int, blocks: list[Checkpoint]
    ) -> list[LockLog]:
        if first > last:
            return []
        known = dict(blocks)
        if len(known) == last - first + 1 <= _BY_HASH:
            return [log for _, block in blocks for log in await self._logs.of_block(node, block)]
        logs = await self._logs.between(node, first, last)
        if any(known.get(log.height, log.block_hash) != log.block_hash for log in logs):
            raise NodeFailed("moved to another fork while it was read", sent=False)
        height, block_hash = blocks[-1]
        header = await header_at(node, self._chain, height)
        if header is None or header.hash != block_hash:
            raise NodeFailed("moved to another fork while it was read", sent=False)
        return logs

    # --- what that means -----------------------------------------------------------------------

    def _compare(
        self,
        mark: Mark,
        base: _Base,
        fresh: list[LockLog],
        last: int,
        head: int,
        final_before: int,
        final_now: int,
    ) -> list[Observation]:
        there = {_key(log) for log in fresh}
        told = {_key(log) for log in mark.pending}
        gone = [
            log
            for log in mark.pending
            if log.height > base.height
            and (log.height <= last or last == head)
            and _key(log) not in there
        ]
        standing = [log for log in mark.pending if log.height <= base.height]
        final = [log for log in [*standing, *fresh] if final_before < log.height <= final_now]
        pending = [log for log in fresh if log.height > final_now and _key(log) not in told]
        return [
            *(self._observation(log, Stage.RETRACTED) for log in sorted(gone, key=_place)[::-1]),
            *(self._observation(log, Stage.FINAL) for log in sorted(final, key=_place)),
            *(self._observation(log, Stage.PENDING) for log in sorted(pending, key=_place)),
        ]

    def _observation(self, log: LockLog, stage: Stage) -> Observation:
        place = Position(log.height, log.block_hash, log.index, log.transaction)
        return Observation(self._chain, log.event, stage, place)
