"""Forks: shorter and deeper than finality, seen while running and after a restart."""

from __future__ import annotations

import pytest

from adapters.model import InvalidValue, Lock, LockOpened, LockState, Stage
from adapters.spi import Unavailable
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import Stream, credential, opened, terms_for


async def test_a_fork_above_finality_retracts_and_tells_anew(network: Network) -> None:
    settings = network.settings(final_by=5, poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        stream = Stream(adapter)
        kept_terms, _ = await terms_for(adapter, sender, recipient)
        await adapter.submit(Lock(kept_terms), sender)
        network.rpc("evm_mine")
        snapshot = network.rpc("evm_snapshot")
        lost_terms, _ = await terms_for(adapter, sender, recipient, amount=6)
        await adapter.submit(Lock(lost_terms), sender)
        network.rpc("evm_mine")
        kept, lost = adapter.lock_id(kept_terms), adapter.lock_id(lost_terms)
        place = (await stream.stage(lost, Stage.PENDING)).position
        network.rpc("evm_revert", snapshot)
        network.rpc("anvil_mine", "0x3")
        retracted = await stream.stage(lost, Stage.RETRACTED)
        assert retracted.position == place
        assert isinstance(retracted.event, LockOpened)
        assert retracted.event.terms == lost_terms
        assert (await adapter.lookup(lost)).state is LockState.ABSENT
        # Its transaction is gone with the snapshot: the same lock again, in another block.
        await adapter.submit(Lock(lost_terms), sender)
        network.rpc("anvil_mine", "0x8")
        final = await stream.stage(lost, Stage.FINAL)
        assert final.position.block_hash != place.block_hash
        assert stream.stages(kept) == [Stage.PENDING, Stage.FINAL]
        assert all(notice.violation is None for notice in stream.notices)
        await stream.close()


async def test_a_fork_below_finality_is_a_violation_and_the_stream_goes_on(
    network: Network,
) -> None:
    settings = network.settings(final_by=2, poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        stream = Stream(adapter)
        await stream.until(lambda notice: True)
        snapshot = network.rpc("evm_snapshot")
        terms, _ = await terms_for(adapter, sender, recipient)
        lock_id = adapter.lock_id(terms)
        await adapter.submit(Lock(terms), sender)
        network.rpc("anvil_mine", "0x6")
        before = await stream.stage(lock_id, Stage.FINAL)
        network.rpc("evm_revert", snapshot)
        network.rpc("anvil_mine", "0x9")
        broken = (await stream.until(lambda notice: notice.violation is not None)).violation
        assert broken is not None
        assert broken.height <= stream.notices[-2].head.final_height
        assert broken.expected != broken.seen
        header = await adapter.header(broken.height)
        assert header.hash == broken.seen
        await adapter.submit(Lock(terms), sender)
        network.rpc("anvil_mine", "0x6")
        again = await stream.until(
            lambda notice: any(one.position != before.position for one in notice.observations)
        )
        assert again.violation is None
        await stream.close()


async def test_a_fork_during_a_restart_is_found_by_the_cursor(network: Network) -> None:
    settings = network.settings(final_by=5, poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        network.rpc("anvil_mine", "0x3")
        snapshot = network.rpc("evm_snapshot")
        terms, _ = await terms_for(adapter, sender, recipient)
        lock_id = adapter.lock_id(terms)
        await adapter.submit(Lock(terms), sender)
        network.rpc("evm_mine")
        first = Stream(adapter)
        seen = await first.stage(lock_id, Stage.PENDING)
        cursor = first.notices[-1].cursor
        await first.close()
    network.rpc("evm_revert", snapshot)
    network.rpc("anvil_mine", "0x3")
    async with opened(settings) as adapter:
        second = Stream(adapter, cursor)
        gone = await second.stage(lock_id, Stage.RETRACTED)
        assert (gone.position, gone.event) == (seen.position, seen.event)
        await adapter.submit(Lock(terms), sender)
        network.rpc("anvil_mine", "0x8")
        await second.stage(lock_id, Stage.FINAL)
        assert all(notice.violation is None for notice in second.notices)
        await second.close()


async def test_a_node_that_goes_back_in_time_is_not_believed(network: Network) -> None:
    settings = network.settings(final_by=2, poll_interval=0.05)
    async with opened(settings) as adapter:
        snapshot = network.rpc("evm_snapshot")
        network.rpc("anvil_mine", "0x4")
        stream = Stream(adapter)
        highest = (await stream.until(lambda notice: True)).head
        network.rpc("evm_revert", snapshot)
        with pytest.raises(Unavailable, match="gone back from block"):
            await adapter.head()
        with pytest.raises(Unavailable, match="gone back from block"):
            await stream.until(lambda notice: False)
        # Resumed, it waits for the node in the same way.
        resumed = Stream(adapter, stream.notices[-1].cursor)
        with pytest.raises(Unavailable, match="gone back from block"):
            await resumed.until(lambda notice: False)
        network.rpc("anvil_mine", "0x9")
        assert (await adapter.head()).height > highest.height


async def test_a_foreign_cursor_is_refused(network: Network) -> None:
    from adapters.model import Cursor

    async with opened(network.settings()) as adapter:
        for text in ("", "x", "eJwDAAAAAAE=", "5:0xabc:1"):
            with pytest.raises(InvalidValue, match="cursor"):
                await Stream(adapter, Cursor(text)).until(lambda notice: True)
