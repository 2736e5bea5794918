"""An event stream at peers of one organisation that are not level with one another."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from fabric_protos.common import common_pb2, ledger_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import chaincode_event_pb2, chaincode_pb2, proposal_pb2

from adapters.fabric import event_stream
from adapters.fabric.block import read_block
from adapters.fabric.chaincode import locks
from adapters.fabric.event_stream import EventStream
from adapters.fabric.gateway import Gateway
from adapters.fabric.ledger import LedgerReader
from adapters.fabric.lock_codec import LockCodec
from adapters.model import ChainId, Cursor, Hashlock, Head, LockId, LockRefunded, Notice
from adapters.spi import Unavailable
from tests.adapters.fabric.test_gateway_faults import (
    SHORT,
    FakePeer,
    failing,
    gateway_to,
    saying,
)

CHAIN = ChainId.parse("fabric:" + "0" * 32)
LOCK, HASHLOCK = LockId(b"\x01" * 32), Hashlock(b"\x02" * 32)
TIME = 900
LONG = 30.0
"""Seconds given to a peer that holds the block."""


def transaction_of(block: int) -> str:
    return hashlib.sha256(bytes([block])).hexdigest()


@dataclass
class OwnPeer:
    """A peer whose ledger ends at ``height``, and which hands queries to one whose ledger ends at
    ``longest``. Every block holds one valid transaction; those of ``refunds`` tell of a lock."""

    height: int
    longest: int
    refunds: Sequence[int] = ()

    def service(self) -> FakePeer:
        return FakePeer(
            Evaluate=self.evaluate, CommitStatus=self.status, ChaincodeEvents=self.events
        )

    async def evaluate(self, request: Any, context: Any) -> Any:
        function, *words = _words(request.proposed_transaction)
        if function == b"GetChainInfo":
            info = ledger_pb2.BlockchainInfo(height=self.longest + 1, currentBlockHash=bytes(32))
            return await saying(info.SerializeToString())(request, context)
        assert function == b"GetBlockByNumber"
        number = int(words[1])
        if number > self.longest:
            told = "chaincode response 500, Failed to get block"
            return await failing(grpc.StatusCode.UNKNOWN, told)(request, context)
        return await saying(_block(number))(request, context)

    async def status(self, request: Any, _context: Any) -> Any:
        wanted = gateway_pb2.CommitStatusRequest.FromString(request.request).transaction_id
        (block,) = (one for one in range(256) if transaction_of(one) == wanted)
        if block > self.height:
            await asyncio.Event().wait()
        return gateway_pb2.CommitStatusResponse(result=0, block_number=block)

    async def events(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        inner = gateway_pb2.ChaincodeEventsRequest.FromString(request.request)
        told = {"lock_id": LOCK.hex(), "hashlock": HASHLOCK.hex()}
        for block in self.refunds:
            if inner.start_position.specified.number <= block <= self.height:
                event = chaincode_event_pb2.ChaincodeEvent(
                    tx_id=transaction_of(block),
                    event_name=locks.REFUNDED,
                    payload=json.dumps(told).encode(),
                )
                yield gateway_pb2.ChaincodeEventsResponse(events=[event], block_number=block)
        await asyncio.Event().wait()


def _words(signed: Any) -> list[bytes]:
    proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
    payload = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload)
    spec = chaincode_pb2.ChaincodeInvocationSpec.FromString(payload.input)
    return list(spec.chaincode_spec.input.args)


def _block(number: int) -> bytes:
    header = common_pb2.ChannelHeader(tx_id=transaction_of(number))
    header.timestamp.seconds = TIME
    payload = common_pb2.Payload(
        header=common_pb2.Header(channel_header=header.SerializeToString())
    )
    envelope = common_pb2.Envelope(payload=payload.SerializeToString()).SerializeToString()
    block = common_pb2.Block()
    block.header.number = number
    block.header.data_hash = hashlib.sha256(envelope).digest()
    block.data.data.append(envelope)
    encoded: bytes = block.SerializeToString()
    return encoded


def notices(
    gateway: Gateway,
    patience: float,
    cursor: Cursor | None = None,
    objection: str | None = None,
    poll_interval: float = 0.01,
) -> AsyncIterator[Notice]:
    ledger = LedgerReader("trade", gateway, "trade")

    async def head() -> Head:
        height, block_hash = await ledger.newest()
        return Head(CHAIN, height, block_hash, 1_000, height)

    return EventStream(
        "trade",
        gateway,
        ledger,
        LockCodec(CHAIN, bytes(32), "isthmus"),
        head,
        lambda: objection,
        first_block=0,
        poll_interval=poll_interval,
        patience=patience,
    ).notices(cursor)


def seen_in(notice: Notice) -> list[tuple[int, object]]:
    return [(one.position.height, one.event) for one in notice.observations]


async def test_a_stream_whose_peer_falls_behind_ends_before_it_tells_a_newer_head() -> None:
    """The head is fresh, from a peer that has the block; the events of it would not come."""
    behind, level = OwnPeer(3, longest=4).service(), OwnPeer(4, longest=4, refunds=[4]).service()
    async with gateway_to(behind, level) as gateway:
        with pytest.raises(Unavailable, match=f"{behind.address} tells the events and was not"):
            await anext(notices(gateway, SHORT))
        async for notice in notices(gateway, LONG):
            if notice.observations:
                break
        assert seen_in(notice) == [(4, LockRefunded(LOCK, HASHLOCK))]
        told = [peer.asked.count("ChaincodeEvents") for peer in (behind, level)]
        assert told == [1, 1]


async def test_a_peer_that_is_level_tells_heads_without_events() -> None:
    async with gateway_to(OwnPeer(4, longest=4).service()) as gateway:
        first = await anext(notices(gateway, LONG))
        assert (first.head.height, first.observations) == (4, ())


async def test_what_a_peer_that_is_behind_has_told_is_passed_on() -> None:
    """It may be the preimage that another chain's claim waits for."""
    async with gateway_to(OwnPeer(3, longest=4, refunds=[3]).service()) as gateway:
        # It looks at the head when the event has come.
        stream = notices(gateway, SHORT, poll_interval=LONG)
        first = await anext(stream)
        assert seen_in(first) == [(3, LockRefunded(LOCK, HASHLOCK))]
        assert first.head == Head(CHAIN, 3, read_block(_block(3)).hash, TIME, 3)
        assert first.cursor.text.startswith("3:")
        with pytest.raises(Unavailable, match="not seen to hold block 4"):
            await anext(stream)


async def test_an_event_that_comes_before_queries_see_its_block_is_told_later() -> None:
    early = OwnPeer(5, longest=4, refunds=[5]).service()
    level = OwnPeer(5, longest=5, refunds=[5]).service()
    async with gateway_to(early, level) as gateway:
        with pytest.raises(Unavailable, match="block 5, which the peer that answers"):
            async for _ in notices(gateway, LONG):
                pass
        async for notice in notices(gateway, LONG):
            if notice.observations:
                break
        assert seen_in(notice) == [(5, LockRefunded(LOCK, HASHLOCK))]


async def test_a_peer_that_is_behind_the_cursor_is_passed_over() -> None:
    behind, level = OwnPeer(4, longest=4).service(), OwnPeer(6, longest=6).service()
    async with gateway_to(behind, level) as gateway:
        with pytest.raises(Unavailable, match="ends at block 4"):
            await anext(notices(gateway, LONG, Cursor(f"6:{'ab' * 32}:{'cd' * 32}")))
        assert gateway.preferred == level.address


async def test_a_stream_at_a_stale_peer_says_why_before_its_caller_gives_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passing = itertools.count(step=LONG)
    monkeypatch.setattr(event_stream, "monotonic", lambda: next(passing))
    async with gateway_to(OwnPeer(4, longest=4).service()) as gateway:
        stream = notices(gateway, LONG, objection="too few others answer")
        assert (await anext(stream)).head.height == 4
        with pytest.raises(Unavailable, match="trade: too few others answer"):
            await anext(stream)
