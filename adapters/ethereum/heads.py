"""The newest block, and which one is irreversible: by the node's tag, or by depth.

A node that shows an older head than was followed before is behind (it is catching up, or was
restored): it is not believed, and the next node is asked. A shorter fork is told from that by its
hashes, which the follower compares. What counts as followed only the follower says: a height that
one node names once, without the blocks that lead to it, must not make every other node look behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from adapters.ethereum.node_errors import NodeFailed, NodeRefused
from adapters.ethereum.quantities import data, fields, quantity, to_hex
from adapters.ethereum.rpc import Node
from adapters.model import ChainId, Head, Header
from adapters.spi import Misconfigured

FinalBy = Literal["finalized", "safe"] | int
"""A block tag of the node, or a depth: the head itself is at depth 0."""


def read_header(chain: ChainId, block: object) -> Header:
    """A header as a node gives it. Raises NodeFailed."""
    raw: Mapping[str, Any] = fields(block, "a block")
    return Header(
        chain=chain,
        height=quantity(raw.get("number"), "a block's number"),
        hash=data(raw.get("hash"), "a block's hash", 32),
        parent_hash=data(raw.get("parentHash"), "a block's parent", 32),
        time=quantity(raw.get("timestamp"), "a block's time"),
    )


async def header_at(node: Node, chain: ChainId, height: int) -> Header | None:
    """The header at a height; None where the chain has not come so far. Raises NodeFailed."""
    block = await node.call("eth_getBlockByNumber", to_hex(height), False)
    if block is None:
        return None
    header = read_header(chain, block)
    if header.height != height:
        raise NodeFailed(f"answered block {header.height} where {height} was asked for")
    return header


def behind(seen: int, height: int) -> NodeFailed:
    """The failure of a node whose newest block is at ``height`` where ``seen`` was reached."""
    return NodeFailed(
        f"has gone back from block {seen} to {height} (it is catching up, was "
        "restored from a copy, or its chain was started afresh)",
        sent=False,
    )


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest block and the chain's head that it makes."""

    head: Head
    parent_hash: bytes
    ruled_final: int
    """What the rule alone says is final; ``head`` keeps what was final before."""

    def as_ruled(self) -> Tip:
        """The same where the chain has broken its finality: what was final before counts no
        more."""
        return replace(self, head=replace(self.head, final_height=self.ruled_final))


class Heads:
    """Heads of one chain, as far as they are to be believed."""

    def __init__(self, chain: ChainId, final_by: FinalBy) -> None:
        self._chain = chain
        self._final_by = final_by
        self._highest = 0
        self._final = 0

    async def newest(self, node: Node, *, any_height: bool = False) -> Tip:
        """Raises NodeFailed, also where the node is behind (unless ``any_height``), and
        Misconfigured where it does not know the tag."""
        block = await node.call("eth_getBlockByNumber", "latest", False)
        header = read_header(self._chain, block)
        if header.height < self._highest and not any_height:
            raise behind(self._highest, header.height)
        ruled = await self._final_height(node, header.height)
        # What was final stays so: a node that is behind in finality does not take it back.
        final = max(ruled, min(self._final, header.height))
        head = Head(self._chain, header.height, header.hash, header.time, final)
        return Tip(head, header.parent_hash, ruled)

    def follow(self, tip: Tip, last: int, *, forked: bool) -> None:
        """The chain was read up to block ``last``, and hashes link it to what was known before.
        ``forked``: they also show that a block that was known is gone, so heights may fall."""
        head = tip.head
        if forked:
            self._highest = min(self._highest, head.height)
            self._final = min(self._final, head.final_height)
        self._highest = max(self._highest, last)
        self._final = max(self._final, min(head.final_height, last))

    async def _final_height(self, node: Node, height: int) -> int:
        match self._final_by:
            case int(depth):
                return max(0, height - depth)
            case tag:
                try:
                    block = await node.call("eth_getBlockByNumber", tag, False)
                except NodeRefused as refused:
                    if "not found" in refused.message.lower():
                        return 0
                    raise Misconfigured(
                        f"node {node.label} does not know the block tag {tag!r} "
                        f"({refused}); set final_by to a depth"
                    ) from None
                if block is None:
                    return 0
                return min(height, read_header(self._chain, block).height)
