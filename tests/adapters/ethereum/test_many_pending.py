"""Anybody can open dust locks by the thousand: a stream that was broken off tells every lock final
all the same, and its cursor does not grow."""

from __future__ import annotations

import pytest

from adapters.ethereum import cursor as cursors
from adapters.ethereum.cursor import MOST_PENDING, Mark, read, write
from adapters.ethereum.identity import Identities
from adapters.ethereum.lock_contract import LockLog
from adapters.model import (
    ChainId,
    Hashlock,
    Lock,
    LockId,
    LockOpened,
    LockTerms,
    Stage,
)
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import Stream, credential, opened, terms_for

CHAIN = ChainId.parse("eip155:31337")


def _log(ids: Identities, height: int, index: int) -> LockLog:
    number = (height * 1_000 + index).to_bytes(32, "big")
    terms = LockTerms(
        chain=CHAIN,
        contract=ids.account(ids.contract).address,
        sender=ids.account(b"\1" * 20),
        recipient=ids.account(b"\2" * 20),
        asset=ids.asset(b"\3" * 20),
        amount=1,
        hashlock=Hashlock(number),
        deadline=2_000_000_000,
    )
    return LockLog(LockOpened(LockId(number), terms), height, number, index, "0x" + number.hex())


def _mark(blocks: int, each: int) -> Mark:
    """Final at 1,000; of the blocks after it, each has so many events."""
    ids = Identities(CHAIN, b"\5" * 20)
    heights = range(1_001, 1_001 + blocks)
    pending = tuple(_log(ids, height, index) for height in heights for index in range(each))
    trail = tuple((height, height.to_bytes(32, "big")) for height in range(1_000, 1_001 + blocks))
    return Mark(1_000, trail, pending)


@pytest.mark.parametrize(("blocks", "each"), [(1, 501), (1, 20_000), (100, 6), (2_000, 10)])
def test_what_a_cursor_leaves_out_is_above_its_trail(blocks: int, each: int) -> None:
    mark = _mark(blocks, each)
    kept = read(write(mark), Identities(CHAIN, b"\5" * 20))
    assert kept.final == mark.final
    assert kept.pending == mark.pending[: len(kept.pending)]
    assert len(kept.pending) == MOST_PENDING
    left_out = mark.pending[len(kept.pending) :]
    end, _ = kept.trail[-1]
    assert end < min(log.height for log in left_out)
    # It goes back no further than it must: something is there to begin from.
    assert end >= mark.final


def test_a_cursor_does_not_grow_with_what_is_pending() -> None:
    few, many = write(_mark(10, 50)), write(_mark(2_000, 10))
    assert len(many.text) < len(few.text) * 11 // 10


@pytest.mark.parametrize("blocks", [1, 4], ids=["in one block", "in several blocks"])
async def test_a_stream_that_is_resumed_tells_all_final(
    blocks: int, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cursors, "MOST_PENDING", 3)
    settings = network.settings(final_by=20, poll_interval=0.05)
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        locks = []
        stream = Stream(adapter)
        await stream.until(lambda notice: True)
        for amount in range(1, 9):
            terms, _ = await terms_for(adapter, sender, recipient, amount=amount)
            await adapter.submit(Lock(terms), sender)
            locks.append(adapter.lock_id(terms))
            if amount * blocks % 8 == 0:
                network.rpc("evm_mine")
        for lock_id in locks:
            await stream.stage(lock_id, Stage.PENDING)
        cursor = stream.notices[-1].cursor
        await stream.close()
        resumed = Stream(adapter, cursor)
        network.rpc("anvil_mine", hex(30))
        for lock_id in locks:
            await resumed.stage(lock_id, Stage.FINAL)
            stages = resumed.stages(lock_id)
            assert stages.count(Stage.FINAL) == 1
            assert Stage.RETRACTED not in stages
        await resumed.close()
