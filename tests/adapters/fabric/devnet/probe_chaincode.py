"""A chaincode that does whatever a test asks of the chaincode protocol, run as a service.

``python probe_chaincode.py`` with CHAINCODE_ID and CHAINCODE_SERVER_ADDRESS, as any chaincode
service; it is written on the protocol's messages alone, so it runs on the development network and
on a real peer alike. PROBE_ANSWER makes one process answer ``who`` unlike the others.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from fabric_protos.common import common_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    chaincode_shim_pb2,
    chaincode_shim_pb2_grpc,
    proposal_pb2,
    proposal_response_pb2,
)

Message = chaincode_shim_pb2.ChaincodeMessage


class PeerSaysNo(Exception):
    """The peer answered ERROR."""


class Stub:
    """One transaction's talk with the peer."""

    def __init__(self, service: Session, message: Any) -> None:
        self.service, self.message = service, message
        self.replies: asyncio.Queue[Any] = asyncio.Queue()
        self.event: tuple[str, bytes] | None = None

    async def ask(self, kind: int, payload: bytes) -> bytes:
        await self.service.send(
            Message(
                type=kind,
                payload=payload,
                txid=self.message.txid,
                channel_id=self.message.channel_id,
            )
        )
        reply = await self.replies.get()
        if reply.type == Message.ERROR:
            raise PeerSaysNo(reply.payload.decode())
        return bytes(reply.payload)

    async def get(self, key: str) -> bytes:
        request = chaincode_shim_pb2.GetState(key=key)
        return await self.ask(Message.GET_STATE, request.SerializeToString())

    async def put(self, key: str, value: str) -> None:
        request = chaincode_shim_pb2.PutState(key=key, value=value.encode())
        await self.ask(Message.PUT_STATE, request.SerializeToString())

    async def delete(self, key: str) -> None:
        request = chaincode_shim_pb2.DelState(key=key)
        await self.ask(Message.DEL_STATE, request.SerializeToString())

    def timestamp(self) -> int:
        """Unix seconds, as the client wrote them."""
        proposal = proposal_pb2.Proposal.FromString(self.message.proposal.proposal_bytes)
        header = common_pb2.Header.FromString(proposal.header)
        channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
        return int(channel_header.timestamp.seconds)

    async def query(self, kind: int, request: Any) -> tuple[list[bytes], list[int], bytes]:
        """All results, the sizes of the batches, and the last batch's metadata."""
        answer = await self.ask(kind, request.SerializeToString())
        results, sizes = [], []
        while True:
            batch = chaincode_shim_pb2.QueryResponse.FromString(answer)
            results += [one.resultBytes for one in batch.results]
            sizes.append(len(batch.results))
            if not batch.has_more:
                return results, sizes, batch.metadata
            answer = await self.ask(
                Message.QUERY_STATE_NEXT,
                chaincode_shim_pb2.QueryStateNext(id=batch.id).SerializeToString(),
            )


async def invoke(stub: Stub, name: str, arguments: list[str]) -> tuple[int, str]:
    """Returns the response's status and its payload, or its message where it is an error."""
    match name, arguments:
        case "put", [key, value]:
            await stub.put(key, value)
            stub.event = ("put", json.dumps({"key": key, "value": value}).encode())
            return 200, value
        case "put_many", [prefix, count]:
            for number in range(int(count)):
                await stub.put(f"{prefix}{number:04d}", str(number))
            return 200, count
        case "get", [key]:
            value = await stub.get(key)
            return (200, value.decode()) if value else (500, f"no such key: {key}")
        case "delete", [key]:
            await stub.delete(key)
            return 200, ""
        case "increment", [key]:
            number = int(await stub.get(key) or b"0") + 1
            await stub.put(key, str(number))
            stub.event = ("increment", str(number).encode())
            return 200, str(number)
        case "read_own_write", [key, value]:
            await stub.put(key, value)
            return 200, (await stub.get(key)).decode()
        case "count", [start, end, into]:
            request = chaincode_shim_pb2.GetStateByRange(startKey=start, endKey=end)
            results, sizes, _ = await stub.query(Message.GET_STATE_BY_RANGE, request)
            if into:
                await stub.put(into, str(len(results)))
            return 200, json.dumps([len(results), sizes])
        case "list", [start, end]:
            request = chaincode_shim_pb2.GetStateByRange(startKey=start, endKey=end)
            results, _, _ = await stub.query(Message.GET_STATE_BY_RANGE, request)
            keys = [kv_query_result_pb2.KV.FromString(one).key for one in results]
            return 200, json.dumps(keys)
        case "page", [start, end, size, bookmark]:
            metadata = chaincode_shim_pb2.QueryMetadata(pageSize=int(size), bookmark=bookmark)
            request = chaincode_shim_pb2.GetStateByRange(
                startKey=start, endKey=end, metadata=metadata.SerializeToString()
            )
            results, _, told = await stub.query(Message.GET_STATE_BY_RANGE, request)
            page = chaincode_shim_pb2.QueryResponseMetadata.FromString(told)
            keys = [kv_query_result_pb2.KV.FromString(one).key for one in results]
            return 200, json.dumps([keys, page.fetched_records_count, page.bookmark])
        case "page_then_put", [key]:
            metadata = chaincode_shim_pb2.QueryMetadata(pageSize=1)
            request = chaincode_shim_pb2.GetStateByRange(metadata=metadata.SerializeToString())
            await stub.query(Message.GET_STATE_BY_RANGE, request)
            await stub.put(key, "x")
            return 200, ""
        case "history", [key]:
            request = chaincode_shim_pb2.GetHistoryForKey(key=key)
            results, _, _ = await stub.query(Message.GET_HISTORY_FOR_KEY, request)
            found = [kv_query_result_pb2.KeyModification.FromString(one) for one in results]
            told = [[one.value.decode(), one.is_delete] for one in found]
            timed = all(one.timestamp.seconds > 1_600_000_000 and one.tx_id for one in found)
            return 200, json.dumps([told, timed])
        case "rich_query", []:
            request = chaincode_shim_pb2.GetQueryResult(query='{"selector": {}}')
            await stub.query(Message.GET_QUERY_RESULT, request)
            return 200, ""
        case "private", []:
            request = chaincode_shim_pb2.GetState(key="a", collection="secret")
            await stub.ask(Message.GET_STATE, request.SerializeToString())
            return 200, ""
        case "dead_iterator", []:
            request = chaincode_shim_pb2.QueryStateNext(id="none")
            await stub.ask(Message.QUERY_STATE_NEXT, request.SerializeToString())
            return 200, ""
        case "call", [chaincode, *rest]:
            spec = chaincode_pb2.ChaincodeSpec(
                chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode),
                input=chaincode_pb2.ChaincodeInput(args=[one.encode() for one in rest]),
            )
            answer = Message.FromString(
                await stub.ask(Message.INVOKE_CHAINCODE, spec.SerializeToString())
            )
            response = proposal_response_pb2.Response.FromString(answer.payload)
            return response.status, response.message or response.payload.decode(errors="replace")
        case "fail", [status, text]:
            await stub.put("fail", "x")
            stub.event = ("failed", b"")
            return int(status), text
        case "error_message", [text]:
            raise PeerSaysNo(text)
        case "timestamp", []:
            return 200, str(stub.timestamp())
        case "who", []:
            return 200, os.environ.get("PROBE_ANSWER", "everybody")
        case "hang", []:
            await asyncio.Event().wait()
            return 500, ""
        case "crash", []:
            os.kill(os.getpid(), signal.SIGKILL)
            return 500, ""
        case _:
            return 500, f"no function {name} with {len(arguments)} arguments"


class Session:
    """One peer's stream."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._writing = asyncio.Lock()
        self.stubs: dict[tuple[str, str], Stub] = {}

    async def send(self, message: Any) -> None:
        async with self._writing:
            await self._context.write(message)

    async def transact(self, stub: Stub) -> None:
        key = (stub.message.channel_id, stub.message.txid)
        given = chaincode_pb2.ChaincodeInput.FromString(stub.message.payload)
        name, *arguments = [one.decode() for one in given.args]
        done = Message(
            type=Message.COMPLETED, txid=stub.message.txid, channel_id=stub.message.channel_id
        )
        try:
            status, text = await invoke(stub, name, arguments)
        except PeerSaysNo as no:
            if name == "error_message":
                done.type, done.payload = Message.ERROR, str(no).encode()
            else:
                response = proposal_response_pb2.Response(status=500, message=str(no))
                done.payload = response.SerializeToString()
        else:
            response = (
                proposal_response_pb2.Response(status=status, payload=text.encode())
                if status < 400
                else proposal_response_pb2.Response(status=status, message=text)
            )
            done.payload = response.SerializeToString()
        if stub.event is not None:
            done.chaincode_event.CopyFrom(
                chaincode_event_pb2.ChaincodeEvent(event_name=stub.event[0], payload=stub.event[1])
            )
        del self.stubs[key]
        await self.send(done)


class ProbeChaincode:
    """The gRPC service of the chaincode."""

    def __init__(self, package_id: str) -> None:
        self._package_id = package_id

    async def Connect(self, requests: Any, context: Any) -> None:
        session = Session(context)
        registration = chaincode_pb2.ChaincodeID(name=self._package_id)
        await session.send(Message(type=Message.REGISTER, payload=registration.SerializeToString()))
        async with asyncio.TaskGroup() as group:
            async for message in requests:
                key = (message.channel_id, message.txid)
                if message.type in (Message.TRANSACTION, Message.INIT):
                    session.stubs[key] = Stub(session, message)
                    group.create_task(session.transact(session.stubs[key]))
                elif message.type in (Message.RESPONSE, Message.ERROR) and key in session.stubs:
                    session.stubs[key].replies.put_nowait(message)


def add_port(server: Any, environment: Mapping[str, str]) -> None:
    address, key = environment["CHAINCODE_SERVER_ADDRESS"], environment.get("CHAINCODE_TLS_KEY")
    if key is None:
        server.add_insecure_port(address)
        return
    pair = Path(key).read_bytes(), Path(environment["CHAINCODE_TLS_CERT"]).read_bytes()
    server.add_secure_port(address, grpc.ssl_server_credentials([pair]))


async def main() -> None:
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    chaincode_shim_pb2_grpc.add_ChaincodeServicer_to_server(
        ProbeChaincode(os.environ["CHAINCODE_ID"]), server
    )
    add_port(server, os.environ)
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
