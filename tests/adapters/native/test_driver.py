"""The driver against a real embedded node, and against a node that misbehaves."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.model import (
    Claim,
    Cursor,
    FinalityViolation,
    Head,
    InvalidValue,
    Lock,
    LockState,
    LockTerms,
    Notice,
    Preimage,
    Refund,
    Withdraw,
)
from adapters.native.plugin import plugin
from adapters.native.settings import NativeSettings
from adapters.spi import (
    Adapter,
    Credential,
    Misconfigured,
    NotSent,
    Rejected,
    RejectionReason,
    Scheme,
    SigningFailed,
    Unavailable,
    Unknown,
)
from tests.adapters.native.chain_fixture import ALICE, BOB, Key
from tests.adapters.native.faulty_node import DROP, HANG, FaultyNode, faulty_node, honest
from tests.adapters.native.network import Network
from tests.ports import free_port


@pytest.fixture
async def faulty(network: Network) -> AsyncIterator[FaultyNode]:
    async with faulty_node(network.settings().urls[0]) as node:
        yield node


@pytest.fixture
async def adapter(network: Network, faulty: FaultyNode) -> AsyncIterator[Adapter]:
    """An adapter whose one node is the faulty one, well-behaved until told otherwise."""
    settings = network.settings(urls=[faulty.url], request_timeout=2, poll_interval=0.05)
    async with plugin.open("native", settings) as opened:
        yield opened


async def terms_on(adapter: Adapter, network: Network, preimage: Preimage) -> LockTerms:
    return LockTerms(
        chain=adapter.profile.chain,
        contract=adapter.profile.contract,
        sender=network.credential(ALICE).account,
        recipient=network.credential(BOB).account,
        asset=network.assets[0],
        amount=5,
        hashlock=preimage.hashlock(),
        deadline=(await adapter.head()).time + 3600,
    )


def fresh() -> Preimage:
    return Preimage(os.urandom(32))


async def opened(adapter: Adapter, network: Network, preimage: Preimage) -> Any:
    terms = await terms_on(adapter, network, preimage)
    await adapter.submit(Lock(terms), network.credential(ALICE))
    return await final(adapter, adapter.lock_id(terms), LockState.OPEN)


async def final(adapter: Adapter, lock_id: Any, state: LockState) -> Any:
    head = await adapter.head()
    async with asyncio.timeout(20), aclosing(adapter.events(at(head))) as stream:
        async for _ in stream:
            if (await adapter.lookup(lock_id)).state is state:
                return lock_id
    raise AssertionError("an event stream has no end")


def at(head: Head) -> Cursor:
    return Cursor(f"{head.height}:{head.hash.hex()}:0")


async def drained(stream: AsyncIterator[Notice], cursor: Cursor) -> None:
    """Reads on until something is raised; the stream by itself has no end."""
    async with asyncio.timeout(20):
        async for notice in stream:
            assert notice.cursor != cursor


# --- nodes that misbehave ------------------------------------------------------------------------


def twist_back_in_time(method: str, answer: Any) -> Any:
    if method == "abci_info":
        response = answer["result"]["response"]
        response["last_block_height"] = "1"
    if method == "abci_query":
        answer["result"]["response"]["height"] = "1"
    return answer


def twist_block_hash(method: str, answer: Any) -> Any:
    for meta in answer["result"].get("block_metas", []):
        meta["block_id"]["hash"] = "00" * 32
    return answer


BAD_ANSWERS: dict[str, Any] = {
    "is not JSON": lambda method, answer: b"<html>502</html>",
    "HTTP 500": lambda method, answer: (500, b"oops"),
    "HTTP 429": lambda method, answer: (429, b"slow down"),
    "no node of this chain": lambda method, answer: {"jsonrpc": "2.0", "id": 1, "result": {}},
    "no node of this chain answers": lambda method, answer: [1, 2],
    "within 2 seconds": lambda method, answer: HANG,
    "broke off": lambda method, answer: DROP,
    "went back in time": twist_back_in_time,
    "the hash it is said to have": twist_block_hash,
    "Internal error: broken": lambda method, answer: {
        "error": {"code": -32603, "message": "Internal error", "data": "broken"}
    },
}


@pytest.mark.parametrize("said", BAD_ANSWERS)
async def test_a_bad_node_is_unavailable_with_one_sentence(
    adapter: Adapter, faulty: FaultyNode, said: str
) -> None:
    await adapter.head()
    faulty.twist = BAD_ANSWERS[said]
    with pytest.raises(Unavailable, match=said) as caught:
        await adapter.head()
    assert "\n" not in str(caught.value)
    assert str(adapter.profile.chain) in str(caught.value)
    faulty.twist = honest
    await adapter.head()


@pytest.mark.parametrize("said", BAD_ANSWERS)
async def test_a_stream_on_a_bad_node_says_so_and_resumes(
    adapter: Adapter, faulty: FaultyNode, network: Network, said: str
) -> None:
    async with aclosing(adapter.events(at(await adapter.head()))) as stream:
        cursor = (await anext(stream)).cursor
        faulty.twist = BAD_ANSWERS[said]
        with pytest.raises(Unavailable):
            await drained(stream, cursor)
    faulty.twist = honest
    async with aclosing(adapter.events(cursor)) as stream:
        assert (await anext(stream)).violation is None


async def test_a_node_that_is_not_there_is_unavailable(network: Network) -> None:
    settings = network.settings(urls=[f"http://127.0.0.1:{free_port()}"])
    with pytest.raises(Unavailable, match="cannot be reached"):
        async with plugin.open("native", settings):
            pass


async def test_another_chain_is_misconfigured(network: Network) -> None:
    settings = network.settings(chain="isthmus:" + "0" * 32)
    with pytest.raises(Misconfigured, match="correct chain or urls"):
        async with plugin.open("native", settings):
            pass
    with pytest.raises(Misconfigured, match="isthmus"):
        async with plugin.open("native", network.settings(chain="eip155:1")):
            pass


async def test_a_node_that_turns_into_another_chains_is_misconfigured(
    adapter: Adapter, faulty: FaultyNode
) -> None:
    """After any failure a node is verified again before it is believed."""

    def other_chain(method: str, answer: Any) -> Any:
        if method == "abci_query":
            answer["result"]["response"]["value"] = "A" * 42 + "A="
        return answer

    faulty.twist = lambda method, answer: DROP
    with pytest.raises(Unavailable):
        await adapter.head()
    faulty.twist = other_chain
    with pytest.raises(Misconfigured):
        await adapter.head()


async def test_another_application_version_is_misconfigured(
    network: Network, faulty: FaultyNode
) -> None:
    def newer(method: str, answer: Any) -> Any:
        response = answer["result"].get("response", {})
        if response.get("value") == "aXN0aG11cy1uYXRpdmUvMSBsb2Nrcw==":
            response["value"] = "aXN0aG11cy1uYXRpdmUvMiBsb2Nrcw=="
        return answer

    faulty.twist = newer
    with pytest.raises(Misconfigured, match="another application"):
        async with plugin.open("native", network.settings(urls=[faulty.url])):
            pass


async def test_an_asset_that_is_configured_but_not_there_is_misconfigured(
    network: Network,
) -> None:
    with pytest.raises(Misconfigured, match="NONE"):
        async with plugin.open("native", network.settings(assets=["NONE"])):
            pass


async def test_reads_and_submissions_fail_over(network: Network, faulty: FaultyNode) -> None:
    real = network.settings().urls[0]
    dead = f"http://127.0.0.1:{free_port()}"
    settings = network.settings(urls=[dead, faulty.url, real], request_timeout=2)
    faulty.twist = lambda method, answer: b"noise"
    async with plugin.open("native", settings) as adapter:
        await opened(adapter, network, fresh())
    assert "broadcast_tx_sync" not in faulty.calls


# --- submissions whose fate is not clear ---------------------------------------------------------


@pytest.mark.parametrize("fault", [HANG, DROP, b"noise", (502, b"bad gateway")])
async def test_an_unclear_submission_is_unknown_and_the_chain_knows(
    adapter: Adapter, faulty: FaultyNode, network: Network, fault: Any
) -> None:
    terms = await terms_on(adapter, network, fresh())
    faulty.twist = lambda method, answer: fault if method == "broadcast_tx_sync" else answer
    with pytest.raises(Unknown):
        await adapter.submit(Lock(terms), network.credential(ALICE))
    faulty.twist = honest
    await final(adapter, adapter.lock_id(terms), LockState.OPEN)
    with pytest.raises(Rejected) as caught:
        await adapter.submit(Lock(terms), network.credential(ALICE))
    assert caught.value.reason is RejectionReason.LOCK_EXISTS
    await opened(adapter, network, fresh())


async def test_an_unclear_submission_goes_to_no_second_node(
    network: Network, faulty: FaultyNode
) -> None:
    async with faulty_node(network.settings().urls[0]) as second:
        settings = network.settings(urls=[faulty.url, second.url], request_timeout=2)
        async with plugin.open("native", settings) as adapter:
            terms = await terms_on(adapter, network, fresh())
            faulty.twist = lambda m, answer: DROP if m == "broadcast_tx_sync" else answer
            with pytest.raises(Unknown):
                await adapter.submit(Lock(terms), network.credential(ALICE))
            assert "broadcast_tx_sync" not in second.calls


async def test_a_full_mempool_is_not_sent(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    failure = {"code": -32603, "message": "Internal error", "data": "mempool is full: number of …"}
    faulty.twist = lambda m, answer: {"error": failure} if m == "broadcast_tx_sync" else answer
    terms = await terms_on(adapter, network, fresh())
    with pytest.raises(NotSent, match="mempool is full"):
        await adapter.submit(Lock(terms), network.credential(ALICE))


async def test_a_transaction_that_the_mempool_knows_was_sent(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    failure = {
        "code": -32603,
        "message": "Internal error",
        "data": "tx already exists in cache",
    }
    faulty.twist = lambda m, answer: {"error": failure} if m == "broadcast_tx_sync" else answer
    terms = await terms_on(adapter, network, fresh())
    submission = await adapter.submit(Lock(terms), network.credential(ALICE))
    faulty.twist = honest
    await final(adapter, adapter.lock_id(terms), LockState.OPEN)
    found = await adapter.transaction(submission.transaction)
    assert (found.succeeded, found.fee) == (True, 0)


# --- sequences -----------------------------------------------------------------------------------


async def test_two_adapters_of_one_account_find_their_numbers(
    adapter: Adapter, network: Network
) -> None:
    """Each remembers numbers that the other uses up: a mismatch is resolved from the chain."""
    async with plugin.open("native", network.settings()) as other:
        for _ in range(3):
            for each in (adapter, other):
                await opened(each, network, fresh())


async def test_a_stale_number_is_tried_again_once_and_then_not_sent(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    def stale(method: str, answer: Any) -> Any:
        if method == "broadcast_tx_sync":
            answer["result"] |= {"code": 4, "codespace": "isthmus", "log": "sequence"}
        return answer

    faulty.twist = stale
    terms = await terms_on(adapter, network, fresh())
    faulty.calls.clear()
    with pytest.raises(NotSent, match="sequence"):
        await adapter.submit(Lock(terms), network.credential(ALICE))
    assert faulty.calls.count("broadcast_tx_sync") == 2


# --- refusals before anything is sent ------------------------------------------------------------


async def test_a_claim_that_would_be_refused_keeps_its_preimage(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    good, wrong = fresh(), fresh()
    lock_id = await opened(adapter, network, good)
    bob = network.credential(BOB)
    for claim, reason in (
        (Claim(lock_id, wrong), RejectionReason.WRONG_PREIMAGE),
        (Claim(type(lock_id)(bytes(32)), wrong), RejectionReason.LOCK_ABSENT),
    ):
        with pytest.raises(Rejected) as caught:
            await adapter.submit(claim, bob)
        assert caught.value.reason is reason
        assert wrong.value.hex() not in str(caught.value)
    await adapter.submit(Claim(lock_id, good), bob)
    await final(adapter, lock_id, LockState.CLAIMED)
    broadcasts = faulty.calls.count("broadcast_tx_sync")
    with pytest.raises(Rejected) as caught:
        await adapter.submit(Claim(lock_id, good), bob)
    assert caught.value.reason is RejectionReason.LOCK_SETTLED
    assert faulty.calls.count("broadcast_tx_sync") == broadcasts


async def test_a_claim_after_the_deadline_keeps_its_preimage(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    preimage = fresh()
    terms = await terms_on(adapter, network, preimage)
    terms = LockTerms(
        **{f: getattr(terms, f) for f in LockTerms.__slots__ if f != "deadline"},
        deadline=(await adapter.head()).time + 2,
    )
    await adapter.submit(Lock(terms), network.credential(ALICE))
    lock_id = await final(adapter, adapter.lock_id(terms), LockState.OPEN)
    head = await adapter.head()
    async with asyncio.timeout(20), aclosing(adapter.events(at(head))) as stream:
        async for notice in stream:
            if notice.head.time >= terms.deadline:
                break
    broadcasts = faulty.calls.count("broadcast_tx_sync")
    with pytest.raises(Rejected) as caught:
        await adapter.submit(Claim(lock_id, preimage), network.credential(BOB))
    assert caught.value.reason is RejectionReason.DEADLINE_PASSED
    assert faulty.calls.count("broadcast_tx_sync") == broadcasts
    await adapter.submit(Refund(lock_id), network.credential(BOB))
    await final(adapter, lock_id, LockState.REFUNDED)


async def test_other_refusals(adapter: Adapter, network: Network) -> None:
    terms = await terms_on(adapter, network, fresh())
    alice, bob = network.credential(ALICE), network.credential(BOB)
    with pytest.raises(Rejected) as caught:
        await adapter.submit(Lock(terms), bob)
    assert caught.value.reason is RejectionReason.NOT_AUTHORISED
    with pytest.raises(Rejected) as caught:
        await adapter.submit(Lock(terms), Credential(alice.account, BOB))
    assert caught.value.reason is RejectionReason.NOT_AUTHORISED
    with pytest.raises(Rejected):
        await adapter.submit(Withdraw(terms.asset), alice)
    dave = Key("dave")
    stranger = plugin.credential(network.settings(account=None), dave)
    with pytest.raises(Rejected, match="not on the chain"):
        await adapter.submit(Refund(adapter.lock_id(terms)), stranger)
    nobody = LockTerms(
        **{f: getattr(terms, f) for f in LockTerms.__slots__ if f != "recipient"},
        recipient=stranger.account,
    )
    assert any("recipient" in objection for objection in await adapter.objections(nobody))
    assert not await adapter.objections(terms)


async def test_a_key_that_cannot_be_used(adapter: Adapter, network: Network) -> None:
    class Broken(Key):
        async def sign(self, digest: bytes) -> bytes:
            raise SigningFailed("the vault is sealed")

    class Curve(Key):
        @property
        def scheme(self) -> Scheme:
            return Scheme.P256

    terms = await terms_on(adapter, network, fresh())
    account = network.credential(ALICE).account
    with pytest.raises(NotSent, match="sealed"):
        await adapter.submit(Lock(terms), Credential(account, Broken("alice")))
    with pytest.raises(Misconfigured, match="secp256k1"):
        await adapter.submit(Lock(terms), Credential(account, Curve("alice")))
    with pytest.raises(Misconfigured, match="secp256k1"):
        plugin.credential(network.settings(), Curve("alice"))


# --- streams -------------------------------------------------------------------------------------


async def test_a_cursor_of_a_vanished_block_is_a_violation_and_rewinds(
    tmp_path: Path,
) -> None:
    """On a chain of its own, as the rewound stream reads all of it again."""
    network = Network(tmp_path)
    await asyncio.to_thread(network.start)
    try:
        async with plugin.open("native", network.settings()) as adapter:
            await _rewinds(adapter, network)
    finally:
        network.stop()


async def _rewinds(adapter: Adapter, network: Network) -> None:
    lock_id = await opened(adapter, network, fresh())
    head = await adapter.head()
    forged = Cursor(f"{head.height}:{'ab' * 32}:0")
    async with aclosing(adapter.events(forged)) as stream:
        first = await anext(stream)
        assert first.violation == FinalityViolation(head.height, b"\xab" * 32, first.violation.seen)
        seen: list[Any] = []
        async with asyncio.timeout(20):
            while lock_id not in [s.event.lock_id for s in seen]:
                notice = await anext(stream)
                assert notice.violation is None
                seen += notice.observations


async def test_a_cursor_ahead_of_the_node_is_unavailable(adapter: Adapter) -> None:
    ahead = Cursor(f"{(await adapter.head()).height + 1000}:{'ab' * 32}:0")
    async with aclosing(adapter.events(ahead)) as stream:
        with pytest.raises(Unavailable, match="went back in time"):
            await anext(stream)


@pytest.mark.parametrize("text", ["", "1", "1:ab:0", "x:" + "ab" * 32 + ":0", "01:" + "ab" * 32])
async def test_a_cursor_of_another_kind_is_an_invalid_value(adapter: Adapter, text: str) -> None:
    async with aclosing(adapter.events(Cursor(text))) as stream:
        with pytest.raises(InvalidValue, match="cursor"):
            await anext(stream)


async def test_a_claim_event_whose_preimage_does_not_fit_is_not_believed(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    preimage = fresh()
    cursor = at(await adapter.head())
    lock_id = await opened(adapter, network, preimage)
    await adapter.submit(Claim(lock_id, preimage), network.credential(BOB))
    await final(adapter, lock_id, LockState.CLAIMED)
    faulty.twist = lambda m, answer: json.loads(
        json.dumps(answer).replace(preimage.value.hex(), "cd" * 32)
    )
    async with aclosing(adapter.events(cursor)) as stream:
        with pytest.raises(Unavailable, match="preimage") as caught:
            await drained(stream, cursor)
        assert "cd" * 32 not in str(caught.value)


async def test_websocket_wakes_the_stream(tmp_path: Path) -> None:
    """With hardly any polling, blocks still come as they are made."""
    network = Network(tmp_path, interval=0.2)
    await asyncio.to_thread(network.start)
    try:
        settings = network.settings(poll_interval=60)
        async with plugin.open("native", settings) as adapter:
            stream = adapter.events(None)
            heights = set()
            async with asyncio.timeout(20):
                while len(heights) < 10:
                    heights.add((await anext(stream)).head.height)
            await stream.aclose()  # type: ignore[attr-defined]
    finally:
        network.stop()


# --- doctor and settings -------------------------------------------------------------------------


async def test_doctor_finds_what_is_wrong(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    alice = network.credential(ALICE)
    assert all(finding.ok for finding in await adapter.diagnose(alice))
    wrong_key = await adapter.diagnose(Credential(alice.account, BOB))
    assert [f.check for f in wrong_key if not f.ok] == ["account"]
    stranger = plugin.credential(network.settings(account=None), Key("dave"))
    assert [f.check for f in await adapter.diagnose(stranger) if not f.ok] == ["account"]
    faulty.twist = lambda method, answer: b"noise"
    (finding,) = await adapter.diagnose(alice)
    assert (finding.ok, "not JSON" in finding.seen, bool(finding.mend)) == (False, True, True)
    strict = network.settings(clock=0, urls=[network.settings().urls[0]])
    async with plugin.open("native", strict) as other:
        checks = {f.check for f in await other.diagnose(None) if not f.ok}
    assert "clock bound" in checks


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("urls", []),
        ("urls", ["ftp://127.0.0.1"]),
        ("urls", ["127.0.0.1:26657"]),
        ("account", "0x12"),
        ("assets", ["1BAD"]),
        ("contract", "other"),
        ("request_timeout", 0),
        ("unknown", 1),
    ],
)
def test_settings_name_the_field_that_is_wrong(network: Network, field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        NativeSettings.model_validate(dict(network.devnet.settings("alice")) | {field: value})
