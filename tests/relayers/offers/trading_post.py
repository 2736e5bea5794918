"""A gateway's offer desk and intake over a real engine and simulated chains, for tests.

Only the other gateway is played: the tests hand messages over themselves.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from adapters.model import Asset, AssetId, Bounds, ChainId, Preimage
from adapters.simulated.accounts import account_of
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.chain import Rules, SimulatedChain
from adapters.spi import AdapterError, Credential
from relayers.engine import Engine
from relayers.journal.memory import MemoryJournal, MemoryStore
from relayers.offers.chains import TradedChain, TradedChains
from relayers.offers.dealing import Dealing
from relayers.offers.desk import OfferDesk, OfferRequest, Side
from relayers.offers.intake import OfferIntake
from relayers.offers.peers import Peer, Peers, PinnedCertificate
from relayers.offers.policy import Policy
from relayers.offers.rules import OfferRules
from relayers.offers.typed_data import gateway_address
from relayers.offers.wire import Hello, to_hex
from relayers.protocol.offer import PROTOCOL_VERSIONS
from relayers.protocol.timelocks import GatewayBounds
from tests.relayers.offers.samples import ALICE, BOB, CHAIN_A, CHAIN_B, MemorySigner

START = 1_700_000_000
BOUNDS = Bounds(inclusion=2, finality=4, clock=1)
GOLD = AssetId(CHAIN_A, "token", "gold")
OIL = AssetId(CHAIN_B, "token", "oil")
FUNDS = 1_000_000


class Ledgers:
    """Two simulated chains and one clock for all."""

    def __init__(self) -> None:
        self.time = START
        self.chains = {
            chain: SimulatedChain(
                chain,
                coin=Asset(AssetId(chain, "slip44", "60"), "COIN", 0),
                tokens=[Asset(token, token.reference.upper(), 2)],
                rules=Rules(depth=1),
                genesis_time=START,
            )
            for chain, token in ((CHAIN_A, GOLD), (CHAIN_B, OIL))
        }

    def clock(self) -> float:
        return float(self.time)

    def pass_time(self, seconds: int) -> None:
        self.time += seconds
        for chain in self.chains.values():
            chain.produce_block(self.time)


class Secrets:
    """A swap key in memory."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def preimage(self, salt: bytes) -> Preimage:
        return Preimage(hmac.digest(self._name.encode(), salt, hashlib.sha256))


@dataclass(slots=True)
class PlayedPeer:
    """What the other gateway's hello says, or why it says nothing."""

    address: bytes
    versions: tuple[int, ...] = PROTOCOL_VERSIONS
    error: AdapterError | None = None

    async def hello(self, peer: Peer) -> Hello:
        if self.error is not None:
            raise self.error
        return Hello(organisation="peer", address=to_hex(self.address), versions=self.versions)


@dataclass(slots=True)
class TradingPost:
    """One gateway's side."""

    ledgers: Ledgers
    engine: Engine
    dealing: Dealing
    desk: OfferDesk
    intake: OfferIntake
    other: PlayedPeer
    adapters: dict[ChainId, SimulatedAdapter]
    received: asyncio.Event = field(default_factory=asyncio.Event)


def request(**changes: object) -> OfferRequest:
    values: dict[str, object] = {
        "peer": "bob",
        "give": Side(GOLD, 500),
        "get": Side(OIL, 300),
        "reference": "order 7",
    }
    return OfferRequest(**(values | changes))  # type: ignore[arg-type]


def _peer(name: str, signer: MemorySigner, policy: Policy | None) -> Peer:
    return Peer(
        name=name,
        address=gateway_address(signer),
        url="https://127.0.0.1:1",
        trust=PinnedCertificate(Path("unused.pem")),
        policy=policy,
    )


@asynccontextmanager
async def trading_post(
    ledgers: Ledgers,
    own: MemorySigner = ALICE,
    other: MemorySigner = BOB,
    policy: Policy | None = None,
    rules: OfferRules | None = None,
    store: MemoryStore | None = None,
) -> AsyncIterator[TradingPost]:
    """A gateway with the key ``own`` that knows one peer: alice knows bob, and bob alice."""
    adapters, traded = {}, []
    for chain in (CHAIN_A, CHAIN_B):
        account = account_of(chain, own.public_key)
        ledger = ledgers.chains[chain]
        for asset in ledger.assets:
            if ledger.balance(account, asset, ledger.newest) == 0:
                ledger.fund(account, asset, FUNDS)
        adapter = SimulatedAdapter(
            ledger, bounds=BOUNDS, name=chain.reference, stale_after=30, at_once=16
        )
        adapters[chain] = adapter
        traded.append(TradedChain(adapter, Credential(account, own)))
    journal = MemoryJournal(store if store is not None else MemoryStore())
    engine = await Engine.open(journal, ledgers.clock)
    name = "bob" if other is BOB else "alice"
    dealing = Dealing(
        signer=own,
        chains=TradedChains(traded, GatewayBounds(reaction=2, outage=20)),
        peers=Peers([_peer(name, other, policy)]),
        swaps=engine,
        clock=ledgers.clock,
        rules=rules if rules is not None else OfferRules(valid_for=60, slack=5),
    )
    salts = iter(range(1, 1000))
    played = PlayedPeer(gateway_address(other))
    received = asyncio.Event()
    desk = OfferDesk(
        dealing, Secrets(name), played, lambda count: next(salts).to_bytes(count, "big")
    )
    running = asyncio.create_task(engine.run())
    try:
        yield TradingPost(
            ledgers=ledgers,
            engine=engine,
            dealing=dealing,
            desk=desk,
            intake=OfferIntake(dealing, received),
            other=played,
            adapters=adapters,
            received=received,
        )
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await journal.close()
