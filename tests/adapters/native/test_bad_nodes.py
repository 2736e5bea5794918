"""The driver against nodes that misbehave, are gone, or are of another chain."""

from __future__ import annotations

import gzip
import json
from contextlib import aclosing
from typing import Any

import pytest

from adapters.native.plugin import plugin
from adapters.spi import (
    Adapter,
    Misconfigured,
    Unavailable,
)
from tests.adapters.native.bench import at, drained, fresh, opened
from tests.adapters.native.faulty_node import DROP, HANG, FaultyNode, honest
from tests.adapters.native.network import Network
from tests.ports import free_port


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
    "within 5 seconds": lambda method, answer: HANG,
    "broke off": lambda method, answer: DROP,
    "content-encoding 'gzip, gzip', which was not": lambda method, answer: (
        200,
        gzip.compress(gzip.compress(json.dumps(answer).encode())),
        "Content-Encoding: gzip, gzip\r\n",
    ),
    "answers what is not JSON": lambda method, answer: b"[" * 100_000,
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
    url = f"http://127.0.0.1:{free_port()}"
    secret = url.replace("127", "user:node-key@127") + "/node-key"
    with pytest.raises(Unavailable, match=f"{url} cannot be reached") as caught:
        async with plugin.open("native", network.settings(urls=[secret])):
            pass
    assert "node-key" not in str(caught.value), "it is logged"


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
    settings = network.settings(urls=[dead, faulty.url, real], request_timeout=5)
    faulty.twist = lambda method, answer: b"noise"
    async with plugin.open("native", settings) as adapter:
        await opened(adapter, network, fresh())
    assert "broadcast_tx_sync" not in faulty.calls
