"""A small simulated chain with three funded parties, and what tests do on it."""

from __future__ import annotations

import hashlib
from typing import Any

from adapters.model import (
    Asset,
    AssetId,
    Bounds,
    ChainId,
    Claim,
    Lock,
    LockTerms,
    Preimage,
)
from adapters.simulated.accounts import named_credential
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.chain import Rules, SimulatedChain
from adapters.simulated.faults import FaultPlan

CHAIN = ChainId("sim", "alpha")
COIN = Asset(AssetId(CHAIN, "coin", "native"), "SIM", 9)
GOLD = Asset(AssetId(CHAIN, "token", "gold"), "GLD", 2)
ANN, BOB, CEM = (named_credential(CHAIN, name) for name in ("ann", "bob", "cem"))
BOUNDS = Bounds(inclusion=10, finality=30, clock=2)
FUNDS = 1_000


def new_chain(**rules: Any) -> SimulatedChain:
    """Time starts at 1000; each of the three has 1,000 of both assets."""
    chain = SimulatedChain(
        CHAIN, coin=COIN, tokens=[GOLD], rules=Rules(**rules), genesis_time=1_000
    )
    for credential in (ANN, BOB, CEM):
        for asset in (COIN, GOLD):
            chain.fund(credential.account, asset.id, FUNDS)
    return chain


def view_of(
    chain: SimulatedChain, faults: FaultPlan | None = None, name: str = "a view"
) -> SimulatedAdapter:
    return SimulatedAdapter(chain, bounds=BOUNDS, name=name, faults=faults)


def preimage_of(number: int) -> Preimage:
    return Preimage(hashlib.sha256(b"preimage %d" % number).digest())


def terms_of(
    number: int = 0, *, amount: int = 10, deadline: int = 2_000, asset: AssetId = COIN.id
) -> LockTerms:
    """From Ann to Bob, under the hashlock of this number's preimage."""
    return LockTerms(
        chain=CHAIN,
        contract="locks",
        sender=ANN.account,
        recipient=BOB.account,
        asset=asset,
        amount=amount,
        hashlock=preimage_of(number).hashlock(),
        deadline=deadline,
    )


async def lock(view: SimulatedAdapter, terms: LockTerms) -> str:
    return (await view.submit(Lock(terms), ANN)).transaction


async def claim(view: SimulatedAdapter, terms: LockTerms, number: int = 0) -> str:
    action = Claim(view.lock_id(terms), preimage_of(number))
    return (await view.submit(action, BOB)).transaction
