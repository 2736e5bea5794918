"""The alerts that a swap can raise: all of them, so that metrics, rules and runbooks are complete.

A kind is stable: alert rules are written with it. ``a`` and ``b`` are the two legs, the initiator's
lock and the responder's. docs/runbooks/ has a page for each.
"""

from __future__ import annotations

from enum import StrEnum


class AlertKind(StrEnum):
    FINALITY_A_LOCK = "bound:finality:a:lock"
    FINALITY_A_CLAIMED = "bound:finality:a:claimed"
    FINALITY_A_REFUNDED = "bound:finality:a:refunded"
    FINALITY_A_REVERTED = "bound:finality:a:reverted"
    FINALITY_B_LOCK = "bound:finality:b:lock"
    FINALITY_B_CLAIMED = "bound:finality:b:claimed"
    FINALITY_B_REFUNDED = "bound:finality:b:refunded"
    FINALITY_B_REVERTED = "bound:finality:b:reverted"
    INCLUSION_A_LOCK = "bound:inclusion:a:lock"
    INCLUSION_A_CLAIM = "bound:inclusion:a:claim"
    INCLUSION_A_REFUND = "bound:inclusion:a:refund"
    INCLUSION_B_LOCK = "bound:inclusion:b:lock"
    INCLUSION_B_CLAIM = "bound:inclusion:b:claim"
    INCLUSION_B_REFUND = "bound:inclusion:b:refund"
    CLOCK_A = "bound:clock:a"
    CLOCK_B = "bound:clock:b"
    STALE_A = "bound:stale:a"
    STALE_B = "bound:stale:b"
    LATE_A = "bound:late:a"
    LATE_B = "bound:late:b"
    FROZEN_A = "bound:frozen:a"
    FROZEN_B = "bound:frozen:b"
    DEADLINE_CLAIM_A = "deadline:claim:a"
    DEADLINE_CLAIM_B = "deadline:claim:b"
    HELD_CLAIM = "held:claim"
    REFUSED_CLAIM = "refused:claim"
    REFUSED_REFUND = "refused:refund"
    LOST = "lost"
