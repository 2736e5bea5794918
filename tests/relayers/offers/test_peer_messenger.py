"""The messenger over real TLS: only the pinned peer is spoken to; each failure has its class."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import trustme
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from adapters.spi import AdapterError, Misconfigured, NotSent, Rejected, Unavailable
from adapters.spi import Unknown as MaybeSent
from relayers.offers import peer_messenger
from relayers.offers.peer_messenger import AT_ONCE, MAX_ANSWER, PeerMessenger, open_messenger
from relayers.offers.peers import Peer, Peers, PinnedCertificate, TrustedAuthority
from relayers.offers.typed_data import decline_digest, offer_digest, sign, signed_by
from relayers.offers.wire import DeclineMessage, OfferMessage, decline_of, offer_of, parse
from relayers.protocol.intents import SendDecline, SendOffer
from tests.relayers.offers.samples import ALICE, BOB, address, sample_offer

Answer = Callable[[Request], Awaitable[Response]]


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        pass


@asynccontextmanager
async def serving(
    answer: Answer, certificate: trustme.LeafCert, port: int = 0
) -> AsyncIterator[int]:
    """A TLS server on a port of loopback, a free one by itself, that answers everything in one
    way."""
    app = Starlette(
        routes=[Route("/{path:path}", answer, methods=["GET", "POST"])],
    )
    config = uvicorn.Config(
        app, log_config=None, lifespan="off", access_log=False, timeout_graceful_shutdown=1
    )
    config.load()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    config.ssl = context
    server = _Server(config)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        port = sock.getsockname()[1]
        task = asyncio.create_task(server._serve([sock]))
        try:
            async with asyncio.timeout(10):
                while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.01)
            yield port
        finally:
            server.should_exit = True
            await task


def peer_at(port: int, folder: Path, certificate: bytes, *, pinned: bool = False) -> Peer:
    path = folder / "peer.pem"
    path.write_bytes(certificate)
    return Peer(
        name="bob",
        address=address(BOB),
        url=f"https://127.0.0.1:{port}",
        trust=PinnedCertificate(path) if pinned else TrustedAuthority(path),
    )


@asynccontextmanager
async def messenger_to(
    answer: Answer, folder: Path, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[PeerMessenger, Peer]]:
    authority = trustme.CA()
    async with serving(answer, authority.issue_cert(host)) as port:
        peer = peer_at(port, folder, authority.cert_pem.bytes())
        async with open_messenger(Peers([peer]), ALICE) as messenger:
            yield messenger, peer


async def intent() -> SendOffer:
    offer = sample_offer()
    return SendOffer("x:send_offer", offer, await sign(ALICE, offer_digest(offer)))


async def taken(_request: Request) -> Response:
    return JSONResponse({"hashlock": "0x" + "00" * 32, "phase": "received"}, 202)


async def test_an_offer_arrives_as_it_was_signed(tmp_path: Path) -> None:
    seen: list[tuple[str, bytes]] = []

    async def keep(request: Request) -> Response:
        seen.append((request.url.path, await request.body()))
        return await taken(request)

    async with messenger_to(keep, tmp_path) as (messenger, _):
        sent = await intent()
        await messenger.send(sent)
        await messenger.send(SendDecline("x", address(BOB), sent.offer.hashlock, "no"))
    (path, body), (decline_path, decline_body) = seen
    assert path == "/peer/v1/offers"
    assert offer_of(parse(OfferMessage, body)) == (sent.offer, sent.signature)
    assert decline_path == "/peer/v1/declines"
    decline, signature = decline_of(parse(DeclineMessage, decline_body))
    assert (decline.initiator, decline.responder) == (address(BOB), address(ALICE))
    assert signed_by(address(ALICE), decline_digest(decline), signature)


def problem(status: int, code: str, detail: str = "because") -> Answer:
    async def answer(_request: Request) -> Response:
        return JSONResponse(
            {"code": code, "detail": detail}, status, media_type="application/problem+json"
        )

    return answer


async def garbage(_request: Request) -> Response:
    return Response(b"\xff" * 100, 500)


async def long(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 8_000

    return StreamingResponse(pieces(), 200)


async def redirect(_request: Request) -> Response:
    return Response(status_code=307, headers={"location": "https://127.0.0.1:1/elsewhere"})


def bomb(status: int, layers: int) -> Answer:
    """Some hundred bytes on the wire, 4 MiB when they are unfolded."""
    body = bytes(4 * 1024 * 1024)
    for _ in range(layers):
        body = gzip.compress(body)

    async def answer(request: Request) -> Response:
        assert request.headers["accept-encoding"] == "identity"
        assert len(body) < MAX_ANSWER
        return Response(body, status, {"content-encoding": ", ".join(["gzip"] * layers)})

    return answer


async def nested(_request: Request) -> Response:
    return Response(b"[" * 15_000, 400)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (problem(422, "deadline_unsafe"), Rejected, "because"),
        (problem(403, "signature_invalid"), Rejected, "because"),
        (problem(409, "hashlock_seen"), Rejected, "because"),
        (problem(503, "chain_unavailable"), Unavailable, "because"),
        (problem(429, "too_many_offers"), Unavailable, "because"),
        (problem(400, "x", "line\nbreak \x1b[31m" + "y" * 999), Rejected, r"linebreak \[31my+$"),
        (garbage, Unavailable, "status 500"),
        (long, Unavailable, "more than 16384 bytes"),
        (redirect, Unavailable, "status 307"),
        (nested, Rejected, "status 400"),
        (bomb(200, 1), Unavailable, "content-encoding 'gzip', which was not asked for"),
        (bomb(200, 2), Unavailable, "content-encoding 'gzip, gzip', which was not asked for"),
        (bomb(400, 2), Unavailable, "content-encoding 'gzip, gzip', which was not asked for"),
    ],
)
async def test_each_answer_has_its_meaning(
    answer: Answer, error: type[AdapterError], words: str, tmp_path: Path
) -> None:
    async with messenger_to(answer, tmp_path) as (messenger, _):
        with pytest.raises(error, match=words) as caught:
            await messenger.send(await intent())
        assert type(caught.value) is error
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize("code", ["offer_known", "acceptance_known"])
async def test_what_the_peer_has_already_is_delivered(code: str, tmp_path: Path) -> None:
    async with messenger_to(problem(409, code), tmp_path) as (messenger, _):
        await messenger.send(await intent())


async def test_a_peer_that_is_not_there_has_been_sent_nothing(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        peer = peer_at(port, tmp_path, trustme.CA().cert_pem.bytes())
        async with open_messenger(Peers([peer]), ALICE) as messenger:
            with pytest.raises(NotSent, match="peer bob"):
                await messenger.send(await intent())


async def test_a_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    asked: list[Request] = []

    async def keep(request: Request) -> Response:
        asked.append(request)
        return await taken(request)

    async with serving(keep, trustme.CA().issue_cert("127.0.0.1")) as port:
        peer = peer_at(port, tmp_path, trustme.CA().cert_pem.bytes())
        async with open_messenger(Peers([peer]), ALICE) as messenger:
            with pytest.raises(NotSent, match="certificate verify failed"):
                await messenger.send(await intent())
    assert asked == []


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    async with messenger_to(taken, tmp_path, host="other.example") as (messenger, _):
        with pytest.raises(NotSent, match="certificate verify failed"):
            await messenger.send(await intent())


async def test_a_pinned_certificate_is_the_only_one_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    pinned, other = authority.issue_cert("other.example"), authority.issue_cert("127.0.0.1")
    for certificate, trusted in ((pinned, True), (other, False)):
        async with serving(taken, certificate) as port:
            peer = peer_at(port, tmp_path, pinned.cert_chain_pems[0].bytes(), pinned=True)
            async with open_messenger(Peers([peer]), ALICE) as messenger:
                if trusted:
                    await messenger.send(await intent())
                else:
                    with pytest.raises(NotSent, match="certificate verify failed"):
                        await messenger.send(await intent())


async def test_a_peer_that_falls_silent_may_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_messenger, "MOST_SECONDS", 0.5)
    released = asyncio.Event()

    async def silent(_request: Request) -> Response:
        await released.wait()
        return Response(status_code=202)

    async with messenger_to(silent, tmp_path) as (messenger, _):
        with pytest.raises(MaybeSent, match="no whole answer"):
            await messenger.send(await intent())
        released.set()


async def test_a_peer_that_stood_still_is_reached_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much had to be sent meanwhile. The peer is suspended: the system takes connections
    for it, and nobody serves them."""
    monkeypatch.setattr(peer_messenger, "TIMEOUT", httpx.Timeout(0.4, connect=0.2))
    authority = trustme.CA()
    with socket.socket() as suspended:
        suspended.bind(("127.0.0.1", 0))
        suspended.listen(128)
        port = suspended.getsockname()[1]
        peer = peer_at(port, tmp_path, authority.cert_pem.bytes())
        async with open_messenger(Peers([peer]), ALICE) as messenger:
            sent = await intent()
            failed = await asyncio.gather(
                *(messenger.send(sent) for _ in range(10 * AT_ONCE)), return_exceptions=True
            )
            assert {type(error) for error in failed} == {NotSent}
            suspended.close()
            async with serving(taken, authority.issue_cert("127.0.0.1"), port):
                await asyncio.gather(*(_delivered(messenger, sent) for _ in range(AT_ONCE)))


async def _delivered(messenger: PeerMessenger, sent: SendOffer) -> None:
    """Tries as the executor does, again and again."""
    while True:
        try:
            await messenger.send(sent)
        except (NotSent, MaybeSent):
            await asyncio.sleep(0.1)
        else:
            return


async def test_hello_must_be_a_gateway_s(tmp_path: Path) -> None:
    async def stranger(_request: Request) -> Response:
        return Response(json.dumps({"welcome": "to nginx"}))

    async with messenger_to(stranger, tmp_path) as (messenger, peer):
        with pytest.raises(Unavailable, match="not an Isthmus gateway"):
            await messenger.hello(peer)


async def test_a_peer_that_is_no_longer_configured_is_sent_nothing(tmp_path: Path) -> None:
    async with open_messenger(Peers([]), ALICE) as messenger:
        with pytest.raises(Rejected, match="is configured any more"):
            await messenger.send(await intent())


def test_two_peers_cannot_share_a_key(tmp_path: Path) -> None:
    peer = peer_at(1, tmp_path, b"")
    with pytest.raises(ValueError, match="same address"):
        Peers([peer, replace(peer, name="carol")])
    with pytest.raises(ValueError, match="same name"):
        Peers([peer, replace(peer, address=b"\x01" * 20)])


async def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    peer = peer_at(1, tmp_path, b"not a certificate")
    with pytest.raises(Misconfigured, match=r"peer bob: TLS file .*peer\.pem cannot be used"):
        async with open_messenger(Peers([peer]), ALICE):
            pass
