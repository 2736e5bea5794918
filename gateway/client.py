"""A typed client of the gateway's user API, for the command line and for programs.

Every answer comes back as the model that the API declares; every refusal is an `ApiError` with its
code, and a gateway that cannot be reached is a `GatewayUnreachable`.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from adapters.http_body import PLAIN, UnreadableBody, check_plain, read_body
from adapters.model import InvalidValue
from gateway.api.bodies import (
    BalancesView,
    ChainDetail,
    ChainSummary,
    DoctorView,
    DropBody,
    EventView,
    HealthView,
    OfferRequestBody,
    PeerView,
    QuarantineDetail,
    QuarantinePage,
    RejectionBody,
    ReplayView,
    SwapDetail,
    SwapPage,
)
from gateway.api.problem import Problem
from relayers.signing.secret import Secret

T = TypeVar("T")

TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
STREAM_TIMEOUT: Final = httpx.Timeout(45.0, connect=5.0)
"""The gateway sends something every 15 seconds; a longer silence is a dead connection."""


MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of one answer; the longest page is far below it."""


class ApiError(Exception):
    """The gateway refused. ``problem.code`` is stable; ``str`` is one sentence for people."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class GatewayUnreachable(Exception):
    """Nothing that could be a gateway answers there."""


class GatewayClient:
    """``url``: for example http://127.0.0.1:8080. ``ca``: PEM file, where the API has TLS. Raises
    InvalidValue for those that cannot be used.

    Use it as an async context manager. Every method raises ApiError and GatewayUnreachable.
    """

    def __init__(self, url: str, token: Secret, *, ca: Path | None = None) -> None:
        self._url = _usable(url)
        if not _is_header(token.text):
            raise InvalidValue(
                "the gateway's token must be printable ASCII characters without spaces"
            )
        self._http = httpx.AsyncClient(
            base_url=self._url,
            headers=PLAIN | {"authorization": f"Bearer {token.text}"},
            verify=_trusting(self._url, ca),
            timeout=TIMEOUT,
            trust_env=False,
            # None waits for a connection: httpcore 1.0 loses those whose waiting runs out.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def aclose(self) -> None:
        """Closes its connections; for those who cannot use it as a context manager."""
        await self._http.aclose()

    # --- swaps -----------------------------------------------------------------------------------

    async def offer(
        self, body: OfferRequestBody, *, idempotency_key: str | None = None
    ) -> SwapDetail:
        return await self._asked(
            SwapDetail, "POST", "/v1/swaps", body=body, headers=_key(idempotency_key)
        )

    async def accept(self, swap: str, *, idempotency_key: str | None = None) -> SwapDetail:
        path = f"/v1/swaps/{_part(swap)}/accept"
        return await self._asked(SwapDetail, "POST", path, headers=_key(idempotency_key))

    async def reject(
        self, swap: str, reason: str = "", *, idempotency_key: str | None = None
    ) -> SwapDetail:
        return await self._asked(
            SwapDetail,
            "POST",
            f"/v1/swaps/{_part(swap)}/reject",
            body=RejectionBody(reason=reason),
            headers=_key(idempotency_key),
        )

    async def swap(self, swap: str) -> SwapDetail:
        return await self._asked(SwapDetail, "GET", f"/v1/swaps/{_part(swap)}")

    async def swaps(
        self,
        *,
        phase: str | None = None,
        role: str | None = None,
        peer: str | None = None,
        reference: str | None = None,
        open: bool | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> SwapPage:
        """One page, newest first; ``after``: the ``next`` of the page before."""
        wanted: dict[str, Any] = {
            "phase": phase,
            "role": role,
            "peer": peer,
            "reference": reference,
            "open": open,
            "after": after,
            "limit": limit,
        }
        query = {name: value for name, value in wanted.items() if value is not None}
        return await self._asked(SwapPage, "GET", "/v1/swaps", query=query)

    async def events(self, swap: str | None = None, after: int = 0) -> AsyncIterator[EventView]:
        """What users are told, of one swap or of all, after an event's number. Ends when the
        gateway stops; a connection that breaks is taken up again where it broke, for as long as the
        gateway can be reached."""
        path = "/v1/events" if swap is None else f"/v1/swaps/{_part(swap)}/events"
        while True:
            try:
                async for event in self._stream(path, after):
                    after = event.number
                    yield event
            except httpx.ReadTimeout:
                continue
            except httpx.RemoteProtocolError:
                # Cut off in the middle: asking again tells whether the gateway is still there.
                await asyncio.sleep(0.2)
                continue
            except httpx.HTTPError as error:
                raise self._unreachable(error) from error
            return

    async def _stream(self, path: str, after: int) -> AsyncIterator[EventView]:
        headers = {"last-event-id": str(after)}
        async with self._http.stream(
            "GET", path, headers=headers, timeout=STREAM_TIMEOUT
        ) as response:
            try:
                check_plain(response.headers)
                if response.status_code != 200:
                    refusal = await _body(response)
                    raise _refusal(response.status_code, refusal)
            except UnreadableBody as error:
                raise self._odd(error) from None
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    yield self._read(EventView, line.removeprefix("data: "))

    # --- chains, peers, the gateway itself -------------------------------------------------------

    async def chains(self) -> tuple[ChainSummary, ...]:
        return await self._asked(tuple[ChainSummary, ...], "GET", "/v1/chains")

    async def chain(self, name: str) -> ChainDetail:
        return await self._asked(ChainDetail, "GET", f"/v1/chains/{_part(name)}")

    async def balances(self, name: str, *assets: str) -> BalancesView:
        """``assets``: CAIP-19 ids; none: those known without being asked for."""
        query = {"asset": list(assets)} if assets else {}
        return await self._asked(
            BalancesView, "GET", f"/v1/chains/{_part(name)}/balances", query=query
        )

    async def resume(self, name: str) -> ChainSummary:
        return await self._asked(ChainSummary, "POST", f"/v1/chains/{_part(name)}/resume")

    async def quarantine(self, *, after: str | None = None, limit: int = 50) -> QuarantinePage:
        """One page; ``after``: the ``next`` of the page before."""
        query: dict[str, Any] = {"limit": limit} | ({"after": after} if after is not None else {})
        return await self._asked(QuarantinePage, "GET", "/v1/quarantine", query=query)

    async def quarantined(self, swap: str) -> QuarantineDetail:
        return await self._asked(QuarantineDetail, "GET", f"/v1/quarantine/{_part(swap)}")

    async def replay(self, swap: str) -> ReplayView:
        return await self._asked(ReplayView, "POST", f"/v1/quarantine/{_part(swap)}/replay")

    async def drop(self, swap: str, fact: int, reason: str) -> ReplayView:
        body = DropBody(fact=fact, reason=reason)
        return await self._asked(
            ReplayView, "POST", f"/v1/quarantine/{_part(swap)}/drop", body=body
        )

    async def peers(self) -> tuple[PeerView, ...]:
        return await self._asked(tuple[PeerView, ...], "GET", "/v1/peers")

    async def doctor(self) -> DoctorView:
        return await self._asked(DoctorView, "GET", "/v1/doctor")

    async def ready(self) -> HealthView:
        """Whether swaps can be begun, and why not."""
        return await self._asked(HealthView, "GET", "/readyz", also=(503,))

    # --- asking ----------------------------------------------------------------------------------

    async def _asked(
        self,
        kind: type[T],
        method: str,
        path: str,
        *,
        body: BaseModel | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        also: tuple[int, ...] = (),
    ) -> T:
        sent = dict(headers or {})
        if body is not None:
            sent["content-type"] = "application/json"
        content = body.model_dump_json(exclude_none=True).encode() if body is not None else None
        try:
            async with self._http.stream(
                method, path, content=content, params=query, headers=sent
            ) as answer:
                raw = await _body(answer)
        except UnreadableBody as error:
            raise self._odd(error) from None
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if not (answer.is_success or answer.status_code in also):
            raise _refusal(answer.status_code, raw)
        return self._read(kind, raw)

    def _read(self, kind: type[T], content: str | bytes) -> T:
        try:
            return TypeAdapter(kind).validate_json(content)
        except ValidationError as error:
            raise GatewayUnreachable(
                f"what answers at {self._url} is not a gateway of this version"
            ) from error

    def _odd(self, error: UnreadableBody) -> GatewayUnreachable:
        return GatewayUnreachable(f"no gateway answers at {self._url}: what is there {error}")

    def _unreachable(self, error: httpx.HTTPError) -> GatewayUnreachable:
        why = str(error) or type(error).__name__
        return GatewayUnreachable(
            f"no gateway answers at {self._url} ({why}); is it running, and is the URL right?"
        )


def _usable(url: str) -> str:
    try:
        port = httpx.URL(url).port
    except httpx.InvalidURL:
        port = 0
    if (
        not url.startswith(("http://", "https://"))
        or not 0 < (80 if port is None else port) < 65536
    ):
        raise InvalidValue(
            f"{url!r} is not a gateway's URL: it is for example http://127.0.0.1:8080"
        )
    return url.rstrip("/")


def _is_header(text: str) -> bool:
    return re.fullmatch(r"[\x21-\x7e]+", text) is not None


def _trusting(url: str, ca: Path | None) -> ssl.SSLContext | bool:
    """What TLS is checked against. Plain HTTP has none, and reading the machine's whole list of
    authorities for it would cost each command some tens of milliseconds. Redirects are not
    followed, so that no answer leads from there to TLS unchecked."""
    if url.startswith("http://"):
        return False
    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise InvalidValue(f"{ca} is not a PEM file of certificates") from None
    except OSError as error:
        raise InvalidValue(f"{ca} cannot be read: {error.strerror}") from None


def _key(idempotency_key: str | None) -> Mapping[str, str]:
    """Raises InvalidValue for what no header can hold; the gateway has the rest of the rule."""
    if idempotency_key is None:
        return {}
    if not _is_header(idempotency_key):
        raise InvalidValue(
            "the idempotency key must be 1 to 128 printable ASCII characters without spaces"
        )
    return {"idempotency-key": idempotency_key}


def _part(text: str) -> str:
    """One part of a path, whatever a user typed."""
    return quote(text, safe="")


async def _body(response: httpx.Response) -> bytes:
    return await read_body(response.headers, response.aiter_raw(), MAX_ANSWER)


def _refusal(status: int, content: bytes) -> ApiError:
    try:
        return ApiError(Problem.model_validate(json.loads(content)))
    except (ValueError, RecursionError):
        title = "Unexpected answer"
        return ApiError(
            Problem(status=status, code="unexpected", title=title, detail=f"status {status}")
        )
