"""Which of many alike refusals get a line in the audit log, and how many did not.

Whoever is refused may come again at once, and a line that waits for the disk is dear. The first of
each kind gets its line; those that follow are counted, and the count gets at most one line in each
``EVERY`` seconds. Nothing is lost but the lines' details.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from relayers.clock import Clock

EVERY: Final = 60.0
"""Seconds between two lines on refusals of one kind."""

KINDS: Final = 1024
"""So many kinds are told apart; what comes beyond them is counted together."""


class Kind(NamedTuple):
    """What makes refusals alike."""

    actor: str
    command: str
    outcome: str


OTHERS: Final = Kind("others", "any", "refused")


@dataclass(slots=True)
class _Kept:
    told_at: float
    unwritten: int = 0


class Repeats:
    """Times are the clock's; one that was set back only makes a line come sooner."""

    def __init__(self, clock: Clock, *, every: float = EVERY, kinds: int = KINDS) -> None:
        self._clock = clock
        self._every = every
        self._most = kinds
        self._kept: dict[Kind, _Kept] = {}

    def came(self, kind: Kind) -> tuple[Kind, int] | None:
        """One more of a kind. None where it gets no line of its own now; else the kind to write,
        and how many came without a line since the line before."""
        now = self._clock()
        if kind not in self._kept and len(self._kept) >= self._most:
            self._forget(now)
            kind = kind if len(self._kept) < self._most else OTHERS
        kept = self._kept.get(kind)
        if kept is not None and self._recent(kept, now):
            kept.unwritten += 1
            return None
        self._kept[kind] = _Kept(now)
        return kind, kept.unwritten if kept is not None else 0

    def overdue(self, *, at_once: bool = False) -> Iterator[tuple[Kind, int]]:
        """The counts whose time has come, or all of them, to be written now."""
        now = self._clock()
        for kind, kept in self._kept.items():
            if kept.unwritten and (at_once or not self._recent(kept, now)):
                count, kept.unwritten, kept.told_at = kept.unwritten, 0, now
                yield kind, count
        self._forget(now)

    def _recent(self, kept: _Kept, now: float) -> bool:
        return 0 <= now - kept.told_at < self._every

    def _forget(self, now: float) -> None:
        """The kinds that have nothing to tell: their next one gets a line at once."""
        for kind, kept in list(self._kept.items()):
            if not kept.unwritten and not self._recent(kept, now):
                del self._kept[kind]
