"""One transaction from its proposal to its commit: Endorse, Submit, and CommitStatus for up to I.

Fabric orders transactions first and judges them afterwards, so that only the commit tells what
became of one. It also tells that the orderers serve us: ``ordering`` remembers it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from adapters.fabric.endorsers import PEERS_CHOICE
from adapters.fabric.errors import commit_error
from adapters.fabric.gateway import Gateway
from adapters.fabric.identity import Identity
from adapters.fabric.ordering_proof import OrderingProof
from adapters.fabric.settings import FabricSettings
from adapters.model import Submission
from adapters.spi import AdapterError, NotSent, Rejected, Unknown

_COMMITTED = "VALID"


class Submitter:
    """Sends the lock chaincode's transactions through one gateway."""

    def __init__(
        self, name: str, settings: FabricSettings, stale_after: float, gateway: Gateway
    ) -> None:
        """``name`` names the chain to people; ``stale_after``: seconds, that of the profile."""
        self._name = name
        self._settings = settings
        self._gateway = gateway
        self.ordering = OrderingProof(stale_after, time.monotonic)

    async def send(
        self,
        identity: Identity,
        words: Sequence[str],
        timestamp: int,
        sent: Callable[[], None] = lambda: None,
        settled: Callable[[], None] = lambda: None,
        organisations: Sequence[str] = PEERS_CHOICE,
    ) -> Submission:
        """Returns once it is committed as valid. ``timestamp``: nanoseconds since 1970. ``sent``
        is called once it may be ordered, ``settled`` once nothing is in flight any more.

        Raises NotSent, Rejected, Unavailable, Misconfigured; Unknown where it was not seen
        committed within I.
        """
        proposal, envelope = await self._gateway.endorse(
            identity, self._settings.chaincode, words, timestamp, organisations
        )
        sent()
        begun = time.monotonic()
        try:
            await self._gateway.submit(identity, proposal, envelope)
        except (NotSent, Rejected):
            settled()
            raise
        within = max(self._settings.inclusion, 1)
        try:
            code = await self._gateway.commit_status(proposal.transaction, within)
        except AdapterError as error:
            raise Unknown(
                f"{self._name}: transaction {proposal.transaction} was ordered, but its commit "
                f"was not seen within {within} s: {error}"
            ) from error
        settled()
        self.ordering.note(begun)
        if code != _COMMITTED:
            raise commit_error(self._name, proposal.transaction, code)
        return Submission(proposal.transaction)
