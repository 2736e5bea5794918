"""A client of CometBFT's RPC over several nodes of one chain.

A read goes to the node that answered last and, where that fails, to the others, each once. What
changes the chain goes to another node only while it is certain that nothing was sent.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from adapters.node_http import HttpAnswer, NodeHttp, NotAnswered
from adapters.node_label import node_label
from adapters.spi import NotSent, Unavailable, Unknown

T = TypeVar("T")
Parse = Callable[[Any], T]
MAX_ANSWER = 32 * 1024 * 1024


class RpcFailure(Exception):
    """The node's own answer, in JSON-RPC's error form. ``data`` says what is wrong."""

    def __init__(self, url: str, code: int, message: str, data: str) -> None:
        super().__init__(f"{url} answers {message}: {data[:300]}")
        self.url = url
        self.code = code
        self.data = data


class Unusable(Exception):
    """One node did not give a usable answer. ``sent``: it may have received the request."""

    def __init__(self, reason: str, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


@dataclass(slots=True)
class Node:
    url: str
    verified: bool = False

    @property
    def label(self) -> str:
        """What is told of it."""
        return node_label(self.url)

    @property
    def websocket(self) -> str:
        return "ws" + self.url.removeprefix("http") + "/websocket"


Verify = Callable[[Node], Awaitable[None]]


class RpcClient:
    """Not a task, not a loop: every call tries each node at most once and then says so."""

    def __init__(self, label: str, urls: Sequence[str], http: NodeHttp) -> None:
        self.label = label
        self._http = http
        self.nodes = [Node(url) for url in urls]
        self.verify: Verify | None = None
        """Called before a node is used first, and again after it has failed. Raises Unusable
        where the node is no good now, Misconfigured where it is the wrong one."""

    @property
    def preferred(self) -> Node:
        return self.nodes[0]

    async def read(self, method: str, params: dict[str, Any], parse: Parse[T]) -> T:
        """``parse`` raises ValueError, KeyError or TypeError for an answer that cannot be.

        Raises RpcFailure with the first node's own error, Unavailable, Misconfigured.
        """
        failures = []
        for node in list(self.nodes):
            try:
                await self._ensure_verified(node)
                result = await self.ask(node, method, params, parse)
            except Unusable as failure:
                failures.append(self._failed(node, failure))
            else:
                self._prefer(node)
                return result
        raise Unavailable(f"{self.label}: no node can be used: {'; '.join(failures)}")

    async def prefer_furthest(self, height: Parse[int]) -> bool:
        """Asks every node once how far it is, and prefers the one that is furthest from now on.
        ``height`` reads ``abci_info``. Whether another is preferred than before.

        Raises Misconfigured where one is a node of another chain."""
        before, furthest = self.preferred, 0
        for node in list(self.nodes):
            try:
                await self._ensure_verified(node)
                reached = await self.ask(node, "abci_info", {}, height)
            except Unusable as failure:
                self._failed(node, failure)
                continue
            except RpcFailure:
                continue
            if reached > furthest:
                furthest = reached
                self._prefer(node)
        return self.preferred is not before

    async def send(self, method: str, params: dict[str, Any], parse: Parse[T]) -> T:
        """Raises RpcFailure, NotSent, Unknown, Misconfigured."""
        failures = []
        for node in list(self.nodes):
            try:
                await self._ensure_verified(node)
            except Unusable as failure:
                failures.append(self._failed(node, failure))
                continue
            try:
                sending = self._http.send(node.url, _request(method, params))
                result = await _result(node, sending, parse)
            except Unusable as failure:
                failures.append(self._failed(node, failure))
                if failure.sent:
                    raise Unknown(
                        f"{self.label}: a transaction may have been taken: {failures[-1]}"
                    ) from failure
            else:
                self._prefer(node)
                return result
        raise NotSent(f"{self.label}: no node has taken the transaction: {'; '.join(failures)}")

    async def ask(self, node: Node, method: str, params: dict[str, Any], parse: Parse[T]) -> T:
        """One question to one node, which changes nothing. Raises RpcFailure, Unusable."""
        return await _result(node, self._http.ask(node.url, _request(method, params)), parse)

    async def _ensure_verified(self, node: Node) -> None:
        if node.verified or self.verify is None:
            return
        try:
            await self.verify(node)
        except RpcFailure as failure:
            raise Unusable(str(failure), sent=False) from failure
        node.verified = True

    def _failed(self, node: Node, failure: Unusable) -> str:
        node.verified = False
        return str(failure)

    def _prefer(self, node: Node) -> None:
        if self.nodes[0] is not node:
            self.nodes.remove(node)
            self.nodes.insert(0, node)


def _request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def _result(node: Node, asking: Awaitable[HttpAnswer], parse: Parse[T]) -> T:
    try:
        told = await asking
    except NotAnswered as error:
        raise Unusable(f"{node.label} {error}", sent=error.sent) from error
    if told.status == 429:
        raise Unusable(f"{node.label} asks for fewer requests (HTTP 429)", sent=False)
    try:
        answer = json.loads(told.body)
    except (ValueError, RecursionError) as error:
        reason = f"answers what is not JSON (HTTP {told.status})"
        raise Unusable(f"{node.label} {reason}", sent=True) from error
    failure = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(failure, dict):
        code, message, data = (failure.get(name) for name in ("code", "message", "data"))
        if isinstance(code, int):
            raise RpcFailure(node.label, code, str(message), str(data or ""))
    try:
        return parse(answer["result"])
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        reason = f": {error}" if isinstance(error, Implausible) else ""
        reason = f"answers what no node of this chain answers{reason}"
        raise Unusable(f"{node.label} {reason}", sent=True) from error


class Implausible(ValueError):
    """A well-formed answer that cannot be true. The message may be shown."""
