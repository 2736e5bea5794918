"""What becomes of a request when the connection that it goes out on has ended meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from adapters.node_http import HttpAnswer, NodeHttp, NotAnswered
from tests.adapters.hanging_up import RESULT, Server, serving

QUESTION = {"method": "question"}


@asynccontextmanager
async def asking(answers: int) -> AsyncIterator[tuple[Server, NodeHttp]]:
    async with serving(answers) as server, aclosing(NodeHttp(10, 1_000)) as http:
        yield server, http


def result(answer: HttpAnswer) -> object:
    assert answer.status == 200
    return json.loads(answer.body)["result"]


async def test_questions_share_a_connection_and_are_asked_once_more_where_it_has_ended() -> None:
    async with asking(2) as (server, http):
        for _ in range(3):
            assert result(await http.ask(server.url, QUESTION)) == RESULT
        assert [number for number, _ in server.seen] == [0, 0, 0, 1]


async def test_a_node_that_hangs_up_each_time_is_asked_twice_and_no_more() -> None:
    async with asking(0) as (server, http):
        with pytest.raises(NotAnswered, match="broke off") as caught:
            await http.ask(server.url, QUESTION)
        assert caught.value.sent
        assert len(server.seen) == 2


async def test_what_is_sent_has_a_connection_of_its_own() -> None:
    async with asking(1) as (server, http):
        await http.ask(server.url, QUESTION)
        for _ in range(2):
            await http.send(server.url, QUESTION)
        assert [number for number, _ in server.seen] == [0, 1, 2]


async def test_what_was_sent_is_not_sent_once_more() -> None:
    async with asking(0) as (server, http):
        with pytest.raises(NotAnswered, match="broke off") as caught:
            await http.send(server.url, QUESTION)
        assert caught.value.sent
        assert len(server.seen) == 1


async def test_questions_that_are_given_up_hold_up_no_other() -> None:
    async with asking(1_000) as (server, http):
        await http.ask(server.url, QUESTION)
        for turns in range(5):
            given_up = [asyncio.create_task(http.ask(server.url, QUESTION)) for _ in range(20)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in given_up:
                task.cancel()
            await asyncio.gather(*given_up, return_exceptions=True)
        assert result(await http.ask(server.url, QUESTION)) == RESULT


async def test_a_redirect_is_not_followed() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 307 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as listener,
        aclosing(NodeHttp(10, 1_000)) as http,
    ):
        port = listener.sockets[0].getsockname()[1]
        assert (await http.ask(f"http://127.0.0.1:{port}", QUESTION)).status == 307
    assert len(asked) == 1
