"""Carries out a command so that it is audited and counted, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from starlette.exceptions import HTTPException

from adapters.model import InvalidValue
from adapters.spi import AdapterError
from gateway.api.problems import ProblemError, problem_of
from gateway.services import Services, parse_swap_id
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.protocol.state import Swap
from relayers.quarantine import Quarantined

T = TypeVar("T")

UNSIGNED: Final = frozenset(
    {
        Refusal.INVALID_VALUE,
        Refusal.UNKNOWN_PEER,
        Refusal.UNKNOWN_SWAP,
        Refusal.NOT_ADDRESSED_TO_US,
        Refusal.VERSION_UNSUPPORTED,
        Refusal.SIGNATURE_INVALID,
    }
)
"""Refusals of messages that no peer was shown to have signed. They are counted and not audited: the
names in them are whatever a stranger chose."""


async def carried_out(
    services: Services,
    actor: str,
    command: str,
    work: Awaitable[T],
    swap: str = "",
    told: Callable[[T], str] = lambda _: "",
) -> T:
    """The result of the work; its outcome goes to the audit log and the metrics first. A peer's
    message that changed nothing, a second try, is only counted; its refusals that changed nothing
    get a bounded number of lines. ``told``: what the line says of the result."""
    kind = actor.partition(":")[0]
    try:
        before = services.engine.swap(parse_swap_id(swap)) if kind == "peer" else None
    except Quarantined:
        before = None
    try:
        result = await work
    except Exception as error:
        problem = problem_of(error)
        if kind != "peer" or _changed_something(error):
            services.audit.write(actor, command, problem.code, swap=swap, detail=problem.detail)
        elif problem.code not in UNSIGNED:
            services.audit.write_bounded(
                actor, command, problem.code, swap=swap, detail=problem.detail
            )
        services.metrics.commands.labels(kind, command, problem.code).inc()
        raise
    if not swap:
        state = getattr(result, "swap", result)
        swap = "0x" + state.hashlock.hex() if isinstance(state, Swap) else ""
    if before is None or result != before:
        services.audit.write(actor, command, "done", swap=swap, detail=told(result))
    services.metrics.commands.labels(kind, command, "done").inc()
    return result


def _changed_something(error: Exception) -> bool:
    """Whether more than nothing may have been done before it was raised; true where in doubt."""
    match error:
        case Quarantined():
            return error.stored
        case OfferRefused() | ProblemError() | InvalidValue() | AdapterError() | HTTPException():
            return False
        case _:
            return True
