"""Puts together what is stored of the swaps, so that one that cannot be read hides no other.

A swap whose snapshot is whole and one of whose intents is not (or the other way round) counts as
unreadable: to act on a part of it could do what it no longer wants.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.model import Hashlock
from relayers.journal.port import JournalCorrupt, Restored, Unreadable, UnreadableSwap
from relayers.protocol.intents import Intent
from relayers.protocol.state import Swap


def restored(
    snapshots: Iterable[tuple[bytes, Swap | Unreadable]],
    intents: Iterable[tuple[str, Intent | Unreadable]],
) -> Restored:
    """``snapshots`` by the key, ``intents`` by the id that they are stored under. Raises
    JournalCorrupt where such a key or id names no swap."""
    swaps: dict[Hashlock, Swap] = {}
    wrong: dict[Hashlock, str] = {}
    for stored, state in snapshots:
        key = _hashlock(stored, "a snapshot")
        if isinstance(state, Unreadable):
            wrong[key] = state.reason
        elif state.hashlock != key:
            wrong[key] = f"the stored snapshot is of another swap, {state.hashlock.hex()}"
        else:
            swaps[key] = state
    open_intents: list[tuple[Hashlock, Intent]] = []
    for ident, intent in intents:
        key = _hashlock(_digits(ident), "an intent")
        if isinstance(intent, Unreadable):
            wrong.setdefault(key, intent.reason)
        elif intent.id != ident:
            wrong.setdefault(key, f"the stored intent {ident} is another, {intent.id}")
        elif key not in swaps:
            wrong.setdefault(key, f"the intent {ident} is stored, and no snapshot of its swap")
        else:
            open_intents.append((key, intent))
    return Restored(
        tuple(state for key, state in swaps.items() if key not in wrong),
        tuple(intent for key, intent in open_intents if key not in wrong),
        tuple(UnreadableSwap(key, reason) for key, reason in wrong.items()),
    )


def _digits(ident: str) -> bytes:
    try:
        return bytes.fromhex(ident.partition(":")[0])
    except ValueError:
        return b""


def _hashlock(stored: object, what: str) -> Hashlock:
    if not isinstance(stored, bytes) or len(stored) != 32:
        raise JournalCorrupt(
            f"the journal is damaged: it holds {what} under what names no swap; restore it from a "
            "backup"
        )
    return Hashlock(stored)
