"""ABCI 2.0 requests and responses, with the fields and the names of CometBFT 0.38.

Only what the application reads or sets is here; a server maps them to protobuf one to one.
Source: CometBFT 0.38, ``proto/tendermint/abci/types.proto``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from adapters.native.app.codes import CODESPACE
from adapters.native.app.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class EventAttribute:
    key: str
    value: str
    index: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    type: str
    attributes: tuple[EventAttribute, ...]


def event(kind: str, **attributes: str) -> Event:
    """An event whose attributes are indexed, in the order given."""
    return Event(kind, tuple(EventAttribute(key, value) for key, value in attributes.items()))


@dataclass(frozen=True, slots=True)
class ValidatorUpdate:
    """``public_key`` is the raw Ed25519 key, 32 bytes."""

    public_key: bytes
    power: int


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    data: str
    version: str
    app_version: int
    last_block_height: int
    last_block_app_hash: bytes


@dataclass(frozen=True, slots=True)
class RequestInitChain:
    time: Timestamp
    chain_id: str
    validators: tuple[ValidatorUpdate, ...]
    app_state_bytes: bytes
    initial_height: int


@dataclass(frozen=True, slots=True)
class ResponseInitChain:
    app_hash: bytes
    validators: tuple[ValidatorUpdate, ...] = ()
    """Empty: those of the genesis document stand."""


class CheckTxType(IntEnum):
    NEW = 0
    RECHECK = 1


@dataclass(frozen=True, slots=True)
class ResponseCheckTx:
    code: int
    log: str = ""
    data: bytes = b""
    info: str = ""
    gas_wanted: int = 0
    gas_used: int = 0
    events: tuple[Event, ...] = ()
    codespace: str = ""


@dataclass(frozen=True, slots=True)
class RequestPrepareProposal:
    max_tx_bytes: int
    txs: tuple[bytes, ...]
    height: int
    time: Timestamp


class ProposalStatus(IntEnum):
    UNKNOWN = 0
    ACCEPT = 1
    REJECT = 2


@dataclass(frozen=True, slots=True)
class RequestProcessProposal:
    txs: tuple[bytes, ...]
    height: int
    time: Timestamp


@dataclass(frozen=True, slots=True)
class RequestFinalizeBlock:
    txs: tuple[bytes, ...]
    height: int
    time: Timestamp


@dataclass(frozen=True, slots=True)
class ExecTxResult:
    """``code``, ``data``, ``gas_wanted`` and ``gas_used`` enter the header's last_results_hash."""

    code: int
    log: str = ""
    data: bytes = b""
    info: str = ""
    gas_wanted: int = 0
    gas_used: int = 0
    events: tuple[Event, ...] = ()
    codespace: str = ""


@dataclass(frozen=True, slots=True)
class ResponseFinalizeBlock:
    tx_results: tuple[ExecTxResult, ...]
    app_hash: bytes
    events: tuple[Event, ...] = ()
    validator_updates: tuple[ValidatorUpdate, ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseCommit:
    retain_height: int


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """``height`` 0 is the newest."""

    path: str
    data: bytes = b""
    height: int = 0
    prove: bool = False


@dataclass(frozen=True, slots=True)
class ProofOp:
    type: str
    key: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class ResponseQuery:
    code: int
    log: str = ""
    info: str = ""
    index: int = 0
    key: bytes = b""
    value: bytes = b""
    proof_ops: tuple[ProofOp, ...] = ()
    height: int = 0
    codespace: str = CODESPACE


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``hash`` is the state's root; ``metadata`` the SHA-256 of every chunk, one after another."""

    height: int
    format: int
    chunks: int
    hash: bytes
    metadata: bytes = field(repr=False)


class OfferSnapshotResult(IntEnum):
    UNKNOWN = 0
    ACCEPT = 1
    ABORT = 2
    REJECT = 3
    REJECT_FORMAT = 4
    REJECT_SENDER = 5


class ApplySnapshotChunkResult(IntEnum):
    UNKNOWN = 0
    ACCEPT = 1
    ABORT = 2
    RETRY = 3
    RETRY_SNAPSHOT = 4
    REJECT_SNAPSHOT = 5


@dataclass(frozen=True, slots=True)
class ResponseApplySnapshotChunk:
    result: ApplySnapshotChunkResult
    refetch_chunks: tuple[int, ...] = ()
