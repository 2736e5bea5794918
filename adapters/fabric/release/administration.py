"""What the organisations' administrators do once the nodes run: join the channel, and install,
approve and commit chaincodes. Each step first asks what is there, so it can be taken again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from adapters.fabric.devnet_assets import CHANNEL
from adapters.fabric.release.layout import ADMIN, HOST, Layout, OrdererNode, PeerNode
from adapters.fabric.release.nodes import administrator_environment
from adapters.fabric.release.package import VERSION, package_id
from adapters.fabric.release.programs import CommandFailed, Release, ask
from adapters.spi import Unavailable

_AS_JSON = ("--output", "json")
_PAUSE = 0.2
_JOINED = ("Status: 201", "Status: 405")
"""The orderer's answers: it has joined now; it is on the channel already."""


class Administration:
    """Raises CommandFailed throughout, or a group of them; ``settle`` repeats a step that came
    too early."""

    def __init__(self, release: Release, layout: Layout) -> None:
        self._release = release
        self._layout = layout

    async def join_orderer(self, node: OrdererNode) -> None:
        answer = await ask(
            self._release.bin / "osnadmin",
            [
                *("channel", "join", "--channelID", CHANNEL),
                *("--config-block", str(self._layout.genesis)),
                *("-o", f"{HOST}:{node.admin_port}", "--ca-file", str(node.tls / "ca.crt")),
                *("--client-cert", str(node.tls / "server.crt")),
                *("--client-key", str(node.tls / "server.key")),
            ],
            {},
        )
        if not any(joined in answer for joined in _JOINED):
            raise CommandFailed(f"{node.process} does not join the channel: {answer.strip()}")

    async def join_peer(self, node: PeerNode) -> None:
        listed = await self._peer(node, "channel", "list")
        if CHANNEL not in listed.split():
            await self._peer(node, "channel", "join", "-b", str(self._layout.genesis))

    async def deploy(self, chaincode: str, policy: str) -> None:
        """Installs, approves and commits a chaincode that the channel has not yet."""
        first = self._layout.peers[0]
        there = await self._lifecycle(first, "querycommitted", "-C", CHANNEL, *_AS_JSON)
        known = json.loads(there).get("chaincode_definitions", [])
        if any(definition["name"] == chaincode for definition in known):
            return
        async with asyncio.TaskGroup() as group:
            for node in self._layout.peers:
                group.create_task(self.install(node, chaincode))
        await self.define(chaincode, policy, 1)

    async def install(self, node: PeerNode, chaincode: str) -> None:
        package = self._layout.package(chaincode)
        listed = json.loads(await self._lifecycle(node, "queryinstalled", *_AS_JSON))
        wanted = package_id(chaincode, package.read_bytes())
        known = [one["package_id"] for one in listed.get("installed_chaincodes", [])]
        if wanted not in known:
            await self._lifecycle(node, "install", str(package))

    async def define(self, chaincode: str, policy: str | None, sequence: int) -> None:
        """Every organisation approves a definition, and the first one commits it. ``policy``: a
        signature policy; None: the channel's own endorsement policy."""
        words = _definition(chaincode, policy, sequence)
        first = self._layout.peers[0]
        readiness: dict[str, Any] = json.loads(
            await self._lifecycle(first, "checkcommitreadiness", *words, *_AS_JSON)
        )
        async with asyncio.TaskGroup() as group:
            for node in self._layout.peers:
                if not readiness["approvals"].get(node.msp_id):
                    group.create_task(self._approve(node, chaincode, words))
        await self._lifecycle(first, "commit", *self._to_orderer(), *words, *self._at_all_peers())

    async def _approve(self, node: PeerNode, chaincode: str, words: Sequence[str]) -> None:
        package = package_id(chaincode, self._layout.package(chaincode).read_bytes())
        await self._lifecycle(
            node, "approveformyorg", *self._to_orderer(), *words, "--package-id", package
        )

    async def invoke(self, node: PeerNode, user: str, chaincode: str, *words: str) -> None:
        """One transaction by a user at its own peer, endorsed by every organisation; returns when
        its peer has committed it."""
        call = json.dumps({"Args": list(words)})
        await self._peer(
            node,
            *("chaincode", "invoke", *self._to_orderer(), "-C", CHANNEL, "-n", chaincode),
            *(*self._at_all_peers(), "--waitForEvent", "-c", call),
            user=user,
        )

    async def _lifecycle(self, node: PeerNode, *words: str) -> str:
        return await self._peer(node, "lifecycle", "chaincode", *words)

    async def _peer(self, node: PeerNode, *words: str, user: str = ADMIN) -> str:
        more = administrator_environment(self._layout, node, user)
        return await ask(self._release.bin / "peer", words, more)

    def _to_orderer(self) -> Sequence[str]:
        node = self._layout.orderers[0]
        return ("-o", node.address, "--tls", "--cafile", str(node.tls / "ca.crt"))

    def _at_all_peers(self) -> Sequence[str]:
        return [
            word
            for node in self._layout.peers
            for word in ("--peerAddresses", node.address, "--tlsRootCertFiles", str(node.tls_ca))
        ]


async def settle(step: Callable[[], Awaitable[None]], give_up: float) -> None:
    """Takes a step again until it succeeds: a node may still be starting, or orderers electing.

    ``give_up``: on the running loop's clock. Raises CommandFailed."""
    while True:
        try:
            with first_failure_only():
                await step()
        except CommandFailed:
            if asyncio.get_running_loop().time() > give_up:
                raise
            await asyncio.sleep(_PAUSE)
        else:
            return


@contextmanager
def first_failure_only() -> Iterator[None]:
    """Of several tasks that found something unavailable, tells what the first one found."""
    try:
        yield
    except ExceptionGroup as group:
        unavailable, others = group.split(Unavailable)
        if others is not None or unavailable is None:
            raise
        first: Exception = unavailable
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        raise first from group


def _definition(chaincode: str, policy: str | None, sequence: int) -> Sequence[str]:
    words = ["--channelID", CHANNEL, "--name", chaincode, "--version", VERSION]
    words += ["--sequence", str(sequence)]
    return words if policy is None else [*words, "--signature-policy", policy]
