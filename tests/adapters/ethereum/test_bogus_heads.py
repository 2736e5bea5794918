"""A height that is named once, with no blocks that lead to it, is not held against other nodes."""

from __future__ import annotations

import pytest

from adapters.model import Lock, LockState, Stage
from adapters.spi import Unavailable
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import Stream, credential, opened, terms_for
from tests.adapters.ethereum.edge import Answer, Request, edge_before, result


def far_ahead(request: Request) -> Answer | None:
    """A newest block a million blocks from here; the rest as it is."""
    if request["method"] != "eth_getBlockByNumber" or request["params"][0] != "latest":
        return None
    bogus = {"number": hex(1_000_000), "timestamp": hex(2**32), "baseFeePerGas": "0x1"}
    return result({**bogus, "hash": "0x" + "ab" * 32, "parentHash": "0x" + "cd" * 32})


@pytest.mark.parametrize("final_by", [0, 3, "finalized"])
async def test_one_bogus_newest_block_does_not_make_honest_nodes_look_behind(
    final_by: int | str, network: Network
) -> None:
    async with edge_before(network.url) as honest, edge_before(network.url) as other:
        settings = network.settings(
            urls=[honest.url, other.url], final_by=final_by, poll_interval=0.05
        )
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            stream = Stream(adapter)
            highest = (await stream.until(lambda notice: True)).head
            honest.rule = lambda _request: Answer(503, b"")
            other.rule = far_ahead
            assert (await adapter.head()).height == 1_000_000
            with pytest.raises(Unavailable):
                await stream.until(lambda notice: False)
            honest.rule = lambda _request: None
            other.rule = lambda _request: Answer(503, b"")
            assert await adapter.head() == highest
            # Locks are found and told again.
            terms, _ = await terms_for(adapter, sender, recipient)
            lock_id = adapter.lock_id(terms)
            await adapter.submit(Lock(terms), sender)
            network.rpc("evm_mine")
            assert (await adapter.lookup(lock_id)).state is LockState.OPEN
            resumed = Stream(adapter, stream.notices[-1].cursor)
            await resumed.stage(lock_id, Stage.FINAL if final_by == 0 else Stage.PENDING)
            await resumed.close()


async def test_a_bogus_newest_block_is_not_followed(network: Network) -> None:
    """Not even by the follower, which alone decides which height counts as reached."""
    async with edge_before(network.url) as edge:
        settings = network.settings(urls=[edge.url], final_by=2, poll_interval=0.05)
        async with opened(settings) as adapter:
            stream = Stream(adapter)
            before = (await stream.until(lambda notice: True)).head
            edge.rule = far_ahead
            with pytest.raises(Unavailable):
                await stream.until(lambda notice: False)
            edge.rule = lambda _request: None
            assert (await adapter.head()).height >= before.height
