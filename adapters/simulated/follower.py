"""Turns the heads that a view shows, one after another, into the notices of an event stream.

Pure: ``step`` is given a head and says what came to light. The cursor marks the newest final block
that was told; what was only pending is told again after a resumption, as it is on real chains.
"""

from __future__ import annotations

from collections import deque

from adapters.model import (
    Cursor,
    FinalityViolation,
    Head,
    InvalidValue,
    Notice,
    Observation,
    Stage,
)
from adapters.simulated.chain import SimulatedBlock, SimulatedChain


class Follower:
    """The state of one event stream. Raises InvalidValue for a cursor that is not this chain's."""

    def __init__(self, chain: SimulatedChain, cursor: Cursor | None) -> None:
        self._chain = chain
        self._final = chain.at(0) if cursor is None else _block_of(chain, cursor)
        self._seen = self._final
        self._unfinal: deque[SimulatedBlock] = deque()
        self._shown: tuple[SimulatedBlock, int] | None = None

    def step(self, block: SimulatedBlock, time: int) -> Notice | None:
        """The notice for this head and chain time; None where it was the last one's already."""
        if self._shown is not None and self._shown[0] is block and self._shown[1] == time:
            return None
        self._shown = (block, time)
        told: list[Observation] = []
        violation = None
        # In almost every step the new block stands on the one seen last.
        if block.parent is self._seen:
            vanished: list[SimulatedBlock] = []
            fresh = [block]
        else:
            vanished, fresh = _difference(self._seen, block)
        # A head below the newest one seen, on the same branch, is a node that is behind: no reorg.
        behind = bool(vanished) and not fresh
        if not behind:
            violation = self._drop(vanished, fresh, told)
            self._unfinal.extend(fresh)
            self._seen = block
        self._finalise(block.height - self._chain.rules.depth, told)
        if not behind:
            for new in fresh:
                if new.events and new.height > self._final.height:
                    told.extend(new.observations(self._chain.id, Stage.PENDING))
        head = head_of(self._chain, block, time)
        return Notice(head, tuple(told), _cursor_at(self._final), violation)

    def _drop(
        self,
        vanished: list[SimulatedBlock],
        fresh: list[SimulatedBlock],
        told: list[Observation],
    ) -> FinalityViolation | None:
        if not vanished:
            return None
        violation = None
        for old in reversed(vanished):
            if self._unfinal and self._unfinal[-1] is old:
                self._unfinal.pop()
        for old in vanished:
            if old.height > self._final.height:
                told.extend(old.observations(self._chain.id, Stage.RETRACTED))
        if vanished[0].height <= self._final.height:
            violation = FinalityViolation(vanished[0].height, vanished[0].hash, fresh[0].hash)
            assert vanished[0].parent is not None, "genesis never vanishes"
            self._final = vanished[0].parent
        return violation

    def _finalise(self, height: int, told: list[Observation]) -> None:
        while self._unfinal and self._unfinal[0].height <= height:
            self._final = self._unfinal.popleft()
            if self._final.events:
                told.extend(self._final.observations(self._chain.id, Stage.FINAL))


def head_of(chain: SimulatedChain, block: SimulatedBlock, time: int) -> Head:
    """The head that a node shows which stands at this block."""
    final = max(0, block.height - chain.rules.depth)
    return Head(chain.id, block.height, block.hash, time, final)


def _difference(
    old: SimulatedBlock, new: SimulatedBlock
) -> tuple[list[SimulatedBlock], list[SimulatedBlock]]:
    """The blocks of old's branch and of new's above their common ancestor, oldest first."""
    vanished: list[SimulatedBlock] = []
    fresh: list[SimulatedBlock] = []
    while old is not new:
        if old.height >= new.height:
            vanished.append(old)
            assert old.parent is not None, "two branches meet at genesis"
            old = old.parent
        else:
            fresh.append(new)
            assert new.parent is not None, "two branches meet at genesis"
            new = new.parent
    vanished.reverse()
    fresh.reverse()
    return vanished, fresh


def _cursor_at(block: SimulatedBlock) -> Cursor:
    return Cursor(f"{block.height}:{block.hash.hex()}")


def _block_of(chain: SimulatedChain, cursor: Cursor) -> SimulatedBlock:
    height, _, digest = cursor.text.partition(":")
    try:
        block = chain.by_hash(bytes.fromhex(digest))
    except ValueError:
        block = None
    if block is None or str(block.height) != height:
        raise InvalidValue(f"cursor {cursor.text[:80]!r} was not made on {chain.id}")
    return block
