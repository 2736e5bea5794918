"""The application's ABCI server: framing, order, every request, and how it ends."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.native.abci.messages import read_request
from adapters.native.abci.server import MAX_MESSAGE, AbciServer
from adapters.native.app.abci import RequestFinalizeBlock
from adapters.native.app.application import SNAPSHOT_INTERVAL, Application
from adapters.native.app.codes import Code
from adapters.native.app.records import GENESIS_KEY
from adapters.native.app.state_store import MemoryStateStore
from adapters.native.app.timestamp import Timestamp
from adapters.native.app.transaction import Transfer
from adapters.native.cometbft import protobuf as pb
from adapters.native.cometbft.protobuf import varint
from tests.adapters.native.abci_client import (
    Connection,
    application_process,
    connected,
    framed,
    log_of,
    request,
)
from tests.adapters.native.chain_fixture import (
    ALICE,
    BOB,
    COIN,
    GENESIS_TIME,
    Chain,
    app_state,
)
from tests.ports import free_port

NOW = Timestamp(GENESIS_TIME.seconds + 10)
TIME = {"seconds": GENESIS_TIME.seconds, "nanos": 0}


class Served:
    """An application behind a server of this process. ``chain`` signs for it."""

    def __init__(self, server: AbciServer, port: int) -> None:
        self.server = server
        self.port = port
        self.chain = Chain()

    async def connect(self) -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port))

    def transfer(self, amount: int = 5) -> bytes:
        return self.chain.sign(ALICE, Transfer(COIN, BOB.account, amount))


@asynccontextmanager
async def serving(application: Application | None = None) -> AsyncIterator[Served]:
    server = AbciServer(application or Application(MemoryStateStore()), lambda: NOW)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        yield Served(server, listening.sockets[0].getsockname()[1])


async def init(connection: Connection) -> bytes:
    """Starts the chain of ``chain_fixture``; its app hash."""
    wire = {"chain_id": "test", "time": TIME, "app_state_bytes": app_state(), "initial_height": 1}
    raw: Any = read_request(_unframed(request("init_chain", **wire)))[1]
    validator = raw.validators.add(power=10)
    validator.pub_key.ed25519 = bytes(32)
    connection.writer.write(framed(pb.message(5, raw.SerializeToString())))
    name, answer = await connection.answer()
    assert name == "init_chain", answer
    return bytes(answer.app_hash)


def _unframed(raw: bytes) -> bytes:
    at = 0
    while raw[at] >= 0x80:
        at += 1
    return raw[at + 1 :]


async def block(connection: Connection, height: int, *txs: bytes) -> Any:
    time = {"seconds": GENESIS_TIME.seconds + height, "nanos": 0}
    answer = await connection.call("finalize_block", txs=list(txs), height=height, time=time)
    await connection.call("commit")
    return answer


# --- framing -------------------------------------------------------------------------------------


async def test_requests_that_come_together_are_answered_one_by_one_in_order() -> None:
    async with serving() as served:
        connection = await served.connect()
        connection.writer.write(b"".join(request("echo", text=str(n)) for n in range(200)))
        for number in range(200):
            name, answer = await connection.answer()
            assert (name, answer.text) == ("echo", str(number))


async def test_a_request_that_comes_byte_by_byte_is_put_together() -> None:
    async with serving() as served:
        connection = await served.connect()
        # Above 127 bytes, so that the length too takes several.
        for byte in request("echo", text="x" * 300):
            connection.writer.write(bytes([byte]))
            await connection.writer.drain()
            await asyncio.sleep(0)
        assert (await connection.answer())[1].text == "x" * 300


async def test_an_empty_message_has_a_length_of_its_own() -> None:
    async with serving() as served:
        connection = await served.connect()
        connection.writer.write(request("flush") + request("echo"))
        assert [(await connection.answer())[0] for _ in range(2)] == ["flush", "echo"]


@pytest.mark.parametrize(
    ("noise", "word"),
    [
        (varint(MAX_MESSAGE + 1), "above"),
        (b"\xff" * 6, "length"),
        (framed(b"\xff\xff\xff"), "no ABCI request"),
        (framed(b""), "not known here"),
        (framed(pb.message(99, b"")), "not known here"),
        # 0.37's begin_block: this field was given up in 0.38.
        (framed(pb.message(7, b"")), "not known here"),
    ],
)
async def test_noise_is_told_and_ends_its_connection_and_no_other(noise: bytes, word: str) -> None:
    async with serving() as served:
        good, bad = await served.connect(), await served.connect()
        bad.writer.write(request("echo", text="before") + noise)
        assert (await bad.answer())[1].text == "before"
        name, answer = await bad.answer()
        assert name == "exception"
        assert word in answer.text
        assert await bad.ended()
        assert (await good.call("echo", text="after")).text == "after"
        assert not served.server.failed.done()


async def test_a_client_that_goes_away_in_the_middle_harms_nobody() -> None:
    async with serving() as served:
        good, bad = await served.connect(), await served.connect()
        bad.writer.write(request("echo", text="x" * 500)[:100])
        await bad.writer.drain()
        bad.writer.close()
        assert (await good.call("echo", text="still")).text == "still"


# --- requests ------------------------------------------------------------------------------------


async def test_every_request_is_answered_on_the_four_connections() -> None:
    """In the order and on the connections on which CometBFT asks them."""
    async with serving() as served:
        consensus, mempool, query, snapshot = [await served.connect() for _ in range(4)]
        info = await query.call("info")
        assert (info.last_block_height, info.last_block_app_hash) == (0, b"")
        genesis = await init(consensus)
        good, too_much = served.transfer(), served.transfer(10**9)
        assert (await mempool.call("check_tx", tx=good, type=0)).code == Code.OK
        refused = await mempool.call("check_tx", tx=too_much, type=0)
        assert (refused.code, refused.codespace) == (Code.INSUFFICIENT_BALANCE, "isthmus")
        proposal = await consensus.call(
            "prepare_proposal", max_tx_bytes=10_000, txs=[too_much, good], height=1, time=TIME
        )
        assert list(proposal.txs) == [good]
        for txs, status in (([good], 1), ([good, good], 2), ([too_much], 2)):
            answer = await consensus.call("process_proposal", txs=txs, height=1, time=TIME)
            assert answer.status == status
        assert not (await consensus.call("extend_vote")).ListFields()
        assert (await consensus.call("verify_vote_extension")).status == 1
        executed = await block(consensus, 1, good, too_much)
        assert [result.code for result in executed.tx_results] == [0, Code.INSUFFICIENT_BALANCE]
        assert [event.type for event in executed.tx_results[0].events] == [
            "isthmus.asset.transferred"
        ]
        assert executed.app_hash not in (b"", genesis)
        assert (await query.call("info")).last_block_app_hash == executed.app_hash
        record = await query.call("query", path=b"/key", data=GENESIS_KEY, prove=True)
        assert (record.value, record.height) == (served.chain.genesis, 1)
        assert [op.type for op in record.proof_ops.ops] == ["isthmus:state"]
        for path in (b"/nosuch", b"", b"\xff"):
            # The last is what CometBFT makes of abci_query?path=0xff.
            assert (await query.call("query", path=path)).code == Code.MALFORMED
        assert not (await snapshot.call("list_snapshots")).snapshots
        assert not (await snapshot.call("load_snapshot_chunk", height=1, format=1, chunk=0)).chunk
        offer = await snapshot.call("offer_snapshot", app_hash=bytes(32))
        assert offer.result == 2
        assert (await snapshot.call("apply_snapshot_chunk", index=0, chunk=b"")).result == 2
        for connection in (consensus, mempool, query, snapshot):
            await connection.call("flush")


async def test_a_second_node_cannot_move_the_state_under_the_first() -> None:
    async with serving() as served:
        first, second = await served.connect(), await served.connect()
        await init(first)
        await block(first, 1, served.transfer())
        second.writer.write(request("finalize_block", height=2, time=TIME))
        name, answer = await second.answer()
        assert name == "exception"
        assert "second node" in answer.text
        assert await second.ended()
        assert not served.server.failed.done()
        await block(first, 2)
        # A node that is started again has other connections.
        first.writer.close()
        await first.writer.wait_closed()
        third = await served.connect()
        assert (await third.call("info")).last_block_height == 2
        await block(third, 3)


async def test_a_snapshot_goes_from_one_application_to_another() -> None:
    async with serving() as source, serving() as target:
        old, new = await source.connect(), await target.connect()
        await init(old)
        await block(old, 1, source.transfer())
        for height in range(2, SNAPSHOT_INTERVAL + 1):
            hash_there = (await block(old, height)).app_hash
        (snapshot,) = (await old.call("list_snapshots")).snapshots
        described = {
            name: getattr(snapshot, name)
            for name in ("height", "format", "chunks", "hash", "metadata")
        }
        offer = await new.call("offer_snapshot", snapshot=described, app_hash=hash_there)
        assert offer.result == 1
        for index in range(snapshot.chunks):
            loaded = await old.call("load_snapshot_chunk", height=100, format=1, chunk=index)
            spoilt = await new.call("apply_snapshot_chunk", index=index, chunk=b"x" + loaded.chunk)
            assert (spoilt.result, list(spoilt.refetch_chunks)) == (3, [index])
            applied = await new.call("apply_snapshot_chunk", index=index, chunk=loaded.chunk)
            assert applied.result == 1
        assert (await new.call("info")).last_block_app_hash == hash_there
        next_block = source.transfer()
        ends = [await block(each, SNAPSHOT_INTERVAL + 1, next_block) for each in (old, new)]
        assert ends[0] == ends[1]


async def test_a_validator_without_an_ed25519_key_starts_no_chain() -> None:
    async with serving() as served:
        connection = await served.connect()
        validator = pb.message(1, pb.octets(2, bytes(33))) + pb.integer(2, 10)
        raw = pb.text(2, "test") + pb.message(4, validator) + pb.octets(5, app_state())
        connection.writer.write(framed(pb.message(5, raw)))
        name, answer = await connection.answer()
        assert name == "exception"
        assert "Ed25519" in answer.text


# --- failure, and the process --------------------------------------------------------------------


async def test_an_application_that_fails_says_so_and_answers_nothing_more() -> None:
    class Failing(Application):
        def finalize_block(self, request: RequestFinalizeBlock) -> Any:
            raise RuntimeError("the disk is full")

    async with serving(Failing(MemoryStateStore())) as served:
        connection, other = await served.connect(), await served.connect()
        await init(connection)
        assert (await other.call("info")).last_block_height == 0
        connection.writer.write(request("finalize_block", height=1, time=TIME) + request("commit"))
        name, answer = await connection.answer()
        assert (name, answer.text) == (
            "exception",
            "finalize_block: RuntimeError: the disk is full",
        )
        assert await connection.ended()
        assert await served.server.failed == answer.text


async def test_the_process_restarts_at_its_height_and_ends_with_a_status(tmp_path: Path) -> None:
    home, port = tmp_path / "application", free_port()
    with application_process(home, port):
        async with connected(port) as connection:
            await init(connection)
            for height in (1, 2, 3):
                last = await block(connection, height)
            # Finalized and not committed: after kill -9 it was never there.
            await connection.call("finalize_block", height=4, time=TIME)
    with application_process(home, port) as process:
        async with connected(port) as connection:
            info = await connection.call("info")
            assert (info.last_block_height, info.last_block_app_hash) == (3, last.app_hash)
            # A node restarts, and asks for the same block again.
            for _ in range(2):
                await connection.call("finalize_block", height=4, time=TIME)
            await connection.call("commit")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 20) == 0
    assert "Traceback" not in log_of(home).read_text()
    with application_process(home, port) as process:
        async with connected(port) as connection:
            connection.writer.write(request("finalize_block", height=9, time=TIME))
            name, answer = await connection.answer()
            assert name == "exception"
            assert "block 9 does not follow block 4" in answer.text
        assert await asyncio.to_thread(process.wait, 20) == 1
    assert "cannot go on: finalize_block: OutOfOrder" in log_of(home).read_text()


async def test_the_process_does_not_start_without_its_port_folder_or_state(tmp_path: Path) -> None:
    async def refused(home: Path, port: int) -> str:
        with application_process(home, port) as process:
            assert await asyncio.to_thread(process.wait, 30) == 2
        said = log_of(home).read_text()
        assert said.count("\n") == 1
        return said

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1 cannot be used" in await refused(tmp_path / "a", port)
    (tmp_path / "file").write_text("")
    assert "--home" in await refused(tmp_path / "file" / "b", free_port())
    spoilt = tmp_path / "c"
    spoilt.mkdir()
    (spoilt / "application.db").write_bytes(random.Random(1).randbytes(4096))
    assert "application.db cannot be opened" in await refused(spoilt, free_port())
