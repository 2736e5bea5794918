"""A real Hyperledger Fabric 3.1 network for tests: the product's own, with what tests need besides.

Every part is a process of its own, which a test may kill and start again. Organisations are
numbered from 1, orderers from 0. All of them end with the test process, however that ends.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.devnet import Participant, ProcessSpec
from adapters.fabric.devnet_assets import CHAINCODE, CHANNEL, CLOCK_BOUND, ORGANISATIONS
from adapters.fabric.endorsement import definition
from adapters.fabric.real_network import LOCKS, ChaincodeProgram, RealNetwork
from adapters.fabric.release.layout import PeerNode
from adapters.fabric.release.ordering import RAFT, Ordering
from adapters.programs import Programs
from adapters.spi import Unavailable
from gateway.devnet.processes import Processes
from gateway.settings import programs_here
from tests.adapters.fabric.devnet import gateway_client
from tests.ports import free_port

__all__ = ["CHAINCODE", "CHANNEL", "CLOCK_BOUND", "TOKEN", "FabricNetwork", "User"]

TOKEN = "token"
ROOT = Path(__file__).resolve().parents[2]
TOKENS = ChaincodeProgram(
    TOKEN,
    "fabric-token",
    (sys.executable, "-m", "tests.networks.fabric_token"),
    {"PYTHONPATH": str(ROOT)},
)
PARTICIPANTS = ("ann", "ben", "cat")
"""User1 of each organisation."""

_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class User:
    """A client identity of an organisation."""

    msp_id: str
    certificate: Path
    key: Path


def programs_or_skip() -> Programs:
    """Where Fabric's programs are; without them the test is left out."""
    programs = programs_here()
    if missing := RealNetwork(Path(), programs).missing():
        pytest.skip(f"Hyperledger Fabric 3.1: {missing[0]}")
    return programs


class FabricNetwork:
    """One network in one folder. Use ``running``."""

    def __init__(
        self,
        folder: Path,
        ordering: Ordering = RAFT,
        chaincodes: Sequence[ChaincodeProgram] = (LOCKS, TOKENS),
    ) -> None:
        self.real = RealNetwork(folder / "fabric", programs_or_skip(), ordering, chaincodes)
        self.real.prepare(
            [free_port() for _ in range(self.real.ports_needed)],
            [Participant(name, b"") for name in PARTICIPANTS],
        )
        self.processes = Processes(folder, die_with_us=True)
        self._ports = {node.process: node.port for node in self.real.layout.orderers}
        for peer in self.real.layout.peers:
            self._ports[peer.process] = peer.port
            for chaincode in chaincodes:
                service = f"{chaincode.process}-{peer.label}"
                self._ports[service] = peer.services[chaincode.name]

    # what a client needs

    @property
    def genesis_hash(self) -> bytes:
        """SHA-256 of the genesis block's header."""
        return self.real.genesis_hash

    def msp_id(self, number: int) -> str:
        return ORGANISATIONS[number - 1]

    def peer_address(self, number: int) -> str:
        return self._peer(number).address

    def tls_ca(self, number: int) -> Path:
        return self._peer(number).tls_ca

    def user(self, number: int, name: str = "User1") -> User:
        """User1 to User3 or Admin."""
        peer = self._peer(number)
        return User(peer.msp_id, peer.certificate(name), peer.key(name))

    def _peer(self, number: int) -> PeerNode:
        return self.real.layout.peers[number - 1]

    # the names of processes

    def orderer(self, number: int = 0) -> str:
        return self.real.layout.orderers[number].process

    def peer(self, number: int) -> str:
        return self._peer(number).process

    def service(self, number: int, of: ChaincodeProgram = LOCKS) -> str:
        """A chaincode's process beside an organisation's peer."""
        return f"{of.process}-{self._peer(number).label}"

    def client(self, number: int) -> gateway_client.GatewayClient:
        """Speaks the Gateway service as User1 of an organisation, call by call."""
        user = self.user(number)
        return gateway_client.GatewayClient(
            self.peer_address(number),
            self.tls_ca(number),
            gateway_client.User.read(user.msp_id, user.certificate, user.key),
            CHANNEL,
            CHAINCODE,
        )

    # life

    def start(self) -> None:
        """Raises AssertionError, with the end of each log."""
        for spec in self.specs():
            self.processes.start(spec)
        try:
            asyncio.run(self.ready())
        except Unavailable as error:
            raise AssertionError(f"{error}\n{self.last_words()}") from error

    def specs(self) -> Sequence[ProcessSpec]:
        return self.real.processes()

    async def ready(self) -> None:
        await self.real.ready()
        await self.invoke(CHAINCODE, "adopt_token", TOKEN, "TOK", "2")

    def stop(self) -> None:
        self.processes.stop()

    def kill(self, *names: str) -> None:
        """kill -9."""
        for name in names:
            self.processes.signal(name, signal.SIGKILL)

    def resume(self, *names: str) -> None:
        """Starts processes again that were killed; returns when they listen. Not to be called in
        another thread: what that starts ends with it."""
        self.resume_as(*(spec for spec in self.specs() if spec.name in names))

    def resume_as(self, *specs: ProcessSpec) -> None:
        """The same, with other programs in their places."""
        for spec in specs:
            self.processes.start(spec)
        for spec in specs:
            self._wait_for(spec.name)

    def _wait_for(self, name: str) -> None:
        """As long as it lives: how fast it starts is the machine's matter, and a test that hangs is
        ended by the suite."""
        while self.processes.alive(name):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._ports[name])) == 0:
                    return
            time.sleep(_PAUSE)
        raise AssertionError(f"{name} has ended:\n{self.processes.last_words(name)}")

    def last_words(self) -> str:
        """The end of each process's log."""
        return "\n".join(
            f"--- {spec.name}\n{self.processes.last_words(spec.name, 8)}" for spec in self.specs()
        )

    # what administrators do

    async def invoke(
        self, chaincode: str, *words: str, user: tuple[int, str] = (1, "Admin")
    ) -> None:
        """One transaction through the peer's own command line, awaited until it is committed."""
        number, name = user
        await self.real.administration().invoke(self._peer(number), name, chaincode, *words)

    async def sequence(self) -> int:
        """Of the lock chaincode's definition on the channel."""
        async with self.real.gateway_of(ORGANISATIONS[0]) as gateway:
            found = await definition("fabric", gateway, CHAINCODE)
        assert found is not None, "it was deployed"
        return found.sequence

    async def redefine(self, policy: str | None, sequence: int) -> None:
        """Commits a new definition of the lock chaincode with this signature policy; None: with
        the channel's own endorsement policy."""
        await self.real.administration().define(CHAINCODE, policy, sequence)


@contextmanager
def running(network: FabricNetwork) -> Iterator[FabricNetwork]:
    """A network that is ready for clients; gone afterwards."""
    try:
        network.start()
        yield network
    finally:
        network.stop()
