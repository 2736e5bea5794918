"""Reads JSON-RPC requests as CometBFT's server does: what is one, what is none, what is silent.

Source: CometBFT 0.38, ``rpc/jsonrpc/types/types.go`` and ``rpc/jsonrpc/server``.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_BATCH = 10
"""Requests in one body: CometBFT's ``max_request_batch_size``, by default."""


class NoRequest(ValueError):
    """What came is no request at all; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Request:
    """``identity`` goes back with the answer. ``params`` is what JSON had there, or None."""

    identity: int | str
    method: str
    params: Any


def parse(raw: bytes | str) -> Any:
    """The JSON value. Bytes that are no UTF-8 are replaced, as in Go. Raises NoRequest."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NoRequest("error unmarshaling request: not JSON") from error


def read_batch(value: Any) -> list[Request | None]:
    """The requests of one body; None for a notification, which gets no answer. Raises NoRequest
    for the whole where one of them is none."""
    return [read_request(entry) for entry in (value if isinstance(value, list) else [value])]


def read_request(value: Any) -> Request | None:
    """Raises NoRequest."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise NoRequest("error unmarshaling request: a request must be an object")
    version, method = value.get("jsonrpc"), value.get("method")
    if not isinstance(version, str | None) or not isinstance(method, str | None):
        raise NoRequest("error unmarshaling request: jsonrpc and method must be strings")
    match value.get("id"):
        case None:
            return None
        case bool() | list() | dict():
            raise NoRequest("error unmarshaling request: json-rpc ID is of unknown type")
        case str(identity):
            return Request(identity, method or "", value.get("params"))
        case float(number) if not math.isfinite(number):
            # JSON has no such number; what overflows reads as one here.
            raise NoRequest("error unmarshaling request: the id is out of range")
        case number:
            return Request(int(number), method or "", value.get("params"))


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
