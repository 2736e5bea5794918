"""Swaps in quarantine: what a restart does, and what operators see and do through the API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.model import LockClaimed
from gateway.services import parse_swap_id
from relayers.protocol.facts import Observed, OfferDeclined
from relayers.protocol.swap import step
from tests.gateway.two_gateways import Running, World, both_running, make_world, offer_body, running
from tests.relayers.journal.journals import sqlite_damage

PATIENT = {"valid_for": 600, "slack": 2}
"""No offer expires while a busy machine takes its time: that would be one more fact."""


def stumbling(over: Callable[[Any], bool]) -> Callable[[Any, Any], Any]:
    """A release that cannot process some facts."""

    def faulty(state: Any, fact: Any) -> Any:
        if over(fact.body):
            raise ZeroDivisionError
        return step(state, fact)

    return faulty


def declined(body: Any) -> bool:
    return isinstance(body, OfferDeclined)


def claimed(body: Any) -> bool:
    return isinstance(body, Observed) and isinstance(body.observation.event, LockClaimed)


@asynccontextmanager
async def held(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Running, Running, str]]:
    """Bob's decline of an offer of alice's is held."""
    async with both_running(world) as (alice, bob):
        made = await alice.http.post("/v1/swaps", json=offer_body(world))
        swap = made.json()["id"]
        await bob.swap_in(swap, "received")
        with monkeypatch.context() as patched:
            patched.setattr("relayers.engine.step", stumbling(declined))
            answer = await bob.http.post(f"/v1/swaps/{swap}/reject", json={"reason": "no"})
            assert answer.json()["code"] == "quarantined"
        yield alice, bob, swap


async def in_quarantine(gateway: Running, swap: str) -> None:
    async with asyncio.timeout(20):
        while True:
            if (await gateway.http.get(f"/v1/quarantine/{swap}")).status_code == 200:
                return
            await asyncio.sleep(0.02)


def audited(gateway: Running) -> list[dict[str, Any]]:
    path = gateway.organisation.settings().audit_path
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_held_fact_is_taken_in_by_a_release_that_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, block_interval=0.2, offers=PATIENT)
    async with held(world, monkeypatch) as (_, bob, swap):
        assert parse_swap_id(swap) in bob.gateway.services.engine.quarantined()
    async with running(world.bob) as bob:
        assert not bob.gateway.services.engine.quarantined()
        assert (await bob.swap_in(swap, "declined"))["reason"] == "no"


async def test_an_operator_lists_shows_and_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, block_interval=0.2, offers=PATIENT)
    async with held(world, monkeypatch) as (alice, bob, swap):
        page = (await bob.http.get("/v1/quarantine")).json()
        assert page["next"] is None
        (listed,) = page["swaps"]
        shown = (await bob.http.get(f"/v1/quarantine/{swap}")).json()
        assert listed == {key: shown[key] for key in listed}
        assert (shown["swap"], shown["phase"], shown["facts"]) == (swap, "received", 1)
        assert "OfferDeclined could not be processed: ZeroDivisionError" in shown["reason"]
        (fact,) = shown["waiting"]
        assert (fact["fact"], fact["kind"]) == (shown["at_fault"], "offer_declined")
        findings = (await bob.http.get("/v1/doctor")).json()["findings"]
        (finding,) = [one for one in findings if one["check"] == "quarantine"]
        assert swap in finding["seen"]
        assert shown["reason"] in finding["seen"]
        assert "isthmus quarantine show" in finding["mend"]

        with monkeypatch.context() as patched:
            patched.setattr("relayers.engine.step", stumbling(declined))
            again = (await bob.http.post(f"/v1/quarantine/{swap}/replay")).json()
        assert not again["released"]
        assert again["held"] == shown
        for _ in range(2):
            answer = await bob.http.post(f"/v1/quarantine/{swap}/replay")
            assert answer.json() == {"swap": swap, "released": True, "held": None}
        assert (await bob.swap_in(swap, "declined"))["reason"] == "no"
        answer = await bob.http.get(f"/v1/quarantine/{swap}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_quarantined")
        assert (await bob.http.get("/v1/quarantine")).json() == {"swaps": [], "next": None}

        unknown = "0x" + "77" * 32
        answer = await bob.http.post(f"/v1/quarantine/{unknown}/replay")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_swap")
        lines = [line for line in audited(bob) if line["command"] == "replay"]
        assert [(line["outcome"], line["swap"]) for line in lines] == [
            *[("done", swap)] * 3,
            ("unknown_swap", unknown),
        ]
        assert {line["actor"] for line in lines} == {"user"}
        assert "still held: OfferDeclined could not" in lines[0]["detail"]
        assert lines[1]["detail"] == "out of quarantine"
        assert (await alice.http.get("/v1/quarantine")).json()["swaps"] == []


async def test_a_fact_is_dropped_by_its_number_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, block_interval=0.2, offers=PATIENT)
    async with held(world, monkeypatch) as (_, bob, swap):
        before = (await bob.http.get(f"/v1/quarantine/{swap}")).json()
        fact = before["at_fault"]
        path = f"/v1/quarantine/{swap}/drop"
        for body, code in (
            ({}, "invalid_value"),
            ({"fact": fact}, "invalid_value"),
            ({"fact": fact, "reason": " "}, "invalid_value"),
            ({"fact": 0, "reason": "r"}, "invalid_value"),
            ({"fact": fact + 999, "reason": "r"}, "not_now"),
        ):
            answer = await bob.http.post(path, json=body)
            assert answer.json()["code"] == code, answer.text
        assert (await bob.http.get(f"/v1/quarantine/{swap}")).json() == before
        dropped = {"fact": fact, "reason": "it was made by mistake"}
        answer = await bob.http.post(path, json=dropped)
        assert answer.json() == {"swap": swap, "released": True, "held": None}
        answer = await bob.http.post(path, json=dropped)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_now")
        assert "no longer" in answer.json()["detail"]
        assert (await bob.swap_in(swap, "received"))["phase"] == "received"
        lines = [line for line in audited(bob) if line["command"] == "drop"]
        assert [line["outcome"] for line in lines] == ["not_now", "done", "not_now"]
        assert lines[1]["detail"] == (f"fact {fact} (it was made by mistake); out of quarantine")
    async with running(world.bob) as bob:
        assert (await bob.swap_in(swap, "received"))["phase"] == "received"


async def test_no_preimage_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(tmp_path, offers=PATIENT)
    with monkeypatch.context() as patched:
        async with both_running(world) as (alice, bob):
            made = await alice.http.post("/v1/swaps", json=offer_body(world))
            swap = made.json()["id"]
            await bob.swap_in(swap, "received")
            patched.setattr("relayers.engine.step", stumbling(claimed))
            await bob.http.post(f"/v1/swaps/{swap}/accept")
            await in_quarantine(bob, swap)
            shown = await bob.http.get(f"/v1/quarantine/{swap}")
            (first, *_) = shown.json()["waiting"]
            assert first["kind"] == "observed"
            assert "beta shows lock 0x" in first["about"]
            assert "claimed" in first["about"]
            first_held = bob.gateway.services.engine.quarantined()[parse_swap_id(swap)].facts[0]
            body = first_held.fact.body
            assert isinstance(body, Observed)
            assert isinstance(body.observation.event, LockClaimed)
            preimage = body.observation.event.preimage.value.hex()
            doctor = await bob.http.get("/v1/doctor")
            for told in (shown.text, doctor.text, world.bob.settings().audit_path.read_text()):
                assert preimage not in told
            patched.undo()
            # Bob's claim is at stake: a replay lets him go on to the end.
            answer = await bob.http.post(f"/v1/quarantine/{swap}/replay")
            assert answer.json()["released"], answer.text
            await bob.swap_in(swap, "completed")


async def test_a_gateway_starts_with_a_swap_that_cannot_be_read(tmp_path: Path) -> None:
    world = make_world(tmp_path, block_interval=0.2, offers=PATIENT)
    async with both_running(world) as (alice, bob):
        swaps = []
        for _ in range(2):
            made = await alice.http.post("/v1/swaps", json=offer_body(world))
            swaps.append(made.json()["id"])
            await bob.swap_in(swaps[-1], "received")
    bad, good = swaps
    sqlite_damage(world.bob.folder / "journal.db")("snapshot", parse_swap_id(bad))
    async with both_running(world) as (alice, bob):
        for answer in (
            await bob.http.get(f"/v1/swaps/{bad}"),
            await bob.http.post(f"/v1/swaps/{bad}/accept"),
            await bob.http.get(f"/v1/swaps/{bad}/events"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (409, "quarantined")
            assert "cannot be read" in answer.json()["detail"]
        assert [one["id"] for one in (await bob.http.get("/v1/swaps")).json()["swaps"]] == [good]
        (listed,) = (await bob.http.get("/v1/quarantine")).json()["swaps"]
        assert (listed["swap"], listed["unreadable"], listed["phase"]) == (bad, True, None)
        assert listed["at_fault"] is None
        metrics = (await bob.http.get("/metrics")).text
        assert "isthmus_swaps_quarantined 1.0" in metrics
        assert not (await bob.http.get("/v1/doctor")).json()["ok"]
        # The other swap goes on as if nothing were.
        await bob.http.post(f"/v1/swaps/{good}/accept")
        await bob.swap_in(good, "completed")
        answer = await bob.http.post(f"/v1/quarantine/{bad}/replay")
        assert answer.json() == {"swap": bad, "released": True, "held": None}
        assert (await bob.swap_in(bad, "received"))["phase"] == "received"
        assert (await bob.http.post(f"/v1/swaps/{bad}/reject")).json()["phase"] == "declined"


async def test_the_quarantine_is_listed_in_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, block_interval=0.2, offers=PATIENT)
    async with both_running(world) as (alice, bob):
        made = []
        monkeypatch.setattr("relayers.engine.step", stumbling(declined))
        for _ in range(3):
            answer = await alice.http.post("/v1/swaps", json=offer_body(world))
            made.append(answer.json()["id"])
            await bob.swap_in(made[-1], "received")
            await bob.http.post(f"/v1/swaps/{made[-1]}/reject")
        seen: list[str] = []
        after = None
        while True:
            query = {"limit": 2} | ({"after": after} if after else {})
            page = (await bob.http.get("/v1/quarantine", params=query)).json()
            seen += [one["swap"] for one in page["swaps"]]
            after = page["next"]
            if after is None:
                break
        assert seen == sorted(made)
        monkeypatch.undo()
