"""Which intents a move leaves open. One move may both ask for an intent and close it."""

from __future__ import annotations

from relayers.protocol.intents import Intent, intent_id
from relayers.protocol.state import Move


def opened(move: Move) -> tuple[Intent, ...]:
    """The intents that the move opened and that are still to be done after it. Those in
    ``move.closed`` are to be closed before these are opened."""
    state = move.state
    if state is None or not move.intents:
        return ()
    if not state.closed:
        return move.intents
    done = {intent_id(state.hashlock, kind) for kind in state.closed}
    return tuple(intent for intent in move.intents if intent.id not in done)
