"""What a peer sends again or too often: counted, and a line a minute in the audit log."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from adapters.model import Hashlock, InvalidValue
from gateway.api.commands import carried_out
from gateway.audit import AuditLog
from gateway.services import Services
from gateway.telemetry.metrics import Metrics, Sources
from relayers.engine import EngineStopped
from relayers.offers.refusal import OfferRefused
from relayers.offers.rules import OfferRules
from relayers.offers.typed_data import Decline, decline_digest, sign
from relayers.quarantine import Quarantined
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


Line = tuple[str, str, int]


def outcomes(path: Path) -> list[Line]:
    """Command, outcome, and how many alike were left out before."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(line["command"], line["outcome"], line.get("unwritten", 0)) for line in lines]


async def test_a_flood_of_a_peer_s_refused_messages_costs_a_line_a_minute(tmp_path: Path) -> None:
    ledgers, path, now = Ledgers(), tmp_path / "audit.jsonl", [1000.0]
    with AuditLog(path, lambda: now[0]) as audit:
        async with (
            trading_post(ledgers) as alice,
            trading_post(ledgers, BOB, ALICE, rules=OfferRules(hourly=1)) as bob,
        ):
            parts = services(bob, audit)

            async def receive(swap: Any, who: str = "peer:alice") -> None:
                work = bob.intake.offer(swap.offer, swap.offer_signature)
                key = "0x" + swap.hashlock.hex()
                await carried_out(parts, who, "offer", work, key)

            async def refused(swap: Any, who: str = "peer:alice") -> None:
                with pytest.raises(OfferRefused):
                    await receive(swap, who)

            first, second = [(await alice.desk.make(request())).swap for _ in range(2)]
            await receive(first)
            for _ in range(20):
                await refused(first)
                await refused(second)
            known, flood = ("offer", "offer_known"), ("offer", "too_many_offers")
            expected = [("offer", "done", 0), (*known, 0), (*flood, 0)]
            assert outcomes(path) == expected
            now[0] += 60
            await refused(first)
            assert outcomes(path) == [*expected, (*known, 19)]
            audit.write_counts()
            assert outcomes(path) == [*expected, (*known, 19), (*flood, 19)]
            await refused(second)
            # What changed something is written whatever came before it, and however often.
            ledgers.pass_time(3600)
            await receive((await alice.desk.make(request())).swap)
            assert outcomes(path)[-1] == ("offer", "done", 0)
    assert outcomes(path)[-1] == (*flood, 1), "the end leaves no count behind"
    assert 'command="offer",outcome="too_many_offers"} 21' in parts.metrics.text().decode()


async def test_what_no_peer_has_signed_writes_nothing(tmp_path: Path) -> None:
    ledgers, path = Ledgers(), tmp_path / "audit.jsonl"
    with AuditLog(path, ledgers.clock) as audit:
        async with trading_post(ledgers) as alice, trading_post(ledgers, BOB, ALICE) as bob:
            swap = (await alice.desk.make(request())).swap
            work = bob.intake.offer(swap.offer, bytes(65))
            key = "0x" + swap.hashlock.hex()
            with pytest.raises(OfferRefused):
                await carried_out(services(bob, audit), "peer:alice", "offer", work, key)
    assert outcomes(path) == []


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (Quarantined(Hashlock(bytes(32)), "held with the others", stored=True), 5),
        (Quarantined(Hashlock(bytes(32)), "refused at once"), 1),
        (EngineStopped("it may be stored"), 5),
        (ZeroDivisionError(), 5),
        (InvalidValue("no"), 1),
    ],
)
async def test_what_may_have_changed_something_is_never_left_out(
    error: Exception, lines: int, tmp_path: Path
) -> None:
    ledgers, path = Ledgers(), tmp_path / "audit.jsonl"

    async def work() -> None:
        raise error

    audit = AuditLog(path, ledgers.clock)
    async with trading_post(ledgers) as alice:
        for _ in range(5):
            with pytest.raises(type(error)):
                await carried_out(
                    services(alice, audit), "peer:bob", "accept", work(), "0x" + "11" * 32
                )
        written = len(path.read_text().splitlines())
        with pytest.raises(type(error)):
            await carried_out(services(alice, audit), "user", "accept", work())
        assert len(path.read_text().splitlines()) == written + 1, "a user's are all written"
    audit.close()
    expected = 0 if isinstance(error, InvalidValue) else lines
    assert written == expected


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
    assert outcomes(path) == [("decline", "done", 0)]
