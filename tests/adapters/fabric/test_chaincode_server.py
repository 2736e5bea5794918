"""The chaincode's server, spoken to as a peer speaks to it, over gRPC and TLS."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from fabric_protos.common import common_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    chaincode_shim_pb2,
    chaincode_shim_pb2_grpc,
    proposal_pb2,
    proposal_response_pb2,
)

from adapters.fabric.chaincode.environment import BadEnvironment, read_consent, read_service
from adapters.fabric.chaincode.ledger import Event, Ledger, PeerRefused, key_of, range_of
from adapters.fabric.chaincode.refusal import Reason, Refused
from adapters.fabric.chaincode.stream import PeerStream
from tests.adapters.fabric.chaincode_bench import ALICE
from tests.ports import free_port

Message = chaincode_shim_pb2.ChaincodeMessage
SECRET = "secret-of-the-caller"
NAME = "isthmus"
PATIENCE = 20.0
END = object()


class Probe:
    """A chaincode that does one of everything."""

    async def invoke(self, ledger: Ledger, words: Sequence[bytes]) -> bytes:
        match [word.decode() for word in words]:
            case ["who"]:
                who = (ledger.caller.msp_id, ledger.called_chaincode, str(ledger.timestamp))
                return " ".join(who).encode()
            case ["swap", key, value]:
                before = await ledger.get(key)
                await ledger.put(key, value.encode())
                ledger.emit(Event("first", b"1"))
                ledger.emit(Event("swapped", key.encode()))
                return before or b"nothing"
            case ["drop", key]:
                await ledger.delete(key)
                return b"dropped"
            case ["list", kind]:
                found = ledger.range(*range_of(kind))
                return b",".join([value async for _, value in found])
            case ["call", chaincode, word]:
                reply = await ledger.invoke(chaincode, [word.encode()])
                return f"{reply.status} {reply.message} {reply.payload.decode()}".encode()
            case ["refuse", _]:
                ledger.emit(Event("never", b""))
                raise Refused(Reason.BAD_TERMS, "no")
            case ["fail", secret]:
                raise KeyError(secret)
        raise AssertionError(words)


class Wire:
    """A stream's two ends in memory. ``write`` fails when two writes overlap, as grpc.aio does."""

    def __init__(self) -> None:
        self.to_chaincode: asyncio.Queue[Any] = asyncio.Queue()
        self.to_peer: asyncio.Queue[Any] = asyncio.Queue()
        self._writing = False

    async def read(self) -> Any:
        return await self.to_chaincode.get()

    async def write(self, message: Any) -> None:
        assert not self._writing, "two writes at once"
        self._writing = True
        await asyncio.sleep(0)
        self._writing = False
        self.to_peer.put_nowait(message)


class Peer:
    """Answers a chaincode's requests from a dictionary; remembers what transactions ended with."""

    def __init__(self) -> None:
        self.state: dict[str, bytes] = {}
        self.ended: dict[str, Any] = {}
        self.refuse: set[int] = set()
        self.asked: list[int] = []
        self._pages: dict[str, list[Any]] = {}

    def answer(self, message: Any) -> Any:
        """The answer to a request; None where none is due."""
        self.asked.append(message.type)
        if message.type == Message.COMPLETED:
            self.ended[message.txid] = message
            return None
        kind, payload = Message.RESPONSE, b""
        if message.type in self.refuse:
            kind, payload = Message.ERROR, b"not today"
        elif message.type == Message.GET_STATE:
            key = chaincode_shim_pb2.GetState.FromString(message.payload).key
            payload = self.state.get(key, b"")
        elif message.type == Message.PUT_STATE:
            put = chaincode_shim_pb2.PutState.FromString(message.payload)
            self.state[put.key] = put.value
        elif message.type == Message.DEL_STATE:
            self.state.pop(chaincode_shim_pb2.DelState.FromString(message.payload).key)
        elif message.type == Message.GET_STATE_BY_RANGE:
            asked = chaincode_shim_pb2.GetStateByRange.FromString(message.payload)
            found = [
                kv_query_result_pb2.KV(key=key, value=value)
                for key, value in sorted(self.state.items())
                if asked.startKey <= key < asked.endKey
            ]
            self._pages[message.txid] = found
            payload = self._page(message.txid)
        elif message.type == Message.QUERY_STATE_NEXT:
            payload = self._page(message.txid)
        elif message.type == Message.INVOKE_CHAINCODE:
            spec = chaincode_pb2.ChaincodeSpec.FromString(message.payload)
            if spec.chaincode_id.name == "broken":
                inner = Message(type=Message.ERROR, payload=b"cannot be started")
            else:
                said = proposal_response_pb2.Response(
                    status=200, message="ok", payload=b"<" + spec.input.args[0] + b">"
                )
                inner = Message(type=Message.COMPLETED, payload=said.SerializeToString())
            payload = inner.SerializeToString()
        return Message(type=kind, payload=payload, txid=message.txid, channel_id=message.channel_id)

    def _page(self, transaction: str) -> bytes:
        page, self._pages[transaction] = self._pages[transaction][:2], self._pages[transaction][2:]
        encoded: bytes = chaincode_shim_pb2.QueryResponse(
            results=[
                chaincode_shim_pb2.QueryResultBytes(resultBytes=entry.SerializeToString())
                for entry in page
            ],
            has_more=bool(self._pages[transaction]),
            id=transaction,
        ).SerializeToString()
        return encoded


def transaction(name: str, *words: str, kind: int = Message.TRANSACTION) -> Any:
    header = common_pb2.ChannelHeader(
        tx_id=name,
        extension=proposal_pb2.ChaincodeHeaderExtension(
            chaincode_id=chaincode_pb2.ChaincodeID(name=NAME)
        ).SerializeToString(),
    )
    header.timestamp.FromNanoseconds(1_800_000_000_000_000_007)
    creator = identities_pb2.SerializedIdentity(mspid=ALICE.msp_id, id_bytes=ALICE.certificate)
    signature_header = common_pb2.SignatureHeader(creator=creator.SerializeToString())
    proposal = proposal_pb2.Proposal(
        header=common_pb2.Header(
            channel_header=header.SerializeToString(),
            signature_header=signature_header.SerializeToString(),
        ).SerializeToString()
    )
    return Message(
        type=kind,
        txid=name,
        channel_id="trade",
        payload=chaincode_pb2.ChaincodeInput(
            args=[word.encode() for word in words]
        ).SerializeToString(),
        proposal=proposal_pb2.SignedProposal(proposal_bytes=proposal.SerializeToString()),
    )


class Served:
    def __init__(self, wire: Wire, peer: Peer) -> None:
        self.wire = wire
        self.peer = peer
        self._names = (f"tx{number}" for number in itertools.count())

    async def run(self, *calls: Sequence[str], kind: int = Message.TRANSACTION) -> list[Any]:
        """Begins all these transactions at once; what each ended with."""
        names = [next(self._names) for _ in calls]
        for name, words in zip(names, calls, strict=True):
            self.wire.to_chaincode.put_nowait(transaction(name, *words, kind=kind))
        async with asyncio.timeout(PATIENCE):
            while not set(names) <= self.peer.ended.keys():
                answer = self.peer.answer(await self.wire.to_peer.get())
                if answer is not None:
                    self.wire.to_chaincode.put_nowait(answer)
        return [self.peer.ended[name] for name in names]

    async def response(self, *words: str) -> Any:
        (ended,) = await self.run(words)
        return proposal_response_pb2.Response.FromString(ended.payload)


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    wire, peer = Wire(), Peer()
    task = asyncio.ensure_future(PeerStream(Probe(), "isthmus_1:abc", wire, END).serve())
    register = await wire.to_peer.get()
    assert register.type == Message.REGISTER
    assert chaincode_pb2.ChaincodeID.FromString(register.payload).name == "isthmus_1:abc"
    for kind in (Message.REGISTERED, Message.READY):
        wire.to_chaincode.put_nowait(Message(type=kind))
    try:
        yield Served(wire, peer)
    finally:
        wire.to_chaincode.put_nowait(END)
        await asyncio.wait_for(task, PATIENCE)


async def test_a_transaction_sees_its_proposal() -> None:
    async with served() as one:
        told = await one.response("who")
        assert told.payload == b"Org1MSP isthmus 1800000000000000007"


async def test_state_events_and_calls() -> None:
    async with served() as one:
        assert (await one.response("swap", "k", "1")).payload == b"nothing"
        (ended,) = await one.run(("swap", "k", "2"))
        assert proposal_response_pb2.Response.FromString(ended.payload).payload == b"1"
        assert (ended.chaincode_event.event_name, ended.chaincode_event.payload) == (
            "swapped",
            b"k",
        )
        assert ended.chaincode_event.tx_id == ended.txid
        assert (await one.response("call", "token", "x")).payload == b"200 ok <x>"
        assert (await one.response("call", "broken", "x")).payload == b"500 cannot be started "
        await one.response("drop", "k")
        assert one.peer.state == {}
        (ended,) = await one.run(("who",), kind=Message.INIT)
        assert proposal_response_pb2.Response.FromString(ended.payload).status == 200


async def test_a_range_is_read_over_all_its_pages() -> None:
    async with served() as one:
        one.peer.state = {key_of("a", str(n)): str(n).encode() for n in range(5)}
        one.peer.state[key_of("ab", "9")] = b"9"
        assert (await one.response("list", "a")).payload == b"0,1,2,3,4"
        assert (await one.response("list", "b")).payload == b""


async def test_two_hundred_transactions_at_once_do_not_write_over_one_another() -> None:
    async with served() as one:
        ended = await one.run(*(("swap", f"k{n}", str(n)) for n in range(200)))
        payloads = {proposal_response_pb2.Response.FromString(e.payload).payload for e in ended}
        assert payloads == {b"nothing"}
        assert one.peer.state == {f"k{n}": str(n).encode() for n in range(200)}


async def test_every_failure_is_answered_and_none_repeats_the_arguments(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with served() as one:
        (ended,) = await one.run(("refuse", SECRET))
        refused = proposal_response_pb2.Response.FromString(ended.payload)
        assert (refused.status, refused.message) == (400, "bad_terms: no")
        assert not ended.HasField("chaincode_event")
        failed = await one.response("fail", SECRET)
        assert (failed.status, failed.message) == (500, "the chaincode failed (KeyError)")
        one.peer.refuse = {Message.GET_STATE}
        failed = await one.response("swap", SECRET, SECRET)
        assert failed.status == 500
        assert "the peer refused GET_STATE: not today" in failed.message
        broken = transaction("tx-broken", "who")
        broken.proposal.proposal_bytes = b"\xff\xff"
        one.wire.to_chaincode.put_nowait(broken)
        ended = await asyncio.wait_for(one.wire.to_peer.get(), PATIENCE)
        assert proposal_response_pb2.Response.FromString(ended.payload).status == 500
        assert SECRET not in caplog.text
        assert SECRET not in failed.message


async def test_a_keepalive_is_answered_and_a_stray_answer_is_passed_over() -> None:
    async with served() as one:
        one.wire.to_chaincode.put_nowait(Message(type=Message.RESPONSE, txid="none"))
        one.wire.to_chaincode.put_nowait(Message(type=Message.KEEPALIVE))
        answer = await asyncio.wait_for(one.wire.to_peer.get(), PATIENCE)
        assert answer.type == Message.KEEPALIVE
        assert (await one.response("who")).status == 200


async def test_a_stream_that_ends_takes_its_transactions_with_it() -> None:
    async with served() as one:
        one.wire.to_chaincode.put_nowait(transaction("tx-open", "swap", "k", "1"))
        asked = await asyncio.wait_for(one.wire.to_peer.get(), PATIENCE)
        assert asked.type == Message.GET_STATE
    # ``served`` has awaited the stream's end: the transaction no longer waits for its answer.


def test_a_peers_refusal_is_its_own_kind_of_error() -> None:
    assert not issubclass(PeerRefused, Refused)


# --- the process ---------------------------------------------------------------------------------


async def _first_message(channel: grpc.aio.Channel) -> Any:
    async with asyncio.timeout(PATIENCE):
        await channel.channel_ready()
        call = chaincode_shim_pb2_grpc.ChaincodeStub(channel).Connect()
        message = await call.read()
        call.cancel()
        return message


@pytest.mark.parametrize("mode", ["plain", "tls", "mutual"])
async def test_the_process_registers_with_its_package_and_ends_on_sigterm(
    mode: str, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    variables = {"CHAINCODE_ID": "isthmus_1:abc", "CHAINCODE_SERVER_ADDRESS": address}
    ca = trustme.CA()
    server, peer = ca.issue_cert("127.0.0.1"), ca.issue_cert("peer.example")
    if mode != "plain":
        server.private_key_pem.write_to_path(tmp_path / "key.pem")
        server.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        variables["CHAINCODE_TLS_KEY"] = str(tmp_path / "key.pem")
        variables["CHAINCODE_TLS_CERT"] = str(tmp_path / "cert.pem")
    if mode == "mutual":
        ca.cert_pem.write_to_path(tmp_path / "ca.pem")
        variables["CHAINCODE_CLIENT_CA_CERT"] = str(tmp_path / "ca.pem")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.fabric.chaincode", env=os.environ | variables
    )
    try:
        if mode == "plain":
            channel = grpc.aio.insecure_channel(address)
        else:
            own = (peer.private_key_pem.bytes(), peer.cert_chain_pems[0].bytes())
            credentials = grpc.ssl_channel_credentials(
                ca.cert_pem.bytes(), *(own if mode == "mutual" else (None, None))
            )
            channel = grpc.aio.secure_channel(address, credentials)
        async with channel:
            message = await _first_message(channel)
        assert message.type == Message.REGISTER
        assert chaincode_pb2.ChaincodeID.FromString(message.payload).name == "isthmus_1:abc"
        if mode == "mutual":
            stranger = grpc.ssl_channel_credentials(ca.cert_pem.bytes())
            async with grpc.aio.secure_channel(address, stranger) as channel:
                with pytest.raises(grpc.aio.AioRpcError):
                    await chaincode_shim_pb2_grpc.ChaincodeStub(channel).Connect().read()
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0


async def test_the_process_imports_neither_web3_nor_pydantic() -> None:
    program = (
        "import sys, adapters.fabric.chaincode.__main__\n"
        "print([name for name in ('web3', 'pydantic', 'eth_account') if name in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert out.decode().strip() == "[]"


async def test_a_taken_port_and_a_missing_variable_are_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for address, said in ((f"127.0.0.1:{port}", "cannot listen"), ("", "is not set")):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "adapters.fabric.chaincode"),
                env=os.environ | {"CHAINCODE_ID": "x", "CHAINCODE_SERVER_ADDRESS": address},
                stderr=asyncio.subprocess.PIPE,
            )
            _, text = await asyncio.wait_for(process.communicate(), PATIENCE)
            assert process.returncode == 2
            assert said in text.decode().splitlines()[-1]


# --- its environment -----------------------------------------------------------------------------


def test_consent_is_read() -> None:
    consent = read_consent({})
    assert (consent.clock_bound, consent.chain, consent.tokens) == (10, None, frozenset())
    consent = read_consent(
        {
            "ISTHMUS_CLOCK_BOUND": "3",
            "ISTHMUS_CHAIN": "ab" * 32,
            "ISTHMUS_TOKENS": "gold, silver,",
        }
    )
    assert (consent.clock_bound, consent.chain) == (3, bytes.fromhex("ab" * 32))
    assert consent.tokens == {"gold", "silver"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ISTHMUS_CLOCK_BOUND", "0"),
        ("ISTHMUS_CLOCK_BOUND", "3601"),
        ("ISTHMUS_CLOCK_BOUND", "1.5"),
        ("ISTHMUS_CHAIN", "AB" * 32),
    ],
)
def test_bad_consent_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(BadEnvironment, match=name):
        read_consent({name: value})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"CHAINCODE_ID": ""}, "CHAINCODE_ID"),
        ({"CHAINCODE_TLS_DISABLED": "no"}, "CHAINCODE_TLS_DISABLED"),
        ({"CHAINCODE_TLS_DISABLED": "false"}, "CHAINCODE_TLS_KEY"),
        ({"CHAINCODE_TLS_KEY": "/nowhere"}, "CHAINCODE_TLS_CERT"),
        ({"CHAINCODE_TLS_KEY": "/nowhere", "CHAINCODE_TLS_CERT": "/nowhere"}, "cannot read"),
    ],
)
def test_a_bad_service_names_its_variable(changes: dict[str, str], said: str) -> None:
    good = {"CHAINCODE_ID": "x", "CHAINCODE_SERVER_ADDRESS": "127.0.0.1:1"}
    assert read_service(good).tls is None
    with pytest.raises(BadEnvironment, match=said):
        read_service(good | changes)
