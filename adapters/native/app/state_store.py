"""Where the application keeps its state between runs: the port, and the one in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Changes = Mapping[bytes, bytes | None]
"""Keys with their values; None where there is nothing under the key."""


class CorruptState(Exception):
    """What was stored is not what was saved. The message says where and what to do."""


@dataclass(frozen=True, slots=True)
class StoredState:
    """The newest saved state, and how to step back from it.

    ``undo`` has, newest first, a height and the values that its block replaced; ``accepted`` the
    proposals for the next height that were accepted (``StateStore.accept``).
    """

    height: int
    root: bytes
    items: Mapping[bytes, bytes]
    undo: Sequence[tuple[int, Changes]]
    accepted: frozenset[bytes] = frozenset()


class StateStore(Protocol):
    def load(self) -> StoredState | None:
        """None where nothing was ever saved. Raises CorruptState."""

    def save(
        self, height: int, root: bytes, changes: Changes, replaced: Changes, keep: int
    ) -> None:
        """Writes one block's changes, all or nothing, and durably; keeps ``keep`` undo steps, and
        forgets the proposals that were accepted."""

    def accept(self, proposal: bytes) -> None:
        """Remembers, durably, a proposal for the next height: its digest, 32 bytes."""

    def reset(self, height: int, root: bytes, items: Mapping[bytes, bytes]) -> None:
        """Puts a whole state in the place of what is there (a restored snapshot)."""


class MemoryStateStore:
    """For tests and for replays that need no disk."""

    def __init__(self) -> None:
        self._items: dict[bytes, bytes] = {}
        self._undo: list[tuple[int, Changes]] = []
        self._newest: tuple[int, bytes] | None = None
        self._accepted: frozenset[bytes] = frozenset()

    def load(self) -> StoredState | None:
        if self._newest is None:
            return None
        height, root = self._newest
        return StoredState(height, root, dict(self._items), tuple(self._undo), self._accepted)

    def save(
        self, height: int, root: bytes, changes: Changes, replaced: Changes, keep: int
    ) -> None:
        for key, value in changes.items():
            if value is None:
                self._items.pop(key, None)
            else:
                self._items[key] = value
        self._undo = [(height, dict(replaced)), *self._undo][:keep]
        self._newest = (height, root)
        self._accepted = frozenset()

    def accept(self, proposal: bytes) -> None:
        self._accepted |= {proposal}

    def reset(self, height: int, root: bytes, items: Mapping[bytes, bytes]) -> None:
        self._items = dict(items)
        self._undo = []
        self._newest = (height, root)
        self._accepted = frozenset()
