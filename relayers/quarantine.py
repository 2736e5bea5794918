"""Swaps that stand still until an operator decides: why, and the facts that wait.

A swap gets here in two ways. A fact of it cannot be processed: then its facts wait from that one
on. Or what is stored of it cannot be read: then nothing of it is acted on, and all of its facts
wait. Other swaps flow on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.model import Hashlock
from relayers.journal.port import Held, UnreadableSwap

_log = logging.getLogger(__name__)

BEHIND = "an earlier fact of this swap is held"
UNREADABLE = "what is stored of this swap cannot be read"


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Why one swap is held, and the facts that wait, in their order. ``unreadable``: what is stored
    of the swap cannot be read; then there may be no facts."""

    reason: str
    facts: tuple[Held, ...]
    unreadable: bool


class Quarantined(Exception):
    """The swap is in quarantine; an operator must replay or drop what is held. ``stored``: the fact
    that was put is held with the others; else nothing was changed."""

    def __init__(self, key: Hashlock, reason: str, *, stored: bool = False) -> None:
        super().__init__(f"swap {key.hex()} is in quarantine: {reason}")
        self.key = key
        self.reason = reason
        self.stored = stored


class NotHeld(Exception):
    """This fact is not the one that can be dropped now; nothing was changed."""


class Ward:
    """All that is in quarantine, as the journal has it. The swap comes in with its first entry,
    which is told in the log, and leaves with its last."""

    def __init__(self) -> None:
        self._held: dict[Hashlock, list[Held]] = {}
        self._unreadable: dict[Hashlock, str] = {}
        self._not_rebuilt: dict[Hashlock, str] = {}

    def __contains__(self, key: Hashlock) -> bool:
        return key in self._held or key in self._unreadable

    def reason(self, key: Hashlock) -> str:
        """Raises KeyError."""
        if key in self._unreadable:
            why = self._not_rebuilt.get(key)
            return self._unreadable[key] + ("" if why is None else f"; {why}")
        return self._held[key][0].reason

    def get(self, key: Hashlock) -> Quarantine | None:
        if key not in self:
            return None
        facts = tuple(self._held.get(key, ()))
        return Quarantine(self.reason(key), facts, key in self._unreadable)

    def all(self) -> Mapping[Hashlock, Quarantine]:
        found = {key: self.get(key) for key in (*self._unreadable, *self._held)}
        return {key: one for key, one in found.items() if one is not None}

    def unreadable(self, key: Hashlock) -> bool:
        return key in self._unreadable

    def behind(self, key: Hashlock) -> str | None:
        """Why a new fact of the swap must wait; None where it need not."""
        if key in self._unreadable:
            return UNREADABLE
        return BEHIND if key in self._held else None

    def hold(self, held: Held) -> None:
        """A fact that the journal has as held."""
        key = held.fact.key
        if key not in self:
            _tell(key, held.reason)
        self._held.setdefault(key, []).append(held)

    def take(self, key: Hashlock) -> list[Held]:
        """Takes the swap's facts out, to be processed once more."""
        return self._held.pop(key, [])

    def shut(self, swap: UnreadableSwap) -> None:
        """A swap of which the journal cannot read what is stored."""
        self._unreadable[swap.key] = swap.reason
        _tell(swap.key, swap.reason)

    def not_rebuilt(self, key: Hashlock, why: str) -> None:
        self._not_rebuilt[key] = why

    def open(self, key: Hashlock) -> None:
        """What is stored of the swap can be read again."""
        del self._unreadable[key]
        self._not_rebuilt.pop(key, None)


def _tell(key: Hashlock, reason: str) -> None:
    _log.error(
        "swap 0x%s is in quarantine: %s; see isthmus quarantine show, docs/runbooks/quarantine.md",
        key.hex(),
        reason,
    )
