"""The conformance suite's ledger: the real network, with accounts of three organisations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from adapters.conformance.harness import Harness
from adapters.fabric.block import chain_of
from adapters.fabric.gateway import connect
from adapters.fabric.identity import identity_of
from adapters.fabric.pem_signer import PemSigner
from adapters.fabric.plugin import plugin
from adapters.fabric.settings import FabricSettings
from adapters.model import AssetId
from adapters.spi import Adapter, AdapterError, Credential
from tests.networks.fabric import CHAINCODE, CHANNEL, CLOCK_BOUND, TOKEN, FabricNetwork

FUNDS = 1_000_000
ASSET = "gold"


def settings_of(network: FabricNetwork, number: int, **changes: Any) -> FabricSettings:
    """An organisation's settings: its own peer, User1 acting, User2 reading."""
    fields: dict[str, Any] = {
        "adapter": "fabric",
        "chain": str(chain_of(network.genesis_hash)),
        "inclusion": 4,
        "finality": 0,
        "clock": CLOCK_BOUND,
        "endpoints": [{"address": network.peer_address(number), "tls_ca": network.tls_ca(number)}],
        "channel": CHANNEL,
        "chaincode": CHAINCODE,
        "msp_id": network.msp_id(number),
        "certificate": network.user(number).certificate,
        "reader_certificate": network.user(number, "User2").certificate,
        "reader_key": network.user(number, "User2").key,
        "reaction": 5,
        "assets": [f"asset:{ASSET}", f"token:{TOKEN}"],
        "poll_interval": 0.25,
    }
    return FabricSettings(**(fields | changes))


def credential_of(network: FabricNetwork, number: int, name: str = "User1") -> Credential:
    user = network.user(number, name)
    settings = settings_of(network, number, certificate=user.certificate)
    return plugin.credential(settings, PemSigner.load(user.key))


class RealHarness(Harness):
    """Funds User1 of each organisation in a registered asset and in the token chaincode's."""

    def __init__(self, network: FabricNetwork) -> None:
        self.network = network
        self._credentials = [credential_of(network, number) for number in (1, 2, 3)]

    async def fund(self) -> None:
        """Once a network."""
        await self.network.invoke(CHAINCODE, "register_asset", ASSET, "GLD", "3")
        for credential in self._credentials:
            address = credential.account.address
            await self.network.invoke(CHAINCODE, "issue", ASSET, address, str(FUNDS))
            await self.network.invoke(TOKEN, "mint", address, str(FUNDS))

    def open(self) -> AbstractAsyncContextManager[Adapter]:
        return plugin.open("fabric", settings_of(self.network, 1))

    async def restart(self) -> None:
        """The peer of the organisation whose gateway is used."""
        self.network.kill(self.network.peer(1))
        self.network.resume(self.network.peer(1))
        await until_ready(self.network, 1)

    @property
    def credentials(self) -> Sequence[Credential]:
        return self._credentials

    @property
    def assets(self) -> Sequence[AssetId]:
        chain = chain_of(self.network.genesis_hash)
        return [AssetId(chain, "asset", ASSET), AssetId(chain, "token", TOKEN)]

    @property
    def absent_asset(self) -> AssetId:
        return AssetId(chain_of(self.network.genesis_hash), "asset", "unobtainium")


async def until_ready(network: FabricNetwork, number: int) -> None:
    """Returns when an organisation's gateway has all organisations endorse; gossip takes a second
    or more to find each one's peer. What is endorsed here is never submitted."""
    settings = settings_of(network, number)
    user = network.user(number)
    identity = identity_of(user.msp_id, user.certificate.read_bytes(), PemSigner.load(user.key))
    words = ("configure", network.genesis_hash.hex(), str(CLOCK_BOUND))
    everybody = [network.msp_id(one) for one in (1, 2, 3)]
    async with connect("fabric", settings, identity, time.time_ns) as gateway:
        while True:
            try:
                await gateway.endorse(identity, CHAINCODE, words, time.time_ns(), everybody)
            except AdapterError:
                await asyncio.sleep(0.1)
            else:
                return
