"""The peer's side of the chaincode protocol, with the chaincode running as a service.

The peer connects to the chaincode's address (``Chaincode.Connect``), the chaincode registers
itself by its package id, and from then on one stream carries every transaction: calls to the
chaincode one way, its requests for state the other (``core/chaincode/handler.go`` in Fabric). The
stream is opened when a call needs it; a chaincode that has gone is dialled again at the next call.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    chaincode_shim_pb2,
    chaincode_shim_pb2_grpc,
    proposal_pb2,
)
from fabric_protos.peer.chaincode_shim_pb2 import ChaincodeMessage as Message
from google.protobuf.message import DecodeError

from adapters.fabric.devnet.ledger import Ledger
from adapters.fabric.devnet.queries import Query, history_query, page_query, range_query
from adapters.fabric.devnet.simulation import Simulation, SimulationRefused

log = logging.getLogger(__name__)

Invoke = Callable[["ChaincodeCall", str, Any], Awaitable[Any]]

# What a Fabric 3.1 peer offers in READY by default: protos.ChaincodeAdditionalParams with
# use_write_batch, max_size_write_batch 1000, use_get_multiple_keys, max_size_get_multiple_keys
# 1000. Hand-encoded: the published Python messages do not have this one.
_READY_PARAMETERS = bytes.fromhex("080110e807180120e807")
_STREAM_TERMINATED = "chaincode stream terminated"
_TIMED_OUT = "timeout expired while executing transaction"


class ChaincodeFailed(Exception):
    """The chaincode could not be reached, or did not answer; the message is for the client."""


class _RequestRefused(Exception):
    """A request of the chaincode is answered with ERROR; the message goes to the chaincode."""


@dataclass(slots=True)
class ChaincodeCall:
    """One transaction's call of one chaincode."""

    channel: str
    transaction: str
    namespace: str
    """The chaincode's name: where its state is."""
    input: chaincode_pb2.ChaincodeInput
    proposal: proposal_pb2.SignedProposal
    simulation: Simulation
    invoke: Invoke
    """Calls another chaincode of the channel within the same simulation."""
    answer: asyncio.Future[Any] = field(init=False)
    queries: dict[str, Query] = field(default_factory=dict)
    busy: bool = False
    """A request of this transaction is being answered; Fabric drops a second one meanwhile."""

    def __post_init__(self) -> None:
        self.answer = asyncio.get_running_loop().create_future()


class ChaincodeService:
    """One peer's connection to one chaincode."""

    def __init__(self, address: str, package_id: str, ledger: Ledger, timeout: float) -> None:
        """``timeout``: seconds that one call may take (Fabric's chaincode.executetimeout)."""
        self._address = address
        self._package_id = package_id
        self._ledger = ledger
        self._timeout = timeout
        self._session: _Session | None = None
        self._dialling = asyncio.Lock()

    async def execute(self, call: ChaincodeCall) -> Any:
        """Hands a call to the chaincode and returns its COMPLETED or ERROR message. Raises
        ChaincodeFailed."""
        session = await self._connected()
        return await session.execute(call, self._timeout)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _connected(self) -> _Session:
        async with self._dialling:
            if self._session is not None and self._session.alive:
                return self._session
            if self._session is not None:
                await self._session.close()
                self._session = None
            session = _Session(self._address, self._package_id, self._ledger)
            try:
                await session.open()
            except BaseException:
                await session.close()
                raise
            log.info("connected to chaincode %s at %s", self._package_id, self._address)
            self._session = session
            return session


class _Session:
    """One stream to the chaincode, from dialling to its end."""

    def __init__(self, address: str, package_id: str, ledger: Ledger) -> None:
        self._address = address
        self._package_id = package_id
        self._ledger = ledger
        self._calls: dict[tuple[str, str], ChaincodeCall] = {}
        self._invocations: set[asyncio.Task[None]] = set()
        self._outgoing: asyncio.Queue[Any] = asyncio.Queue()
        # A subchannel pool of its own: a fresh session must not inherit the back-off of the last.
        self._channel = grpc.aio.insecure_channel(
            address,
            options=(
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.enable_http_proxy", 0),
                ("grpc.max_receive_message_length", 100 * 1024 * 1024),
                ("grpc.max_send_message_length", 100 * 1024 * 1024),
            ),
        )
        self._stream: Any = None
        self._stream_tasks: tuple[asyncio.Task[None], ...] = ()

    @property
    def alive(self) -> bool:
        return bool(self._stream_tasks) and not any(task.done() for task in self._stream_tasks)

    async def open(self) -> None:
        """Dials and completes the registration. Raises ChaincodeFailed."""
        self._stream = chaincode_shim_pb2_grpc.ChaincodeStub(self._channel).Connect()
        try:
            async with asyncio.timeout(10):
                first = await self._stream.read()
        except TimeoutError:
            raise self._unreachable("it did not register within 10 s") from None
        except grpc.aio.AioRpcError as error:
            raise self._unreachable(error.details() or error.code().name) from error
        if not isinstance(first, Message) or first.type != Message.REGISTER:
            raise self._unreachable("it did not begin with REGISTER")
        try:
            name = chaincode_pb2.ChaincodeID.FromString(first.payload).name
        except DecodeError:
            raise self._unreachable("its REGISTER cannot be read") from None
        if name != self._package_id:
            raise self._unreachable(f"it registered as {name!r}")
        self._send(Message(type=Message.REGISTERED))
        self._send(Message(type=Message.READY, payload=_READY_PARAMETERS))
        self._stream_tasks = (
            asyncio.create_task(self._read(), name=f"from chaincode {self._address}"),
            asyncio.create_task(self._write(), name=f"to chaincode {self._address}"),
        )

    def _unreachable(self, why: str) -> ChaincodeFailed:
        return ChaincodeFailed(
            f"could not launch chaincode {self._package_id}: connection to {self._package_id} "
            f"failed: error creating grpc connection to {self._address}: {why}"
        )

    async def close(self) -> None:
        for task in self._stream_tasks:
            task.cancel()
        self._end()
        await asyncio.gather(*self._stream_tasks, *self._invocations, return_exceptions=True)
        if self._stream is not None:
            self._stream.cancel()
        await self._channel.close(None)

    async def execute(self, call: ChaincodeCall, timeout: float) -> Any:
        key = (call.channel, call.transaction)
        if key in self._calls:
            raise ChaincodeFailed(f"error sending: txid: {call.transaction}({call.channel}) exists")
        if not self.alive:
            raise ChaincodeFailed(f"error sending: {_STREAM_TERMINATED}")
        self._calls[key] = call
        try:
            self._send(
                Message(
                    type=Message.TRANSACTION,
                    payload=call.input.SerializeToString(),
                    txid=call.transaction,
                    channel_id=call.channel,
                    proposal=call.proposal,
                )
            )
            async with asyncio.timeout(timeout):
                return await call.answer
        except TimeoutError:
            raise ChaincodeFailed(f"error sending: {_TIMED_OUT}") from None
        finally:
            del self._calls[key]

    def _send(self, message: Any) -> None:
        self._outgoing.put_nowait(message)

    async def _write(self) -> None:
        # The only writer: a stream takes one write at a time, and a caller that is cancelled in
        # the middle of a write would end the stream for every other transaction.
        try:
            while True:
                await self._stream.write(await self._outgoing.get())
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            log.warning("chaincode %s takes no more: %s", self._package_id, type(error).__name__)
        finally:
            self._end()

    async def _read(self) -> None:
        try:
            while True:
                message = await self._stream.read()
                if not isinstance(message, Message) or not self._handle(message):
                    return
        except grpc.aio.AioRpcError as error:
            log.warning("chaincode %s is gone: %s", self._package_id, error.code().name)
        finally:
            self._end()

    def _end(self) -> None:
        for call in self._calls.values():
            if not call.answer.done():
                call.answer.set_exception(ChaincodeFailed(f"error sending: {_STREAM_TERMINATED}"))
        for task in self._invocations:
            task.cancel()

    def _handle(self, message: Any) -> bool:
        """Deals with one message. False ends the stream, as Fabric does where it cannot."""
        kind = message.type
        if kind == Message.KEEPALIVE:
            return True
        call = self._calls.get((message.channel_id, message.txid))
        if kind in (Message.COMPLETED, Message.ERROR):
            if call is not None and not call.answer.done():
                call.answer.set_result(message)
            return True
        if kind not in _REQUESTS and kind != Message.INVOKE_CHAINCODE:
            log.warning("chaincode %s sent %s, which ends its stream", self._package_id, kind)
            return False
        if call is None:
            self._refuse(message, "no ledger context")
        elif call.busy:
            log.warning("chaincode %s sent a second request at once; dropped", self._package_id)
        elif kind == Message.INVOKE_CHAINCODE:
            # It may come back to this very stream, so the reader must go on meanwhile.
            call.busy = True
            task = asyncio.create_task(self._invoke(call, message))
            self._invocations.add(task)
            task.add_done_callback(self._invocations.discard)
        else:
            try:
                payload = _REQUESTS[kind](self._ledger, call, message.payload)
            except DecodeError:
                self._refuse(message, "unmarshal failed: cannot parse invalid wire-format data")
            except (_RequestRefused, SimulationRefused) as refusal:
                self._refuse(message, str(refusal))
            else:
                self._respond(message, payload)
        return True

    def _respond(self, message: Any, payload: bytes) -> None:
        self._send(
            Message(
                type=Message.RESPONSE,
                payload=payload,
                txid=message.txid,
                channel_id=message.channel_id,
            )
        )

    def _refuse(self, message: Any, why: str) -> None:
        text = f"{Message.Type.Name(message.type)} failed: transaction ID: {message.txid}: {why}"
        self._send(
            Message(
                type=Message.ERROR,
                payload=text.encode(),
                txid=message.txid,
                channel_id=message.channel_id,
            )
        )

    async def _invoke(self, call: ChaincodeCall, message: Any) -> None:
        try:
            spec = chaincode_pb2.ChaincodeSpec.FromString(message.payload)
            name, _, channel = spec.chaincode_id.name.partition("/")
            if channel and channel != call.channel:
                raise _RequestRefused(f"Failed to get policy manager for channel [{channel}]")
            answer = await call.invoke(call, name.partition(":")[0], spec.input)
        except DecodeError:
            call.busy = False
            self._refuse(message, "unmarshal failed: cannot parse invalid wire-format data")
        except _RequestRefused as refusal:
            call.busy = False
            self._refuse(message, str(refusal))
        except ChaincodeFailed as failure:
            call.busy = False
            self._refuse(message, f"execute failed: {failure}")
        else:
            call.busy = False
            self._respond(message, answer.SerializeToString())


# --- requests for state: (ledger, call, payload) -> payload of the RESPONSE -----------------------


def _no_collection(call: ChaincodeCall, collection: str) -> None:
    if collection:
        raise _RequestRefused(
            f"collection {call.channel}/{call.namespace}/{collection} could not be found"
        )


def _get_state(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetState.FromString(payload)
    _no_collection(call, request.collection)
    return call.simulation.get_state(call.namespace, request.key) or b""


def _get_states(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetStateMultiple.FromString(payload)
    _no_collection(call, request.collection)
    values = [call.simulation.get_state(call.namespace, key) or b"" for key in request.keys]
    result = chaincode_shim_pb2.GetStateMultipleResult(values=values)
    serialized: bytes = result.SerializeToString()
    return serialized


def _put_state(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.PutState.FromString(payload)
    _no_collection(call, request.collection)
    call.simulation.put_state(call.namespace, request.key, request.value)
    return b""


def _delete_state(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.DelState.FromString(payload)
    _no_collection(call, request.collection)
    call.simulation.put_state(call.namespace, request.key, b"")
    return b""


def _write_batch(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    batch = chaincode_shim_pb2.WriteBatchState.FromString(payload)
    for record in batch.rec:
        _no_collection(call, record.collection)
        match record.type:
            case chaincode_shim_pb2.WriteRecord.PUT_STATE:
                call.simulation.put_state(call.namespace, record.key, record.value)
            case chaincode_shim_pb2.WriteRecord.DEL_STATE:
                call.simulation.put_state(call.namespace, record.key, b"")
            case chaincode_shim_pb2.WriteRecord.PUT_STATE_METADATA:
                raise _RequestRefused(_NO_KEY_POLICIES)
            case _:
                raise _RequestRefused("unknown operation type")
    return b""


def _private_data(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetState.FromString(payload)
    raise _RequestRefused(
        f"collection {call.channel}/{call.namespace}/{request.collection} could not be found"
    )


_NO_KEY_POLICIES = "key-level endorsement policies are not served by the development network"


def _get_metadata(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetStateMetadata.FromString(payload)
    _no_collection(call, request.collection)
    # No key can have metadata here, and reading that is a read like any other.
    call.simulation.get_state(call.namespace, request.key)
    return b""


def _put_metadata(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    raise _RequestRefused(_NO_KEY_POLICIES)


def _range(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetStateByRange.FromString(payload)
    _no_collection(call, request.collection)
    metadata = chaincode_shim_pb2.QueryMetadata.FromString(request.metadata)
    if metadata.pageSize or metadata.bookmark:
        start = metadata.bookmark or request.startKey
        scan = call.simulation.scan(call.namespace, start, request.endKey, metadata.pageSize)
        query = page_query(scan, metadata.pageSize)
    else:
        query = range_query(call.simulation.scan(call.namespace, request.startKey, request.endKey))
    return _begin(call, query)


def _history(ledger: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetHistoryForKey.FromString(payload)
    modifications = call.simulation.history(call.namespace, request.key)
    return _begin(call, history_query(_key_modifications(ledger, modifications)))


def _key_modifications(ledger: Ledger, modifications: list[Any]) -> Iterator[bytes]:
    for modification in modifications:
        yield kv_query_result_pb2.KeyModification(
            tx_id=modification.transaction,
            value=modification.value or b"",
            timestamp=ledger.timestamp(modification.version),
            is_delete=modification.value is None,
        ).SerializeToString()


def _begin(call: ChaincodeCall, query: Query) -> bytes:
    identifier = str(uuid.uuid4())
    call.queries[identifier] = query
    return _continue(call, identifier)


def _continue(call: ChaincodeCall, identifier: str) -> bytes:
    response = call.queries[identifier].next_batch(identifier)
    if not response.has_more:
        del call.queries[identifier]
    serialized: bytes = response.SerializeToString()
    return serialized


def _next(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    identifier = chaincode_shim_pb2.QueryStateNext.FromString(payload).id
    if identifier not in call.queries:
        raise _RequestRefused("query iterator not found")
    return _continue(call, identifier)


def _close(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    identifier = chaincode_shim_pb2.QueryStateClose.FromString(payload).id
    call.queries.pop(identifier, None)
    response = chaincode_shim_pb2.QueryResponse(has_more=False, id=identifier)
    serialized: bytes = response.SerializeToString()
    return serialized


def _rich_query(_: Ledger, call: ChaincodeCall, payload: bytes) -> bytes:
    request = chaincode_shim_pb2.GetQueryResult.FromString(payload)
    _no_collection(call, request.collection)
    metadata = chaincode_shim_pb2.QueryMetadata.FromString(request.metadata)
    paged = metadata.pageSize or metadata.bookmark
    raise _RequestRefused(
        f"{'ExecuteQueryWithMetadata' if paged else 'ExecuteQuery'} not supported for leveldb"
    )


_REQUESTS: dict[int, Callable[[Ledger, ChaincodeCall, bytes], bytes]] = {
    Message.GET_STATE: _get_state,
    Message.GET_STATE_MULTIPLE: _get_states,
    Message.PUT_STATE: _put_state,
    Message.DEL_STATE: _delete_state,
    Message.WRITE_BATCH_STATE: _write_batch,
    Message.GET_STATE_METADATA: _get_metadata,
    Message.PUT_STATE_METADATA: _put_metadata,
    Message.GET_PRIVATE_DATA_HASH: _private_data,
    Message.PURGE_PRIVATE_DATA: _private_data,
    Message.GET_STATE_BY_RANGE: _range,
    Message.GET_HISTORY_FOR_KEY: _history,
    Message.GET_QUERY_RESULT: _rich_query,
    Message.QUERY_STATE_NEXT: _next,
    Message.QUERY_STATE_CLOSE: _close,
}
