"""Faults that a simulation injects into what passes between an adapter and a simulated chain.

A plan is asked at each call and answers from its own seed or script; the ledger has no chance of
its own. What happens to the chain itself (reorgs, halts, late blocks, wrong times) is not here: the
chain's owner steps the chain, so the owner does that (``SimulatedChain.reorg``, or no block). What
one node shows (lag, a frozen head, an outage) belongs to its view (``SimulatedAdapter``).
"""

from __future__ import annotations

from adapters.model import AccountId, Action, InvalidValue
from adapters.spi import AdapterError
from adapters.values import dataclass


@dataclass(frozen=True, slots=True)
class SubmissionFate:
    """What becomes of one submission that the node's own checks have passed.

    delay   seconds of chain time, counted from now, before a block may include it: a slow network,
            or on a ``late`` chain an endorsement that its holder sits on
    copies  how often it reaches the chain: 0 loses it, 2 delivers it twice (the second fails there)
    error   raised to the caller; with copies above 0 it comes after the submission took effect
    """

    delay: int = 0
    copies: int = 1
    error: AdapterError | InvalidValue | None = None


TAKEN = SubmissionFate()
"""No fault."""


class FaultPlan:
    """No faults. A simulation derives from it and overrides what it breaks.

    ``view`` is the name of the adapter that is asked. The methods are called in the order of the
    adapters' calls, so a plan that draws from a seeded generator replays exactly.
    """

    def submission(
        self, view: str, action: Action, account: AccountId, time: int
    ) -> SubmissionFate:
        """The fate of a submission. ``time`` is the chain's; an endorsement that a party withholds
        is ``SubmissionFate(copies=0, error=NotSent(...))``."""
        return TAKEN

    def reading(self, view: str, call: str) -> AdapterError | None:
        """An error for a reading call (``head``, ``lookup``, ``events``, ...), raised before it."""
        return None

    def repeats(self, view: str) -> bool:
        """Whether the notice just delivered on the event stream is delivered once more."""
        return False
