"""EIP-712: how structs are hashed, for all that Isthmus signs or names by a hash.

    digest         = keccak256(0x19 0x01 ‖ hashStruct(EIP712Domain) ‖ hashStruct(struct))
    hashStruct(s)  = keccak256(keccak256(encodeType(s)) ‖ one word of 32 bytes for each member)

One domain for everything: ``EIP712Domain(string name,string version)`` with name ``Isthmus`` and
version ``1``. There is no chain id in it: what is signed names its own chains.

Members are of the types string, bytes, bytes1 to bytes32, uint8 to uint256, address, bool, and
structs of the same schema. Source: EIP-712.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from adapters.codec.keccak import keccak256
from adapters.model import InvalidValue

DOMAIN_NAME: Final = "Isthmus"
DOMAIN_VERSION: Final = "1"

DOMAIN_TYPE: Final = "EIP712Domain"
DOMAIN_MEMBERS: Final = (("name", "string"), ("version", "string"))

Types = Mapping[str, tuple[tuple[str, str], ...]]
"""By struct: its members, (name, type), in the order in which they are encoded."""

Value = str | int | bytes | Mapping[str, "Value"]
"""Of string; of uintN and bool; of bytes, bytesN and address (20 bytes); of a struct."""

_Encoder = Callable[[str, Value], bytes]
"""From the member's full name, for errors, and its value to the member's word."""


class Schema:
    """Structs that belong together. Raises ValueError for a type that is not known here."""

    def __init__(self, types: Types) -> None:
        self.types: Final[Types] = {DOMAIN_TYPE: DOMAIN_MEMBERS, **types}
        self._members: Final[Mapping[str, tuple[tuple[str, str, _Encoder], ...]]] = {
            struct: tuple(
                (member, f"{struct}.{member}", self._encoder(kind)) for member, kind in members
            )
            for struct, members in self.types.items()
        }
        self._type_hashes: Final = {
            struct: keccak256(self.encode_type(struct).encode()) for struct in self.types
        }
        self._prefix: Final = b"\x19\x01" + self.hash_struct(
            DOMAIN_TYPE, {"name": DOMAIN_NAME, "version": DOMAIN_VERSION}
        )

    def encode_type(self, struct: str) -> str:
        """``encodeType``: the struct's own text, then those that it uses, sorted by name."""
        used: set[str] = set()

        def collect(name: str) -> None:
            for _, kind in self.types[name]:
                if kind in self.types and kind not in used:
                    used.add(kind)
                    collect(kind)

        collect(struct)
        return "".join(
            f"{name}({','.join(f'{kind} {member}' for member, kind in self.types[name])})"
            for name in (struct, *sorted(used - {struct}))
        )

    def type_hash(self, struct: str) -> bytes:
        """``typeHash``, 32 bytes."""
        return self._type_hashes[struct]

    def hash_struct(self, struct: str, values: Mapping[str, Value]) -> bytes:
        """``hashStruct``, 32 bytes. Raises InvalidValue where a member is missing, is none of the
        struct's, or does not fit its type."""
        members = self._members[struct]
        words = [self._type_hashes[struct]]
        for member, field, encoder in members:
            if member not in values:
                raise InvalidValue(f"{field} is missing", field)
            words.append(encoder(field, values[member]))
        if len(values) != len(members):
            known = {member for member, _, _ in members}
            extra = f"{struct}.{next(name for name in values if name not in known)}"
            raise InvalidValue(f"{extra} is not a member of {struct}", extra)
        return keccak256(b"".join(words))

    def domain_separator(self) -> bytes:
        """``hashStruct`` of the domain, 32 bytes."""
        return self._prefix[2:]

    def digest(self, struct: str, values: Mapping[str, Value]) -> bytes:
        """What is signed, 32 bytes. Raises InvalidValue, as ``hash_struct`` does."""
        return keccak256(self._prefix + self.hash_struct(struct, values))

    def _encoder(self, kind: str) -> _Encoder:
        if kind in self.types:
            return lambda field, value: self._nested(kind, field, value)
        if kind == "string":
            return _string
        if kind == "bytes":
            return lambda field, value: keccak256(_bytes(kind, field, value))
        if kind == "bool":
            return _bool
        if kind == "address":
            return lambda field, value: bytes(12) + _bytes(kind, field, value, 20)
        size = _size(kind)
        if kind.startswith("bytes"):
            return lambda field, value: _bytes(kind, field, value, size).ljust(32, b"\0")
        return lambda field, value: _uint(kind, field, value, size)

    def _nested(self, kind: str, field: str, value: Value) -> bytes:
        if not isinstance(value, Mapping):
            raise InvalidValue(f"{field} is not a {kind}", field)
        return self.hash_struct(kind, value)


_SIZED = re.compile(r"(bytes|uint)([1-9][0-9]*)")


def _size(kind: str) -> int:
    """The bytes of a ``bytesN``, the bits of a ``uintN``."""
    match = _SIZED.fullmatch(kind)
    size = int(match[2]) if match is not None else 0
    fits = size <= 32 if kind.startswith("bytes") else size <= 256 and size % 8 == 0
    if match is None or not fits:
        raise ValueError(f"{kind!r} is not a type of typed data that is known here")
    return size


def _string(field: str, value: Value) -> bytes:
    if not isinstance(value, str):
        raise InvalidValue(f"{field} is not a string", field)
    try:
        return keccak256(value.encode())
    except UnicodeEncodeError:
        raise InvalidValue(f"{field} is not text that UTF-8 can write", field) from None


def _bytes(kind: str, field: str, value: Value, size: int | None = None) -> bytes:
    if not isinstance(value, bytes) or (size is not None and len(value) != size):
        raise InvalidValue(f"{field} is not a {kind}", field)
    return value


def _bool(field: str, value: Value) -> bytes:
    if not isinstance(value, bool):
        raise InvalidValue(f"{field} is not a bool", field)
    return value.to_bytes(32, "big")


def _uint(kind: str, field: str, value: Value, bits: int) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << bits:
        raise InvalidValue(f"{field} is not a {kind}", field)
    return value.to_bytes(32, "big")
