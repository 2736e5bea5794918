"""What the peers decide of each transaction of a block: one validation code each.

The order of the checks is Fabric's: form and creator's signature, transaction id, endorsement
policy of every namespace that is written, and then, transaction by transaction, whether what was
read is still so (``core/common/validation``, ``core/committer/txvalidator/v20`` and
``core/ledger/kvledger/txmgmt/validation`` there). It depends on the block and the state before it
alone, never on a clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fabric_protos.common import common_pb2, policies_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf.message import DecodeError

from adapters.fabric.devnet.ledger import KeyedValue, Ledger, StateWrite, Version
from adapters.fabric.devnet.lifecycle import NAMESPACE, read_definition
from adapters.fabric.devnet.msp import Identity, InvalidIdentity, Membership, UnknownIdentity
from adapters.fabric.devnet.policy import satisfied
from adapters.fabric.devnet.range_reads import RangeReads, version_message
from adapters.fabric.devnet.signature import InvalidSignature
from adapters.fabric.devnet.simulation import CommittedState

_TYPES = frozenset({common_pb2.ENDORSER_TRANSACTION, common_pb2.CONFIG_UPDATE, common_pb2.CONFIG})
"""Of what may stand in a block."""


@dataclass(frozen=True, slots=True)
class BlockVerdict:
    """What becomes of a block: a flag for each transaction, the ids that are now used, by
    position, and the writes of the valid ones."""

    flags: bytes
    transactions: dict[int, str]
    writes: list[StateWrite]


class _Invalid(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Transaction:
    id: str
    sets: tuple[tuple[str, kv_rwset_pb2.KVRWSet], ...]


@dataclass(slots=True)
class _Updates:
    """The writes of the block's earlier valid transactions, by namespace and key."""

    written: dict[tuple[str, str], tuple[bytes | None, Version]] = field(default_factory=dict)

    def within(self, namespace: str, start: str, end: str) -> list[str]:
        low, high = start.encode(), end.encode()
        keys = [
            key
            for space, key in self.written
            if space == namespace and low <= key.encode() and (not end or key.encode() < high)
        ]
        return sorted(keys, key=str.encode)


class Validator:
    """Judges blocks against a ledger."""

    def __init__(
        self,
        channel: str,
        membership: Membership,
        ledger: Ledger,
        lifecycle_policy: policies_pb2.SignaturePolicyEnvelope,
    ) -> None:
        self._channel = channel
        self._membership = membership
        self._ledger = ledger
        self._lifecycle_policy = lifecycle_policy

    def judge(self, number: int, envelopes: Sequence[bytes]) -> BlockVerdict:
        """The verdict on the envelopes of the block that is to be committed next."""
        flags = bytearray([transaction_pb2.NOT_VALIDATED]) * len(envelopes)
        formed: dict[int, _Transaction] = {}
        ids: dict[int, str] = {}
        seen: set[str] = set()
        for position, envelope in enumerate(envelopes):
            named = _transaction_id(envelope)
            if named:
                ids[position] = named
            try:
                transaction = self._formed(envelope)
                if transaction.id in seen:
                    raise _Invalid(transaction_pb2.DUPLICATE_TXID)
            except _Invalid as verdict:
                flags[position] = verdict.code
                continue
            seen.add(transaction.id)
            formed[position] = transaction
        updates = _Updates()
        writes: list[StateWrite] = []
        for position, transaction in formed.items():
            flags[position] = code = self._current(transaction, updates)
            if code == transaction_pb2.VALID:
                version = Version(number, position)
                for written in _writes(transaction, position):
                    updates.written[written.namespace, written.key] = (written.value, version)
                    writes.append(written)
        return BlockVerdict(bytes(flags), ids, writes)

    # --- form, signatures, policies --------------------------------------------------------------

    def _formed(self, raw: bytes) -> _Transaction:
        payload, header, creator_header = self._authentic(raw)
        if header.type != common_pb2.ENDORSER_TRANSACTION:
            raise _Invalid(transaction_pb2.UNSUPPORTED_TX_PAYLOAD)
        expected = hashlib.sha256(creator_header.nonce + creator_header.creator).hexdigest()
        if header.tx_id != expected:
            raise _Invalid(transaction_pb2.BAD_PROPOSAL_TXID)
        action = _bound_action(payload)
        if self._ledger.transaction(header.tx_id) is not None:
            raise _Invalid(transaction_pb2.DUPLICATE_TXID)
        return self._endorsed(header, action)

    def _authentic(
        self, raw: bytes
    ) -> tuple[common_pb2.Payload, common_pb2.ChannelHeader, common_pb2.SignatureHeader]:
        try:
            envelope = common_pb2.Envelope.FromString(raw)
        except DecodeError:
            raise _Invalid(transaction_pb2.INVALID_OTHER_REASON) from None
        try:
            payload = common_pb2.Payload.FromString(envelope.payload)
        except DecodeError:
            raise _Invalid(transaction_pb2.BAD_PAYLOAD) from None
        try:
            header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
            creator = common_pb2.SignatureHeader.FromString(payload.header.signature_header)
        except DecodeError:
            raise _Invalid(transaction_pb2.BAD_COMMON_HEADER) from None
        if header.type not in _TYPES or header.epoch != 0:
            raise _Invalid(transaction_pb2.BAD_COMMON_HEADER)
        if not creator.nonce or not creator.creator:
            raise _Invalid(transaction_pb2.BAD_COMMON_HEADER)
        if header.channel_id != self._channel:
            raise _Invalid(transaction_pb2.TARGET_CHAIN_NOT_FOUND)
        try:
            identity = self._membership.identity(creator.creator)
            identity.verify(envelope.payload, envelope.signature)
        except (UnknownIdentity, InvalidIdentity, InvalidSignature):
            raise _Invalid(transaction_pb2.BAD_CREATOR_SIGNATURE) from None
        return payload, header, creator

    def _endorsed(
        self, header: common_pb2.ChannelHeader, action: transaction_pb2.ChaincodeActionPayload
    ) -> _Transaction:
        try:
            extension = proposal_pb2.ChaincodeHeaderExtension.FromString(header.extension)
        except DecodeError:
            raise _Invalid(transaction_pb2.BAD_HEADER_EXTENSION) from None
        try:
            response = proposal_response_pb2.ProposalResponsePayload.FromString(
                action.action.proposal_response_payload
            )
            answer = proposal_pb2.ChaincodeAction.FromString(response.extension)
        except DecodeError:
            raise _Invalid(transaction_pb2.BAD_RESPONSE_PAYLOAD) from None
        sets = _read_write_sets(answer.results)
        name = extension.chaincode_id.name
        if not name or name != answer.chaincode_id.name or not answer.chaincode_id.version:
            raise _Invalid(transaction_pb2.INVALID_CHAINCODE)
        _check_event(answer.events, name)
        written = {name, *(namespace for namespace, rwset in sets if rwset.writes)}
        signers = self._endorsers(action.action)
        for namespace in sorted(written):
            if not satisfied(self._policy_of(namespace), signers):
                raise _Invalid(transaction_pb2.ENDORSEMENT_POLICY_FAILURE)
        return _Transaction(header.tx_id, sets)

    def _policy_of(self, namespace: str) -> policies_pb2.SignaturePolicyEnvelope:
        if namespace == NAMESPACE:
            return self._lifecycle_policy
        definition = read_definition(CommittedState(self._ledger), namespace)
        if definition is None:
            raise _Invalid(transaction_pb2.INVALID_CHAINCODE)
        return definition.policy

    def _endorsers(self, action: transaction_pb2.ChaincodeEndorsedAction) -> list[Identity]:
        """The distinct identities whose endorsement is valid; each is over the response and the
        endorser's own identity."""
        signers: dict[tuple[str, bytes], Identity] = {}
        for endorsement in action.endorsements:
            try:
                identity = self._membership.identity(endorsement.endorser)
                identity.verify(
                    action.proposal_response_payload + endorsement.endorser, endorsement.signature
                )
            except (UnknownIdentity, InvalidIdentity, InvalidSignature):
                continue
            fingerprint = identity.certificate.tbs_certificate_bytes
            signers.setdefault((identity.msp_id, fingerprint), identity)
        return list(signers.values())

    # --- is what was read still so ---------------------------------------------------------------

    def _current(self, transaction: _Transaction, updates: _Updates) -> int:
        for namespace, rwset in transaction.sets:
            for read in rwset.reads:
                if not self._read_holds(namespace, read, updates):
                    return int(transaction_pb2.MVCC_READ_CONFLICT)
            for query in rwset.range_queries_info:
                if not self._range_holds(namespace, query, updates):
                    return int(transaction_pb2.PHANTOM_READ_CONFLICT)
        return int(transaction_pb2.VALID)

    def _read_holds(self, namespace: str, read: kv_rwset_pb2.KVRead, updates: _Updates) -> bool:
        if (namespace, read.key) in updates.written:
            return False
        found = self._ledger.get(namespace, read.key, self._ledger.height)
        then = read.version if read.HasField("version") else None
        now = version_message(found.version if found is not None else None)
        return bool(then == now)

    def _range_holds(
        self, namespace: str, query: kv_rwset_pb2.RangeQueryInfo, updates: _Updates
    ) -> bool:
        reads = RangeReads(
            query.reads_merkle_hashes.max_degree
            if query.HasField("reads_merkle_hashes")
            else RangeReads().degree
        )
        for found in self._now_in(namespace, query, updates):
            reads.add(found.key, found.version)
        now = kv_rwset_pb2.RangeQueryInfo(
            start_key=query.start_key, end_key=query.end_key, itr_exhausted=query.itr_exhausted
        )
        reads.put_into(now)
        return bool(now == query)

    def _now_in(
        self, namespace: str, query: kv_rwset_pb2.RangeQueryInfo, updates: _Updates
    ) -> Iterator[KeyedValue]:
        """The range as it would be read now: committed state under the block's own updates. Where
        the query was left early its end key is the last one taken, and belongs to the range."""
        start, end = query.start_key, query.end_key
        if not query.itr_exhausted:
            end += "\x00"
        committed = {
            found.key: found
            for found in self._ledger.scan(namespace, start, end, self._ledger.height)
        }
        for key in updates.within(namespace, start, end):
            value, version = updates.written[namespace, key]
            committed.pop(key, None)
            if value is not None:
                committed[key] = KeyedValue(key, value, version)
        for key in sorted(committed, key=str.encode):
            yield committed[key]


def _transaction_id(raw: bytes) -> str:
    """The id that an envelope claims; empty where it claims none. It is used up even if the
    transaction turns out invalid, as in Fabric's index."""
    try:
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(raw).payload)
        header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    except DecodeError:
        return ""
    return str(header.tx_id)


def _bound_action(payload: common_pb2.Payload) -> transaction_pb2.ChaincodeActionPayload:
    """The one action of the transaction, with its proposal bound to its response by hash."""
    try:
        transaction = transaction_pb2.Transaction.FromString(payload.data)
        if len(transaction.actions) != 1:
            raise _Invalid(transaction_pb2.INVALID_ENDORSER_TRANSACTION)
        (only,) = transaction.actions
        inner = common_pb2.SignatureHeader.FromString(only.header)
        action = transaction_pb2.ChaincodeActionPayload.FromString(only.payload)
        response = proposal_response_pb2.ProposalResponsePayload.FromString(
            action.action.proposal_response_payload
        )
    except DecodeError:
        raise _Invalid(transaction_pb2.INVALID_ENDORSER_TRANSACTION) from None
    proposal = hashlib.sha256(
        payload.header.channel_header + only.header + action.chaincode_proposal_payload
    ).digest()
    if not inner.nonce or not inner.creator or response.proposal_hash != proposal:
        raise _Invalid(transaction_pb2.INVALID_ENDORSER_TRANSACTION)
    return action


def _read_write_sets(results: bytes) -> tuple[tuple[str, kv_rwset_pb2.KVRWSet], ...]:
    try:
        whole = rwset_pb2.TxReadWriteSet.FromString(results)
        sets = tuple(
            (inner.namespace, kv_rwset_pb2.KVRWSet.FromString(inner.rwset))
            for inner in whole.ns_rwset
        )
    except DecodeError:
        raise _Invalid(transaction_pb2.BAD_RWSET) from None
    # No collection is ever defined here, and key-level policies are refused at simulation.
    if any(inner.collection_hashed_rwset for inner in whole.ns_rwset) or any(
        rwset.metadata_writes for _, rwset in sets
    ):
        raise _Invalid(transaction_pb2.BAD_RWSET)
    if len({namespace for namespace, _ in sets}) != len(sets):
        raise _Invalid(transaction_pb2.ILLEGAL_WRITESET)
    return sets


def _check_event(events: bytes, chaincode: str) -> None:
    if not events:
        return
    try:
        event = chaincode_event_pb2.ChaincodeEvent.FromString(events)
    except DecodeError:
        raise _Invalid(transaction_pb2.INVALID_OTHER_REASON) from None
    if event.chaincode_id != chaincode:
        raise _Invalid(transaction_pb2.INVALID_OTHER_REASON)


def _writes(transaction: _Transaction, position: int) -> Iterator[StateWrite]:
    for namespace, rwset in transaction.sets:
        for write in rwset.writes:
            deleted = write.is_delete or not write.value
            value = None if deleted else bytes(write.value)
            yield StateWrite(namespace, write.key, position, value, transaction.id)
