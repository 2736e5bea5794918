"""Several nodes as one: which is asked next, which is left in peace, and what is believed.

A request goes to the node that answered last; if that fails, to the next, each at most once. There
is no waiting and no second round here: pacing is the caller's. A node that answered 429 is not
asked before its time. Every node's chain id is checked before its first answer is used, and again
after it was out of reach.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from adapters.ethereum.node_errors import (
    ALREADY_KNOWN,
    NONCE_USED,
    RETRYABLE,
    NodeFailed,
    NodeRefused,
    rejection,
)
from adapters.ethereum.quantities import quantity, to_hex
from adapters.ethereum.transport import connect
from adapters.node_label import node_label
from adapters.spi import Misconfigured, NotSent, Rejected, Unavailable, Unknown

T = TypeVar("T")


class Node:
    """One node, and what is known of it."""

    def __init__(self, url: str, chain_id: int, timeout: float) -> None:
        self.label = node_label(url)
        self._transport = connect(url, timeout)
        self._chain_id = chain_id
        self._verified = False
        self._verifying = asyncio.Lock()
        self._silent_until = 0.0

    def silence(self) -> float:
        """Seconds for which the node asked not to be asked."""
        return max(0.0, self._silent_until - asyncio.get_running_loop().time())

    async def call(self, method: str, *params: Any) -> Any:
        """The result of one request. Raises NodeFailed, NodeRefused, Misconfigured."""
        if not self._verified:
            await self._verify()
        return await self._request(method, params)

    async def _verify(self) -> None:
        async with self._verifying:
            if self._verified:
                return
            try:
                seen = quantity(await self._request("eth_chainId", ()), "the chain id")
            except NodeFailed as failure:
                failure.sent = False
                raise
            except NodeRefused as refused:
                raise NodeFailed(f"does not tell its chain id: {refused}", sent=False) from None
            if seen != self._chain_id:
                raise Misconfigured(
                    f"node {self.label} is on chain eip155:{seen}, but the configuration says "
                    f"eip155:{self._chain_id}; correct chain or urls"
                )
            self._verified = True

    async def _request(self, method: str, params: Sequence[Any]) -> Any:
        try:
            return await self._transport.request(method, params)
        except NodeFailed as failure:
            # After a break another node may answer at this address.
            self._verified = False
            if failure.wait:
                self._silent_until = asyncio.get_running_loop().time() + failure.wait
            raise

    async def close(self) -> None:
        await self._transport.close()


class Rpc:
    """The nodes of one chain."""

    def __init__(self, name: str, urls: Sequence[str], chain_id: int, timeout: float) -> None:
        self._name = name
        self.nodes = [Node(url, chain_id, timeout) for url in urls]
        self._current = 0

    async def close(self) -> None:
        for node in self.nodes:
            await node.close()

    def _order(self) -> list[Node]:
        """All nodes that may be asked now, the one that answered last first."""
        turned = self.nodes[self._current :] + self.nodes[: self._current]
        return [node for node in turned if not node.silence()]

    def _none_left(self, failures: Sequence[str]) -> str:
        silent = [
            f"{node.label} asked us to wait {node.silence():.0f} more seconds"
            for node in self.nodes
            if node.silence()
        ]
        return (
            f"{self._name}: no node answers: {'; '.join([*failures, *silent])}. "
            "Check that the nodes run and that urls are right"
        )

    async def run(self, operation: Callable[[Node], Awaitable[T]]) -> T:
        """Carries out an operation against one node, from start to end; if that node fails, from
        the start against the next. Raises Unavailable when none is left, Misconfigured, and
        NodeRefused as the operation does."""
        failures: list[str] = []
        for node in self._order():
            try:
                done = await operation(node)
            except NodeFailed as failure:
                failures.append(f"{node.label} {failure}")
                continue
            self._current = self.nodes.index(node)
            return done
        raise Unavailable(self._none_left(failures))

    async def call(self, method: str, *params: Any) -> Any:
        """One request, to the first node that answers it."""
        return await self.run(lambda node: node.call(method, *params))

    async def broadcast(self, raw: bytes) -> None:
        """Hands a signed transaction to the first node that takes it. The same bytes can be handed
        to many nodes, many times: they are one transaction.

        Raises Rejected, NotSent, and Unknown where a node may have taken it without saying so.
        """
        failures: list[str] = []
        perhaps = False
        for node in self._order():
            try:
                await node.call("eth_sendRawTransaction", to_hex(raw))
            except NodeFailed as failure:
                perhaps = perhaps or failure.sent
                failures.append(f"{node.label} {failure}")
                continue
            except NodeRefused as refused:
                if ALREADY_KNOWN.search(refused.message):
                    return
                self._judge(node, refused, perhaps)
            self._current = self.nodes.index(node)
            return
        if perhaps:
            raise Unknown(
                f"{self._name}: a transaction may have been sent: {'; '.join(failures)}. "
                "Look the action up before it is tried again"
            )
        raise NotSent(self._none_left(failures))

    async def spread(self, raw: bytes) -> None:
        """Hands a signed transaction that was taken, and came into no block, to every other node,
        whatever each says: the one that took it may have no peers, or keep it to itself."""

        async def hand(node: Node) -> None:
            with contextlib.suppress(NodeFailed, NodeRefused, Misconfigured):
                await node.call("eth_sendRawTransaction", to_hex(raw))

        others = self._order()
        if others and others[0] is self.nodes[self._current]:
            others = others[1:]
        await asyncio.gather(*(hand(node) for node in others))

    def _judge(self, node: Node, refused: NodeRefused, perhaps: bool) -> None:
        said = f"{self._name}: node {node.label} refuses the transaction: {refused.message}"
        if perhaps and NONCE_USED.search(refused.message):
            raise Unknown(f"{said}; a node asked before may have taken it")
        if RETRYABLE.search(refused.message):
            raise (Unknown if perhaps else NotSent)(said)
        known = rejection(refused)
        if known is None or perhaps:
            raise Unknown(said)
        raise Rejected(said, known[0])
