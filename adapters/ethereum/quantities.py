"""The values of Ethereum's JSON-RPC: hexadecimal quantities and byte strings.

Source: execution-apis, "Hex value encoding". A node that answers anything else is not believed:
NodeFailed, so that the next node is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from adapters.ethereum.node_errors import NodeFailed

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*")


def quantity(value: object, field: str) -> int:
    """A number as nodes write it. Raises NodeFailed."""
    if not isinstance(value, str) or _QUANTITY.fullmatch(value) is None:
        raise NodeFailed(f"answered {_shown(value)} where {field} should be a number in hex")
    return int(value, 16)


def data(value: object, field: str, length: int | None = None) -> bytes:
    """Bytes as nodes write them, of a given length where it is known. Raises NodeFailed."""
    if not isinstance(value, str) or _DATA.fullmatch(value) is None:
        raise NodeFailed(f"answered {_shown(value)} where {field} should be bytes in hex")
    read = bytes.fromhex(value[2:])
    if length is not None and len(read) != length:
        raise NodeFailed(f"answered {len(read)} bytes where {field} should have {length}")
    return read


def fields(value: object, what: str) -> Mapping[str, Any]:
    """An object. Raises NodeFailed."""
    if not isinstance(value, Mapping):
        raise NodeFailed(f"answered {_shown(value)} where {what} should be an object")
    return value


def items(value: object, what: str) -> list[Any]:
    """A list. Raises NodeFailed."""
    if not isinstance(value, list):
        raise NodeFailed(f"answered {_shown(value)} where {what} should be a list")
    return value


def to_hex(value: int | bytes) -> str:
    """A number, or bytes, as nodes read them."""
    return hex(value) if isinstance(value, int) else "0x" + value.hex()


def _shown(value: object) -> str:
    """Short, and never the content: an answer may hold what must not be logged."""
    return "nothing" if value is None else f"a {type(value).__name__} of another form"
