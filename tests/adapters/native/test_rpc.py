"""The embedded node's answers have the shape of those that a real CometBFT 0.38.19 node gave."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.adapters.native.network import Network

REAL: dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors" / "cometbft_rpc.json").read_text()
)["calls"]

# Values that differ by application or network: their inside is not compared.
_OPEN = {"app_state", "proofOps", "other", "evidence", "value"}


def shape(value: Any) -> Any:
    """Names and kinds of JSON values; of a list, its first entry's; numbers apart from strings."""
    match value:
        case dict():
            return {name: shape(inner) for name, inner in value.items() if name not in _OPEN}
        case list():
            return [shape(value[0])] if value else []
        case bool() | int() | float() | str():
            return type(value).__name__
        case _:
            return None


@pytest.fixture
def url(network: Network) -> str:
    """The node's, once it has the blocks that the recorded calls ask for."""
    url = f"http://127.0.0.1:{network.port}"
    while True:
        status = httpx.get(f"{url}/status", trust_env=False, timeout=20).json()
        if int(status["result"]["sync_info"]["latest_block_height"]) > 2:
            return url


@pytest.mark.parametrize("call", REAL)
def test_an_answer_has_the_real_ones_shape(url: str, call: str) -> None:
    # A height that the real chain had not reached; this one may have.
    asked = call.replace("=999", "=999999999")
    answer = httpx.get(f"{url}/{asked}", trust_env=False, timeout=20)
    given, real = answer.json(), REAL[call]["answer"]
    assert answer.status_code == REAL[call]["status"]
    assert given["id"] == real["id"] == -1
    if "error" in real:
        assert given["error"]["code"] == real["error"]["code"]
        assert given["error"]["message"] == real["error"]["message"]
        assert isinstance(given["error"]["data"], str)
        return
    expected, seen = shape(real["result"]), shape(given["result"])
    match call.split("?")[0]:
        case "broadcast_tx_commit":
            # The real one's transaction succeeded and had events; this one is refused.
            assert seen["check_tx"] == expected["check_tx"]
            assert set(seen) == set(expected)
            assert set(seen["tx_result"]) == set(expected["tx_result"])
        case "unconfirmed_txs":
            assert set(seen) == set(expected)
        case "genesis":
            given["result"]["genesis"].pop("app_state")
            assert set(given["result"]["genesis"]) == set(real["result"]["genesis"])
        case "abci_query":
            assert set(seen["response"]) == set(expected["response"])
        case _:
            assert seen == expected


def post(url: str, body: Any) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = httpx.post(url, content=raw, trust_env=False)
    return answer.status_code, answer.json() if answer.content else None


def request(method: str, params: Any = None, identity: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": params or {}}


def test_json_rpc_by_post(url: str) -> None:
    """Statuses and codes as the real node gave them to the same requests."""
    status, answer = post(url, request("block", {"height": "99999999"}))
    assert (status, answer["error"]["code"]) == (200, -32603)
    status, answer = post(url, request("nosuch", identity="x"))
    assert (status, answer["id"], answer["error"]["code"]) == (200, "x", -32601)
    status, answer = post(url, request("block", {"height": 3.5}))
    assert (status, answer["error"]["code"]) == (200, -32602)
    status, answer = post(url, b"garbage")
    assert (status, answer["error"]["code"]) == (500, -32700)
    status, answer = post(url, [request("health"), request("health", identity=2)])
    assert [entry["id"] for entry in answer] == [1, 2]
    overflowing = b'{"jsonrpc": "2.0", "id": 1e999, "method": "health"}'
    assert post(url, overflowing)[1]["error"]["code"] == -32700
    assert post(url, {"jsonrpc": "2.0", "method": "health"}) == (200, None)
    status, answer = post(url, request("block", ["2"]))
    assert answer["result"]["block"]["header"]["height"] == "2"


@pytest.mark.parametrize("noise", [1, None, "x", [], {"method": 7}, [1], {"id": 1}])
def test_noise_is_answered_and_the_node_lives(url: str, noise: Any) -> None:
    post(url, noise)
    assert post(url, request("health"))[1]["result"] == {}


def test_a_body_that_is_too_large_is_refused(url: str) -> None:
    answer = httpx.post(url, content=b"x" * 1_100_000, trust_env=False)
    assert answer.status_code == 400


async def test_websocket(network: Network) -> None:
    async with connect(f"ws://127.0.0.1:{network.port}/websocket", proxy=None) as socket:

        async def ask(method: str, query: str, identity: int) -> Any:
            await socket.send(json.dumps(request(method, {"query": query}, identity)))
            while (answer := json.loads(await socket.recv()))["id"] != identity or (
                "query" in answer.get("result", {})
            ):
                pass
            return answer

        async with asyncio.timeout(20):
            header, block = "tm.event='NewBlockHeader'", "tm.event = 'NewBlock'"
            assert (await ask("subscribe", header, 1))["result"] == {}
            assert (await ask("subscribe", header, 2))["error"]["data"] == "already subscribed"
            assert (await ask("subscribe", block, 3))["result"] == {}
            assert "parse query" in (await ask("subscribe", "tm.event=", 4))["error"]["data"]
            assert (await ask("unsubscribe", "tm.event='Tx'", 5))["error"]["data"] == (
                "subscription not found"
            )
            kinds = set()
            while len(kinds) < 2:
                result = json.loads(await socket.recv())["result"]
                kinds.add(result["data"]["type"])
            assert kinds == {"tendermint/event/NewBlock", "tendermint/event/NewBlockHeader"}
            assert (await ask("unsubscribe_all", "", 6))["result"] == {}
            await socket.send("noise")
            assert json.loads(await socket.recv())["error"]["code"] == -32700
