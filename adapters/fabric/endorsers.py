"""Which organisations are asked to endorse the end of a lock, and which ones after a failure.

Left to itself a peer asks any organisations that meet the policy, the counterparty's among them,
which can answer with another result and so spoil every try: an organisation that gains if a
settlement fails is asked only where nothing else is left. After a failure the next combination
is asked, and behind the last one the peer's own choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from adapters.fabric import endorsement
from adapters.fabric.gateway import Gateway
from adapters.fabric.ledger import LedgerReader
from adapters.fabric.policy import NotResolved, Rule, endorsing_sets, organisations
from adapters.model import LockId
from adapters.spi import AdapterError

_MOST = 32
"""So many combinations are considered: a channel of many organisations has more than anybody
could try before a deadline."""

PEERS_CHOICE: tuple[str, ...] = ()
"""No organisation is named: the peer plans by the policy itself."""


def combinations_of(rules: Sequence[Rule], own: str, avoided: str) -> Sequence[tuple[str, ...]]:
    """MSP ids that meet all the rules, in the order in which to try: without ``avoided`` first,
    and of those with the ``own`` organisation first. The last one is PEERS_CHOICE."""
    everybody = frozenset[str]().union(*map(organisations, rules))
    found: dict[frozenset[str], None] = {}
    for allowed in (everybody - ({avoided} - {own}), everybody):
        unions: list[frozenset[str]] = [frozenset()]
        for rule in rules:
            ways = list(islice(endorsing_sets(rule, allowed), _MOST))
            unions = [one | other for one in unions for other in ways][:_MOST]
        unions.sort(key=lambda one: (own not in one, len(one)))
        found |= dict.fromkeys(one for one in unions if one)
    return [*(tuple(sorted(one)) for one in found), PEERS_CHOICE]


class Endorsers:
    """Remembers, for each lock whose settlement has failed, how often."""

    def __init__(self, name: str, gateway: Gateway, ledger: LedgerReader, own: str) -> None:
        """``name`` names the chain to people; ``own``: the MSP id of the own organisation."""
        self._name = name
        self._gateway = gateway
        self._ledger = ledger
        self._own = own
        self._failures: dict[LockId, int] = {}

    async def for_settling(
        self, lock_id: LockId, chaincodes: Sequence[str], avoided: str
    ) -> tuple[str, ...]:
        """MSP ids to name in the next try. ``avoided`` is the MSP id of who gains if it fails.

        A policy that cannot be read must not stop a settlement: then it is PEERS_CHOICE.
        """
        try:
            rules = [await self._rule(chaincode) for chaincode in chaincodes]
        except (AdapterError, NotResolved):
            return PEERS_CHOICE
        choices = combinations_of(rules, self._own, avoided)
        return choices[self._failures.get(lock_id, 0) % len(choices)]

    async def _rule(self, chaincode: str) -> Rule:
        committed = await endorsement.definition(self._name, self._gateway, chaincode)
        if committed is None:
            raise NotResolved(f"there is no chaincode {chaincode}")
        return await endorsement.rule_of(self._ledger, committed)

    def failed(self, lock_id: LockId) -> None:
        """The next try asks others."""
        self._failures[lock_id] = self._failures.get(lock_id, 0) + 1

    def done(self, lock_id: LockId) -> None:
        """The lock is settled, or the chain has refused for good."""
        self._failures.pop(lock_id, None)
