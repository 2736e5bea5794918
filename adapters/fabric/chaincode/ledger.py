"""What a chaincode sees of the ledger during one transaction, and how its keys are written.

Fabric simulates: reads show what was committed before the transaction, never its own writes. A
read of a key ends up in the read set with the key's version, a finished range in it with all keys
of the range; the transaction is valid only if none of them has changed when it commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

_MIN = "\x00"
_MAX = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed the proposal."""

    msp_id: str
    certificate: bytes
    """X.509 PEM."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What another chaincode answered. A status of 400 or more is a refusal."""

    status: int
    message: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Event:
    """The one event of a transaction."""

    name: str
    payload: bytes


class Ledger(Protocol):
    """One transaction's view of the channel."""

    @property
    def transaction(self) -> str:
        """The transaction's id: 64 hex digits, chosen by its sender's nonce and certificate."""

    @property
    def caller(self) -> Caller: ...

    @property
    def timestamp(self) -> int:
        """The client's word for when it is: nanoseconds since 1970."""

    @property
    def called_chaincode(self) -> str:
        """The chaincode that the signed proposal names; another one where this chaincode was
        called by it."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes) -> None: ...

    async def delete(self, key: str) -> None: ...

    def range(self, start: str, end: str) -> AsyncIterator[tuple[str, bytes]]:
        """Keys from start (included) to end (left out), in order."""

    async def invoke(self, chaincode: str, arguments: Sequence[bytes]) -> Reply:
        """Calls another chaincode of the channel, in the same transaction and for the same
        caller."""

    def emit(self, event: Event) -> None:
        """Sets the transaction's event; the last one set is kept."""


class PeerRefused(Exception):
    """The peer answered a request for state with an error: the transaction cannot go on."""


def key_of(kind: str, *parts: str) -> str:
    """A composite key, as Fabric's shims write them: parts in order, none with a NUL in it."""
    if any(_MIN in part or _MAX in part for part in (kind, *parts)):
        raise ValueError("a part of a composite key holds U+0000 or U+10FFFF")
    return _MIN + kind + _MIN + "".join(part + _MIN for part in parts)


def parts_of(key: str) -> tuple[str, ...]:
    """The parts of a composite key, its kind left out."""
    return tuple(key[1:-1].split(_MIN)[1:])


def range_of(kind: str, *parts: str) -> tuple[str, str]:
    """The range of all composite keys that begin with these parts."""
    start = key_of(kind, *parts)
    return start, start + _MAX
