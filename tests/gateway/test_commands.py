"""What a peer sends again or too often is counted, and writes nothing to the audit log."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.api.commands import carried_out
from gateway.audit import AuditLog
from gateway.services import Services
from gateway.telemetry.metrics import Metrics, Sources
from relayers.offers.refusal import OfferRefused
from relayers.offers.rules import OfferRules
from relayers.offers.typed_data import Decline, decline_digest, sign
from tests.relayers.offers.samples import ALICE, BOB
from tests.relayers.offers.trading_post import Ledgers, TradingPost, request, trading_post


def services(post: TradingPost, audit: AuditLog) -> Services:
    """As much of a gateway as a command touches."""
    sources = Sources(
        swaps=post.engine.swaps,
        views=post.engine.views,
        names={},
        quarantined=lambda: 0,
        intents=lambda: 0,
        clock=post.ledgers.clock,
    )
    parts = SimpleNamespace(engine=post.engine, audit=audit, metrics=Metrics(sources))
    return cast(Services, parts)


def outcomes(path: Path) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(line["command"], line["outcome"]) for line in lines]


async def test_a_second_try_and_a_flood_of_a_peer_are_not_audited(tmp_path: Path) -> None:
    ledgers, path = Ledgers(), tmp_path / "audit.jsonl"
    with AuditLog(path, ledgers.clock) as audit:
        async with (
            trading_post(ledgers) as alice,
            trading_post(ledgers, BOB, ALICE, rules=OfferRules(hourly=1)) as bob,
        ):
            parts = services(bob, audit)

            async def receive(swap: Any) -> None:
                work = bob.intake.offer(swap.offer, swap.offer_signature)
                key = "0x" + swap.hashlock.hex()
                await carried_out(parts, "peer:alice", "offer", work, key)

            first, second = [(await alice.desk.make(request())).swap for _ in range(2)]
            await receive(first)
            for swap in (first, second):
                with pytest.raises(OfferRefused):
                    await receive(swap)
    assert outcomes(path) == [("offer", "done")]


async def test_a_decline_is_audited_once(tmp_path: Path) -> None:
    ledgers, path = Ledgers(), tmp_path / "audit.jsonl"
    with AuditLog(path, ledgers.clock) as audit:
        async with trading_post(ledgers) as alice:
            offer = (await alice.desk.make(request())).swap.offer
            decline = Decline(offer.initiator, offer.responder, offer.hashlock, "no")
            signature = await sign(BOB, decline_digest(decline))
            for _ in range(2):
                work = alice.intake.decline(decline, signature)
                key = "0x" + offer.hashlock.hex()
                await carried_out(services(alice, audit), "peer:bob", "decline", work, key)
    assert outcomes(path) == [("decline", "done")]
