"""``Devnet``: the development network with the lock chaincode, as ``adapters.devnet`` wants it.

Four processes: the network itself, and the lock chaincode once for each of three organisations.
Participants are clients of the organisations in turn. The chaincode is set up, and participants
are funded, through the same Gateway service and with the same client as any user's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.devnet import Participant, ProcessSpec, names_of
from adapters.fabric.account import address_of
from adapters.fabric.devnet.block import header_hash
from adapters.fabric.devnet.configuration import (
    BatchConfiguration,
    ChaincodeConfiguration,
    NetworkConfiguration,
    OrganisationConfiguration,
)
from adapters.fabric.devnet.provision import (
    issue_participant,
    organisation_folder,
    provision,
    read_genesis,
)
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
    process_label,
    two_of_three,
)
from adapters.fabric.gateway import Gateway, connect
from adapters.fabric.identity import Identity, identity_of
from adapters.fabric.pem_signer import PemSigner
from adapters.fabric.settings import FabricSettings
from adapters.model import AssetId, ChainId
from adapters.spi import AdapterError, Unavailable

_READY_WITHIN = 60.0


class Devnet:
    """Implements ``adapters.devnet.DevelopmentNetwork``."""

    def __init__(self, folder: Path, batch_timeout_ms: int = 200) -> None:
        """``batch_timeout_ms``: how long a transaction waits at most for its block to be cut."""
        self._folder = folder
        self._batch_timeout_ms = batch_timeout_ms

    @property
    def name(self) -> str:
        return "fabric"

    @property
    def ports_needed(self) -> int:
        return 2 * len(ORGANISATIONS)

    def missing(self) -> Sequence[str]:
        return ()

    def prepare(self, ports: Sequence[int], participants: Sequence[Participant]) -> None:
        """Raises ValueError where the folder was prepared for others or a name is unfit."""
        if len(ports) != self.ports_needed or len(set(ports)) != len(ports):
            raise ValueError(f"{self.ports_needed} different ports are needed; {ports} were given")
        names = names_of(participants)
        if self._participants_file.exists() and self._participants() != names:
            raise ValueError(
                f"{self._folder} was prepared for other participants; use another folder"
            )
        provision(self._folder, self._configuration(ports))
        for number, name in enumerate(names):
            issue_participant(self._folder, name, organisation_of(number))
        self._participants_file.write_text(json.dumps(names))

    def _configuration(self, ports: Sequence[int]) -> NetworkConfiguration:
        addresses = [f"127.0.0.1:{port}" for port in ports]
        gateways, chaincodes = addresses[: len(ORGANISATIONS)], addresses[len(ORGANISATIONS) :]
        return NetworkConfiguration(
            channel=CHANNEL,
            organisations=tuple(
                OrganisationConfiguration(msp_id=msp_id, gateway=gateway)
                for msp_id, gateway in zip(ORGANISATIONS, gateways, strict=True)
            ),
            chaincodes=(
                ChaincodeConfiguration(
                    name=CHAINCODE,
                    policy=two_of_three(),
                    addresses=dict(zip(ORGANISATIONS, chaincodes, strict=True)),
                ),
            ),
            batch=BatchConfiguration(timeout_ms=self._batch_timeout_ms),
        )

    def processes(self) -> Sequence[ProcessSpec]:
        configuration = NetworkConfiguration.read(self._folder)
        (chaincode,) = configuration.chaincodes
        network = ProcessSpec(
            "fabric-network", (sys.executable, "-m", __package__, str(self._folder)), {}
        )
        services = [
            ProcessSpec(
                f"fabric-chaincode-{process_label(msp_id)}",
                (sys.executable, "-m", "adapters.fabric.chaincode"),
                {
                    "CHAINCODE_ID": chaincode.definition().package_id,
                    "CHAINCODE_SERVER_ADDRESS": address,
                    "CHAINCODE_TLS_DISABLED": "true",
                    "ISTHMUS_CLOCK_BOUND": str(CLOCK_BOUND),
                    "ISTHMUS_CHAIN": self._genesis_hash.hex(),
                },
            )
            for msp_id, address in chaincode.addresses.items()
        ]
        return [*services, network]

    async def ready(self) -> None:
        """Waits for endorsements, then sets up what is not there yet: the chaincode, the assets
        and the participants' funds."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _READY_WITHIN
        async with self._administration() as (gateway, admin):
            await self._reachable(give_up)
            accounts = [
                address_of(organisation_of(number), self._certificate(name).read_bytes())
                for number, name in enumerate(self._participants())
            ]
            logs = "the log of the process fabric-network"
            await ChaincodeSetUp(gateway, admin, give_up, logs).complete(
                self._genesis_hash, accounts
            )

    async def _reachable(self, give_up: float) -> None:
        """Every organisation's peer answers, with its chaincode behind it."""
        for msp_id in ORGANISATIONS:
            await self._listening(msp_id, give_up)
            async with self._gateway_of(msp_id) as own:
                while True:
                    try:
                        await own.evaluate(CHAINCODE, "clock")
                        break
                    except AdapterError as error:
                        if asyncio.get_running_loop().time() > give_up:
                            raise Unavailable(
                                f"the Fabric network does not endorse after {_READY_WITHIN:.0f} "
                                f"seconds ({error}); read the logs of the processes "
                                "fabric-network and fabric-chaincode-*"
                            ) from error
                    await asyncio.sleep(0.1)

    async def _listening(self, msp_id: str, give_up: float) -> None:
        """A bare connection first: after one that fails, gRPC waits a second for the next."""
        host, _, port = self._address(msp_id).rpartition(":")
        while asyncio.get_running_loop().time() < give_up:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return

    def settings(self, participant: str) -> Mapping[str, Any]:
        names = self._participants()
        if participant not in names:
            raise ValueError(f"{participant!r} is no participant of this network")
        msp_id = organisation_of(names.index(participant))
        own = self._certificate(participant)
        return self._settings_of(msp_id, own, own.with_name("key.pem"))

    def issued_key(self, participant: str) -> str | None:
        return f"pem:{self._certificate(participant).with_name('key.pem')}"

    def assets(self) -> Sequence[AssetId]:
        return assets_of(self._chain)

    # --- what the folder holds -------------------------------------------------------------------

    @property
    def _participants_file(self) -> Path:
        return self._folder / "participants.json"

    def _participants(self) -> list[str]:
        names: list[str] = json.loads(self._participants_file.read_bytes())
        return names

    def _certificate(self, participant: str) -> Path:
        return self._folder / "participants" / participant / "certificate.pem"

    @property
    def _genesis_hash(self) -> bytes:
        return header_hash(read_genesis(self._folder).header)

    @property
    def _chain(self) -> ChainId:
        return ChainId("fabric", self._genesis_hash.hex()[:32])

    def _address(self, msp_id: str) -> str:
        (address,) = (
            organisation.gateway
            for organisation in NetworkConfiguration.read(self._folder).organisations
            if organisation.msp_id == msp_id
        )
        return address

    def _settings_of(self, msp_id: str, certificate: Path, key: Path) -> dict[str, Any]:
        configuration = NetworkConfiguration.read(self._folder)
        tls_ca = organisation_folder(self._folder, msp_id) / "tls_ca" / "certificate.pem"
        return {
            "adapter": self.name,
            "chain": str(self._chain),
            # The batch timeout, and as much again for endorsing and committing on a busy machine.
            "inclusion": 1 + -(-2 * configuration.batch.timeout_ms // 1000),
            "finality": 0,
            "clock": CLOCK_BOUND,
            "endpoints": [{"address": self._address(msp_id), "tls_ca": str(tls_ca.absolute())}],
            "channel": configuration.channel,
            "chaincode": CHAINCODE,
            "msp_id": msp_id,
            "certificate": str(certificate.absolute()),
            "reader_key": str(key.absolute()),
            "reaction": REACTION,
            "assets": [f"asset:{symbol}" for symbol, _ in ASSETS],
        }

    # --- the administrator -----------------------------------------------------------------------

    @asynccontextmanager
    async def _administration(self) -> AsyncIterator[tuple[Gateway, Identity]]:
        """The first organisation's administrator at its own peer."""
        msp_id = ORGANISATIONS[0]
        async with self._gateway_of(msp_id) as gateway:
            yield gateway, self._admin_of(msp_id)

    def _admin_of(self, msp_id: str) -> Identity:
        folder = organisation_folder(self._folder, msp_id) / "admin"
        signer = PemSigner.load(folder / "key.pem")
        return identity_of(msp_id, (folder / "certificate.pem").read_bytes(), signer)

    @asynccontextmanager
    async def _gateway_of(self, msp_id: str) -> AsyncIterator[Gateway]:
        folder = organisation_folder(self._folder, msp_id) / "admin"
        settings = FabricSettings.model_validate(
            self._settings_of(msp_id, folder / "certificate.pem", folder / "key.pem")
        )
        admin = self._admin_of(msp_id)
        async with connect("fabric devnet", settings, admin, time.time_ns) as gateway:
            yield gateway
