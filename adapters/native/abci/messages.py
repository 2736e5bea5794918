"""ABCI 2.0's messages on the wire: those fields that the application reads or sets.

Source of names and numbers: CometBFT 0.38, ``proto/tendermint/abci/types.proto``,
``proto/tendermint/crypto``. Fields that are not listed are passed over when read, as protobuf says.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

_PACKAGE: Final = "isthmus.abci"

_SCHEMA: Final[dict[str, dict[str, tuple[int, str]]]] = {
    "Timestamp": {"seconds": (1, "int64"), "nanos": (2, "int32")},
    "PublicKey": {"ed25519": (1, "bytes"), "secp256k1": (2, "bytes")},
    "ValidatorUpdate": {"pub_key": (1, "PublicKey"), "power": (2, "int64")},
    "EventAttribute": {"key": (1, "string"), "value": (2, "string"), "index": (3, "bool")},
    "Event": {"type": (1, "string"), "attributes": (2, "*EventAttribute")},
    "ExecTxResult": {
        "code": (1, "uint32"),
        "data": (2, "bytes"),
        "log": (3, "string"),
        "info": (4, "string"),
        "gas_wanted": (5, "int64"),
        "gas_used": (6, "int64"),
        "events": (7, "*Event"),
        "codespace": (8, "string"),
    },
    "ProofOp": {"type": (1, "string"), "key": (2, "bytes"), "data": (3, "bytes")},
    "ProofOps": {"ops": (1, "*ProofOp")},
    "Snapshot": {
        "height": (1, "uint64"),
        "format": (2, "uint32"),
        "chunks": (3, "uint32"),
        "hash": (4, "bytes"),
        "metadata": (5, "bytes"),
    },
    "Empty": {},
    "Text": {"text": (1, "string")},
    "RequestInitChain": {
        "time": (1, "Timestamp"),
        "chain_id": (2, "string"),
        "validators": (4, "*ValidatorUpdate"),
        "app_state_bytes": (5, "bytes"),
        "initial_height": (6, "int64"),
    },
    # Text on the wire; but Go passes on what is no UTF-8, and this runtime refuses it as text.
    "RequestQuery": {
        "data": (1, "bytes"),
        "path": (2, "bytes"),
        "height": (3, "int64"),
        "prove": (4, "bool"),
    },
    "RequestCheckTx": {"tx": (1, "bytes"), "type": (2, "int32")},
    "RequestOfferSnapshot": {"snapshot": (1, "Snapshot"), "app_hash": (2, "bytes")},
    "RequestLoadSnapshotChunk": {
        "height": (1, "uint64"),
        "format": (2, "uint32"),
        "chunk": (3, "uint32"),
    },
    "RequestApplySnapshotChunk": {"index": (1, "uint32"), "chunk": (2, "bytes")},
    "RequestPrepareProposal": {
        "max_tx_bytes": (1, "int64"),
        "txs": (2, "*bytes"),
        "height": (5, "int64"),
        "time": (6, "Timestamp"),
    },
    "RequestProcessProposal": {
        "txs": (1, "*bytes"),
        "height": (5, "int64"),
        "time": (6, "Timestamp"),
    },
    "RequestFinalizeBlock": {
        "txs": (1, "*bytes"),
        "height": (5, "int64"),
        "time": (6, "Timestamp"),
    },
    "ResponseInfo": {
        "data": (1, "string"),
        "version": (2, "string"),
        "app_version": (3, "uint64"),
        "last_block_height": (4, "int64"),
        "last_block_app_hash": (5, "bytes"),
    },
    "ResponseInitChain": {"validators": (2, "*ValidatorUpdate"), "app_hash": (3, "bytes")},
    "ResponseQuery": {
        "code": (1, "uint32"),
        "log": (3, "string"),
        "info": (4, "string"),
        "index": (5, "int64"),
        "key": (6, "bytes"),
        "value": (7, "bytes"),
        "proof_ops": (8, "ProofOps"),
        "height": (9, "int64"),
        "codespace": (10, "string"),
    },
    "ResponseCommit": {"retain_height": (3, "int64")},
    "ResponseListSnapshots": {"snapshots": (1, "*Snapshot")},
    "ResponseOfferSnapshot": {"result": (1, "int32")},
    "ResponseLoadSnapshotChunk": {"chunk": (1, "bytes")},
    "ResponseApplySnapshotChunk": {"result": (1, "int32"), "refetch_chunks": (2, "*uint32")},
    "ResponsePrepareProposal": {"txs": (1, "*bytes")},
    "ResponseProcessProposal": {"status": (1, "int32")},
    "ResponseVerifyVoteExtension": {"status": (1, "int32")},
    "ResponseFinalizeBlock": {
        "events": (1, "*Event"),
        "tx_results": (2, "*ExecTxResult"),
        "validator_updates": (3, "*ValidatorUpdate"),
        "app_hash": (5, "bytes"),
    },
    "Request": {
        "echo": (1, "Text"),
        "flush": (2, "Empty"),
        "info": (3, "Empty"),
        "init_chain": (5, "RequestInitChain"),
        "query": (6, "RequestQuery"),
        "check_tx": (8, "RequestCheckTx"),
        "commit": (11, "Empty"),
        "list_snapshots": (12, "Empty"),
        "offer_snapshot": (13, "RequestOfferSnapshot"),
        "load_snapshot_chunk": (14, "RequestLoadSnapshotChunk"),
        "apply_snapshot_chunk": (15, "RequestApplySnapshotChunk"),
        "prepare_proposal": (16, "RequestPrepareProposal"),
        "process_proposal": (17, "RequestProcessProposal"),
        "extend_vote": (18, "Empty"),
        "verify_vote_extension": (19, "Empty"),
        "finalize_block": (20, "RequestFinalizeBlock"),
    },
    "Response": {
        "exception": (1, "Text"),
        "echo": (2, "Text"),
        "flush": (3, "Empty"),
        "info": (4, "ResponseInfo"),
        "init_chain": (6, "ResponseInitChain"),
        "query": (7, "ResponseQuery"),
        "check_tx": (9, "ExecTxResult"),
        "commit": (12, "ResponseCommit"),
        "list_snapshots": (13, "ResponseListSnapshots"),
        "offer_snapshot": (14, "ResponseOfferSnapshot"),
        "load_snapshot_chunk": (15, "ResponseLoadSnapshotChunk"),
        "apply_snapshot_chunk": (16, "ResponseApplySnapshotChunk"),
        "prepare_proposal": (17, "ResponsePrepareProposal"),
        "process_proposal": (18, "ResponseProcessProposal"),
        "extend_vote": (19, "Empty"),
        "verify_vote_extension": (20, "ResponseVerifyVoteExtension"),
        "finalize_block": (21, "ResponseFinalizeBlock"),
    },
}
"""Message → field → (number, type); ``*`` for repeated. ``ResponseCheckTx`` has the fields of
``ExecTxResult``, number for number. ``Text`` is whatever holds one string."""

_ONE_OF: Final = {"Request": "value", "Response": "value", "PublicKey": "sum"}

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "bytes": _Field.TYPE_BYTES,
    "string": _Field.TYPE_STRING,
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
}


def _described() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="isthmus/abci.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        if name in _ONE_OF:
            message.oneof_decl.add(name=_ONE_OF[name])
        for field_name, (number, kind) in fields.items():
            field = message.field.add(name=field_name, number=number)
            bare = kind.removeprefix("*")
            field.label = _Field.LABEL_REPEATED if bare != kind else _Field.LABEL_OPTIONAL
            if bare in _SCALARS:
                field.type = _SCALARS[bare]
            else:
                field.type = _Field.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{bare}"
            if name in _ONE_OF:
                field.oneof_index = 0
    return file


_POOL: Final = descriptor_pool.DescriptorPool()
_POOL.Add(_described())


def _class(name: str) -> type[Message]:
    found = _POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}")
    return message_factory.GetMessageClass(found)


REQUEST: Final = _class("Request")
RESPONSE: Final = _class("Response")
"""The two envelopes; what they hold is in their one field that is set."""


def read_request(raw: bytes) -> tuple[str, Any]:
    """The request's name and its message. Raises ValueError for what is none."""
    request: Any = REQUEST()
    try:
        request.ParseFromString(raw)
    except DecodeError as error:
        raise ValueError("what came is no ABCI request") from error
    name = request.WhichOneof("value")
    if name is None:
        raise ValueError(
            "this ABCI request is not known here: the node must be a CometBFT of version 0.38"
        )
    return name, getattr(request, name)


def new_response(name: str) -> tuple[Message, Any]:
    """A response, and its part of this name, to be filled in."""
    response: Any = RESPONSE()
    part = getattr(response, name)
    part.SetInParent()
    return response, part
