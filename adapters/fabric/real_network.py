"""A Fabric channel as companies run it: orderers, a peer for each of three organisations, and the
lock chaincode as a service beside each peer, all of the programs of a release.

``release/layout.py`` says what is in the folder. Participants are users of the organisations in
turn, with the certificates that cryptogen made for them.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from adapters.devnet import Participant, ProcessSpec, names_of
from adapters.fabric.account import address_of
from adapters.fabric.block import chain_of, read_block
from adapters.fabric.devnet_assets import (
    ASSETS,
    CHAINCODE,
    CHANNEL,
    CLOCK_BOUND,
    ORGANISATIONS,
    REACTION,
    ChaincodeSetUp,
    assets_of,
    organisation_of,
    two_of_three,
)
from adapters.fabric.gateway import Gateway, connect
from adapters.fabric.identity import Identity, identity_of
from adapters.fabric.pem_signer import PemSigner
from adapters.fabric.release.administration import Administration, first_failure_only, settle
from adapters.fabric.release.channel_configuration import make_genesis
from adapters.fabric.release.crypto import make_crypto
from adapters.fabric.release.layout import ADMIN, HOST, Layout, PeerNode
from adapters.fabric.release.nodes import (
    orderer_environment,
    peer_environment,
    write_node_configuration,
)
from adapters.fabric.release.ordering import RAFT, Ordering
from adapters.fabric.release.package import make_package, package_id
from adapters.fabric.release.programs import OTHER_WAYS, Release
from adapters.fabric.settings import FabricSettings
from adapters.model import AssetId, ChainId
from adapters.programs import ProgramMissing, Programs
from adapters.spi import AdapterError, Misconfigured, Unavailable

_READY_WITHIN = 85.0
_LEAST_USERS = 3
"""Of each organisation, so that there are some besides the participants."""


@dataclass(frozen=True, slots=True)
class ChaincodeProgram:
    """A chaincode of the channel: how its service is started beside each peer."""

    name: str
    process: str
    """The beginning of its processes' names."""
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


LOCKS = ChaincodeProgram(
    CHAINCODE, "fabric-chaincode", (sys.executable, "-m", "adapters.fabric.chaincode")
)


class RealNetwork:
    """Implements ``adapters.devnet.DevelopmentNetwork``."""

    def __init__(
        self,
        folder: Path,
        programs: Programs,
        ordering: Ordering = RAFT,
        chaincodes: Sequence[ChaincodeProgram] = (LOCKS,),
        batch_timeout_ms: int = 200,
    ) -> None:
        """``chaincodes``: of others than the lock chaincode, that one may adopt the tokens.
        ``batch_timeout_ms``: how long a transaction waits at most for its block to be cut."""
        self._folder = folder.absolute()
        self._programs = programs
        self._ordering = ordering
        self._chaincodes = tuple(chaincodes)
        self._batch_timeout_ms = batch_timeout_ms

    @property
    def name(self) -> str:
        return "fabric"

    @property
    def ports_needed(self) -> int:
        return Layout.ports_needed(self._ordering.orderers, len(self._chaincodes))

    @cached_property
    def _release(self) -> Release:
        """Looked for once: that runs a program. Raises ProgramMissing."""
        return Release.find(self._programs)

    def missing(self) -> Sequence[str]:
        try:
            Release.find(self._programs)
        except ProgramMissing as error:
            return [str(error)]
        return []

    def prepare(self, ports: Sequence[int], participants: Sequence[Participant]) -> None:
        """Raises ValueError where the folder was prepared for others or a name is unfit,
        Misconfigured where it was prepared with other ports or otherwise, ProgramMissing."""
        if len(ports) != self.ports_needed or len(set(ports)) != len(ports):
            raise ValueError(f"{self.ports_needed} different ports are needed; {ports} were given")
        names = names_of(participants)
        release = self._release
        wanted = self._record(ports, names)
        if self._file.exists():
            self._check_same(wanted)
            write_node_configuration(release, self.layout)
            return
        layout = self._layout_with(ports)
        layout.config.mkdir(parents=True, exist_ok=True)
        write_node_configuration(release, layout)
        make_crypto(release, layout, max(_LEAST_USERS, _user_number(len(names) - 1)))
        make_genesis(release, layout, self._ordering.consensus, self._batch_timeout_ms)
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        for chaincode in self._chaincodes:
            package = layout.package(chaincode.name)
            package.parent.mkdir(exist_ok=True)
            package.write_bytes(make_package(chaincode.name))
        # Written last: its presence says that the rest is whole.
        part = self._file.with_name(self._file.name + ".new")
        part.write_text(json.dumps(wanted, indent=1) + "\n")
        part.replace(self._file)

    def _record(self, ports: Sequence[int], participants: Sequence[str]) -> dict[str, Any]:
        return {
            "consensus": self._ordering.consensus.value,
            "orderers": self._ordering.orderers,
            "chaincodes": [chaincode.name for chaincode in self._chaincodes],
            "participants": list(participants),
            "ports": list(ports),
        }

    def _check_same(self, wanted: Mapping[str, Any]) -> None:
        there = self._read()
        if there["participants"] != wanted["participants"]:
            raise ValueError(
                f"{self._folder} was prepared for other participants; use another folder"
            )
        if there["ports"] != wanted["ports"]:
            raise Misconfigured(
                f"the channel in {self._folder} names its orderers' and peers' ports in its "
                f"configuration, from {there['ports'][0]} on: free them, or take another folder"
            )
        for name in ("consensus", "orderers", "chaincodes"):
            if there[name] != wanted[name]:
                raise Misconfigured(
                    f"{self._folder} was prepared with {name} {there[name]}, not {wanted[name]}; "
                    "use another folder"
                )

    def processes(self) -> Sequence[ProcessSpec]:
        layout, release = self.layout, self._release
        return [
            *(
                ProcessSpec(
                    f"{chaincode.process}-{peer.label}",
                    chaincode.argv,
                    self._service_environment(chaincode, peer),
                )
                for chaincode in self._chaincodes
                for peer in layout.peers
            ),
            *(
                ProcessSpec(
                    node.process,
                    (str(release.bin / "orderer"),),
                    orderer_environment(layout, node),
                    OTHER_WAYS,
                )
                for node in layout.orderers
            ),
            *(
                ProcessSpec(
                    peer.process,
                    (str(release.bin / "peer"), "node", "start"),
                    peer_environment(layout, peer),
                    OTHER_WAYS,
                )
                for peer in layout.peers
            ),
        ]

    def _service_environment(
        self, chaincode: ChaincodeProgram, peer: PeerNode
    ) -> Mapping[str, str]:
        package = self.layout.package(chaincode.name).read_bytes()
        others = [other.name for other in self._chaincodes if other.name != CHAINCODE]
        return {
            "CHAINCODE_ID": package_id(chaincode.name, package),
            "CHAINCODE_SERVER_ADDRESS": f"{HOST}:{peer.services[chaincode.name]}",
            "CHAINCODE_TLS_DISABLED": "false",
            "CHAINCODE_TLS_KEY": str(peer.chaincode_tls / "key.pem"),
            "CHAINCODE_TLS_CERT": str(peer.chaincode_tls / "certificate.pem"),
            "CHAINCODE_CLIENT_CA_CERT": "",
            "ISTHMUS_CLOCK_BOUND": str(CLOCK_BOUND),
            "ISTHMUS_CHAIN": self.genesis_hash.hex(),
            "ISTHMUS_TOKENS": ",".join(others),
            **chaincode.env,
        }

    async def ready(self) -> None:
        """Deploys, waits until every organisation's gateway finds all endorsers, and sets up what
        is not there yet: the chaincode, the assets and the participants' funds. Idempotent."""
        with first_failure_only():
            give_up = asyncio.get_running_loop().time() + _READY_WITHIN
            await self._deploy(give_up)
            async with asyncio.TaskGroup() as group:
                for msp_id in ORGANISATIONS:
                    group.create_task(self._endorsers_found(msp_id, give_up))
            accounts = [
                address_of(organisation_of(position), self._certificate(position).read_bytes())
                for position in range(len(self._read()["participants"]))
            ]
            first = ORGANISATIONS[0]
            async with self.gateway_of(first) as gateway:
                logs = "the logs of the processes fabric-…"
                set_up = ChaincodeSetUp(gateway, self._admin_of(first), give_up, logs)
                await set_up.complete(self.genesis_hash, accounts)

    async def deploy(self) -> None:
        """Joins the nodes to the channel, and installs, approves and commits the chaincodes.
        Idempotent. Raises Unavailable."""
        with first_failure_only():
            await self._deploy(asyncio.get_running_loop().time() + _READY_WITHIN)

    async def _deploy(self, give_up: float) -> None:
        layout = self.layout
        administration = self.administration()
        async with asyncio.TaskGroup() as group:
            for node in layout.orderers:
                group.create_task(_listening(node.process, node.admin_port, give_up))
            for peer in layout.peers:
                group.create_task(_listening(peer.process, peer.port, give_up))
        async with asyncio.TaskGroup() as group:
            for node in layout.orderers:
                group.create_task(settle(partial(administration.join_orderer, node), give_up))
            for peer in layout.peers:
                group.create_task(settle(partial(administration.join_peer, peer), give_up))
        async with asyncio.TaskGroup() as group:
            for chaincode in self._chaincodes:
                deploy = partial(administration.deploy, chaincode.name, two_of_three())
                group.create_task(settle(deploy, give_up))

    async def _endorsers_found(self, msp_id: str, give_up: float) -> None:
        """An organisation's gateway has all organisations endorse; gossip takes a second or more
        to find each one's peer. What is endorsed here is never submitted."""
        words = ("configure", self.genesis_hash.hex(), str(CLOCK_BOUND))
        admin = self._admin_of(msp_id)
        async with self.gateway_of(msp_id) as gateway:
            while True:
                try:
                    await gateway.endorse(admin, CHAINCODE, words, time.time_ns(), ORGANISATIONS)
                except AdapterError as error:
                    if asyncio.get_running_loop().time() > give_up:
                        raise Unavailable(
                            f"the gateway of {msp_id} has found no endorsers after "
                            f"{_READY_WITHIN:.0f} seconds ({error}); read the logs of the "
                            "processes fabric-…"
                        ) from error
                    await asyncio.sleep(0.1)
                else:
                    return

    def settings(self, participant: str) -> Mapping[str, Any]:
        position = self._position(participant)
        own, key = self._certificate(position), self._key(position)
        return self.settings_of(organisation_of(position), own, key)

    def issued_key(self, participant: str) -> str | None:
        return f"pem:{self._key(self._position(participant))}"

    def assets(self) -> Sequence[AssetId]:
        return assets_of(self._chain)

    # --- what the folder holds -------------------------------------------------------------------

    @property
    def layout(self) -> Layout:
        """Where the nodes are. Only of a folder that was prepared."""
        return self._layout_with(self._read()["ports"])

    @property
    def genesis_hash(self) -> bytes:
        """SHA-256 of the genesis block's header."""
        return read_block(self.layout.genesis.read_bytes()).hash

    @property
    def _chain(self) -> ChainId:
        return chain_of(self.genesis_hash)

    def _layout_with(self, ports: Sequence[int]) -> Layout:
        names = [chaincode.name for chaincode in self._chaincodes]
        return Layout(self._folder, self._ordering.orderers, names, ports)

    @property
    def _file(self) -> Path:
        return self._folder / "network.json"

    def _read(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self._file.read_bytes())
        return loaded

    def _position(self, participant: str) -> int:
        names: list[str] = self._read()["participants"]
        if participant not in names:
            raise ValueError(f"{participant!r} is no participant of this network")
        return names.index(participant)

    def _certificate(self, position: int) -> Path:
        peer = self.layout.peer(organisation_of(position))
        return peer.certificate(f"User{_user_number(position)}")

    def _key(self, position: int) -> Path:
        peer = self.layout.peer(organisation_of(position))
        return peer.key(f"User{_user_number(position)}")

    def settings_of(self, msp_id: str, certificate: Path, key: Path) -> dict[str, Any]:
        """The chain's block of a configuration for a user of an organisation."""
        peer = self.layout.peer(msp_id)
        return {
            "adapter": self.name,
            "chain": str(self._chain),
            "inclusion": self._ordering.inclusion,
            "finality": 0,
            "clock": CLOCK_BOUND,
            "endpoints": [{"address": peer.address, "tls_ca": str(peer.tls_ca)}],
            "channel": CHANNEL,
            "chaincode": CHAINCODE,
            "msp_id": msp_id,
            "certificate": str(certificate),
            "reader_key": str(key),
            "reaction": REACTION,
            "assets": [f"asset:{symbol}" for symbol, _ in ASSETS],
        }

    # --- administrators --------------------------------------------------------------------------

    def administration(self) -> Administration:
        return Administration(self._release, self.layout)

    def _admin_of(self, msp_id: str) -> Identity:
        peer = self.layout.peer(msp_id)
        signer = PemSigner.load(peer.key(ADMIN))
        return identity_of(msp_id, peer.certificate(ADMIN).read_bytes(), signer)

    @asynccontextmanager
    async def gateway_of(self, msp_id: str) -> AsyncIterator[Gateway]:
        """An organisation's administrator at its own peer."""
        peer = self.layout.peer(msp_id)
        settings = FabricSettings.model_validate(
            self.settings_of(msp_id, peer.certificate(ADMIN), peer.key(ADMIN))
        )
        admin = self._admin_of(msp_id)
        async with connect("fabric network", settings, admin, time.time_ns) as gateway:
            yield gateway


def _user_number(position: int) -> int:
    """Of the participant at a position, among its organisation's users, from 1."""
    return position // len(ORGANISATIONS) + 1


async def _listening(process: str, port: int, give_up: float) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError as error:
            if asyncio.get_running_loop().time() > give_up:
                raise Unavailable(
                    f"{process} does not listen on port {port} after {_READY_WITHIN:.0f} seconds; "
                    "read its log"
                ) from error
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
