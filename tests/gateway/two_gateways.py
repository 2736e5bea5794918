"""Two whole gateways in one process, over simulated ledgers, with TLS between them on loopback."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import trustme
import yaml

from adapters.codec.secp256k1 import address_of
from adapters.model import AssetId, ChainId
from adapters.simulated.accounts import account_of
from gateway.compose import Gateway, open_gateway
from gateway.settings import GatewaySettings, load_gateway
from relayers.signing import key_files
from relayers.signing.keystore import KeyKind
from relayers.signing.secret import Secret
from tests.ports import free_port

PASSPHRASE = "correct horse battery staple"  # a test's own, guards nothing
TOKEN = "a-bearer-token-of-a-test"
FUNDS = 1_000_000
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Organisation:
    """What one organisation has on its disk before its gateway runs."""

    name: str
    folder: Path
    address: str
    api_port: int
    peer_port: int
    public_key: bytes
    secrets: tuple[bytes, ...]
    """Key material that must be seen nowhere."""

    @property
    def file(self) -> Path:
        return self.folder / "gateway.yaml"

    def settings(self, environment: dict[str, str] | None = None) -> GatewaySettings:
        return load_gateway(self.file, environment or {})


def _organisation(name: str, folder: Path, authority: trustme.CA) -> Organisation:
    folder.mkdir()
    (folder / "passphrase").write_text(PASSPHRASE + "\n")
    (folder / "token").write_text(TOKEN + "\n")
    drawn: list[bytes] = []

    def chance(count: int) -> bytes:
        drawn.append(secrets.token_bytes(count))
        return drawn[-1]

    made = key_files.make(
        folder / "key.json", KeyKind.SECP256K1, Secret(PASSPHRASE), chance, cost=16
    )
    key = drawn[0]
    drawn.clear()
    key_files.make(folder / "swap.json", KeyKind.SWAP_KEY, Secret(PASSPHRASE), chance, cost=16)
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "tls.key")
    (folder / "tls.pem").write_bytes(b"".join(c.bytes() for c in certificate.cert_chain_pems))
    authority.cert_pem.write_to_path(folder / "ca.pem")
    assert made.header.public_key is not None
    return Organisation(
        name=name,
        folder=folder,
        address="0x" + address_of(made.header.public_key).hex(),
        api_port=free_port(),
        peer_port=free_port(),
        public_key=made.header.public_key,
        secrets=(key, drawn[0]),
    )


@dataclass(frozen=True, slots=True)
class World:
    """Two organisations and the two chains that they share."""

    alice: Organisation
    bob: Organisation
    chain_a: ChainId
    chain_b: ChainId
    block_interval: float

    @property
    def gold(self) -> AssetId:
        return AssetId(self.chain_a, "token", "gold")

    @property
    def oil(self) -> AssetId:
        return AssetId(self.chain_b, "token", "oil")

    def policy(self) -> dict[str, Any]:
        """Bob takes 2 to 4 gold for each oil."""
        return {
            "rules": [
                {
                    "get": str(self.gold),
                    "give": str(self.oil),
                    "price_min": "2",
                    "price_max": "4/1",
                    "least": 1,
                    "per_swap": 1_000,
                    "per_day": 2_000,
                }
            ]
        }


def make_world(
    folder: Path, bobs_policy: bool = False, block_interval: float = 0.05, **changes: Any
) -> World:
    """Writes both organisations' keys, certificates and configuration files."""
    number = next(_numbers)
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    world = World(
        _organisation("alice", folder / "alice", authority),
        _organisation("bob", folder / "bob", authority),
        ChainId.parse(f"sim:alpha{number}"),
        ChainId.parse(f"sim:beta{number}"),
        block_interval,
    )
    for own, other in ((world.alice, world.bob), (world.bob, world.alice)):
        peer: dict[str, Any] = {
            "name": other.name,
            "address": other.address,
            "url": f"https://127.0.0.1:{other.peer_port}",
            "tls_ca": "ca.pem",
        }
        if bobs_policy and own is world.bob:
            peer["policy"] = world.policy()
        write_configuration(world, own, peer, changes)
    return world


def write_configuration(
    world: World, own: Organisation, peer: dict[str, Any], changes: dict[str, Any]
) -> None:
    key = {"uri": "keystore:key.json", "passphrase": "file:passphrase"}
    data = {
        "gateway": {
            "organisation": own.name,
            "key": key,
            "swap_key": {"uri": "keystore:swap.json", "passphrase": "file:passphrase"},
        },
        "journal": {"path": "journal.db"},
        "bounds": {"reaction": 1, "outage": 1},
        "api": {"port": own.api_port, "token": "file:token"},
        "peer_api": {"port": own.peer_port, "tls_certificate": "tls.pem", "tls_key": "tls.key"},
        "chains": {
            "alpha": chain_block(world, world.chain_a, "gold") | {"key": key},
            "beta": chain_block(world, world.chain_b, "oil") | {"key": key},
        },
        "peers": [peer],
        "offers": {"valid_for": 30, "slack": 2},
    } | changes
    own.file.write_text(yaml.safe_dump(data, sort_keys=False))


def chain_block(world: World, chain: ChainId, token: str) -> dict[str, Any]:
    asset = f"{chain}/token:{token}"
    return {
        "adapter": "simulated",
        "chain": str(chain),
        "inclusion": 1,
        "finality": 1,
        "clock": 1,
        "stale_after": 30,
        "ledger": {
            "depth": 1,
            "block_interval": world.block_interval,
            "coin": {"id": f"{chain}/slip44:60", "symbol": "COIN", "decimals": 0},
            "tokens": [{"id": asset, "symbol": token.upper(), "decimals": 2}],
            "funds": [
                {"account": str(account_of(chain, who.public_key)), "asset": asset, "amount": FUNDS}
                for who in (world.alice, world.bob)
            ],
        },
    }


def write_watchtower(world: World, folder: Path, **changes: Any) -> Path:
    """The configuration file of a watchtower of both chains, with a key of its own. On these chains
    nothing is paid for a transaction, so it holds nothing."""
    other = make_world(folder / "elsewhere").alice.folder
    key = {"uri": f"keystore:{other}/key.json", "passphrase": f"file:{other}/passphrase"}
    data = {
        "organisation": "tower",
        "state": "tower.json",
        "chains": {
            "alpha": chain_block(world, world.chain_a, "gold") | {"key": key},
            "beta": chain_block(world, world.chain_b, "oil") | {"key": key},
        },
    } | changes
    file = folder / "tower.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return file


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that runs, and a client of its user API."""

    organisation: Organisation
    gateway: Gateway
    http: httpx.AsyncClient

    async def ready(self) -> None:
        async with asyncio.timeout(20):
            while True:
                if (await self.http.get("/readyz")).status_code == 200:
                    return
                await asyncio.sleep(0.02)

    async def swap_in(self, swap: str, *phases: str) -> dict[str, Any]:
        """The swap, once its events have brought it into one of these phases."""
        async with asyncio.timeout(30):
            while True:
                answer = await self.http.get(f"/v1/swaps/{swap}")
                if answer.status_code == 200 and answer.json()["phase"] in phases:
                    found: dict[str, Any] = answer.json()
                    return found
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(organisation: Organisation) -> AsyncIterator[Running]:
    """The gateway, running until the end of the block; it must then end by itself."""
    async with open_gateway(organisation.settings()) as gateway:
        work = asyncio.create_task(gateway.run())
        base = f"http://127.0.0.1:{organisation.api_port}"
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as http:
            one = Running(organisation, gateway, http)
            try:
                await one.ready()
                yield one
            finally:
                gateway.stop()
                async with asyncio.timeout(20):
                    await work


@asynccontextmanager
async def both_running(world: World) -> AsyncIterator[tuple[Running, Running]]:
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(running(world.alice))
        bob = await stack.enter_async_context(running(world.bob))
        yield alice, bob


def offer_body(world: World, **changes: Any) -> dict[str, Any]:
    body = {
        "peer": "bob",
        "give": {"asset": str(world.gold), "amount": "300"},
        "get": {"asset": str(world.oil), "quantity": "1"},
        "reference": "order 7",
    }
    return body | changes


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
