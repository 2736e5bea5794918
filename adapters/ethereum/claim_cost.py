"""Whether an account can pay for a claim at the price of now, asked before the claim is begun."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.ethereum import fees as pricing
from adapters.ethereum.fees import FeePolicy
from adapters.ethereum.identity import checksummed
from adapters.ethereum.quantities import quantity
from adapters.ethereum.rpc import Node
from adapters.spi import NotSent

GAS_OF_A_CLAIM = 120_000
"""Units of gas: what a claim of an ordinary token takes at most, and room for one replacement."""


async def claim_cost_obstacles(node: Node, holder: bytes, policy: FeePolicy) -> Sequence[str]:
    """What stands against a claim by ``holder`` (an address): a price above the configured cap, or
    too little coin. Raises NodeFailed, NodeRefused."""
    market = await pricing.market(node, policy)
    try:
        price = pricing.capped(market, policy).cap
    except NotSent as error:
        return [str(error)]
    account = checksummed(holder)
    held = quantity(await node.call("eth_getBalance", account, "latest"), "a balance")
    needed = GAS_OF_A_CLAIM * price
    if held < needed:
        return [f"{account} holds {held} wei, and a claim may cost {needed} wei now: send it coin"]
    return []
