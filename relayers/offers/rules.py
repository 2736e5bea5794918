"""How this gateway deals in offers, whoever they are from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OfferRules:
    """All in seconds but the last three.

    valid_for     how long an own offer can be taken up, where its maker does not say
    slack         what own deadlines have over what the arithmetic demands
    longest       the furthest that leg A's deadline may lie ahead, in anybody's offer
    open_per_peer received offers of one peer that may wait at once
    hourly        offers of one peer that are taken in within an hour, whatever became of them: each
                  stays in the journal
    swaps_per_peer  swaps with one peer that are open at once, offers of our own included, and whose
                  claims this gateway makes on one chain; None: as many as it can claim there within
                  the time that it demands between the deadlines (`timelocks.claims_in_time`)
    """

    valid_for: int = 300
    slack: int = 30
    longest: int = 7 * 86_400
    open_per_peer: int = 100
    hourly: int = 1_000
    swaps_per_peer: int | None = None
