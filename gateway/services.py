"""What the HTTP faces are given: the parts of one running gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from adapters.model import Asset, AssetId, Hashlock, InvalidValue
from adapters.spi import AdapterError
from gateway.audit import AuditLog
from gateway.telemetry.metrics import Metrics
from relayers.clock import Clock
from relayers.engine import Engine
from relayers.journal.port import Journal
from relayers.offers.dealing import Dealing
from relayers.offers.desk import OfferDesk
from relayers.offers.intake import OfferIntake
from relayers.offers.ports import Chance, Greeter


@dataclass(frozen=True, slots=True)
class ChainTrouble:
    """Why a chain cannot be asked now, and since when (Unix seconds)."""

    problem: str
    since: int


class AssetBook:
    """Symbols and decimals, asked once per asset: a chain never changes them."""

    def __init__(self) -> None:
        self._known: dict[AssetId, Asset] = {}

    async def look_up(self, dealing: Dealing, asset: AssetId) -> Asset | None:
        """None where the chain cannot be asked, or has no such asset."""
        if asset not in self._known:
            for chain in dealing.chains:
                if chain.id == asset.chain:
                    try:
                        self._known[asset] = await chain.adapter.asset(asset)
                    except (AdapterError, InvalidValue):
                        return None
        return self._known.get(asset)


@dataclass(frozen=True, slots=True)
class Services:
    """``trouble``: what the watchers have to say of each chain, by name. ``stopping`` is set once
    the process is to end, so that endless answers end."""

    organisation: str
    dealing: Dealing
    desk: OfferDesk
    intake: OfferIntake
    engine: Engine
    journal: Journal
    greeter: Greeter
    audit: AuditLog
    metrics: Metrics
    clock: Clock
    chance: Chance
    trouble: Callable[[], Mapping[str, ChainTrouble]]
    stopping: asyncio.Event
    books: AssetBook = field(default_factory=AssetBook)

    def peer_name(self, address: bytes) -> str | None:
        peer = self.dealing.peers.at(address)
        return peer.name if peer is not None else None


def parse_swap_id(text: str, field: str = "id") -> Hashlock:
    """Reads a swap's id, 0x and 64 hex digits. Raises InvalidValue, which names the field."""
    digits = text.lower().removeprefix("0x")
    if len(digits) != 64 or any(digit not in "0123456789abcdef" for digit in digits):
        raise InvalidValue(f"{field}: a swap's id is its hashlock: 0x and 64 hex digits", field)
    return Hashlock(bytes.fromhex(digits))
