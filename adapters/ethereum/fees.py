"""What to pay for gas: EIP-1559 with a cap, legacy prices, chains where gas is free; replacement.

A replacement must pay at least a tenth more in both fields, or nodes refuse it; it pays an eighth
more, as some ask for that much, or the market's price where that is higher. A tenth more than
nothing is nothing, and nodes take only what is more: what pays nothing is replaced for one wei.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.ethereum.node_errors import NodeFailed, NodeRefused
from adapters.ethereum.quantities import fields, quantity
from adapters.ethereum.rpc import Node
from adapters.ethereum.signed_transaction import Fees
from adapters.spi import NotSent


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """What the operator wrote. All in wei for a unit of gas."""

    cap: int | None
    """Never pay more than this, tip included. None: no cap."""
    tip: int | None
    """The tip, where the node is not to be asked for it."""
    gas_price: int | None
    """A fixed legacy price, 0 where gas is free. None: as the chain has it."""
    legacy: bool
    """Legacy transactions even on a chain that has a base fee."""


@dataclass(frozen=True, slots=True)
class Market:
    """What a node says of prices. ``base`` is None on a chain without a base fee."""

    base: int | None
    fees: Fees


async def market(node: Node, policy: FeePolicy) -> Market:
    """Prices as they are now, the operator's cap not yet applied. The fee cap leaves room for the
    base fee to double. Raises NodeFailed."""
    block = fields(await node.call("eth_getBlockByNumber", "latest", False), "the latest block")
    has_base = block.get("baseFeePerGas") is not None
    base = quantity(block["baseFeePerGas"], "the base fee") if has_base else None
    if policy.gas_price is not None:
        return Market(base, Fees(policy.gas_price, None))
    if base is None or policy.legacy:
        price = quantity(await node.call("eth_gasPrice"), "the gas price")
        return Market(base, Fees(price, None))
    tip = policy.tip if policy.tip is not None else await _tip(node, base)
    return Market(base, Fees(2 * base + tip, tip))


async def _tip(node: Node, base: int) -> int:
    try:
        return quantity(await node.call("eth_maxPriorityFeePerGas"), "the tip")
    except NodeRefused:
        # Some nodes lack the method; the price minus the base fee is the same thing.
        try:
            price = quantity(await node.call("eth_gasPrice"), "the gas price")
        except NodeRefused as refused:
            raise NodeFailed(f"tells no price: {refused}", sent=False) from None
        return max(0, price - base)


def capped(seen: Market, policy: FeePolicy) -> Fees:
    """What a new transaction pays. Raises NotSent where the cap is below what blocks demand."""
    fees = seen.fees
    if policy.cap is None or fees.cap <= policy.cap:
        return fees
    # A legacy price is what the chain takes now; a fee cap of EIP-1559 only needs to hold the base.
    needed = fees.cap if fees.tip is None else (seen.base or 0)
    if policy.cap < needed:
        raise NotSent(
            f"gas costs {needed} wei and the configured cap is {policy.cap} wei "
            "(max_fee_per_gas): wait, or raise the cap"
        )
    return Fees(policy.cap, None if fees.tip is None else min(fees.tip, policy.cap))


def raised(old: Fees, seen: Market, policy: FeePolicy) -> Fees | None:
    """What a replacement pays; None where the cap leaves no room for one."""

    def more(paid: int, now: int) -> int:
        return max(now, paid + max(1, -(-paid // 8)))

    now = seen.fees
    tip = None if old.tip is None else more(old.tip, now.tip or 0)
    cap = more(old.cap, now.cap)
    if policy.cap is not None and cap > policy.cap:
        cap = policy.cap
        if cap <= old.cap or cap * 10 < old.cap * 11:
            return None
    cap = max(cap, tip or 0)
    if policy.cap is not None and cap > policy.cap:
        return None
    return Fees(cap, tip)


def too_low(fees: Fees, seen: Market) -> bool:
    """Whether no block can take a transaction at this price now."""
    return seen.base is not None and fees.cap < seen.base
