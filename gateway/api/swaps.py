"""The swaps of the user API: offer, accept, reject, list, show."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query

from adapters.model import AssetId, InvalidValue
from gateway.api.bodies import OfferRequestBody, RejectionBody, SideBody, SwapDetail, SwapPage
from gateway.api.commands import carried_out
from gateway.api.description import Guards, described_router
from gateway.api.idempotency import Idempotency
from gateway.api.views import swap_detail, swap_view
from gateway.services import Services, parse_swap_id
from relayers.offers.desk import Deadlines, Made, OfferRequest, Side
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.protocol.state import Phase, Role, Swap

IdempotencyKey = Annotated[
    str | None,
    Header(description="The same key and body again is the same command, carried out once."),
]


def swap_router(services: Services, guards: Guards) -> APIRouter:
    router = described_router("/v1/swaps", "swaps", guards)
    idempotency = Idempotency(services)

    @router.post("", status_code=201, operation_id="offer")
    async def offer(body: OfferRequestBody, idempotency_key: IdempotencyKey = None) -> SwapDetail:
        """Makes an offer to a peer. It is signed and sent; nothing is locked until the peer has
        accepted it."""
        async with idempotency.reserved(idempotency_key, "offer", body.model_dump_json()) as salt:
            made = await carried_out(services, "user", "offer", _made(services, body, salt))
        return await swap_detail(services, made.swap, made.warnings)

    @router.post("/{id}/accept", operation_id="accept")
    async def accept(id: str, idempotency_key: IdempotencyKey = None) -> SwapDetail:
        """Accepts a received offer. Our lock follows once the peer's is final."""
        async with idempotency.reserved(idempotency_key, "accept", id):
            work = _accepted(services, id, again=idempotency_key is not None)
            swap = await carried_out(services, "user", "accept", work, id)
        return await swap_detail(services, swap)

    @router.post("/{id}/reject", operation_id="reject")
    async def reject(
        id: str, body: RejectionBody | None = None, idempotency_key: IdempotencyKey = None
    ) -> SwapDetail:
        """Rejects a received offer."""
        reason = body.reason if body is not None else ""
        async with idempotency.reserved(idempotency_key, "reject", f"{id}\n{reason}"):
            work = _rejected(services, id, reason, again=idempotency_key is not None)
            swap = await carried_out(services, "user", "reject", work, id)
        return await swap_detail(services, swap)

    @router.get("", operation_id="swaps")
    async def swaps(
        phase: Annotated[Phase | None, Query(description="Only those in this phase.")] = None,
        role: Annotated[Role | None, Query(description="Only those in this role.")] = None,
        peer: Annotated[str | None, Query(description="Only those with this peer.")] = None,
        reference: Annotated[str | None, Query(description="Only those with it.")] = None,
        open: Annotated[bool | None, Query(description="Only those not ended, or ended.")] = None,
        after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> SwapPage:
        """Swaps, newest first."""

        def fits(swap: Swap) -> bool:
            initiator = swap.role is Role.INITIATOR
            address = swap.offer.responder if initiator else swap.offer.initiator
            return (
                (phase is None or swap.phase is phase)
                and (role is None or swap.role is role)
                and (peer is None or services.peer_name(address) == peer)
                and (reference is None or swap.offer.reference == reference)
                and (open is None or swap.ended is not open)
            )

        found = sorted(
            (swap for swap in services.engine.swaps() if fits(swap)), key=_place, reverse=True
        )
        if after is not None:
            mark = services.engine.swap(parse_swap_id(after, "after"))
            if mark is None:
                raise InvalidValue("after: no swap has this id", "after")
            found = [swap for swap in found if _place(swap) < _place(mark)]
        page = found[:limit]
        more = "0x" + page[-1].hashlock.hex() if len(found) > limit else None
        return SwapPage(swaps=tuple([await swap_view(services, s) for s in page]), next=more)

    @router.get("/{id}", operation_id="swap")
    async def swap(id: str) -> SwapDetail:
        """One swap, with words on where it is, what it waits for, until when, and what is next."""
        return await swap_detail(services, services.dealing.swap(parse_swap_id(id)))

    return router


def _place(swap: Swap) -> tuple[int, bytes]:
    return swap.begun, swap.hashlock


def _side(body: SideBody, field: str) -> Side:
    try:
        asset = AssetId.parse(body.asset)
    except InvalidValue as error:
        field = f"{field}.asset"
        raise OfferRefused(Refusal.INVALID_VALUE, f"{field}: {error}", field) from None
    if body.amount is not None:
        return Side(asset, int(body.amount))
    assert body.quantity is not None, "the model demands one of the two"
    return Side(asset, body.quantity)


async def _made(services: Services, body: OfferRequestBody, salt: bytes) -> Made:
    before = services.engine.swap(await services.desk.hashlock(salt))
    if before is not None:
        # A second try under one idempotency key: the first one's swap.
        return Made(before, ())
    deadlines = body.deadlines
    request = OfferRequest(
        peer=body.peer,
        give=_side(body.give, "give"),
        get=_side(body.get, "get"),
        valid_for=body.valid_for,
        deadlines=Deadlines(deadlines.give, deadlines.get) if deadlines is not None else None,
        reference=body.reference,
    )
    return await services.desk.make(request, salt)


async def _accepted(services: Services, id: str, *, again: bool) -> Swap:
    hashlock = parse_swap_id(id)
    before = services.engine.swap(hashlock)
    if again and before is not None and before.role is Role.RESPONDER and before.acceptance:
        return before
    return await services.desk.accept(hashlock)


async def _rejected(services: Services, id: str, reason: str, *, again: bool) -> Swap:
    hashlock = parse_swap_id(id)
    before = services.engine.swap(hashlock)
    declined = before is not None and before.phase is Phase.DECLINED
    if again and before is not None and declined and before.role is Role.RESPONDER:
        return before
    return await services.desk.decline(hashlock, reason)
