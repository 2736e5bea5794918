"""Why the chaincode refuses a transaction: one name and one sentence.

The names are those of adapters.spi.RejectionReason (not imported: it would pull in pydantic), and
two more for what a new try can mend. The driver reads them back out of the message, which is
``name: sentence``.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    INSUFFICIENT_BALANCE = "insufficient_balance"
    LOCK_EXISTS = "lock_exists"
    LOCK_ABSENT = "lock_absent"
    LOCK_SETTLED = "lock_settled"
    WRONG_PREIMAGE = "wrong_preimage"
    DEADLINE_PASSED = "deadline_passed"
    DEADLINE_NOT_REACHED = "deadline_not_reached"
    BAD_TERMS = "bad_terms"
    NOT_AUTHORISED = "not_authorised"
    OTHER = "other"
    HOLDING_SPENT = "holding_spent"
    """A named holding is gone: choose again."""
    TIMESTAMP_REFUSED = "timestamp_refused"
    """The client's clock, or the way of the proposal, is off by more than the bound."""


class Refused(Exception):
    """The transaction must not be endorsed. Nothing that it wrote is kept."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(f"{reason.value}: {sentence}")
        self.reason = reason
