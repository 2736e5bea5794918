"""Makes blocks: what CometBFT's consensus does, for a chain that has one validator.

The order of calls and of writes is CometBFT's: the block is stored before the application
commits, so after a crash the application is at most one block behind, and the last block is
replayed into it when the node starts.
"""

from __future__ import annotations

from collections.abc import Callable

from adapters.native.app.abci import (
    ProposalStatus,
    RequestFinalizeBlock,
    RequestPrepareProposal,
    RequestProcessProposal,
    ResponseFinalizeBlock,
)
from adapters.native.app.application import Application
from adapters.native.app.names import APPLICATION_VERSION
from adapters.native.app.timestamp import Timestamp
from adapters.native.cometbft.block import (
    Block,
    BlockId,
    Commit,
    CommitSignature,
    Header,
    consensus_hash,
    data_hash,
    precommit_sign_bytes,
    results_hash,
    validators_hash,
)
from adapters.native.cometbft.genesis import GenesisDocument, ValidatorKey
from adapters.native.cometbft.results import result_json, results_fields
from adapters.native.node.block_store import BlockStore, CorruptBlocks, StoredBlock
from adapters.native.node.mempool import Mempool

_BLOCK_OVERHEAD = 4096
"""More than header, commit and framing of a one-validator block take."""

_NO_ITEMS = data_hash(())


class Chain:
    """The chain of one node. ``clock`` gives Unix nanoseconds. Not safe for concurrent calls.

    Raises CorruptBlocks or CorruptState where what is stored is not whole, InvalidGenesis.
    """

    def __init__(
        self,
        genesis: GenesisDocument,
        key: ValidatorKey,
        application: Application,
        store: BlockStore,
        clock: Callable[[], int],
    ) -> None:
        if [v.public_key for v in genesis.validators] != [key.public_key]:
            raise CorruptBlocks(
                "the genesis document does not name this node's key as its one validator; "
                "use the key file that was made with it"
            )
        self.genesis = genesis
        self.key = key
        self.application = application
        self.store = store
        self._clock = clock
        power = genesis.validators[0].power
        self._validators_hash = validators_hash([(key.public_key, power)])
        self._consensus_hash = consensus_hash(genesis.max_bytes, genesis.max_gas)
        self._app_hash = b""
        self._newest: StoredBlock | None = None
        self.mempool = Mempool(application.check_tx)
        store.verify(genesis.chain_id, genesis.initial_height, key.public_key)
        self._meet_application()

    @property
    def newest(self) -> StoredBlock | None:
        return self._newest

    def make_block(self) -> StoredBlock:
        """One block, on the disk and in the state when this returns."""
        previous = self._newest
        if previous is None:
            height, time = self.genesis.initial_height, self.genesis.genesis_time
            last_commit, last_id, last_results = Commit(), BlockId(), _NO_ITEMS
        else:
            height = previous.height + 1
            # CometBFT's rule: the median of the votes, each at least a millisecond on.
            earliest = previous.block.header.time.nanoseconds() + 1_000_000
            time = Timestamp.of_nanoseconds(max(self._clock(), earliest))
            last_commit, last_id = self._commit(previous, time), previous.block_id
            last_results = results_hash(results_fields(previous.results))
        clock = Timestamp.of_nanoseconds(self._clock())
        room = self.genesis.max_bytes - _BLOCK_OVERHEAD
        txs = self.application.prepare_proposal(
            RequestPrepareProposal(room, self.mempool.waiting(), height, time), clock
        )
        proposal = RequestProcessProposal(txs, height, time)
        if self.application.process_proposal(proposal, clock) is not ProposalStatus.ACCEPT:
            raise RuntimeError(f"the application rejects its own proposal at height {height}")
        header = Header(
            app_version=APPLICATION_VERSION,
            chain_id=self.genesis.chain_id,
            height=height,
            time=time,
            last_block_id=last_id,
            last_commit_hash=last_commit.hash(),
            data_hash=data_hash(txs),
            validators_hash=self._validators_hash,
            next_validators_hash=self._validators_hash,
            consensus_hash=self._consensus_hash,
            app_hash=self._app_hash,
            last_results_hash=last_results,
            evidence_hash=_NO_ITEMS,
            proposer_address=self.key.address,
        )
        block = Block(header, txs, last_commit)
        response = self._execute(block)
        results = [result_json(result) for result in response.tx_results]
        stored = StoredBlock(block, block.block_id(), results, response.app_hash)
        self.store.append(stored)
        self.application.commit()
        self._newest, self._app_hash = stored, response.app_hash
        self.mempool.committed(txs, [result.code for result in response.tx_results])
        return stored

    def _execute(self, block: Block) -> ResponseFinalizeBlock:
        header = block.header
        return self.application.finalize_block(
            RequestFinalizeBlock(block.txs, header.height, header.time)
        )

    def _commit(self, previous: StoredBlock, time: Timestamp) -> Commit:
        message = precommit_sign_bytes(
            self.genesis.chain_id, previous.height, 0, previous.block_id, time
        )
        signature = CommitSignature(self.key.address, time, self.key.sign(message))
        return Commit(previous.height, 0, previous.block_id, (signature,))

    def _meet_application(self) -> None:
        """CometBFT's handshake: start the application, or bring it up to the newest block."""
        info = self.application.info()
        _, newest = self.store.heights()
        reached = info.last_block_height
        if reached == 0:
            self._app_hash = self.application.init_chain(self.genesis.init_chain()).app_hash
            behind = newest - (self.genesis.initial_height - 1) if newest else 0
        else:
            self._app_hash = info.last_block_app_hash
            behind = newest - reached
        if behind < 0:
            raise CorruptBlocks(
                f"the blocks end at height {newest}, but the application's state is at height "
                f"{reached}: blocks were lost; restore the folder from a backup"
            )
        for height in range(newest - behind + 1, newest + 1):
            stored = self.store.get(height)
            assert stored is not None, "verify has seen it"
            if self._execute(stored.block).app_hash != stored.app_hash:
                raise CorruptBlocks(
                    f"replaying block {height} gives another state than it gave before; "
                    "run the release that made it, or restore the folder from a backup"
                )
            self.application.commit()
            self._app_hash = stored.app_hash
        self._newest = self.store.get(newest) if newest else None
        if self._newest is not None and self._newest.app_hash != self._app_hash:
            raise CorruptBlocks(
                f"the application's state at height {newest} is not the one that the block gave; "
                "restore the folder from a backup"
            )
