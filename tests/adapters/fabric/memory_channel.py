"""A Fabric channel in memory: transactions are simulated, then committed or found in conflict.

As on a peer: a simulation reads committed state only and never its own writes; it notes the version
of each key that it reads and the outcome of each range; a block's transactions are then judged one
after the other, and one whose reads have changed, by an earlier one of the same block too, writes
nothing.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.fabric.account import address_of
from adapters.fabric.chaincode.ledger import Caller, Event, Ledger, Reply
from adapters.fabric.chaincode.refusal import Refused

Result = TypeVar("Result")
Key = tuple[str, str]
"""Chaincode and key."""
Version = tuple[int, int] | None
"""Block and transaction; None where the key is absent."""


def run_now(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    raise AssertionError("the coroutine waits for something")


@cache
def person(name: str, msp_id: str = "Org1MSP", serial: int = 1) -> Caller:
    """An identity; another serial is a renewed certificate with another key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "client"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
        ]
    )
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"ca.{msp_id}")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return Caller(msp_id, certificate.public_bytes(Encoding.PEM))


def address(caller: Caller) -> str:
    return address_of(caller.msp_id, caller.certificate)


class Chaincode(Protocol):
    async def invoke(self, ledger: Ledger, words: Sequence[bytes]) -> bytes: ...


@dataclass
class Simulated:
    """An endorsed transaction, not yet committed."""

    transaction: str
    payload: bytes
    event: Event | None
    reads: dict[Key, Version] = field(default_factory=dict)
    ranges: list[tuple[str, str, str, list[tuple[str, Version]]]] = field(default_factory=list)
    writes: dict[Key, bytes | None] = field(default_factory=dict)


@dataclass
class _View:
    """One chaincode's Ledger during one simulation."""

    channel: MemoryChannel
    chaincode: str
    simulated: Simulated
    caller: Caller
    timestamp: int
    called_chaincode: str

    @property
    def transaction(self) -> str:
        return self.simulated.transaction

    async def get(self, key: str) -> bytes | None:
        assert key, "a peer refuses an empty key"
        value, version = self.channel.state.get((self.chaincode, key), (None, None))
        self.simulated.reads[self.chaincode, key] = version
        return value

    async def put(self, key: str, value: bytes) -> None:
        assert key
        assert value, "a peer answers an empty value as it answers an absent key"
        self.simulated.writes[self.chaincode, key] = value

    async def delete(self, key: str) -> None:
        self.simulated.writes[self.chaincode, key] = None

    async def range(self, start: str, end: str) -> AsyncIterator[tuple[str, bytes]]:
        found = self.channel.range(self.chaincode, start, end)
        versions = [(key, version) for key, _, version in found]
        self.simulated.ranges.append((self.chaincode, start, end, versions))
        for key, value, _ in found:
            yield key, value

    async def invoke(self, chaincode: str, arguments: Sequence[bytes]) -> Reply:
        other = self.channel.chaincodes.get(chaincode)
        if other is None or chaincode == self.chaincode:
            return Reply(500, f"chaincode {chaincode} cannot be called", b"")
        view = _View(
            self.channel,
            chaincode,
            self.simulated,
            self.caller,
            self.timestamp,
            self.called_chaincode,
        )
        try:
            return Reply(200, "", await other.invoke(view, arguments))
        except Refused as refusal:
            return Reply(400, str(refusal), b"")

    def emit(self, event: Event) -> None:
        if self.chaincode == self.called_chaincode:
            self.simulated.event = event


class MemoryChannel:
    def __init__(self, chaincodes: dict[str, Chaincode], now: int) -> None:
        """``now``: Unix seconds; the time of transactions unless they say otherwise."""
        self.chaincodes = chaincodes
        self.now = now
        self.state: dict[Key, tuple[bytes, tuple[int, int]]] = {}
        self.height = 0
        self.events: list[Event] = []
        self._count = 0

    def clock(self) -> int:
        """The endorsers' clock, in nanoseconds."""
        return self.now * 10**9

    def simulate(
        self, chaincode: str, caller: Caller, *words: str, timestamp: int | None = None
    ) -> Simulated:
        """``timestamp`` in nanoseconds. Raises Refused."""
        self._count += 1
        name = hashlib.sha256(self._count.to_bytes(8, "big")).hexdigest()
        simulated = Simulated(name, b"", None)
        view = _View(
            self,
            chaincode,
            simulated,
            caller,
            self.clock() if timestamp is None else timestamp,
            chaincode,
        )
        arguments = [word.encode() for word in words]
        simulated.payload = run_now(self.chaincodes[chaincode].invoke(view, arguments))
        return simulated

    def commit(self, *block: Simulated) -> list[bool]:
        """Commits one block; which of its transactions were valid."""
        self.height += 1
        verdicts = []
        for index, simulated in enumerate(block):
            valid = self._unchanged(simulated)
            verdicts.append(valid)
            if not valid:
                continue
            for key, value in simulated.writes.items():
                if value is None:
                    self.state.pop(key, None)
                else:
                    self.state[key] = (value, (self.height, index))
            if simulated.event is not None:
                self.events.append(simulated.event)
        return verdicts

    def do(self, chaincode: str, caller: Caller, *words: str) -> bytes:
        """Simulates and commits in a block of its own. Raises Refused."""
        simulated = self.simulate(chaincode, caller, *words)
        assert self.commit(simulated) == [True]
        return simulated.payload

    def range(self, chaincode: str, start: str, end: str) -> list[tuple[str, bytes, Version]]:
        return sorted(
            (key, value, version)
            for (owner, key), (value, version) in self.state.items()
            if owner == chaincode and start <= key < end
        )

    def _unchanged(self, simulated: Simulated) -> bool:
        for key, version in simulated.reads.items():
            if self.state.get(key, (None, None))[1] != version:
                return False
        for chaincode, start, end, versions in simulated.ranges:
            now = [(key, version) for key, _, version in self.range(chaincode, start, end)]
            if now != versions:
                return False
        return True
