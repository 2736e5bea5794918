"""Carries out a command so that it is audited and counted, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar

from gateway.api.problems import problem_of
from gateway.services import Services, hashlock_of
from relayers.offers.refusal import Refusal
from relayers.protocol.state import Swap

T = TypeVar("T")

UNAUDITED: Final = frozenset(
    {
        Refusal.INVALID_VALUE,
        Refusal.UNKNOWN_PEER,
        Refusal.UNKNOWN_SWAP,
        Refusal.NOT_ADDRESSED_TO_US,
        Refusal.VERSION_UNSUPPORTED,
        Refusal.SIGNATURE_INVALID,
        Refusal.OFFER_KNOWN,
        Refusal.ACCEPTANCE_KNOWN,
        Refusal.TOO_MANY_OFFERS,
    }
)
"""Refusals of messages that no peer was shown to have signed, and of what a peer sends again or too
often. They are counted and not audited: whoever reaches the listener could fill the disk."""


async def carried_out(
    services: Services, actor: str, command: str, work: Awaitable[T], swap: str = ""
) -> T:
    """The result of the work; its outcome goes to the audit log and the metrics first. A peer's
    message that changed nothing, a second try, is only counted."""
    kind = actor.partition(":")[0]
    before = services.engine.swap(hashlock_of(swap)) if kind == "peer" else None
    try:
        result = await work
    except Exception as error:
        problem = problem_of(error)
        if kind != "peer" or problem.code not in UNAUDITED:
            services.audit.write(actor, command, problem.code, swap=swap, detail=problem.detail)
        services.metrics.commands.labels(kind, command, problem.code).inc()
        raise
    if not swap:
        state = getattr(result, "swap", result)
        swap = "0x" + state.hashlock.hex() if isinstance(state, Swap) else ""
    if before is None or result != before:
        services.audit.write(actor, command, "done", swap=swap)
    services.metrics.commands.labels(kind, command, "done").inc()
    return result
