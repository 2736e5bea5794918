"""A whole swap leaves no key, passphrase, token or unrevealed preimage anywhere that is written."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from adapters.ethereum.node_errors import NodeFailed
from adapters.ethereum.transport import connect
from gateway.api.views import swap_detail
from gateway.sections import LogLevel
from gateway.telemetry.logs import OWN, hidden, set_up_logs
from relayers.protocol.state import Phase
from relayers.signing.secret import Secret
from relayers.signing.swap_key import LocalSwapKey
from tests.forbidden import Forbidden, assert_absent
from tests.gateway.two_gateways import (
    PASSPHRASE,
    TOKEN,
    Organisation,
    both_running,
    files_below,
    make_world,
    offer_body,
)


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers = list(root.handlers)
    levels = {name: logging.getLogger(name).level for name in ("", *OWN)}
    stream = io.StringIO()
    set_up_logs(LogLevel.DEBUG, stream)
    yield stream
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def key_material(*organisations: Organisation) -> list[Forbidden]:
    found = [Forbidden("passphrase", PASSPHRASE.encode()), Forbidden("token", TOKEN.encode())]
    for organisation in organisations:
        key, swap_key = organisation.secrets
        found.append(Forbidden(f"key of {organisation.name}", key))
        found.append(Forbidden(f"swap key of {organisation.name}", swap_key))
    return found


def written(organisation: Organisation) -> dict[str, bytes]:
    """What the gateway itself wrote, not the secrets that its operator put there."""
    own = ("passphrase", "token", "key.json", "swap.json")
    files = (path for path in files_below(organisation.folder) if path.name not in own)
    return {str(path): path.read_bytes() for path in files}


async def test_a_swap_writes_no_secret(tmp_path: Path, logs: io.StringIO) -> None:
    world = make_world(tmp_path)
    keys = key_material(world.alice, world.bob)
    async with both_running(world) as (alice, bob):
        made = await alice.http.post("/v1/swaps", json=offer_body(world))
        swap = made.json()["id"]
        state = next(iter(alice.gateway.services.engine.swaps()))
        secret = await LocalSwapKey(world.alice.secrets[1]).preimage(state.offer.salt)
        assert secret.hashlock() == state.hashlock
        unrevealed = [*keys, Forbidden("preimage", secret.value)]

        await bob.swap_in(swap, "received")
        for gateway in (alice, bob):
            for path, content in written(gateway.organisation).items():
                assert_absent(unrevealed, path, content)

        # At every move of the initiator before its reveal, its journal still has no preimage.
        engine = alice.gateway.services.engine
        await bob.http.post(f"/v1/swaps/{swap}/accept")
        looked = 0
        async with asyncio.timeout(30):
            async for event in engine.follow(0):
                now = engine.swap(state.hashlock)
                assert now is not None
                if now.phase in (Phase.REVEALING, Phase.SETTLING, Phase.COMPLETED):
                    break
                files = written(world.alice)
                now = engine.swap(state.hashlock)
                if now is not None and now.preimage is None and now.phase is not Phase.REVEALING:
                    looked += 1
                    for path, one in files.items():
                        assert_absent(unrevealed, f"{path} at {event.event.kind}", one)
        assert looked > 0

        texts: dict[str, bytes] = {}
        for gateway in (alice, bob):
            await gateway.swap_in(swap, "completed")
            for path in ("/v1/swaps", f"/v1/swaps/{swap}", "/v1/chains", "/v1/doctor", "/metrics"):
                texts[path] = (await gateway.http.get(path)).content
            found = gateway.gateway.services.engine.swap(state.hashlock)
            assert found is not None
            detail: Any = await swap_detail(gateway.gateway.services, found)
            texts["detail"] = detail.model_dump_json().encode()
        revealed = Forbidden("preimage", secret.value)
        for where, content in texts.items():
            assert_absent([*keys, revealed], where, content)

    for organisation in (world.alice, world.bob):
        for path, content in written(organisation).items():
            assert_absent(keys, path, content)
            if path.endswith(".audit.jsonl"):
                assert content.count(b"\n") >= 1
                assert_absent([revealed], path, content)
    logged = logs.getvalue().encode()
    assert b"running" in logged
    assert_absent([*keys, revealed], "the logs", logged)


def test_logs_hide_what_could_be_a_secret(logs: io.StringIO) -> None:
    log = structlog.get_logger("test")
    log.warning(
        "told",
        passphrase="hunter2",
        nested={"api_token": "hunter2", "list": [Secret("hunter2")]},
        value=Secret("hunter2"),
        data=b"hunter2",
        height=7,
    )
    logging.getLogger("foreign").error("plain %s", "words")
    text = logs.getvalue()
    assert "hunter2" not in text
    assert '"height": 7' in text
    assert "plain words" in text
    assert hidden("swap_key", "x") == hidden("preimage", 1) == "<hidden>"


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_a_node_s_credentials_are_not_logged_at_any_level(
    scheme: str, logs: io.StringIO
) -> None:
    """What web3 and websockets log of a request to a real socket, with ``log.level: debug``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"node-key" in head
        assert b"authorization: basic" in head.lower()
        answer = b'{"jsonrpc":"2.0","id":0,"result":"0x1"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = connect(f"{scheme}://user:node-password@127.0.0.1:{port}/v3/node-key", 5)
    logging.getLogger("adapters.ethereum").debug("asking")
    if scheme == "http":
        assert await transport.request("eth_chainId", []) == "0x1"
    else:
        with pytest.raises(NodeFailed):
            await transport.request("eth_chainId", [])
    await transport.close()
    server.close()
    text = logs.getvalue()
    assert "asking" in text
    credentials = base64.b64encode(b"user:node-password").decode()
    for secret in ("node-key", "node-password", credentials):
        assert secret not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://node.example/v3/node-key", "https://node.example/<hidden>"),
        ("wss://user:node-key@node.example:8546/", "wss://node.example:8546/<hidden>"),
        ("'http://[::1]:8545?apikey=node-key'", "'http://[::1]:8545/<hidden>'"),
        ("https://node-key@node.example", "https://node.example/<hidden>"),
        ("https://node.example/a,node-key", "https://node.example/<hidden>"),
    ],
)
def test_a_library_s_warning_names_no_more_than_the_host(
    url: str, shown: str, logs: io.StringIO
) -> None:
    log = logging.getLogger("web3.providers")
    log.warning("lost %s; again", url)
    try:
        raise ConnectionError(f"lost {url}; again")
    except ConnectionError:
        log.exception("and its trace")
    text = logs.getvalue()
    assert shown in text
    assert "node-key" not in text


def test_the_search_for_secrets_finds_them() -> None:
    secret = Forbidden("it", bytes(range(200, 232)))
    for content in (
        b"..." + secret.value,
        f"0x{secret.value.hex()}".encode(),
        base64.b64encode(secret.value),
        str(secret.value).encode(),
    ):
        assert secret.found_in(content)
    assert not secret.found_in(b"nothing")
