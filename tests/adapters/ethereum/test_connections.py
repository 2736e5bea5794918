"""A transaction has a connection of its own, and is handed to a node once."""

from __future__ import annotations

import pytest

from adapters.ethereum.node_errors import NodeFailed
from adapters.ethereum.transport import connect
from tests.adapters.hanging_up import RESULT, serving


async def test_a_transaction_has_a_connection_of_its_own() -> None:
    async with serving(2) as server:
        transport = connect(server.url, 10)
        for method in ("eth_chainId", "eth_blockNumber", "eth_sendRawTransaction"):
            assert await transport.request(method, []) == RESULT
        await transport.close()
        assert [number for number, _ in server.seen] == [0, 0, 1]


async def test_a_transaction_is_handed_over_once() -> None:
    async with serving(0) as server:
        transport = connect(server.url, 10)
        with pytest.raises(NodeFailed, match="broke off") as caught:
            await transport.request("eth_sendRawTransaction", [])
        await transport.close()
        assert caught.value.sent
        assert len(server.seen) == 1
