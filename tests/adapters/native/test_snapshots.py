"""A state travels in chunks to an application that has none; a lying peer is found out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.native.app import snapshots
from adapters.native.app.abci import (
    ApplySnapshotChunkResult,
    OfferSnapshotResult,
    RequestFinalizeBlock,
    Snapshot,
)
from adapters.native.app.application import SNAPSHOT_INTERVAL, Application
from adapters.native.app.state_store import MemoryStateStore
from adapters.native.app.timestamp import Timestamp
from tests.adapters.native.chain_fixture import ALICE, Chain

ACCEPT = ApplySnapshotChunkResult.ACCEPT


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.setattr(snapshots, "CHUNK_BYTES", 200)
    made = Chain()
    while made.height < SNAPSHOT_INTERVAL:
        made.block()
    return made


def offered(chain: Chain) -> Snapshot:
    (snapshot,) = chain.app.list_snapshots()
    assert snapshot.chunks > 2
    return snapshot


def chunk(chain: Chain, snapshot: Snapshot, index: int) -> bytes:
    return chain.app.load_snapshot_chunk(snapshot.height, snapshot.format, index)


def test_a_restored_application_goes_on_as_the_first_one_does(chain: Chain) -> None:
    snapshot = offered(chain)
    store = MemoryStateStore()
    fresh = Application(store)
    assert fresh.offer_snapshot(snapshot, snapshot.hash) is OfferSnapshotResult.ACCEPT
    for index in reversed(range(snapshot.chunks)):
        assert fresh.apply_snapshot_chunk(index, chunk(chain, snapshot, index)).result is ACCEPT
    assert fresh.info() == chain.app.info()
    assert Application(store).info() == fresh.info()
    time = Timestamp(chain.time.seconds + 1)
    request = RequestFinalizeBlock((), chain.height + 1, time)
    assert fresh.finalize_block(request) == chain.app.finalize_block(request)


def test_offers_that_cannot_be_true_are_rejected(chain: Chain) -> None:
    snapshot = offered(chain)
    offers = [
        (snapshot, bytes(32), OfferSnapshotResult.REJECT),
        (replace(snapshot, format=2), snapshot.hash, OfferSnapshotResult.REJECT_FORMAT),
        (replace(snapshot, chunks=0, metadata=b""), snapshot.hash, OfferSnapshotResult.REJECT),
        (replace(snapshot, metadata=b"x"), snapshot.hash, OfferSnapshotResult.REJECT),
    ]
    for offer, app_hash, expected in offers:
        assert Application(MemoryStateStore()).offer_snapshot(offer, app_hash) is expected
    assert chain.app.offer_snapshot(snapshot, snapshot.hash) is OfferSnapshotResult.ABORT


def test_a_wrong_chunk_is_asked_for_again(chain: Chain) -> None:
    snapshot = offered(chain)
    fresh = Application(MemoryStateStore())
    fresh.offer_snapshot(snapshot, snapshot.hash)
    answer = fresh.apply_snapshot_chunk(1, chunk(chain, snapshot, 0))
    assert answer.result is ApplySnapshotChunkResult.RETRY
    assert answer.refetch_chunks == (1,)


def test_a_snapshot_whose_chunks_nobody_has_is_given_up(chain: Chain) -> None:
    """Metadata of a liar: no chunk fits it, and the next snapshot is offered instead."""
    snapshot = offered(chain)
    fresh = Application(MemoryStateStore())
    fresh.offer_snapshot(replace(snapshot, metadata=bytes(len(snapshot.metadata))), snapshot.hash)
    told = [fresh.apply_snapshot_chunk(0, b"any").result for _ in range(snapshots.TRIES)]
    assert told[:-1] == [ApplySnapshotChunkResult.RETRY] * (snapshots.TRIES - 1)
    assert told[-1] is ApplySnapshotChunkResult.REJECT_SNAPSHOT
    assert fresh.offer_snapshot(snapshot, snapshot.hash) is OfferSnapshotResult.ACCEPT


def test_chunks_that_do_not_add_up_to_the_app_hash_are_rejected(chain: Chain) -> None:
    """The peer's own metadata fits its chunks; only the app hash gives it away."""
    tree = chain.app._tree.update({b"balance/COIN/" + ALICE.account: (10**9).to_bytes(32, "big")})
    forged = snapshots.make_chunks(tree)
    offer = replace(snapshots.describe(chain.height, tree, forged), hash=offered(chain).hash)
    fresh = Application(MemoryStateStore())
    assert fresh.offer_snapshot(offer, offered(chain).hash) is OfferSnapshotResult.ACCEPT
    results = [fresh.apply_snapshot_chunk(i, c).result for i, c in enumerate(forged)]
    assert results[-1] is ApplySnapshotChunkResult.REJECT_SNAPSHOT
    assert fresh.info().last_block_height == 0


def test_chunks_that_are_not_there_are_empty(chain: Chain) -> None:
    snapshot = offered(chain)
    assert chunk(chain, snapshot, snapshot.chunks) == b""
    assert chain.app.load_snapshot_chunk(snapshot.height, 2, 0) == b""
    assert chain.app.load_snapshot_chunk(snapshot.height - 1, 1, 0) == b""
