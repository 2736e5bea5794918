"""The embedded node's RPC against CometBFT's own: the same calls to both, and the same answers.

Calls are valid, malformed, and by the dice. What follows from a node's own times and keys is
compared by its kind alone. Where the two differ the difference stands here, with its reason.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from adapters.native.app.records import GENESIS_KEY
from tests.networks.cometbft import cometbft_or_skip, reached
from tests.networks.twins import Twins, running_twins

pytestmark = pytest.mark.shows(
    "native", "CometBFT, one validator", "the embedded ledger answers as the real one"
)
cometbft_or_skip()

ZERO = base64.b64encode(bytes(32)).decode()
KEY = GENESIS_KEY.hex()

VOLATILE = {
    *("hash", "time", "timestamp", "app_hash", "last_block_app_hash", "last_results_hash"),
    *("last_commit_hash", "last_block_id", "signature", "last_height", "last_block_height"),
    *("latest_block_hash", "latest_app_hash", "latest_block_height", "latest_block_time"),
    *("earliest_block_hash", "earliest_block_time", "height", "block_height", "block_size"),
    *("id", "listen_addr", "channels", "moniker", "rpc_address", "block_metas"),
}
"""Fields that follow from a node's own times, keys and addresses. A transaction's hash is compared
by its other copy, in what was sent."""

_GO = ("error converting", "error unmarshaling")
"""Words of Go's JSON reader: what they say is compared by its code."""

DIFFERENT = {
    "no params": "CometBFT panics where a method with parameters is called without params (500, "
    "reflect: Call with too few input arguments); the embedded node takes none as empty",
    "names in capitals": "Go reads the names of JSON fields in any case",
    "a huge id": "Go's conversion of a number above 2^63 has no meaning",
}
"""Why calls of this name are answered otherwise."""


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    with running_twins(tmp_path_factory.mktemp("twins")) as running:
        # Both have the blocks that are asked for.
        asyncio.run(_reached(running))
        yield running


async def _reached(twins: Twins) -> None:
    for url in twins.urls:
        await reached(url, 3)


@dataclass(frozen=True)
class Answer:
    status: int
    kind: str
    """Of the content."""
    said: Any


def _comparable(value: Any) -> Any:
    """The value without what is a node's own."""
    match value:
        case dict():
            return {
                name: type(inner).__name__ if name in VOLATILE else _comparable(inner)
                for name, inner in value.items()
                if name != "id" or isinstance(inner, dict)
            }
        case list():
            return [_comparable(inner) for inner in value]
        case str() if value.startswith(_GO):
            return "(Go's words)"
        case str():
            return re.sub(r"current blockchain height \d+", "current blockchain height N", value)
        case _:
            return value


def _answer(response: httpx.Response) -> Answer:
    kind = response.headers.get("content-type", "")
    if not kind.startswith("application/json") or response.request.method == "HEAD":
        return Answer(response.status_code, kind, "" if "html" in kind else response.text)
    said = response.json()
    ids = [entry.get("id") for entry in (said if isinstance(said, list) else [said])]
    return Answer(response.status_code, kind, (ids, _comparable(said)))


def both(twins: Twins, method: str, path: str, content: bytes | None = None) -> list[Answer]:
    with httpx.Client(timeout=15, trust_env=False) as client:
        while True:
            answers = [
                _answer(client.request(method, f"{url}{path}", content=content))
                for url in twins.urls
            ]
            # For a moment CometBFT has its newest block and not yet what came of it.
            if "could not find results" not in str(answers[1].said):
                return answers


def call(method: str, params: Any = None, identity: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": params or {}}


BODIES: Mapping[str, Any] = {
    "not JSON": b"garbage",
    "nothing": b"",
    "nothing but a list": [],
    "null": None,
    "a number": 1,
    "a string": "x",
    "a list of numbers": [1],
    "more after the end": b'{"jsonrpc":"2.0","id":1,"method":"health"} x',
    "a byte order mark": b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"health"}',
    "no UTF-8": b'{"jsonrpc":"2.0","id":"\xff","method":"health"}',
    "not a number": b'{"jsonrpc":"2.0","id":NaN,"method":"health"}',
    "an id twice": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"health"}',
    "a batch of one": [call("health")],
    "a batch of two": [call("health"), call("nosuch", identity="b")],
    "a batch of eleven": [call("health", identity=n) for n in range(11)],
    "a batch with a number": [call("health"), 1],
    "a batch of notifications": [{"jsonrpc": "2.0", "method": "health"}] * 2,
    "a notification": {"jsonrpc": "2.0", "method": "health"},
    "an id that is null": call("health", identity=None),
    "an id that is text": call("health", identity="x"),
    "an id with a fraction": call("health", identity=1.5),
    "an id that is true": call("health", identity=True),
    "an id that is a list": call("health", identity=[1]),
    "no method": {"jsonrpc": "2.0", "id": 1},
    "a method that is a number": {"jsonrpc": "2.0", "id": 1, "method": 7},
    "a method that is not there": call("nosuch"),
    "a method of WebSocket": call("subscribe", {"query": "tm.event='NewBlock'"}),
    "no version": {"id": 1, "method": "health"},
    "another version": {"jsonrpc": "1.0", "id": 1, "method": "health"},
    "params that are text": {**call("health"), "params": "x"},
    "params that are a number": {**call("health"), "params": 3},
    "params that are null": {**call("health"), "params": None},
    "params in a list": {**call("health"), "params": []},
    "too many params": {**call("health"), "params": [1]},
    "too few params": {**call("block"), "params": []},
    "a body that is too large": b"x" * 1_100_000,
    **{
        f"block {height!r}": call("block", {"height": height})
        for height in (
            *("2", "0", "-1", "-0", "x", "", " 2", "2 ", "+2", "02", "1_0", "2.0", "2e0", "0x2"),
            *("999999999", "99999999999999999999", "٣", None, 2, 3.5, True, [], {}),
        )
    },
    **{
        f"{method} {height}": call(method, {"height": height})
        for method in ("block_results", "header", "validators")
        for height in ("1", "0", "-1", "999999999")
    },
    "page 2 of the validators": call("validators", {"height": "2", "page": "2"}),
    "headers from -1": call("blockchain", {"minHeight": "-1", "maxHeight": "2"}),
    "headers from 3 to 2": call("blockchain", {"minHeight": "3", "maxHeight": "2"}),
    "headers from 1 to 2": call("blockchain", {"minHeight": "1", "maxHeight": "2"}),
    "tx without a hash": call("tx"),
    "tx that is not there": call("tx", {"hash": ZERO}),
    "tx that is not there, with proof": call("tx", {"hash": ZERO, "prove": True}),
    "tx whose hash is no base64": call("tx", {"hash": "***"}),
    "tx with a word for true": call("tx", {"hash": ZERO, "prove": "true"}),
    "abci_query without a path": call("abci_query"),
    "abci_query of another path": call("abci_query", {"path": "/x"}),
    "abci_query of a path that is a number": call("abci_query", {"path": 1}),
    "abci_query of the genesis": call("abci_query", {"path": "/key", "data": KEY}),
    "abci_query of what waits": call("abci_query", {"path": "/pending", "data": KEY}),
    "abci_query of the version": call("abci_query", {"path": "/version"}),
    **{
        f"abci_query at {height}": call(
            "abci_query", {"path": "/key", "data": KEY, "height": height}
        )
        for height in ("1", "0", "-1", "999999999")
    },
    **{
        f"abci_query of {data!r}": call("abci_query", {"path": "/key", "data": data})
        for data in ("00", "0", "zz", "0x00", "AB", "a b", " ab", 7)
    },
    **{
        f"broadcast_tx_sync of {tx!r}": call("broadcast_tx_sync", {"tx": tx})
        for tx in ("", "AAAA", "AAAA ", "AAA", "*", 7, base64.b64encode(bytes(2000)).decode())
    },
    "broadcast_tx_sync of 700 kB": call(
        "broadcast_tx_sync", {"tx": base64.b64encode(bytes(700_000)).decode()}
    ),
    "broadcast_tx_async of noise": call("broadcast_tx_async", {"tx": "BBBB"}),
    "broadcast_tx_commit of noise": call("broadcast_tx_commit", {"tx": "CCCC"}),
    **{
        f"unconfirmed_txs {limit!r}": call("unconfirmed_txs", {"limit": limit})
        for limit in (None, "0", "-1", "1", "1000", 3)
    },
    "num_unconfirmed_txs": call("num_unconfirmed_txs"),
    "block_by_hash without a hash": call("block_by_hash"),
    "block_by_hash of nothing": call("block_by_hash", {"hash": ZERO}),
    "genesis": call("genesis"),
    "abci_info": call("abci_info"),
    "status": call("status"),
    "health": call("health"),
    "health with more": call("health", {"x": 1}),
}

PATHS = (
    *("/", "/health", "/health?x=1", "/health/", "/nosuch", "/block/2", "/websocket"),
    *('/subscribe?query="x"', "/unsubscribe_all", "/status", "/abci_info"),
    *(
        f"/block?height={height}"
        for height in ("2", '"2"', "x", "0", "-1", "02", "", "0x2", '"x"', "2.0", "2&height=x")
    ),
    *(
        f"/abci_query?path={path}&data={data}"
        for path in ('"/key"', "/key", "0x2f6b6579", '"/version"')
        for data in ("0x00", '"00"', "00", "0xzz", "")
    ),
    *(f'/abci_query?path="/version"&prove={prove}' for prove in ("true", "1", '"true"', "True")),
    *(f"/tx?hash={value}" for value in ("0x00", '"00"', "zz", "0xzz", f"0x{'00' * 32}")),
    *(f"/broadcast_tx_sync?tx={value}" for value in ('"abc"', "0x01", "0X01", "abc", "0x0")),
    *("/unconfirmed_txs?limit=3", "/unconfirmed_txs", "/blockchain?minHeight=1&maxHeight=1"),
    "/validators?height=2&page=1&per_page=5",
)


def content(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.mark.parametrize("name", BODIES)
def test_a_body_has_the_same_answer(twins: Twins, name: str) -> None:
    embedded, real = both(twins, "POST", "/", content(BODIES[name]))
    assert embedded == real


@pytest.mark.parametrize("path", PATHS)
def test_a_uri_has_the_same_answer(twins: Twins, path: str) -> None:
    embedded, real = both(twins, "GET", path)
    assert embedded == real


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "POST"])
@pytest.mark.parametrize("path", ["/", "/health", "/nosuch"])
def test_the_http_method_is_of_no_matter(twins: Twins, method: str, path: str) -> None:
    embedded, real = both(twins, method, path)
    assert embedded == real


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("no params", {"jsonrpc": "2.0", "id": 1, "method": "abci_query"}),
        ("names in capitals", {"JSONRPC": "2.0", "ID": 1, "Method": "health"}),
        ("a huge id", call("health", identity=10**30)),
    ],
)
def test_what_differs_differs_still(twins: Twins, name: str, body: Any) -> None:
    """Or it has no place in the list."""
    embedded, real = both(twins, "POST", "/", content(body))
    assert embedded != real, f"no longer different: {DIFFERENT[name]}"


_VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 2.5, "", "1", "2", "-1", "0", "true", "zz", "00", "AAAA", ZERO, KEY),
    *("/key", "/pending", "/version", "0x00", " 1", "1e1", [], ["1"], {}, {"x": 1}, "\u0000", "é"),
)


def test_calls_by_the_dice_have_the_same_answers(twins: Twins) -> None:
    """Known methods with parameters of any kind, in maps and in lists."""
    dice = random.Random(4)
    names = {
        "abci_query": ("path", "data", "height", "prove"),
        "block": ("height",),
        "block_results": ("height",),
        "blockchain": ("minHeight", "maxHeight"),
        "broadcast_tx_sync": ("tx",),
        "broadcast_tx_async": ("tx",),
        "header": ("height",),
        "tx": ("hash", "prove"),
        "validators": ("height", "page", "per_page"),
        "unconfirmed_txs": ("limit",),
        "block_by_hash": ("hash",),
        "health": (),
    }
    for _ in range(400):
        method = dice.choice(list(names))
        given = {name: dice.choice(_VALUES) for name in names[method] if dice.random() < 0.7}
        params: Any = given if dice.random() < 0.8 else list(given.values())
        body = call(method, params)
        body["params"] = params
        embedded, real = both(twins, "POST", "/", content(body))
        assert embedded == real, body
