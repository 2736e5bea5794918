"""Makes a swap's state anew from its history, where what was stored of it cannot be read.

Each fact of the history is stepped at the moment at which it was taken in. What follows is believed
only where it is what followed then: the same facts ignored for the same reasons, and the same told
to users, word for word. A release whose rules have changed since gives something else, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relayers.journal.opened import opened
from relayers.journal.port import Taken
from relayers.protocol.facts import Fact
from relayers.protocol.intents import Intent
from relayers.protocol.state import Swap, UserEvent
from relayers.protocol.swap import step


class NotRebuilt(Exception):
    """The history does not give the state; the message says why."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """``intents``: those that are still to be done."""

    state: Swap
    intents: tuple[Intent, ...]


def rebuilt(history: Sequence[Taken], told: Sequence[UserEvent]) -> Rebuilt:
    """``told``: what users were told of the swap, in its order. Raises NotRebuilt."""
    state: Swap | None = None
    intents: dict[str, Intent] = {}
    events: list[UserEvent] = []
    for taken in history:
        try:
            move = step(state, Fact(taken.body, taken.at))
        except Exception as error:
            # The class alone: an error's text may quote what it stumbled over.
            raise NotRebuilt(
                f"fact {taken.offset} of its history cannot be processed ({type(error).__name__})"
            ) from error
        if move.ignored is not taken.ignored:
            raise NotRebuilt(
                f"fact {taken.offset} of its history was {_taken_as(taken.ignored)} and would now "
                f"be {_taken_as(move.ignored)}"
            )
        if move.state is not None:
            state = move.state
        for closed in move.closed:
            intents.pop(closed, None)
        intents.update((intent.id, intent) for intent in opened(move))
        events.extend(move.events)
    if state is None:
        raise NotRebuilt("its history is empty")
    if events != list(told):
        raise NotRebuilt("its history now tells something else than users were told then")
    return Rebuilt(state, tuple(intents.values()))


def _taken_as(ignored: str | None) -> str:
    return "taken in" if ignored is None else f"ignored ({ignored})"
