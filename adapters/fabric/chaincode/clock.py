"""Time on Fabric: the client writes the transaction's timestamp, each endorser bounds it.

All endorsers of one transaction see the same timestamp, so what they decide by it is alike; each
compares it with its own clock and refuses where they are further apart than the clock bound. The
chain's time is therefore within the bound of the clocks of a policy's worth of endorsers when the
transaction was endorsed.
"""

from __future__ import annotations

from adapters.fabric.chaincode.configuration import Configuration
from adapters.fabric.chaincode.ledger import Ledger
from adapters.fabric.chaincode.refusal import Reason, Refused

NANOSECONDS = 1_000_000_000


def check_timestamp(ledger: Ledger, settings: Configuration, own_clock: int) -> int:
    """The transaction's time in nanoseconds, if this endorser's clock (same unit) agrees with it.

    Raises Refused.
    """
    apart = ledger.timestamp - own_clock
    if abs(apart) > settings.clock_bound * NANOSECONDS:
        side = "ahead of" if apart > 0 else "behind"
        raise Refused(
            Reason.TIMESTAMP_REFUSED,
            f"the transaction's timestamp is {abs(apart) / NANOSECONDS:.1f} s {side} this "
            f"endorser's clock; the bound is {settings.clock_bound} s: set the client's clock",
        )
    return ledger.timestamp
