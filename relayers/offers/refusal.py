"""Why an offer, or a word about one, is refused. The codes are stable: programs rely on them."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """One code per reason, the same at the user's API and between gateways."""

    INVALID_VALUE = "invalid_value"
    """A field does not have the form it must have."""
    UNKNOWN_CHAIN = "unknown_chain"
    UNKNOWN_ASSET = "unknown_asset"
    UNKNOWN_PEER = "unknown_peer"
    UNKNOWN_SWAP = "unknown_swap"
    SAME_CHAIN = "same_chain"
    CONTRACT_MISMATCH = "contract_mismatch"
    """The offer names another lock contract than this gateway uses on that chain."""
    DEADLINE_UNSAFE = "deadline_unsafe"
    """A deadline is in the past or breaks the timelock arithmetic."""
    DEADLINE_TOO_FAR = "deadline_too_far"
    CHAIN_OBJECTS = "chain_objects"
    """A chain should not hold this lock; the detail says why."""
    CHAIN_FROZEN = "chain_frozen"
    CHAIN_UNAVAILABLE = "chain_unavailable"
    CHAIN_STALE = "chain_stale"
    LOCK_USED = "lock_used"
    """A lock id of this swap was used on its chain before."""
    VERSION_UNSUPPORTED = "version_unsupported"
    PEER_UNAVAILABLE = "peer_unavailable"
    PEER_KEY_MISMATCH = "peer_key_mismatch"
    NOT_ADDRESSED_TO_US = "not_addressed_to_us"
    SIGNATURE_INVALID = "signature_invalid"
    """Altered on the way, or signed by another key than the one pinned for this peer."""
    OFFER_EXPIRED = "offer_expired"
    OFFER_KNOWN = "offer_known"
    """This very offer was received before: a replay, or a second try of a delivery."""
    HASHLOCK_SEEN = "hashlock_seen"
    """Another offer used this hashlock before."""
    ACCEPTANCE_KNOWN = "acceptance_known"
    """This very acceptance was received before."""
    OFFER_MISMATCH = "offer_mismatch"
    """An acceptance or a decline that does not fit the offer it names."""
    TOO_MANY_OFFERS = "too_many_offers"
    TOO_MANY_SWAPS = "too_many_swaps"
    """More secrets of this peer could come out at once than there is time to claim with."""
    NOT_NOW = "not_now"
    """The swap is no longer, or not yet, where this could be done."""
    SIGNING_FAILED = "signing_failed"
    INSUFFICIENT_BALANCE = "insufficient_balance"


TEMPORARY = frozenset(
    {
        Refusal.CHAIN_UNAVAILABLE,
        Refusal.CHAIN_STALE,
        Refusal.CHAIN_FROZEN,
        Refusal.PEER_UNAVAILABLE,
        Refusal.TOO_MANY_OFFERS,
        Refusal.TOO_MANY_SWAPS,
        Refusal.SIGNING_FAILED,
    }
)
"""Refusals after which the same request may succeed later."""


class OfferRefused(Exception):
    """Nothing was changed. ``field`` is the path of the input that is to blame, where one is."""

    def __init__(self, code: Refusal, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field
