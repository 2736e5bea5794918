"""Nodes that are wrong, slow, limited, or gone; and several of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters.ethereum import transport
from adapters.model import Claim, Lock, LockState, Stage
from adapters.spi import Misconfigured, NotSent, Rejected, Unavailable, Unknown
from tests.adapters.ethereum.anvil import Network, bare_anvil
from tests.adapters.ethereum.bench import Stream, credential, opened, terms_for
from tests.adapters.ethereum.edge import Answer, Request, edge_before, error, result
from tests.ports import free_port


def on(method: str, answer: Answer) -> Callable[[Request], Answer | None]:
    return lambda request: answer if request["method"] == method else None


async def test_a_wrong_chain_id_is_misconfigured(network: Network) -> None:
    with pytest.raises(Misconfigured, match="eip155:31337, but the configuration says eip155:1;"):
        async with opened(network.settings(chain="eip155:1")):
            pass


async def test_a_second_node_on_another_chain_is_misconfigured(network: Network) -> None:
    with bare_anvil(network.folder / "other.log", "--chain-id", "4") as other:
        urls = [network.url, other.url]
        async with opened(network.settings(urls=urls)) as adapter:
            network.process.kill()
            with pytest.raises(Misconfigured, match="eip155:4"):
                await adapter.head()


async def test_a_wrong_code_or_none_is_misconfigured(network: Network) -> None:
    with pytest.raises(Misconfigured, match="no contract at"):
        async with opened(network.settings(contract="0x" + "11" * 20)):
            pass
    token = network.settings()["tokens"][0]
    with pytest.raises(Misconfigured, match="not expected"):
        async with opened(network.settings(contract=token)):
            pass
    with pytest.raises(Misconfigured, match="not expected"):
        async with opened(network.settings(code_hash="0x" + "00" * 32)):
            pass


async def test_a_node_that_is_not_there_is_unavailable(network: Network) -> None:
    with pytest.raises(Unavailable, match="no node answers"):
        async with opened(network.settings(urls=[f"http://127.0.0.1:{free_port()}"])):
            pass


async def test_websocket_serves_like_http(network: Network) -> None:
    settings = network.settings(urls=[network.url.replace("http", "ws")], poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        stream = Stream(adapter)
        terms, preimage = await terms_for(adapter, sender, recipient)
        lock_id = adapter.lock_id(terms)
        await adapter.submit(Lock(terms), sender)
        network.rpc("evm_mine")
        await stream.stage(lock_id, Stage.PENDING)
        await adapter.submit(Claim(lock_id, preimage), recipient)
        network.rpc("anvil_mine", "0x3")
        await stream.stage(lock_id, Stage.FINAL)
        await stream.close()
        network.process.stop()
        with pytest.raises(Unavailable):
            await adapter.head()
        network.process.start()
        await adapter.head()


async def test_a_node_that_stops_answering_is_left_for_the_next(network: Network) -> None:
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url, network.url], request_timeout=1)
        async with opened(settings) as adapter:
            await adapter.head()
            edge.rule = lambda _request: Answer(hang=True)
            await adapter.head()
            # From then on the other one is asked first.
            asked = len(edge.seen)
            await adapter.head()
            assert len(edge.seen) == asked
        edge.rule = lambda _request: None
        async with opened(network.settings(urls=[edge.url], request_timeout=1)) as alone:
            edge.rule = lambda _request: Answer(hang=True)
            with pytest.raises(Unavailable, match="has not answered"):
                await alone.head()


GARBAGE = {
    "not JSON": Answer(body=b"<html>"),
    "not an object": Answer(body=b"[1]"),
    "neither result nor error": Answer(body=b'{"id": 1}'),
    "a number": result(7),
    "no block": result(None),
    "a block of nonsense": result({"number": "seven", "hash": "0x1"}),
    "a short hash": result(
        {"number": "0x7", "hash": "0x12", "parentHash": "0x12", "timestamp": "0x1"}
    ),
    "an odd error": Answer(body=b'{"error": "no"}'),
    "deep nonsense": Answer(body=b"[" * 100_000),
    "HTTP 500": Answer(500, b"oops"),
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_is_not_believed(kind: str, network: Network) -> None:
    async with edge_before(network.url) as edge:
        async with opened(network.settings(urls=[edge.url])) as adapter:
            edge.rule = on("eth_getBlockByNumber", GARBAGE[kind])
            with pytest.raises(Unavailable) as caught:
                await adapter.head()
            assert "key-that-must-not-be-shown" not in str(caught.value)
        async with opened(network.settings(urls=[edge.url, network.url])) as adapter:
            assert (await adapter.head()).height > 0


BLOCK_BY_GZIP = Answer(
    body=gzip.compress(json.dumps({"jsonrpc": "2.0", "id": 1, "result": None}).encode()),
    headers=(("Content-Encoding", "gzip"),),
)


async def test_a_compressed_answer_is_not_unfolded(network: Network) -> None:
    async with (
        edge_before(network.url) as edge,
        opened(network.settings(urls=[edge.url])) as adapter,
    ):
        edge.rule = on("eth_getBlockByNumber", BLOCK_BY_GZIP)
        with pytest.raises(Unavailable, match="content-encoding 'gzip', which was not asked"):
            await adapter.head()


async def test_an_answer_without_end_is_not_kept(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER", 100_000)
    async with (
        edge_before(network.url) as edge,
        opened(network.settings(urls=[edge.url])) as adapter,
    ):
        edge.rule = on("eth_getBlockByNumber", Answer(body=b" " * 100_001))
        with pytest.raises(Unavailable, match="more than 100000 bytes"):
            await adapter.head()


async def test_429_is_respected(network: Network) -> None:
    async with edge_before(network.url) as edge:
        slow = Answer(429, b"", (("Retry-After", "30"),))
        async with opened(network.settings(urls=[edge.url, network.url])) as adapter:
            edge.rule = lambda _request: slow
            for _ in range(5):
                await adapter.head()
            asked = edge.methods().count("eth_getBlockByNumber")
            assert asked == 1
        edge.rule = lambda _request: None
        async with opened(network.settings(urls=[edge.url])) as adapter:
            edge.rule = lambda _request: slow
            with pytest.raises(Unavailable, match="wait 30 seconds"):
                await adapter.head()
            asked = len(edge.seen)
            with pytest.raises(Unavailable, match="more seconds"):
                await adapter.head()
            assert len(edge.seen) == asked


@pytest.mark.parametrize(
    "refusal",
    [
        error(-32005, "query exceeds max block range 4"),
        error(-32602, "query returned more than 10000 results"),
        Answer(413, b""),
        Answer(500, b"timeout"),
    ],
    ids=["range", "results", "413", "500"],
)
async def test_log_ranges_shrink_until_the_node_bears_them(
    refusal: Answer, network: Network
) -> None:
    settings = network.settings(final_by=2, poll_interval=0.05, deployed_at=0)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        ids = []
        for amount in range(1, 6):
            terms, _ = await terms_for(adapter, sender, recipient, amount=amount)
            ids.append(adapter.lock_id(terms))
            await adapter.submit(Lock(terms), sender)
            network.rpc("anvil_mine", hex(7))
    refused = 0

    def narrow(request: Request) -> Answer | None:
        nonlocal refused
        query: Any = request["params"][0] if request["method"] == "eth_getLogs" else {}
        if "fromBlock" not in query:
            return None
        if int(query["toBlock"], 16) - int(query["fromBlock"], 16) < 4:
            return None
        refused += 1
        return refusal

    async with edge_before(network.url) as edge:
        edge.rule = narrow
        async with opened({**settings, "urls": [edge.url]}) as adapter:
            stream = Stream(adapter)
            await stream.stage(ids[-1], Stage.FINAL)
            finals = [one for one in stream.observations() if one.stage is Stage.FINAL]
            assert [one.event.lock_id for one in finals] == ids
            assert refused >= 2
            await stream.close()


async def test_logs_that_are_refused_for_a_single_block_are_unavailable(network: Network) -> None:
    async with (
        edge_before(network.url) as edge,
        opened(network.settings(urls=[edge.url])) as adapter,
    ):
        edge.rule = on("eth_getLogs", error(-32000, "logs are not kept"))
        with pytest.raises(Unavailable, match="logs"):
            await Stream(adapter).until(lambda notice: bool(notice.observations))


# --- handing a transaction in: what is certain, and what is not -----------------------------------

SEND = "eth_sendRawTransaction"
OUTCOMES = {
    "no answer": (Answer(hang=True, forward=True), Unknown),
    "no answer, not forwarded": (Answer(hang=True), Unknown),
    "HTTP 502": (Answer(502, b""), Unknown),
    "garbage": (Answer(body=b"?", forward=True), Unknown),
    "HTTP 429": (Answer(429, b""), NotSent),
    "HTTP 401": (Answer(401, b""), NotSent),
    "nonce too low": (error(-32000, "nonce too low"), NotSent),
    "underpriced": (error(-32000, "transaction underpriced"), NotSent),
    "no funds": (error(-32000, "insufficient funds for gas * price + value"), Rejected),
    "internal error": (error(-32603, "internal error"), Unknown),
    "words never heard": (error(-32000, "the moon is full"), Unknown),
}


@pytest.mark.parametrize("kind", OUTCOMES)
async def test_what_a_failed_sending_means(kind: str, network: Network) -> None:
    answer, expected = OUTCOMES[kind]
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], request_timeout=1)
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            terms, _ = await terms_for(adapter, sender, recipient)
            edge.rule = on(SEND, answer)
            with pytest.raises(expected) as caught:
                await adapter.submit(Lock(terms), sender)
            assert type(caught.value) is expected
            # And whatever it was, the same action goes through once the node is well, once.
            edge.rule = lambda _request: None
            if kind == "HTTP 429":
                adapter._rpc.nodes[0]._silent_until = 0.0
            await adapter.submit(Lock(terms), sender)
            network.rpc("evm_mine")
            assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN
            count = network.rpc("eth_getTransactionCount", sender.account.address, "latest")
            assert int(count, 16) == 1


async def test_already_known_is_success(network: Network) -> None:
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url])
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            terms, _ = await terms_for(adapter, sender, recipient)
            known = error(-32000, "already known")
            edge.rule = on(SEND, Answer(body=known.body, forward=True))
            await adapter.submit(Lock(terms), sender)
            network.rpc("evm_mine")
            assert (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN


async def test_a_node_that_repeats_the_call_does_not_spill_the_preimage(network: Network) -> None:
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url])
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            terms, preimage = await terms_for(adapter, sender, recipient)
            await adapter.submit(Lock(terms), sender)
            network.rpc("evm_mine")

            def parrot(request: Request) -> Answer | None:
                if request["method"] in ("eth_estimateGas", SEND):
                    return error(-32000, f"bad call {json.dumps(request['params'])}")
                return None

            edge.rule = parrot
            with pytest.raises((NotSent, Unknown, Rejected)) as caught:
                await adapter.submit(Claim(adapter.lock_id(terms), preimage), recipient)
            assert preimage.value.hex() not in str(caught.value)
