"""What a real peer cannot be made to do: garbage, silence, another transaction than the one asked.

A Gateway service of the test's own stands in for the peer, on the loopback, over gRPC.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fabric_protos.common import common_pb2, ledger_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.peer import proposal_response_pb2

from adapters.fabric.gateway import Gateway, connect
from adapters.fabric.identity import Identity
from adapters.fabric.ledger import LedgerReader
from adapters.fabric.pem_signer import PemSigner
from adapters.fabric.settings import FabricSettings
from adapters.model import InvalidValue
from adapters.spi import Misconfigured, NotSent, SigningFailed, Unavailable, Unknown
from tests.adapters.fabric.memory_channel import person

SHORT = 0.2
"""Seconds given to a peer that will not answer; one that will has all the time that it needs."""
Answer = Callable[[Any, Any], Awaitable[Any]]
KEY = ec.generate_private_key(ec.SECP256R1())
ME = Identity("Org1MSP", person("me").certificate, PemSigner(KEY))


class FakePeer(gateway_pb2_grpc.GatewayServicer):
    """Answers as it is told; counts what it was asked."""

    def __init__(self, **answers: Callable[[Any, Any], Any]) -> None:
        self._answers = answers
        self.asked: list[str] = []
        self.address = ""

    async def _say(self, method: str, request: Any, context: Any) -> Any:
        self.asked.append(method)
        return await self._answers[method](request, context)

    async def Evaluate(self, request: Any, context: Any) -> Any:
        return await self._say("Evaluate", request, context)

    async def Endorse(self, request: Any, context: Any) -> Any:
        return await self._say("Endorse", request, context)

    async def Submit(self, request: Any, context: Any) -> Any:
        return await self._say("Submit", request, context)

    async def CommitStatus(self, request: Any, context: Any) -> Any:
        return await self._say("CommitStatus", request, context)

    async def ChaincodeEvents(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.asked.append("ChaincodeEvents")
        async for reply in self._answers["ChaincodeEvents"](request, context):
            yield reply


def saying(payload: bytes) -> Answer:
    async def answer(_request: Any, _context: Any) -> Any:
        response = proposal_response_pb2.Response(status=200, payload=payload)
        return gateway_pb2.EvaluateResponse(result=response)

    return answer


def failing(code: grpc.StatusCode, message: str = "no") -> Answer:
    async def answer(_request: Any, context: Any) -> Any:
        await context.abort(code, message)

    return answer


async def silent(_request: Any, _context: Any) -> Any:
    await asyncio.Event().wait()


@asynccontextmanager
async def gateway_to(
    *peers: FakePeer,
    reader: Identity = ME,
    request_timeout: float = 30.0,
    compression: grpc.Compression = grpc.Compression.NoCompression,
) -> AsyncIterator[Gateway]:
    servers = []
    for peer in peers:
        server = grpc.aio.server(compression=compression)
        gateway_pb2_grpc.add_GatewayServicer_to_server(peer, server)
        peer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        servers.append(server)
    settings = FabricSettings.model_validate(
        {
            "adapter": "fabric",
            "chain": "fabric:" + "0" * 32,
            "inclusion": 3,
            "finality": 0,
            "clock": 3,
            "reaction": 2,
            "endpoints": [{"address": peer.address} for peer in peers],
            "channel": "trade",
            "msp_id": "Org1MSP",
            "certificate": Path("certificate.pem"),
            "reader_key": Path("key.pem"),
            "request_timeout": request_timeout,
        }
    )
    try:
        async with connect("trade", settings, reader, time.time_ns) as gateway:
            yield gateway
    finally:
        for server in servers:
            await server.stop(0)


@pytest.mark.parametrize("garbage", [b"", b"\xff\xff\xff", b"hello"])
async def test_garbage_from_a_peer_is_unavailable(garbage: bytes) -> None:
    async with gateway_to(FakePeer(Evaluate=saying(garbage))) as gateway:
        ledger = LedgerReader("trade", gateway, "trade")
        with pytest.raises(Unavailable):
            await ledger.newest()
        with pytest.raises(Unavailable):
            await ledger.block(1)
        with pytest.raises(Unavailable):
            await ledger.block_of("ab" * 32)


async def test_a_compressed_answer_is_refused_before_it_is_unfolded() -> None:
    peer = FakePeer(Evaluate=saying(bytes(1024 * 1024)))
    async with gateway_to(peer, compression=grpc.Compression.Gzip) as gateway:
        with pytest.raises(Unavailable, match=r"INTERNAL: .*gzip"):
            await gateway.evaluate("isthmus", "clock")


async def test_another_block_than_the_one_asked_for_is_unavailable() -> None:
    block = common_pb2.Block()
    block.header.number = 8
    block.header.data_hash = bytes.fromhex(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    async with gateway_to(FakePeer(Evaluate=saying(block.SerializeToString()))) as gateway:
        ledger = LedgerReader("trade", gateway, "trade")
        assert (await ledger.block(8)).number == 8
        with pytest.raises(Unavailable):
            await ledger.block(7)


async def test_a_height_that_is_not_there_is_told_from_a_failing_peer() -> None:
    info = ledger_pb2.BlockchainInfo(height=5, currentBlockHash=bytes(32)).SerializeToString()
    told = failing(grpc.StatusCode.UNKNOWN, "chaincode response 500, Failed to get block")

    async def answer(request: Any, context: Any) -> Any:
        bytes_of = request.proposed_transaction.proposal_bytes
        return await (saying(info) if b"GetChainInfo" in bytes_of else told)(request, context)

    async with gateway_to(FakePeer(Evaluate=answer)) as gateway:
        ledger = LedgerReader("trade", gateway, "trade")
        with pytest.raises(InvalidValue):
            await ledger.block(5)
        with pytest.raises(Unavailable):
            await ledger.block(4)


async def test_only_the_own_organisations_peers_are_asked() -> None:
    seen = []

    async def answer(request: Any, context: Any) -> Any:
        seen.append(list(request.target_organizations))
        return await saying(b"1")(request, context)

    async with gateway_to(FakePeer(Evaluate=answer)) as gateway:
        await gateway.evaluate("isthmus", "clock")
    assert seen == [["Org1MSP"]]


async def test_a_silent_peer_is_given_its_time_once_and_passed_over_by_the_next_call() -> None:
    dumb, good = FakePeer(Evaluate=silent), FakePeer(Evaluate=saying(b"1"))
    async with gateway_to(dumb, good, request_timeout=SHORT) as gateway:
        with pytest.raises(Unavailable, match="DEADLINE_EXCEEDED"):
            await gateway.evaluate("isthmus", "clock")
        gateway._settings = gateway._settings.model_copy(update={"request_timeout": 30.0})
        assert await gateway.evaluate("isthmus", "clock") == b"1"
        assert dumb.asked == ["Evaluate"]


async def test_every_lost_peer_is_tried_once_and_then_the_call_fails() -> None:
    peers = [FakePeer(Evaluate=failing(grpc.StatusCode.UNAVAILABLE)) for _ in range(3)]
    async with gateway_to(*peers) as gateway:
        with pytest.raises(Unavailable):
            await gateway.evaluate("isthmus", "clock")
    assert [peer.asked for peer in peers] == [["Evaluate"]] * 3


async def test_what_was_not_proposed_is_not_signed() -> None:
    async def other(_request: Any, _context: Any) -> Any:
        envelope = common_pb2.Envelope(payload=common_pb2.Payload().SerializeToString())
        return gateway_pb2.EndorseResponse(prepared_transaction=envelope)

    peer = FakePeer(Endorse=other)
    async with gateway_to(peer) as gateway:
        with pytest.raises(Unavailable, match="not signed"):
            await gateway.endorse(ME, "isthmus", ["refund", "00"], time.time_ns())
    assert peer.asked == ["Endorse"]


@pytest.mark.parametrize(
    "answer", [failing(grpc.StatusCode.UNAVAILABLE), failing(grpc.StatusCode.INTERNAL), silent]
)
async def test_a_submission_without_an_answer_is_unknown(answer: Answer) -> None:
    proposal: Any = type("P", (), {"transaction": "ab", "channel": "trade"})
    timeout = SHORT if answer is silent else 30.0
    async with gateway_to(FakePeer(Submit=answer), request_timeout=timeout) as gateway:
        with pytest.raises(Unknown):
            await gateway.submit(ME, proposal, common_pb2.Envelope(payload=b"x"))


async def test_a_commit_that_stays_out_is_unknown() -> None:
    async with gateway_to(FakePeer(CommitStatus=silent)) as gateway:
        with pytest.raises(Unknown):
            await gateway.commit_status("ab" * 32, 0.1)


class BrokenKey(PemSigner):
    async def sign(self, digest: bytes) -> bytes:
        raise SigningFailed("the vault is sealed")


async def test_a_key_that_cannot_sign_sends_nothing() -> None:
    broken = Identity("Org1MSP", ME.certificate, BrokenKey(KEY))
    proposal: Any = type("P", (), {"transaction": "ab", "channel": "trade"})
    peer = FakePeer()
    async with gateway_to(peer, reader=broken) as gateway:
        with pytest.raises(NotSent, match="sealed"):
            await gateway.endorse(broken, "isthmus", ["refund", "00"], 0)
        with pytest.raises(NotSent, match="sealed"):
            await gateway.submit(broken, proposal, common_pb2.Envelope())
        with pytest.raises(Misconfigured, match="sealed"):
            await gateway.evaluate("isthmus", "clock")
    assert peer.asked == []
