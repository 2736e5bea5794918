"""Swaps, chains and events as the user API shows them."""

from __future__ import annotations

import re
from dataclasses import replace

from adapters.model import AssetId, format_amount
from gateway.api.bodies import (
    EventView,
    ExplanationView,
    LegView,
    LockView,
    SwapDetail,
    SwapView,
)
from gateway.services import Services
from relayers.journal.port import StoredEvent
from relayers.protocol.explain import Names, explain
from relayers.protocol.offer import OfferedLeg
from relayers.protocol.state import Leg, Role, Swap


async def displayed(services: Services, asset: AssetId, amount: int) -> str | None:
    """For people, such as "12.5 GLD"; None where the asset's decimals cannot be asked now."""
    known = await services.books.look_up(services.dealing, asset)
    if known is None:
        return None
    return f"{format_amount(amount, known.decimals)} {known.symbol}"


async def swap_view(services: Services, swap: Swap) -> SwapView:
    offer = swap.offer
    a = await _leg_view(services, offer.a, swap.a)
    b = await _leg_view(services, offer.b, swap.b)
    acceptance = swap.acceptance
    recipient_a = str(acceptance.recipient_a) if acceptance is not None else None
    sender_b = str(acceptance.sender_b) if acceptance is not None else None
    a = a.model_copy(update={"sender": str(offer.a.account), "recipient": recipient_a})
    b = b.model_copy(update={"sender": sender_b, "recipient": str(offer.b.account)})
    initiator = swap.role is Role.INITIATOR
    peer = offer.responder if initiator else offer.initiator
    return SwapView(
        id="0x" + swap.hashlock.hex(),
        role=swap.role.value,
        phase=swap.phase,
        ended=swap.ended,
        peer=services.peer_name(peer),
        peer_address="0x" + peer.hex(),
        reference=offer.reference,
        give=a if initiator else b,
        get=b if initiator else a,
        valid_until=offer.valid_until,
        reason=with_names(services, swap.reason),
        alerts=swap.alerted,
        begun=swap.begun,
        changed=swap.changed,
    )


async def swap_detail(services: Services, swap: Swap, warnings: tuple[str, ...] = ()) -> SwapDetail:
    view = await swap_view(services, swap)
    names = Names({chain.id: chain.name for chain in services.dealing.chains})
    if view.peer is not None:
        names = replace(names, peer=view.peer)
    explanation = explain(swap, services.engine.moment(), names)
    return SwapDetail(
        **dict(view),
        explanation=ExplanationView(
            where=with_names(services, explanation.where),
            waits_for=explanation.waits_for,
            until=explanation.until,
            next=explanation.next,
            at_risk=explanation.at_risk,
        ),
        warnings=warnings,
    )


async def _leg_view(services: Services, offered: OfferedLeg, leg: Leg | None) -> LegView:
    chain = next((c for c in services.dealing.chains if c.id == offered.chain), None)
    return LegView(
        chain=str(offered.chain),
        chain_name=chain.name if chain is not None else "",
        contract=offered.contract,
        asset=str(offered.asset),
        amount=str(offered.amount),
        display=await displayed(services, offered.asset, offered.amount),
        sender=None,
        recipient=None,
        deadline=offered.deadline,
        lock=_lock_view(leg) if leg is not None else None,
    )


def _lock_view(leg: Leg) -> LockView:
    return LockView.model_validate(
        {
            "id": "0x" + leg.lock_id.hex(),
            "opened": leg.opened,
            "settled": leg.settled,
            "settled_stage": leg.settled_stage,
        }
    )


def with_names(services: Services, text: str) -> str:
    """The text with each configured chain's name in place of its id: the journal keeps ids, which
    stay true when somebody renames a chain."""
    for chain in services.dealing.chains:
        # Not within a longer id, nor where an account or asset id goes on.
        whole = rf"(?<![\w:-]){re.escape(str(chain.id))}(?![\w-]|[:/]\S)"
        text = re.sub(whole, chain.name, text)
    return text


def event_view(services: Services, stored: StoredEvent) -> EventView:
    return EventView(
        number=stored.number,
        swap="0x" + stored.key.hex(),
        at=stored.at,
        kind=stored.event.kind,
        level=stored.event.level,
        text=with_names(services, stored.event.text),
    )
