"""One peer's stream: many transactions side by side, each asking one thing at a time.

The protocol (``chaincode_shim.proto``): the chaincode says REGISTER, the peer REGISTERED and READY;
then TRANSACTION or INIT begins a transaction, the chaincode asks for state with messages of the
same channel and transaction id, each answered by RESPONSE or ERROR, and COMPLETED ends it. Writes
to one gRPC stream may not overlap, so there is one writer at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from fabric_protos.common import common_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    chaincode_shim_pb2,
    proposal_pb2,
    proposal_response_pb2,
)
from google.protobuf.message import DecodeError

from adapters.fabric.chaincode.ledger import Caller, Event, Ledger, PeerRefused, Reply
from adapters.fabric.chaincode.refusal import Refused

log = logging.getLogger("isthmus.chaincode")

Message = chaincode_shim_pb2.ChaincodeMessage

_OK = 200
_REFUSED = 400
_FAILED = 500


class Invocable(Protocol):
    """A chaincode."""

    async def invoke(self, ledger: Ledger, words: Sequence[bytes]) -> bytes: ...


class Wire(Protocol):
    """The stream as grpc.aio gives it to a servicer."""

    async def read(self) -> Any: ...

    async def write(self, message: Any) -> None: ...


class PeerStream:
    """Serves one stream until the peer ends it."""

    def __init__(self, chaincode: Invocable, package: str, wire: Wire, end: object) -> None:
        """``package``: the id under which the package was installed on the peer. ``end``: what
        ``wire.read`` returns after the last message."""
        self._chaincode = chaincode
        self._package = package
        self._wire = wire
        self._end = end
        self._writing = asyncio.Lock()
        self._waiting: dict[tuple[str, str], asyncio.Future[Any]] = {}

    async def serve(self) -> None:
        chaincode = chaincode_pb2.ChaincodeID(name=self._package)
        await self.send(Message(type=Message.REGISTER, payload=chaincode.SerializeToString()))
        async with asyncio.TaskGroup() as transactions:
            running: set[asyncio.Task[None]] = set()
            while (message := await self._wire.read()) is not self._end:
                match message.type:
                    case Message.TRANSACTION | Message.INIT:
                        task = transactions.create_task(self._run(message))
                        running.add(task)
                        task.add_done_callback(running.discard)
                    case Message.RESPONSE | Message.ERROR:
                        self._answer(message)
                    case Message.KEEPALIVE:
                        await self.send(Message(type=Message.KEEPALIVE))
                    case Message.REGISTERED | Message.READY:
                        log.info("peer says %s", Message.Type.Name(message.type))
                    case other:
                        log.warning("peer sent message type %s, which is not served", other)
            for task in running:
                task.cancel()

    async def send(self, message: Any) -> None:
        async with self._writing:
            await self._wire.write(message)

    async def ask(self, message: Any) -> bytes:
        """Sends a request of a transaction and returns the payload of its answer.

        Raises PeerRefused.
        """
        key = (message.channel_id, message.txid)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[key] = answer
        try:
            await self.send(message)
            reply = await answer
        finally:
            del self._waiting[key]
        if reply.type == Message.ERROR:
            kind = Message.Type.Name(message.type)
            raise PeerRefused(f"the peer refused {kind}: {reply.payload.decode(errors='replace')}")
        payload: bytes = reply.payload
        return payload

    def _answer(self, message: Any) -> None:
        waiting = self._waiting.get((message.channel_id, message.txid))
        if waiting is None or waiting.done():
            log.warning("peer answered transaction %s, which asked nothing", message.txid[:8])
            return
        waiting.set_result(message)

    async def _run(self, message: Any) -> None:
        # Any failure must be answered, else the peer waits until its own time limit. What is
        # logged and answered holds no arguments: a claim's are the preimage.
        event: Event | None = None
        try:
            ledger = Simulation(self, message)
            words = chaincode_pb2.ChaincodeInput.FromString(message.payload).args
            payload = await self._chaincode.invoke(ledger, words)
            response = proposal_response_pb2.Response(status=_OK, payload=payload)
            event = ledger.event
        except Refused as refusal:
            response = proposal_response_pb2.Response(status=_REFUSED, message=str(refusal))
        except PeerRefused as refusal:
            response = proposal_response_pb2.Response(status=_FAILED, message=str(refusal))
        except Exception as error:  # noqa: BLE001
            log.error("transaction %s failed: %s", message.txid[:8], type(error).__name__)
            said = f"the chaincode failed ({type(error).__name__})"
            response = proposal_response_pb2.Response(status=_FAILED, message=said)
        done = Message(
            type=Message.COMPLETED,
            payload=response.SerializeToString(),
            txid=message.txid,
            channel_id=message.channel_id,
        )
        if event is not None:
            done.chaincode_event.CopyFrom(
                chaincode_event_pb2.ChaincodeEvent(
                    tx_id=message.txid, event_name=event.name, payload=event.payload
                )
            )
        await self.send(done)


class Simulation:
    """The Ledger of one transaction, asked of the peer over its stream."""

    def __init__(self, stream: PeerStream, message: Any) -> None:
        """Raises DecodeError where the peer's proposal is not one."""
        self._stream = stream
        self._channel: str = message.channel_id
        self.transaction: str = message.txid
        self.event: Event | None = None
        proposal = proposal_pb2.Proposal.FromString(message.proposal.proposal_bytes)
        header = common_pb2.Header.FromString(proposal.header)
        channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
        extension = proposal_pb2.ChaincodeHeaderExtension.FromString(channel_header.extension)
        signature_header = common_pb2.SignatureHeader.FromString(header.signature_header)
        identity = identities_pb2.SerializedIdentity.FromString(signature_header.creator)
        if not identity.mspid or not extension.chaincode_id.name:
            raise DecodeError("the proposal names no creator or no chaincode")
        self.caller = Caller(identity.mspid, identity.id_bytes)
        self.timestamp: int = channel_header.timestamp.ToNanoseconds()
        self.called_chaincode: str = extension.chaincode_id.name

    def emit(self, event: Event) -> None:
        self.event = event

    async def get(self, key: str) -> bytes | None:
        value = await self._ask(Message.GET_STATE, chaincode_shim_pb2.GetState(key=key))
        return value or None  # the peer answers an absent key with no bytes

    async def put(self, key: str, value: bytes) -> None:
        await self._ask(Message.PUT_STATE, chaincode_shim_pb2.PutState(key=key, value=value))

    async def delete(self, key: str) -> None:
        await self._ask(Message.DEL_STATE, chaincode_shim_pb2.DelState(key=key))

    async def range(self, start: str, end: str) -> AsyncIterator[tuple[str, bytes]]:
        request: Any = chaincode_shim_pb2.GetStateByRange(startKey=start, endKey=end)
        kind = Message.GET_STATE_BY_RANGE
        while True:
            page = chaincode_shim_pb2.QueryResponse.FromString(await self._ask(kind, request))
            for result in page.results:
                entry = kv_query_result_pb2.KV.FromString(result.resultBytes)
                yield entry.key, entry.value
            if not page.has_more:
                return
            request = chaincode_shim_pb2.QueryStateNext(id=page.id)
            kind = Message.QUERY_STATE_NEXT

    async def invoke(self, chaincode: str, arguments: Sequence[bytes]) -> Reply:
        spec = chaincode_pb2.ChaincodeSpec(
            chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode),
            input=chaincode_pb2.ChaincodeInput(args=list(arguments)),
        )
        answer = Message.FromString(await self._ask(Message.INVOKE_CHAINCODE, spec))
        if answer.type != Message.COMPLETED:
            return Reply(_FAILED, answer.payload.decode(errors="replace"), b"")
        response = proposal_response_pb2.Response.FromString(answer.payload)
        return Reply(response.status, response.message, response.payload)

    async def _ask(self, kind: int, request: Any) -> bytes:
        return await self._stream.ask(
            Message(
                type=kind,
                payload=request.SerializeToString(),
                txid=self.transaction,
                channel_id=self._channel,
            )
        )
