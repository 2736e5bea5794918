"""What is stable for programs, with what it means: error codes and kinds of events.

Tables of text, apart from the code that raises them, so that a client is light; tests hold the two
together, and ``make reference`` draws docs/reference/codes.md from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PROBLEMS: Final[Mapping[str, str]] = {
    "acceptance_known": "This very acceptance was received before.",
    "bad_request": "The request is not HTTP that can be read.",
    "chain_error": "A chain refused, or answered what cannot be; `detail` says what.",
    "chain_frozen": "The chain broke its finality rule; no new locks are made on it.",
    "chain_objects": "The chain should not hold this lock; `detail` says why.",
    "chain_stale": "The newest block known of the chain is too old.",
    "chain_unavailable": "The chain's nodes do not answer. The same request may succeed later.",
    "contract_mismatch": "The offer names another lock contract than this gateway uses there.",
    "deadline_too_far": "A deadline lies further ahead than this gateway allows.",
    "deadline_unsafe": "A deadline is in the past or breaks the timelock arithmetic.",
    "error": "Any other error of HTTP; `status` says which.",
    "hashlock_seen": "Another offer used this hashlock before.",
    "idempotency_key_reused": "The Idempotency-Key was used for another request.",
    "insufficient_balance": "The account holds less than is to be locked.",
    "internal": "An error of the gateway itself; its log has more.",
    "invalid_value": "A field does not have the form it must have; `field` names it.",
    "lock_used": "A lock id of this swap was used on its chain before.",
    "method_not_allowed": "The path is there, but not with this method.",
    "not_addressed_to_us": "The message names another gateway as its receiver.",
    "not_found": "There is no such path.",
    "not_now": "The swap or the chain is no longer, or not yet, where this could be done.",
    "not_quarantined": "The swap is not in quarantine.",
    "not_running": "The gateway is stopping, or its journal failed: start it again.",
    "offer_expired": "The offer can no longer be taken up.",
    "offer_known": "This very offer was received before: a replay, or a second try.",
    "offer_mismatch": "An acceptance or a decline that does not fit the offer it names.",
    "peer_key_mismatch": "What answers at the peer's URL has another key than the one pinned.",
    "peer_unavailable": "The peer does not answer. The same request may succeed later.",
    "quarantined": "The swap is in quarantine until an operator decides.",
    "same_chain": "Both sides of the swap are on one chain.",
    "signature_invalid": "Altered on the way, or signed by another key than the peer's.",
    "signing_failed": "A key could not sign now. The same request may succeed later.",
    "too_large": "The body is longer than allowed.",
    "too_many_offers": "The peer has too many offers open, or made too many within the hour.",
    "too_many_swaps": "So many swaps with this peer are open as could be claimed in time.",
    "unauthorised": "The request does not carry this gateway's bearer token.",
    "unexpected": "Told by the client alone: the answer is not one of a gateway.",
    "unknown_asset": "The chain has no such asset.",
    "unknown_chain": "No such chain is configured.",
    "unknown_peer": "No such peer is configured.",
    "unknown_swap": "There is no such swap.",
    "unsupported_media_type": "The body is not application/json.",
    "version_unsupported": "The peer speaks no version of the protocol that this gateway does.",
}
"""``code`` of a problem."""

_LOCKS: Final[Mapping[str, str]] = {
    f"{what}_{side}_{stage}": f"The {what} of lock {side.upper()} is {stage} on its chain."
    if what != "lock"
    else f"Lock {side.upper()} is {stage} on its chain."
    for what in ("lock", "claim", "refund")
    for side in ("a", "b")
    for stage in ("pending", "final", "retracted")
}

EVENTS: Final[Mapping[str, str]] = {
    "offered": "We have made an offer.",
    "received": "An offer has come.",
    "accepted": "We have accepted an offer.",
    "acceptance_refused": "The other gateway did not take our acceptance.",
    "declined": "The offer was rejected, here or there; the text says why.",
    "expired": "The swap ended with nothing of ours locked.",
    "locking": "It is agreed; our lock is on its way.",
    "locked": "Our lock is final.",
    "claiming": "Our claim is being prepared.",
    "revealing": "The secret goes out with our claim.",
    "claimed": "Our claim is final: we are paid.",
    "refunding": "The swap will not happen; our lock comes back after its deadline.",
    "refunded": "Our lock is back.",
    "completed": "The swap is complete.",
    "failed": "The swap failed, with nothing lost; the text says why.",
    "stranger": "Somebody made a lock under our hashlock that is not the one agreed.",
    "unreadable": "The journal holds an event that this version cannot read.",
    **_LOCKS,
}
"""``kind`` of an event that is no alert. A is the initiator's lock, B the responder's."""
