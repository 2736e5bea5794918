"""What a node shows of an account's transactions that wait, and which of it is to be believed.

Whatever is read here may be signed once more, as its own replacement. So nothing is taken from a
node's description but what the account's key has signed before: the transaction is put together
again from the fields described, and its signature must be the account's. A node that shows none,
or one of another form than this driver signs, shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import Call
from adapters.ethereum.node_errors import UNKNOWN_METHOD, NodeFailed, NodeRefused
from adapters.ethereum.quantities import data, fields, quantity
from adapters.ethereum.rpc import Node
from adapters.ethereum.signed_transaction import Fees, SignedTransaction, signed_before


@dataclass(frozen=True, slots=True)
class Pooled:
    """A transaction that the account's key has signed and a node holds."""

    nonce: int
    call: Call
    gas: int
    fees: Fees
    signed: SignedTransaction


class Pool:
    """What nodes hold of one account on one chain."""

    def __init__(self, chain_id: int, address: bytes) -> None:
        self._chain_id = chain_id
        self._address = address

    async def at(self, node: Node, nonces: Sequence[int]) -> list[Pooled]:
        """The account's transactions with these nonces, as far as the node shows them. Raises
        NodeFailed."""
        shown: Mapping[str, Any] | None = None
        pooled: list[Pooled] = []
        for nonce in nonces:
            found: Any = None
            try:
                found = await node.call(
                    "eth_getTransactionBySenderAndNonce", checksummed(self._address), hex(nonce)
                )
            except NodeRefused as refused:
                if refused.code != UNKNOWN_METHOD:
                    break
                if shown is None:
                    shown = await self._content(node, "pending")
                found = shown.get(str(nonce))
            if found is not None and (one := self._own(found, nonce)) is not None:
                pooled.append(one)
        return pooled

    async def queued(self, node: Node) -> list[Pooled]:
        """Those that wait for another, as far as the node shows them. Raises NodeFailed."""
        content = await self._content(node, "queued")
        shown = [self._own(found, int(text)) for text, found in content.items() if text.isdecimal()]
        return [one for one in shown if one is not None]

    async def _content(self, node: Node, group: Literal["pending", "queued"]) -> Mapping[str, Any]:
        """The node's own list, by nonce: those that wait for a block, or for another. Empty where
        it does not give one."""
        try:
            content = await node.call("txpool_contentFrom", checksummed(self._address))
        except NodeRefused:
            return {}
        return fields(fields(content, "the pool").get(group, {}), "the pool")

    def _own(self, found: Any, nonce: int) -> Pooled | None:
        seen = fields(found, "a waiting transaction")
        if quantity(seen.get("nonce"), "a transaction's nonce") != nonce:
            raise NodeFailed("answered a transaction with another nonce than was asked for")
        v = seen.get("v", seen.get("yParity"))
        if None in (v, seen.get("r"), seen.get("s")):
            return None
        dynamic = seen.get("maxFeePerGas") is not None
        if dynamic:
            fees = Fees(
                quantity(seen["maxFeePerGas"], "a fee cap"),
                quantity(seen.get("maxPriorityFeePerGas"), "a tip"),
            )
        else:
            fees = Fees(quantity(seen.get("gasPrice"), "a gas price"), None)
        to = seen.get("to")
        call = Call(
            data(to, "a recipient", 20) if to is not None else b"",
            quantity(seen.get("value"), "a value"),
            data(seen.get("input", seen.get("data")), "a transaction's data"),
        )
        gas = quantity(seen.get("gas"), "a gas limit")
        r, s = quantity(seen["r"], "a signature's r"), quantity(seen["s"], "a signature's s")
        parity = quantity(v, "a signature's v")
        if not dynamic:
            parity -= self._chain_id * 2 + 35
        signed = signed_before(
            self._address, self._chain_id, nonce, gas, fees, call, (r, s, parity)
        )
        return None if signed is None else Pooled(nonce, call, gas, fees, signed)
