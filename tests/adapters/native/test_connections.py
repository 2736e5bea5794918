"""A transaction has a connection of its own, and is handed to a node once."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from adapters.native.rpc_client import MAX_ANSWER, RpcClient
from adapters.node_http import NodeHttp
from adapters.spi import Unavailable, Unknown
from tests.adapters.hanging_up import RESULT, serving


async def test_a_transaction_has_a_connection_of_its_own() -> None:
    async with serving(2) as server, aclosing(NodeHttp(10, MAX_ANSWER)) as http:
        client = RpcClient("chain x", [server.url], http)
        for _ in range(2):
            assert await client.read("abci_info", {}, str) == RESULT
        assert await client.send("broadcast_tx_sync", {}, str) == RESULT
        assert [number for number, _ in server.seen] == [0, 0, 1]


async def test_a_transaction_is_handed_over_once() -> None:
    async with serving(0) as server, aclosing(NodeHttp(10, MAX_ANSWER)) as http:
        client = RpcClient("chain x", [server.url], http)
        with pytest.raises(Unknown, match="may have been taken"):
            await client.send("broadcast_tx_sync", {}, str)
        assert len(server.seen) == 1
        with pytest.raises(Unavailable, match="broke off"):
            await client.read("abci_info", {}, str)
