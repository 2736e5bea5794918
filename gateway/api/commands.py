"""Carries out a command so that it is audited and counted, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar

from gateway.api.problems import problem_of
from gateway.services import Services
from relayers.offers.refusal import Refusal
from relayers.protocol.state import Swap

T = TypeVar("T")

UNPROVEN: Final = frozenset(
    {
        Refusal.INVALID_VALUE,
        Refusal.UNKNOWN_PEER,
        Refusal.UNKNOWN_SWAP,
        Refusal.NOT_ADDRESSED_TO_US,
        Refusal.VERSION_UNSUPPORTED,
        Refusal.SIGNATURE_INVALID,
    }
)
"""Refusals of messages that no peer was shown to have signed. They are counted and not audited:
whoever reaches the listener could fill the disk with them."""


async def carried_out(
    services: Services, actor: str, command: str, work: Awaitable[T], swap: str = ""
) -> T:
    """The result of the work; its outcome goes to the audit log and the metrics first."""
    kind = actor.partition(":")[0]
    try:
        result = await work
    except Exception as error:
        problem = problem_of(error)
        if not (actor.startswith("peer:") and problem.code in UNPROVEN):
            services.audit.write(actor, command, problem.code, swap=swap, detail=problem.detail)
        services.metrics.commands.labels(kind, command, problem.code).inc()
        raise
    if not swap:
        state = getattr(result, "swap", result)
        swap = "0x" + state.hashlock.hex() if isinstance(state, Swap) else ""
    services.audit.write(actor, command, "done", swap=swap)
    services.metrics.commands.labels(kind, command, "done").inc()
    return result
