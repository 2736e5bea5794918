"""How many connections a listener holds, in all and from one address, and for how long it waits.

Whoever reaches a listener may connect; these limits keep what they take of it small.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """``total``: connections at once; ``per_address``: of those, from one address. ``patience``:
    seconds within which a request must have come whole, counted from the connection (the TLS
    handshake included) or from its first byte; and within which the other side must go on taking
    what it is sent."""

    total: int = 512
    per_address: int = 512
    patience: float = 10.0


class Admissions:
    """Counts who is in. An IPv6 address counts as its /64 network: one customer of a provider
    commonly has that many addresses."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._inside: Counter[str] = Counter()
        self._total = 0

    def admit(self, host: str) -> bool:
        """Whether one more may come in from this address. If so, it counts until ``leave``."""
        source = _source(host)
        if self._total >= self._limits.total or self._inside[source] >= self._limits.per_address:
            return False
        self._total += 1
        self._inside[source] += 1
        return True

    def leave(self, host: str) -> None:
        """One that was admitted from this address is gone."""
        source = _source(host)
        self._total -= 1
        self._inside[source] -= 1
        if not self._inside[source]:
            del self._inside[source]


def _source(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
