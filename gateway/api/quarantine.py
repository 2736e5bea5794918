"""The quarantine of the user API: list, show, replay, drop.

Facts are told by their kind and by what they are about; what they carry (signatures, preimages) is
not shown.
"""

from __future__ import annotations

from typing import Annotated, Final, assert_never

from fastapi import APIRouter, Query

from adapters.model import Hashlock, LockClaimed, LockOpened, LockRefunded
from gateway.api.bodies import (
    DropBody,
    HeldFactView,
    QuarantineDetail,
    QuarantinePage,
    QuarantineView,
    ReplayView,
)
from gateway.api.commands import carried_out
from gateway.api.description import Guards, described_router
from gateway.api.problems import ProblemError
from gateway.api.views import with_names
from gateway.services import Services, parse_swap_id
from relayers.journal.port import Held, Unreadable
from relayers.protocol.facts import (
    AcceptanceReceived,
    DeclineReceived,
    Delivered,
    FactBody,
    LookedUp,
    Observed,
    OfferAccepted,
    OfferDeclined,
    OfferMade,
    OfferReceived,
    Refused,
    RevealBegun,
    Woken,
)
from relayers.quarantine import Quarantine, Quarantined

FACTS_SHOWN: Final = 100
"""Of one swap; ``facts`` says how many there are."""


def quarantine_router(services: Services, guards: Guards) -> APIRouter:
    router = described_router("/v1/quarantine", "quarantine", guards)

    @router.get("", operation_id="quarantine")
    async def quarantine(
        after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> QuarantinePage:
        """The swaps that stand still until an operator decides, in the order of their ids."""
        all_held = services.engine.quarantined()
        keys = sorted(all_held)
        if after is not None:
            mark = parse_swap_id(after)
            keys = [key for key in keys if key > mark]
        page = keys[:limit]
        return QuarantinePage(
            swaps=tuple(_view(services, key, all_held[key]) for key in page),
            next="0x" + page[-1].hex() if len(keys) > limit else None,
        )

    @router.get("/{id}", operation_id="quarantined")
    async def quarantined(id: str) -> QuarantineDetail:
        """One swap in quarantine, with the facts that wait."""
        key = parse_swap_id(id)
        held = services.engine.quarantined().get(key)
        if held is None:
            raise ProblemError(404, "not_quarantined", f"swap 0x{key.hex()} is not in quarantine")
        return _detail(services, key, held)

    @router.post("/{id}/replay", operation_id="replay")
    async def replay(id: str) -> ReplayView:
        """Processes the facts that wait once more, in their order. Where what is stored of the swap
        cannot be read, that is made anew from its history first. A swap that is not in quarantine
        stays as it is."""
        key = parse_swap_id(id)

        async def work() -> Quarantine | None:
            if key not in services.engine.quarantined():
                # Refuses an id that was never a swap's.
                services.dealing.swap(key)
            return await services.engine.replay(key)

        left = await carried_out(services, "user", "replay", work(), "0x" + key.hex(), _outcome)
        return _after(services, key, left)

    @router.post("/{id}/drop", operation_id="drop")
    async def drop(id: str, body: DropBody) -> ReplayView:
        """Gives up the first fact that waits, for good, and processes the others once more. The
        fact is to be named, so that asking twice never drops two."""
        key = parse_swap_id(id)
        work = services.engine.drop(key, body.fact, body.reason)

        def told(left: Quarantine | None) -> str:
            return f"fact {body.fact} ({body.reason}); {_outcome(left)}"

        left = await carried_out(services, "user", "drop", work, "0x" + key.hex(), told)
        return _after(services, key, left)

    return router


def _outcome(left: Quarantine | None) -> str:
    return "out of quarantine" if left is None else f"still held: {left.reason}"


def _after(services: Services, key: Hashlock, left: Quarantine | None) -> ReplayView:
    return ReplayView(
        swap="0x" + key.hex(),
        released=left is None,
        held=_detail(services, key, left) if left is not None else None,
    )


def _view(services: Services, key: Hashlock, held: Quarantine) -> QuarantineView:
    try:
        swap = services.engine.swap(key)
    except Quarantined:
        swap = None
    return QuarantineView(
        swap="0x" + key.hex(),
        reason=with_names(services, held.reason),
        unreadable=held.unreadable,
        phase=swap.phase if swap is not None else None,
        facts=len(held.facts),
        at_fault=held.facts[0].fact.offset if held.facts and not held.unreadable else None,
    )


def _detail(services: Services, key: Hashlock, held: Quarantine) -> QuarantineDetail:
    return QuarantineDetail(
        **dict(_view(services, key, held)),
        waiting=tuple(_fact(services, one) for one in held.facts[:FACTS_SHOWN]),
    )


def _fact(services: Services, held: Held) -> HeldFactView:
    kind, about = _told(held.fact.body)
    return HeldFactView(
        fact=held.fact.offset,
        kind=kind,
        about=with_names(services, about),
        reason=with_names(services, held.reason),
    )


def _told(body: FactBody | Unreadable) -> tuple[str, str]:
    """The kind of a fact, and what it is about. Nothing secret: a claim's preimage is left out."""
    match body:
        case Unreadable():
            return "unreadable", "what is stored of it cannot be read"
        case OfferMade():
            return "offer_made", "our user offers the swap"
        case OfferReceived():
            return "offer_received", "the peer offers the swap"
        case OfferAccepted():
            return "offer_accepted", "we accept"
        case AcceptanceReceived():
            return "acceptance_received", "the peer accepts"
        case OfferDeclined():
            return "offer_declined", "we decline"
        case DeclineReceived():
            return "decline_received", "the peer declines"
        case Observed(observation):
            position = observation.position
            what = _EVENTS[type(observation.event)]
            return "observed", (
                f"{observation.chain} shows lock 0x{observation.event.lock_id.hex()} {what} "
                f"({observation.stage}), block {position.height}, transaction "
                f"{position.transaction}"
            )
        case LookedUp(chain, lock_id, state):
            return "looked_up", f"{chain} says, when asked, that lock 0x{lock_id.hex()} is {state}"
        case RevealBegun(lock_id):
            return "reveal_begun", f"the claim of lock 0x{lock_id.hex()} is about to begin"
        case Refused(intent, by_chain, _):
            return "refused", f"{intent} was refused by {'the chain' if by_chain else 'us'}"
        case Delivered(intent):
            return "delivered", f"{intent} was taken by the peer"
        case Woken(due, chain):
            return "woken", f"a time has come: {due} {'by our clock' if chain is None else chain}"
        case _:
            assert_never(body)


_EVENTS: Final = {LockOpened: "opened", LockClaimed: "claimed", LockRefunded: "refunded"}
