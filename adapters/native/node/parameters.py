"""Reads the parameters of an RPC call, in CometBFT's two ways of writing them.

As JSON: integers in strings, bytes in base64 or as a list of numbers, hex bytes in hex. In a URI:
integers bare or quoted, text quoted or as ``0x…``, bytes as ``0x…`` or as quoted text. Source:
CometBFT 0.38, ``rpc/jsonrpc/server``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

Value = int | bytes | str | bool

_NUMBER = re.compile(r"[ \t\r\n]*(-?(?:0|[1-9][0-9]{0,18}))[ \t\r\n]*")
_BARE_NUMBER = re.compile(r"-?[0-9]+")


class Kind(Enum):
    INTEGER = "64-bit integer in a string"
    BYTES = "bytes in base64"
    HEX = "bytes in hex"
    TEXT = "string"
    BOOLEAN = "boolean"


class InvalidParameter(ValueError):
    """A parameter is not of its kind. The message names it and never repeats bytes."""


def named(kinds: Mapping[str, Kind], given: Any) -> Mapping[str, Any]:
    """Parameters by name; a list gives all of them in the method's order. Raises
    InvalidParameter."""
    match given:
        case None:
            return {}
        case dict():
            return given
        case list():
            if len(given) != len(kinds):
                raise InvalidParameter(
                    "error converting json params to arguments: "
                    f"expected {len(kinds)} parameters ({list(kinds)}), got {len(given)}"
                )
            return dict(zip(kinds, given, strict=True))
        case _:
            raise InvalidParameter(
                "error converting json params to arguments: unknown type for JSON params: "
                "expected map or array"
            )


def from_json(name: str, kind: Kind, value: Any) -> Value:
    """Raises InvalidParameter."""
    try:
        match kind, value:
            case Kind.INTEGER, str():
                return _integer(value)
            case Kind.BYTES, str():
                return base64.b64decode(value, validate=True)
            case Kind.BYTES, list() if all(type(byte) is int for byte in value):
                return bytes(value)
            case Kind.HEX, str():
                return bytes.fromhex(_packed(value))
            case (Kind.TEXT, str()) | (Kind.BOOLEAN, bool()):
                assert isinstance(value, str | bool)
                return value
    except ValueError:
        pass
    raise InvalidParameter(
        f"error converting json params to arguments: {name} must be a {kind.value}"
    )


def from_uri(name: str, kind: Kind, text: str) -> Value:
    """Raises InvalidParameter."""
    quoted = len(text) >= 2 and text[0] == text[-1] == '"'
    try:
        match kind:
            case Kind.INTEGER if quoted or _BARE_NUMBER.fullmatch(text):
                return _integer(text.strip('"'))
            case Kind.BYTES | Kind.HEX if text[:2].lower() == "0x":
                return bytes.fromhex(_packed(text[2:]))
            case Kind.TEXT if text[:2].lower() == "0x":
                return bytes.fromhex(_packed(text[2:])).decode("utf-8", "replace")
            case Kind.BYTES | Kind.HEX | Kind.TEXT if quoted:
                inner = json.loads(text)
                assert isinstance(inner, str), "it is quoted"
                return inner if kind is Kind.TEXT else inner.encode()
            case Kind.BOOLEAN if text in ("true", "false"):
                return text == "true"
            case _:
                pass
    except ValueError:
        pass
    raise InvalidParameter(
        f"error converting http params to arguments: {name} must be a {kind.value}"
    )


def read(kinds: Mapping[str, Kind], given: Mapping[str, Any], uri: bool) -> dict[str, Value]:
    """The known parameters that were given; others are passed over, as CometBFT does."""
    convert = from_uri if uri else from_json
    return {
        name: convert(name, kind, given[name])
        for name, kind in kinds.items()
        if given.get(name) is not None
    }


def _integer(text: str) -> int:
    """As Go reads a JSON number into an int64."""
    match = _NUMBER.fullmatch(text)
    if match is None or not -(2**63) <= int(match[1]) < 2**63:
        raise ValueError("no 64-bit integer")
    return int(match[1])


def _packed(text: str) -> str:
    """``bytes.fromhex`` would take white space."""
    if not text.isalnum() and text:
        raise ValueError("no hex")
    return text
