"""What the offer desk needs of the rest: the engine, chance, the peers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from adapters.model import ChainId, Hashlock
from relayers.offers.peers import Peer
from relayers.offers.wire import Hello
from relayers.protocol.facts import ChainView, FactBody
from relayers.protocol.state import Ignored, Swap

Chance = Callable[[int], bytes]
"""So many random bytes, from the operating system in a real process."""


class PutOutcome(Protocol):
    """What became of a fact: the swap after it and, where it moved nothing, why."""

    @property
    def state(self) -> Swap | None: ...

    @property
    def ignored(self) -> Ignored | None: ...

    @property
    def detail(self) -> str: ...


class Swaps(Protocol):
    """The engine, as far as offers need it."""

    async def put(self, key: Hashlock, body: FactBody, fact_id: str) -> PutOutcome:
        """Returns when the fact is durable and consumed."""

    def swap(self, key: Hashlock) -> Swap | None:
        """Raises Quarantined where there is such a swap, and it cannot be told where it stands."""

    def swaps(self) -> Iterable[Swap]: ...

    def views(self) -> Mapping[ChainId, ChainView]: ...


class Greeter(Protocol):
    """Asks another gateway who it is. Raises the errors of adapters.spi."""

    async def hello(self, peer: Peer) -> Hello: ...
