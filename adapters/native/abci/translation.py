"""One ABCI request to the application, and its answer: from the wire and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message

from adapters.native.abci.messages import new_response
from adapters.native.app.abci import (
    CheckTxType,
    Event,
    ExecTxResult,
    ProposalStatus,
    RequestFinalizeBlock,
    RequestInitChain,
    RequestPrepareProposal,
    RequestProcessProposal,
    RequestQuery,
    ResponseCheckTx,
    Snapshot,
    ValidatorUpdate,
)
from adapters.native.app.application import Application
from adapters.native.app.timestamp import Timestamp


def answer(
    application: Application, name: str, request: Any, clock: Callable[[], Timestamp]
) -> Message:
    """Asks the application. Raises OutOfOrder, InvalidGenesis, CorruptState as it does, and
    ValueError for a request that the application has no answer to."""
    response, part = new_response(name)
    match name:
        case "echo":
            part.text = request.text
        case "flush" | "extend_vote":
            # Vote extensions are not enabled in the genesis; an empty one means none.
            pass
        case "verify_vote_extension":
            part.status = ProposalStatus.ACCEPT
        case "info":
            info = application.info()
            part.data, part.version = info.data, info.version
            part.app_version = info.app_version
            part.last_block_height = info.last_block_height
            part.last_block_app_hash = info.last_block_app_hash
        case "init_chain":
            started = application.init_chain(
                RequestInitChain(
                    _time(request.time),
                    request.chain_id,
                    tuple(_validator(each) for each in request.validators),
                    request.app_state_bytes,
                    request.initial_height,
                )
            )
            part.app_hash = started.app_hash
            _put_validators(part.validators, started.validators)
        case "query":
            _put_query(
                part,
                application,
                RequestQuery(
                    request.path.decode("utf-8", "replace"),
                    request.data,
                    request.height,
                    request.prove,
                ),
            )
        case "check_tx":
            _put_result(part, application.check_tx(request.tx, CheckTxType(request.type)))
        case "prepare_proposal":
            proposal = RequestPrepareProposal(
                request.max_tx_bytes, tuple(request.txs), request.height, _time(request.time)
            )
            part.txs.extend(application.prepare_proposal(proposal, clock()))
        case "process_proposal":
            proposed = RequestProcessProposal(
                tuple(request.txs), request.height, _time(request.time)
            )
            part.status = application.process_proposal(proposed, clock())
        case "finalize_block":
            block = RequestFinalizeBlock(tuple(request.txs), request.height, _time(request.time))
            executed = application.finalize_block(block)
            part.app_hash = executed.app_hash
            for result in executed.tx_results:
                _put_result(part.tx_results.add(), result)
            _put_events(part.events, executed.events)
            _put_validators(part.validator_updates, executed.validator_updates)
        case "commit":
            part.retain_height = application.commit().retain_height
        case "list_snapshots":
            for snapshot in application.list_snapshots():
                _put_snapshot(part.snapshots.add(), snapshot)
        case "offer_snapshot":
            part.result = application.offer_snapshot(_snapshot(request.snapshot), request.app_hash)
        case "load_snapshot_chunk":
            part.chunk = application.load_snapshot_chunk(
                request.height, request.format, request.chunk
            )
        case "apply_snapshot_chunk":
            applied = application.apply_snapshot_chunk(request.index, request.chunk)
            part.result = applied.result
            part.refetch_chunks.extend(applied.refetch_chunks)
        case _:
            raise ValueError(f"no answer to an ABCI request named {name}")
    return response


def exception(error: str) -> Message:
    """What tells CometBFT that the application cannot go on."""
    response, part = new_response("exception")
    part.text = error
    return response


def _time(wire: Any) -> Timestamp:
    return Timestamp(wire.seconds, wire.nanos)


def _validator(wire: Any) -> ValidatorUpdate:
    if wire.pub_key.WhichOneof("sum") != "ed25519":
        raise ValueError("a validator's key is not Ed25519")
    return ValidatorUpdate(wire.pub_key.ed25519, wire.power)


def _put_validators(wire: Any, updates: Iterable[ValidatorUpdate]) -> None:
    for update in updates:
        entry = wire.add()
        entry.pub_key.ed25519 = update.public_key
        entry.power = update.power


def _put_query(part: Any, application: Application, request: RequestQuery) -> None:
    found = application.query(request)
    part.code, part.log, part.info = found.code, found.log, found.info
    part.index, part.key, part.value = found.index, found.key, found.value
    part.height, part.codespace = found.height, found.codespace
    for operation in found.proof_ops:
        part.proof_ops.ops.add(type=operation.type, key=operation.key, data=operation.data)


def _put_result(part: Any, result: ExecTxResult | ResponseCheckTx) -> None:
    part.code, part.log, part.data = result.code, result.log, result.data
    part.info, part.codespace = result.info, result.codespace
    part.gas_wanted, part.gas_used = result.gas_wanted, result.gas_used
    _put_events(part.events, result.events)


def _put_events(wire: Any, events: Iterable[Event]) -> None:
    for event in events:
        entry = wire.add(type=event.type)
        for attribute in event.attributes:
            entry.attributes.add(key=attribute.key, value=attribute.value, index=attribute.index)


def _snapshot(wire: Any) -> Snapshot:
    return Snapshot(wire.height, wire.format, wire.chunks, wire.hash, wire.metadata)


def _put_snapshot(wire: Any, snapshot: Snapshot) -> None:
    wire.height, wire.format, wire.chunks = snapshot.height, snapshot.format, snapshot.chunks
    wire.hash, wire.metadata = snapshot.hash, snapshot.metadata
