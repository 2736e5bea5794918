"""The user API over two running gateways: refusals, idempotency, paging, events, doctor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.spi import Misconfigured
from gateway.api.bodies import OfferRequestBody, SideBody
from gateway.client import ApiError, GatewayClient, GatewayUnreachable
from gateway.compose import open_gateway
from gateway.schema import api_description
from relayers.journal.port import JournalInUse
from relayers.signing.secret import Secret
from tests.gateway.two_gateways import (
    TOKEN,
    Running,
    World,
    both_running,
    make_world,
    offer_body,
)
from tests.ports import free_port


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[World, Running, Running]]:
    world = make_world(tmp_path)
    async with both_running(world) as (alice, bob):
        yield world, alice, bob


Two = tuple[World, Running, Running]


def refusal(answer: httpx.Response, status: int, code: str, field: str | None = None) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert problem.get("field") == field
    return str(problem["detail"])


async def no_swaps(gateway: Running) -> None:
    assert (await gateway.http.get("/v1/swaps")).json() == {"swaps": [], "next": None}


async def test_bad_offers_are_refused_and_change_nothing(two: Two) -> None:
    world, alice, _ = two
    gold = str(world.gold)
    for changes, code, field in (
        ({"peer": "nobody"}, "unknown_peer", "peer"),
        ({"give": {"asset": "gold", "amount": "1"}}, "invalid_value", "give.asset"),
        ({"give": {"asset": "eip155:1/slip44:60", "amount": "1"}}, "unknown_chain", "give.asset"),
        ({"give": {"asset": gold + "x", "amount": "1"}}, "unknown_asset", "give.asset"),
        ({"give": {"asset": gold, "amount": "0"}}, "invalid_value", "give.amount"),
        ({"give": {"asset": gold, "amount": "-1"}}, "invalid_value", "give.amount"),
        ({"give": {"asset": gold, "amount": "1.5"}}, "invalid_value", "give.amount"),
        ({"give": {"asset": gold, "amount": str(2**256)}}, "invalid_value", "give.amount"),
        ({"give": {"asset": gold, "quantity": "0.001"}}, "invalid_value", "give.amount"),
        ({"give": {"asset": gold}}, "invalid_value", "give"),
        ({"give": {"asset": gold, "amount": "1", "quantity": "1"}}, "invalid_value", "give"),
        ({"deadlines": {"give": 2, "get": 1}}, "deadline_unsafe", "deadline"),
        ({"deadlines": {"give": 2}}, "invalid_value", "deadlines.get"),
        ({"valid_for": 0}, "invalid_value", "valid_for"),
        ({"reference": "x" * 129}, "invalid_value", "reference"),
        ({"reference": "line\nfeed"}, "invalid_value", "reference"),
        ({"colour": "red"}, "invalid_value", "colour"),
    ):
        answer = await alice.http.post("/v1/swaps", json=offer_body(world, **changes))
        refusal(answer, 422, code, field)
    for body in (b"", b"{", b"[]", b'"x"', b"\xff"):
        answer = await alice.http.post(
            "/v1/swaps", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"] == "application/problem+json"
    await no_swaps(alice)


async def test_every_path_but_health_needs_the_token(two: Two) -> None:
    _, alice, _ = two
    base = str(alice.http.base_url)
    for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
        async with httpx.AsyncClient(base_url=base, headers=header, trust_env=False) as http:
            for path, operations in api_description()["paths"].items():
                for method in operations if path.startswith("/v1/") else ():
                    answer = await http.request(method, path.format(id="0x00", name="alpha"))
                    refusal(answer, 401, "unauthorised")
            assert (await http.get("/healthz")).status_code == 200
            assert (await http.get("/readyz")).status_code == 200
            assert b"isthmus_swaps{" in (await http.get("/metrics")).content


async def test_long_bodies_are_refused(two: Two) -> None:
    _, alice, _ = two
    long = b'{"peer": "' + b"x" * 70_000 + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(long), 10_000):
            yield long[start : start + 10_000]

    headers = {"content-type": "application/json"}
    refusal(await alice.http.post("/v1/swaps", content=long, headers=headers), 413, "too_large")
    answer = await alice.http.post("/v1/swaps", content=pieces(), headers=headers)
    refusal(answer, 413, "too_large")
    await no_swaps(alice)


async def test_unknown_paths_and_swaps_are_problems_too(two: Two) -> None:
    _, alice, _ = two
    refusal(await alice.http.get("/v1/nothing"), 404, "not_found")
    refusal(await alice.http.delete("/v1/swaps"), 405, "method_not_allowed")
    refusal(await alice.http.get("/v1/swaps/0x" + "01" * 32), 404, "unknown_swap")
    refusal(await alice.http.get("/v1/swaps/nonsense"), 422, "invalid_value", "id")
    for after in ("nonsense", "0x" + "01" * 32):
        answer = await alice.http.get("/v1/swaps", params={"after": after})
        refusal(answer, 422, "invalid_value", "after")
    refusal(await alice.http.get("/v1/chains/gamma"), 404, "unknown_chain")
    refusal(await alice.http.post("/v1/chains/alpha/resume"), 409, "not_now")
    answer = await alice.http.get("/v1/chains/alpha/balances", params={"asset": "x"})
    refusal(answer, 422, "unknown_asset", "asset")


async def test_the_same_idempotency_key_makes_one_offer(two: Two) -> None:
    world, alice, _ = two
    headers = {"idempotency-key": "order-7"}
    answers = await asyncio.gather(
        *(alice.http.post("/v1/swaps", json=offer_body(world), headers=headers) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await alice.http.get("/v1/swaps")).json()["swaps"]) == 1
    other = await alice.http.post(
        "/v1/swaps", json=offer_body(world, reference="another"), headers=headers
    )
    refusal(other, 422, "idempotency_key_reused", "Idempotency-Key")
    bad = await alice.http.post(
        "/v1/swaps", json=offer_body(world), headers={"idempotency-key": "a b"}
    )
    refusal(bad, 422, "invalid_value", "Idempotency-Key")


async def test_an_idempotency_key_is_remembered_by_the_journal(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    headers = {"idempotency-key": "order-7"}
    ids = set()
    for _ in range(2):
        async with both_running(world) as (alice, _bob):
            answer = await alice.http.post("/v1/swaps", json=offer_body(world), headers=headers)
            assert answer.status_code == 201, answer.text
            ids.add(answer.json()["id"])
    assert len(ids) == 1


async def test_a_command_that_was_carried_out_is_not_carried_out_again(two: Two) -> None:
    world, alice, bob = two
    swap = (await alice.http.post("/v1/swaps", json=offer_body(world))).json()["id"]
    refusal(await alice.http.post(f"/v1/swaps/{swap}/accept"), 409, "not_now")
    await bob.swap_in(swap, "received")
    headers = {"idempotency-key": "no-thanks"}
    for _ in range(2):
        answer = await bob.http.post(
            f"/v1/swaps/{swap}/reject", json={"reason": "too dear"}, headers=headers
        )
        assert answer.status_code == 200
        assert answer.json()["phase"] == "declined"
    refusal(await bob.http.post(f"/v1/swaps/{swap}/reject"), 409, "not_now")
    refusal(await bob.http.post(f"/v1/swaps/{swap}/accept"), 409, "not_now")
    declined = await alice.swap_in(swap, "declined")
    assert declined["reason"] == "too dear"


async def test_swaps_are_listed_in_pages(two: Two) -> None:
    world, alice, _ = two
    made = []
    for number in range(5):
        body = offer_body(world, reference=f"order {number}")
        made.append((await alice.http.post("/v1/swaps", json=body)).json()["id"])
    seen, after = [], None
    while True:
        query = {"limit": 2} | ({"after": after} if after else {})
        page = (await alice.http.get("/v1/swaps", params=query)).json()
        seen += [swap["id"] for swap in page["swaps"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(seen) == sorted(made)
    found = (await alice.http.get("/v1/swaps", params={"reference": "order 3"})).json()
    assert [swap["id"] for swap in found["swaps"]] == [made[3]]
    for query in ({"phase": "completed"}, {"role": "responder"}, {"peer": "x"}, {"open": False}):
        assert (await alice.http.get("/v1/swaps", params=query)).json()["swaps"] == []
    refusal(
        await alice.http.get("/v1/swaps", params={"phase": "lost in space"}),
        422,
        "invalid_value",
        "query.phase",
    )


async def test_events_are_resumed_where_they_were_left(two: Two) -> None:
    world, alice, bob = two
    swap = (await alice.http.post("/v1/swaps", json=offer_body(world))).json()["id"]
    await bob.swap_in(swap, "received")
    await bob.http.post(f"/v1/swaps/{swap}/accept")
    await alice.swap_in(swap, "completed")

    async def read(until: str, last: int | None = None) -> list[dict[str, Any]]:
        headers = {"last-event-id": str(last)} if last is not None else {}
        events = []
        async with alice.http.stream("GET", f"/v1/swaps/{swap}/events", headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    events.append(json.loads(line[6:]))
                    if events[-1]["kind"] == until:
                        break
        return events

    async with asyncio.timeout(20):
        events = await read("completed")
        kinds = [event["kind"] for event in events]
        assert kinds[0] == "offered"
        assert {"locking", "locked", "revealing", "claimed"} <= set(kinds)
        again = await read("completed", events[2]["number"])
        assert again == events[3:]
    answer = await alice.http.get("/v1/events", headers={"last-event-id": "yesterday"})
    refusal(answer, 422, "invalid_value", "Last-Event-ID")


async def test_the_typed_client_speaks_the_api(two: Two) -> None:
    world, alice, bob = two
    async with (
        GatewayClient(str(alice.http.base_url), Secret(TOKEN)) as client,
        GatewayClient(str(bob.http.base_url), Secret(TOKEN)) as other,
    ):
        assert (await client.ready()).ok
        assert [chain.name for chain in await client.chains()] == ["alpha", "beta"]
        assert (await client.chain("alpha")).assets[1].symbol == "GOLD"
        assert (await client.balances("alpha")).balances[1].display == "10000 GOLD"
        assert [peer.name for peer in await client.peers()] == ["bob"]
        doctor = await client.doctor()
        assert doctor.ok, doctor
        assert {"journal", "chain alpha", "chain beta", "peer bob"} == {
            finding.part for finding in doctor.findings
        }
        made = await client.offer(
            OfferRequestBody(
                peer="bob",
                give=SideBody(asset=str(world.gold), amount="300"),
                get=SideBody(asset=str(world.oil), amount="100"),
            )
        )
        async with asyncio.timeout(20):
            async for event in other.events():
                if event.swap == made.id:
                    break
        assert (await other.accept(made.id)).phase == "accepted"
        async with asyncio.timeout(30):
            async for event in client.events(made.id):
                if event.kind == "completed":
                    break
        assert (await client.swaps(open=False)).swaps[0].id == made.id
        with pytest.raises(ApiError) as caught:
            await client.swap("0x" + "01" * 32)
        assert caught.value.problem.code == "unknown_swap"
    url = f"http://127.0.0.1:{free_port()}"
    async with GatewayClient(url, Secret(TOKEN)) as nobody:
        with pytest.raises(GatewayUnreachable, match="is it running"):
            await nobody.chains()


async def test_a_frozen_chain_is_resumed_by_an_operator(two: Two) -> None:
    world, alice, _ = two
    engine = alice.gateway.services.engine
    await engine.freeze(engine.views()[world.chain_a].head, "it broke its word")
    answer = await alice.http.post("/v1/swaps", json=offer_body(world))
    assert "it broke its word" in refusal(answer, 503, "chain_frozen")
    assert (await alice.http.get("/readyz")).status_code == 503
    doctor = (await alice.http.get("/v1/doctor")).json()
    assert not doctor["ok"]
    assert any("isthmus chain resume alpha" in one["mend"] for one in doctor["findings"])
    answer = await alice.http.post("/v1/chains/alpha/resume")
    assert answer.json()["frozen"] is None
    assert (await alice.http.post("/v1/swaps", json=offer_body(world))).status_code == 201


async def test_a_port_in_use_is_one_clear_error(two: Two) -> None:
    world, _, _ = two
    settings = world.alice.settings({"ISTHMUS_JOURNAL__PATH": "other.db"})
    with pytest.raises(Misconfigured, match=rf"api: port {world.alice.api_port} .* is in use"):
        async with open_gateway(settings):
            pass
    assert not (world.alice.folder / "other.db").exists(), "nothing was changed"


async def test_a_journal_is_open_in_one_process_only(two: Two) -> None:
    world, _, _ = two
    elsewhere = {
        "ISTHMUS_API__PORT": str(free_port()),
        "ISTHMUS_PEER_API__PORT": str(free_port()),
    }
    with pytest.raises(JournalInUse):
        async with open_gateway(world.alice.settings(elsewhere)):
            pass


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ISTHMUS_GATEWAY__KEY__PASSPHRASE": "file:token"}, "gateway.key: .*passphrase is wrong"),
        ({"ISTHMUS_GATEWAY__KEY__URI": "keystore:none.json"}, "gateway.key: .*cannot be read"),
        ({"ISTHMUS_GATEWAY__SWAP_KEY__URI": "keystore:key.json"}, "gateway.swap_key: .*swap key"),
        (
            {"ISTHMUS_CHAINS__ALPHA__KEY__URI": "keystore:swap.json"},
            "chains.alpha.key: .*cannot sign",
        ),
        ({"ISTHMUS_PEER_API__TLS_KEY": "none.pem"}, "peer_api.tls_key: .*No such file"),
        ({"ISTHMUS_PEER_API__TLS_KEY": "ca.pem"}, "are not a PEM certificate and its key"),
        ({"ISTHMUS_PEERS__0__TLS_CA": "token"}, "peer bob: TLS file .* cannot be used"),
    ],
)
async def test_what_cannot_be_used_is_named_before_anything_starts(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    world = make_world(tmp_path)
    with pytest.raises(Misconfigured, match=message):
        async with open_gateway(world.alice.settings(changes)):
            pass
