"""The clerk: applies the acceptance policies to received offers, one after the other.

It looks at what the journal says is received, so that an offer that came in just before a crash is
decided after it. What cannot be decided now, because a chain does not answer, is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from relayers.engine import EngineStopped
from relayers.journal.port import JournalError
from relayers.offers.dealing import Dealing
from relayers.offers.desk import OfferDesk
from relayers.offers.policy import Decision, Otherwise, decide, given_within_day
from relayers.offers.refusal import TEMPORARY, OfferRefused
from relayers.protocol.state import Phase, Role, Swap
from relayers.quarantine import Quarantined

Told = Callable[[Swap, str, str], None]
"""Told of each decision: the swap, what was decided (accepted, declined, left), and why."""


class PolicyClerk:
    """Runs in one task; no two offers are decided at once, so that limits hold."""

    def __init__(
        self,
        dealing: Dealing,
        desk: OfferDesk,
        received: asyncio.Event,
        told: Told,
        retry_after: float = 2.0,
    ) -> None:
        self._dealing = dealing
        self._desk = desk
        self._received = received
        self._told = told
        self._retry_after = retry_after
        self._left: set[bytes] = set()

    async def run(self) -> None:
        """Endless; ends when it is cancelled.

        It looks again every so often though it was told of nothing: an offer that was written just
        before a crash is taken in by the engine after the start, and nobody tells of it then.
        """
        while True:
            self._received.clear()
            await self.decide_all()
            try:
                async with asyncio.timeout(self._retry_after):
                    await self._received.wait()
            except TimeoutError:
                continue

    async def decide_all(self) -> None:
        """Decides each received offer; one that cannot be decided now stays as it is."""
        waiting = [
            swap
            for swap in self._dealing.swaps.swaps()
            if swap.role is Role.RESPONDER and swap.phase is Phase.RECEIVED
        ]
        self._left &= {swap.hashlock for swap in waiting}
        for swap in waiting:
            if swap.hashlock not in self._left:
                await self._decide(swap)

    async def _decide(self, swap: Swap) -> None:
        peer = self._dealing.peers.at(swap.offer.initiator)
        if peer is None or peer.policy is None:
            self._leave(swap, "no acceptance policy for this peer")
            return
        now = int(self._dealing.clock())
        given = given_within_day(self._dealing.swaps.swaps(), peer.address, now)
        decision: Decision = decide(peer.policy, swap.offer, given, now)
        reasons = "; ".join(decision.reasons)
        try:
            if decision.accept:
                await self._desk.accept(swap.hashlock)
                self._told(swap, "accepted", "by the policy for this peer")
            elif peer.policy.otherwise is Otherwise.DECLINE:
                await self._desk.decline(swap.hashlock, "the acceptance policy does not allow it")
                self._told(swap, "declined", reasons)
            else:
                self._leave(swap, reasons)
        except OfferRefused as refusal:
            if refusal.code not in TEMPORARY:
                self._leave(swap, refusal.detail)
        except (JournalError, EngineStopped):
            raise
        except Quarantined as error:
            self._leave(swap, str(error))
        except Exception as error:  # noqa: BLE001 - one offer must not stop the gateway
            # The class alone: an error's text may quote what it was called with.
            self._leave(swap, f"{type(error).__name__} while it was being decided")

    def _leave(self, swap: Swap, why: str) -> None:
        """Leaves it to a person."""
        self._left.add(swap.hashlock)
        self._told(swap, "left", why)
