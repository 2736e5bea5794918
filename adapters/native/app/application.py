"""The native ledger's state machine behind ABCI 2.0.

It is decided by its arguments alone: no clock, no randomness, no floats, no order of dictionaries.
The validator's clock, which the rule on late headers needs, is an argument of the two proposal
calls; the process around the application reads it. What is kept between runs goes through a
``StateStore``; the rest of the application does no input or output.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from adapters.native.app import snapshots
from adapters.native.app.abci import (
    ApplySnapshotChunkResult,
    CheckTxType,
    Event,
    ExecTxResult,
    OfferSnapshotResult,
    ProofOp,
    ProposalStatus,
    RequestFinalizeBlock,
    RequestInitChain,
    RequestPrepareProposal,
    RequestProcessProposal,
    RequestQuery,
    ResponseApplySnapshotChunk,
    ResponseCheckTx,
    ResponseCommit,
    ResponseFinalizeBlock,
    ResponseInfo,
    ResponseInitChain,
    ResponseQuery,
    Snapshot,
)
from adapters.native.app.canonical import Malformed
from adapters.native.app.codes import CODESPACE, Code, Refused
from adapters.native.app.execution import execute
from adapters.native.app.genesis import genesis_state
from adapters.native.app.ledger import Ledger, Overlay
from adapters.native.app.merkle import Tree
from adapters.native.app.names import APPLICATION_VERSION, LOCK_MODULE
from adapters.native.app.records import CLOCK_BOUND_KEY, HEAD_KEY, HeadRecord
from adapters.native.app.state_store import CorruptState, StateStore
from adapters.native.app.timestamp import Timestamp
from adapters.native.app.transaction import ClaimLock, RefundLock, Signed, decode

QUERY_WINDOW = 128
"""How many heights back, the newest included, queries and proofs reach."""

SNAPSHOT_INTERVAL = 100
PROOF_TYPE = "isthmus:state"
_PROPOSERS_SHARE = 2
"""A proposer allows itself half of ε: while its block is on the way, the header grows older, and
validators that do not agree on whether it is too old may never agree on anything (ADR 10)."""

_UNTIMED = 2
"""Where in a block stand the transactions that the validator's clock has no say in."""

MAX_CACHED = 16_384
"""Transactions whose signatures are remembered: well above what a mempool holds (CometBFT's 5,000
by default). With fewer, a full one would have each recovered anew at every step of a block."""


class OutOfOrder(Exception):
    """Consensus called out of order: a height that does not follow, a commit of nothing."""


class Application:
    """One chain's application. Not safe for concurrent calls: the caller takes turns.

    Raises CorruptState where the store's content does not have the root it was saved with.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._versions: dict[int, Tree] = {}
        self._tree = Tree()
        self._height = 0
        self._unsaved: Tree | None = None
        self._finalized: tuple[int, Tree, Overlay] | None = None
        self._restoration: snapshots.Restoration | None = None
        self._snapshot_chunks: dict[int, tuple[bytes, ...]] = {}
        self._keys: dict[bytes, tuple[Signed, bytes]] = {}
        self._accepted: frozenset[bytes] = frozenset()
        stored = store.load()
        if stored is not None:
            self._tree = Tree().update(stored.items)
            self._height = stored.height
            self._accepted = stored.accepted
            if self._tree.root != stored.root:
                raise CorruptState(
                    "the stored application state does not have the root it was saved with; "
                    "restore the folder from a backup, or remove it and let the node catch up"
                )
            version = self._tree
            self._versions[self._height] = version
            for height, replaced in stored.undo:
                version = version.update(replaced)
                self._versions[height - 1] = version
        self._check = Overlay(self._tree)

    # --- information -----------------------------------------------------------------------------

    def info(self) -> ResponseInfo:
        return ResponseInfo(
            data="isthmus",
            version=f"isthmus-native/{APPLICATION_VERSION}",
            app_version=APPLICATION_VERSION,
            last_block_height=self._height,
            last_block_app_hash=self._tree.root if self._height else b"",
        )

    def query(self, request: RequestQuery) -> ResponseQuery:
        """Paths: ``/key`` the raw record under ``data``, with a proof where asked for;
        ``/pending`` the same with the mempool's transactions applied, without proof;
        ``/version`` the application's version and lock module."""
        match request.path:
            case "/key":
                height = request.height or self._height
                tree = self._tree if height == self._height else self._versions.get(height)
                if tree is None:
                    return ResponseQuery(
                        code=Code.MALFORMED,
                        log=f"height {height} is not among the last {QUERY_WINDOW} blocks",
                        height=self._height,
                    )
                value = tree.get(request.data)
                proof = (
                    (ProofOp(PROOF_TYPE, request.data, tree.prove(request.data)),)
                    if request.prove
                    else ()
                )
                return _answer(request.data, value, height, proof)
            case "/pending":
                return _answer(request.data, self._check.get(request.data), self._height)
            case "/version":
                text = f"isthmus-native/{APPLICATION_VERSION} {LOCK_MODULE}"
                return _answer(b"", text.encode("ascii"), self._height)
            case _:
                return ResponseQuery(
                    code=Code.MALFORMED,
                    log="path must be /key, /pending or /version",
                    height=self._height,
                )

    # --- the mempool -----------------------------------------------------------------------------

    def check_tx(self, tx: bytes, kind: CheckTxType = CheckTxType.NEW) -> ResponseCheckTx:
        """Tries the transaction on the newest state and those that were checked since the commit,
        at the newest block's time. A recheck is no different: the caller rechecks in order."""
        try:
            self._apply(self._check, tx, Ledger(self._check).head().time)
        except Refused as refusal:
            return ResponseCheckTx(refusal.code, str(refusal), codespace=CODESPACE)
        return ResponseCheckTx(Code.OK)

    # --- consensus -------------------------------------------------------------------------------

    def init_chain(self, request: RequestInitChain) -> ResponseInitChain:
        """Raises InvalidGenesis."""
        if self._height:
            raise OutOfOrder(f"init_chain on a chain that is at height {self._height}")
        self._tree = self._unsaved = genesis_state(request)
        self._check = Overlay(self._tree)
        return ResponseInitChain(self._tree.root)

    def prepare_proposal(
        self, request: RequestPrepareProposal, clock: Timestamp
    ) -> tuple[bytes, ...]:
        """Claims first, then refunds, then the rest as they came; what would fail is left out.

        A claim that cannot go first, as what it needs comes with it, keeps its place among the
        rest: left for the next block it could be void by then, say by its sender's new key."""
        overlay = Overlay(self._tree)
        allowed = self._timing(request.time, clock, _PROPOSERS_SHARE)
        room = request.max_tx_bytes
        urgent = [raw for raw in request.txs if self._priority(raw) < _UNTIMED]
        chosen: dict[bytes, None] = {}
        for raw in (*sorted(urgent, key=self._priority), *request.txs):
            size = len(raw) + _framing(len(raw))
            if raw in chosen or size > room:
                continue
            try:
                self._apply(overlay, raw, request.time, allowed)
            except Refused:
                continue
            room -= size
            chosen[raw] = None
        return tuple(chosen)

    def process_proposal(self, request: RequestProcessProposal, clock: Timestamp) -> ProposalStatus:
        """Accepts only what an honest proposer with a good clock would have made: every
        transaction succeeds, in this order, at this time.

        What was accepted once is accepted again until its height is decided, however late it is by
        then: consensus asks anew in each round, and a round may come after a halt. If two of four
        validators were bound by their votes to a block that the others now refuse, no block could
        ever be decided. So the answers that the clock has a part in are kept on the disk."""
        name = _proposal_name(request)
        if name in self._accepted:
            return ProposalStatus.ACCEPT
        overlay = Overlay(self._tree)
        allowed = self._timing(request.time, clock)
        for raw in request.txs:
            try:
                self._apply(overlay, raw, request.time, allowed)
            except Refused:
                return ProposalStatus.REJECT
        if any(self._priority(raw) < _UNTIMED for raw in request.txs):
            self._store.accept(name)
            self._accepted |= {name}
        return ProposalStatus.ACCEPT

    def finalize_block(self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock:
        """Executes a decided block. A transaction that fails changes nothing at all."""
        head = Ledger(Overlay(self._tree)).head()
        if request.height != head.height + 1:
            raise OutOfOrder(f"block {request.height} does not follow block {head.height}")
        overlay = Overlay(self._tree)
        results = []
        for raw in request.txs:
            try:
                events = self._apply(overlay, raw, request.time)
            except Refused as refusal:
                results.append(ExecTxResult(refusal.code, str(refusal), codespace=CODESPACE))
            else:
                results.append(ExecTxResult(Code.OK, events=events))
        Ledger(overlay).put_head(HeadRecord(request.height, request.time))
        tree = self._tree.update(overlay.changes())
        self._finalized = (request.height, tree, overlay)
        return ResponseFinalizeBlock(tuple(results), tree.root)

    def commit(self) -> ResponseCommit:
        if self._finalized is None:
            raise OutOfOrder("commit without finalize_block")
        height, tree, overlay = self._finalized
        changes = dict(overlay.changes())
        replaced = {key: self._tree.get(key) for key in changes}
        if self._unsaved is not None:
            # The genesis state is saved with the first block, as consensus repeats init_chain
            # until a block is committed.
            genesis: dict[bytes, bytes | None] = dict(self._unsaved.items())
            changes = genesis | changes
        self._store.save(height, tree.root, changes, replaced, QUERY_WINDOW - 1)
        self._versions[height] = tree
        self._versions.pop(height - QUERY_WINDOW, None)
        self._snapshot_chunks.pop(height - QUERY_WINDOW, None)
        self._tree, self._height = tree, height
        self._unsaved = self._finalized = None
        self._accepted = frozenset()
        self._check = Overlay(tree)
        return ResponseCommit(retain_height=0)

    # --- snapshots -------------------------------------------------------------------------------

    def list_snapshots(self) -> Sequence[Snapshot]:
        """The states at multiples of SNAPSHOT_INTERVAL within the query window."""
        heights = sorted(h for h in self._versions if h and h % SNAPSHOT_INTERVAL == 0)
        return [
            snapshots.describe(h, self._versions[h], self._chunks(h)) for h in reversed(heights)
        ]

    def load_snapshot_chunk(self, height: int, snapshot_format: int, chunk: int) -> bytes:
        """Empty where there is no such chunk, as ABCI asks."""
        known = height in self._versions and height % SNAPSHOT_INTERVAL == 0
        if snapshot_format != snapshots.FORMAT or not known:
            return b""
        chunks = self._chunks(height)
        return chunks[chunk] if 0 <= chunk < len(chunks) else b""

    def offer_snapshot(self, snapshot: Snapshot, app_hash: bytes) -> OfferSnapshotResult:
        if self._height:
            return OfferSnapshotResult.ABORT
        if snapshot.format != snapshots.FORMAT:
            return OfferSnapshotResult.REJECT_FORMAT
        whole = len(snapshot.metadata) == 32 * snapshot.chunks
        if not whole or not 0 < snapshot.chunks <= snapshots.MAX_CHUNKS:
            return OfferSnapshotResult.REJECT
        if snapshot.hash != app_hash or snapshot.height < 1:
            return OfferSnapshotResult.REJECT
        self._restoration = snapshots.Restoration(snapshot, app_hash)
        return OfferSnapshotResult.ACCEPT

    def apply_snapshot_chunk(self, index: int, chunk: bytes) -> ResponseApplySnapshotChunk:
        restoration = self._restoration
        if restoration is None:
            return ResponseApplySnapshotChunk(ApplySnapshotChunkResult.ABORT)
        if not restoration.accept(index, chunk):
            if restoration.hopeless(index):
                self._restoration = None
                return ResponseApplySnapshotChunk(ApplySnapshotChunkResult.REJECT_SNAPSHOT)
            return ResponseApplySnapshotChunk(ApplySnapshotChunkResult.RETRY, (index,))
        if not restoration.complete():
            return ResponseApplySnapshotChunk(ApplySnapshotChunkResult.ACCEPT)
        self._restoration = None
        height = restoration.snapshot.height
        try:
            tree = restoration.finish()
            head = tree.get(HEAD_KEY)
            if head is None or HeadRecord.decode(head).height != height:
                raise Malformed("the snapshot's state is of another height")
        except Malformed:
            return ResponseApplySnapshotChunk(ApplySnapshotChunkResult.REJECT_SNAPSHOT)
        self._store.reset(height, tree.root, dict(tree.items()))
        self._tree, self._height, self._unsaved = tree, height, None
        self._accepted = frozenset()
        self._versions = {height: tree}
        self._check = Overlay(tree)
        return ResponseApplySnapshotChunk(ApplySnapshotChunkResult.ACCEPT)

    # --- inside ----------------------------------------------------------------------------------

    def _apply(
        self,
        overlay: Overlay,
        raw: bytes,
        time: Timestamp,
        allowed: Callable[[Signed], bool] | None = None,
    ) -> tuple[Event, ...]:
        try:
            transaction, key = self._read(raw)
        except Malformed as error:
            raise Refused(Code.MALFORMED, str(error)) from error
        if allowed is not None and not allowed(transaction):
            raise Refused(Code.MALFORMED, "the header's time is too far from the clock for this")
        return execute(overlay, transaction.unsigned, key, time)

    def _read(self, raw: bytes) -> tuple[Signed, bytes]:
        """Decoding and signature recovery depend on the bytes alone, so results are kept."""
        name = hashlib.sha256(raw).digest()
        known = self._keys.get(name)
        if known is None:
            transaction = decode(raw)
            known = (transaction, transaction.signing_key())
            while len(self._keys) >= MAX_CACHED:
                self._keys.pop(next(iter(self._keys)))
            self._keys[name] = known
        return known

    def _priority(self, raw: bytes) -> int:
        try:
            operation = self._read(raw)[0].unsigned.operation
        except Malformed:
            return _UNTIMED + 1
        match operation:
            case ClaimLock():
                return 0
            case RefundLock():
                return 1
            case _:
                return _UNTIMED

    def _timing(
        self, header: Timestamp, clock: Timestamp, share: int = 1
    ) -> Callable[[Signed], bool]:
        """The rule on headers that are far from the validator's clock (block time after a halt
        is old): an old header takes no claims, which may in truth be past their deadline; one
        from the future takes no refunds, whose deadline may in truth not have come. ``share``: the
        part of ε that is allowed, one by so many."""
        raw = self._tree.get(CLOCK_BOUND_KEY)
        assert raw is not None, "init_chain writes it"
        bound = int.from_bytes(raw, "big") * 10**9 // share
        lag = clock.nanoseconds() - header.nanoseconds()

        def allowed(transaction: Signed) -> bool:
            match transaction.unsigned.operation:
                case ClaimLock():
                    return lag <= bound
                case RefundLock():
                    return -lag <= bound
                case _:
                    return True

        return allowed

    def _chunks(self, height: int) -> tuple[bytes, ...]:
        if height not in self._snapshot_chunks:
            self._snapshot_chunks[height] = snapshots.make_chunks(self._versions[height])
        return self._snapshot_chunks[height]


def _answer(
    key: bytes, value: bytes | None, height: int, proof: tuple[ProofOp, ...] = ()
) -> ResponseQuery:
    return ResponseQuery(
        code=Code.OK,
        log="" if value is not None else "does not exist",
        key=key,
        value=value or b"",
        proof_ops=proof,
        height=height,
    )


def _proposal_name(request: RequestProcessProposal) -> bytes:
    """32 bytes, the same for the same transactions at the same height and time."""
    words = [hashlib.sha256(raw).digest() for raw in request.txs]
    place = b"%d %d" % (request.height, request.time.nanoseconds())
    return hashlib.sha256(place + b"".join([b" ", *words])).digest()


def _framing(length: int) -> int:
    """Bytes that the block's protobuf encoding adds to a transaction: a tag and a length."""
    return 2 if length < 0x80 else 3 if length < 0x4000 else 4
