"""Reads the parameters of an RPC call, in CometBFT's two ways of writing them.

As JSON: integers in strings (or whole numbers), bytes in base64, hex bytes in hex. In a URI:
integers bare or quoted, text quoted, bytes as ``0x…`` or as quoted text.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from enum import Enum
from typing import Any


class Kind(Enum):
    INTEGER = "64-bit integer"
    BYTES = "bytes in base64"
    HEX = "bytes in hex"
    TEXT = "string"
    BOOLEAN = "boolean"


class InvalidParameter(ValueError):
    """A parameter is not of its kind. The message names it and never repeats bytes."""


def from_json(name: str, kind: Kind, value: Any) -> int | bytes | str | bool:
    """Raises InvalidParameter."""
    try:
        match kind, value:
            case Kind.INTEGER, bool():
                pass
            case Kind.INTEGER, int() | str():
                return int(value)
            case Kind.BYTES, str():
                return base64.b64decode(value, validate=True)
            case Kind.HEX, str():
                return bytes.fromhex(value)
            case (Kind.TEXT, str()) | (Kind.BOOLEAN, bool()):
                assert isinstance(value, str | bool)
                return value
    except (ValueError, binascii.Error):
        pass
    raise InvalidParameter(f"error converting json params to arguments: {name} must be {_of(kind)}")


def from_uri(name: str, kind: Kind, value: str) -> int | bytes | str | bool:
    """Raises InvalidParameter."""
    quoted = len(value) >= 2 and value[0] == value[-1] == '"'
    inner = value[1:-1] if quoted else value
    try:
        match kind:
            case Kind.INTEGER:
                return int(inner)
            case Kind.BYTES | Kind.HEX if value.startswith("0x"):
                return bytes.fromhex(value[2:])
            case Kind.BYTES | Kind.HEX if quoted:
                return inner.encode()
            case Kind.TEXT if quoted:
                return inner
            case Kind.BOOLEAN if inner in ("true", "false"):
                return inner == "true"
            case _:
                pass
    except ValueError:
        pass
    raise InvalidParameter(f"error converting http params to arguments: {name} must be {_of(kind)}")


def read(
    kinds: Mapping[str, Kind], given: Mapping[str, Any], uri: bool
) -> dict[str, int | bytes | str | bool]:
    """The known parameters that were given; others are passed over, as CometBFT does."""
    convert = from_uri if uri else from_json
    return {
        name: convert(name, kind, given[name])
        for name, kind in kinds.items()
        if given.get(name) is not None
    }


def _of(kind: Kind) -> str:
    return f"a {kind.value}" if not kind.value.startswith("bytes") else kind.value
