"""An event stream at a peer that answers but is behind."""

from __future__ import annotations

import pytest
from fabric_protos.common import ledger_pb2

from adapters.fabric.event_stream import EventStream
from adapters.fabric.ledger import LedgerReader
from adapters.fabric.lock_codec import LockCodec
from adapters.model import ChainId, Cursor, Head
from adapters.spi import Unavailable
from tests.adapters.fabric.test_gateway_faults import FakePeer, gateway_to, saying


async def test_a_peer_that_is_behind_the_cursor_is_passed_over() -> None:
    def peer_at(height: int) -> FakePeer:
        info = ledger_pb2.BlockchainInfo(height=height, currentBlockHash=bytes(32))
        return FakePeer(Evaluate=saying(info.SerializeToString()))

    async def head() -> Head:
        raise AssertionError("not asked for")

    chain = ChainId.parse("fabric:" + "0" * 32)
    async with gateway_to(peer_at(5), peer_at(7)) as gateway:
        ledger = LedgerReader("trade", gateway, "trade")
        codec = LockCodec(chain, bytes(32), "isthmus")
        stream = EventStream("trade", gateway, ledger, codec, head, first_block=0, poll_interval=1)
        with pytest.raises(Unavailable, match="ends at block 4"):
            await anext(stream.notices(Cursor(f"6:{'ab' * 32}:{'cd' * 32}")))
        assert (await ledger.newest())[0] == 6
