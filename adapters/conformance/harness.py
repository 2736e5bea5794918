"""What the conformance suite needs of a ledger: the one thing that an adapter's author writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from adapters.model import AssetId
from adapters.spi import Adapter, Credential


class Harness(ABC):
    """A running ledger under test. Derive from it and return it from a fixture named ``harness``.

    Amounts that the suite moves are below 100,000 smallest units in all per account and asset, and
    the first three credentials must hold that, and besides what their transactions cost.
    """

    margin: float = 30.0
    """Seconds of patience beyond the profile's bounds, for a slow machine."""

    restart: Callable[[], Awaitable[None]] | None = None
    """Stops the node hard, starts it again, and returns when it answers. Where it is missing, the
    test of it is left out, and says so. A subclass may simply define it as a method."""

    reorg: Callable[[int], Awaitable[None]] | None = None
    """Replaces the newest n blocks (n below finality) by at least as many others, in which their
    transactions may come again or be lost. Chains whose blocks are final at once do not need it."""

    @abstractmethod
    def open(self) -> AbstractAsyncContextManager[Adapter]:
        """A new adapter, connected to the ledger. Several may be open at once."""

    @property
    @abstractmethod
    def credentials(self) -> Sequence[Credential]:
        """At least three funded accounts, all different, that can sign."""

    @property
    @abstractmethod
    def assets(self) -> Sequence[AssetId]:
        """What the accounts were funded with; each is tried with a whole claim and a refund."""

    @property
    @abstractmethod
    def absent_asset(self) -> AssetId:
        """A well-formed id of an asset that the ledger does not have."""

    async def advance_time(self, to: int) -> None:
        """Returns when the head's time is ``to`` (Unix seconds of chain time) or later.

        This one waits for the ledger's own blocks. Override it where a development ledger can be
        told to move its clock, and on ledgers that make blocks on demand only.
        """
        async with self.open() as adapter:
            async for notice in adapter.events(None):
                if notice.head.time >= to:
                    return
