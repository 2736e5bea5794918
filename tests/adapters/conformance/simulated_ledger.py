"""The simulated ledger under the conformance suite: a chain whose blocks come fast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from adapters.conformance.harness import Harness
from adapters.model import Asset, AssetId, Bounds, ChainId
from adapters.simulated.accounts import named_credential
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.chain import Rules, SimulatedChain
from adapters.spi import Adapter, Credential

CHAIN = ChainId("sim", "conformance")
BOUNDS = Bounds(inclusion=40, finality=60, clock=2)


class SimulatedLedger(Harness):
    """While an adapter is open, a task makes a block of one second every millisecond.

    ``view`` makes its adapters and ``patience`` is in real seconds; both for tests of the suite
    itself, which put something defective here.
    """

    def __init__(
        self,
        rules: Rules,
        view: Callable[..., SimulatedAdapter] = SimulatedAdapter,
        patience: float = 60.0,
    ) -> None:
        self._view = view
        # The suite adds the bounds, in real seconds; here a second of chain time is far shorter.
        self.margin = patience - (BOUNDS.inclusion + BOUNDS.finality + 2 * BOUNDS.clock)
        coin = Asset(AssetId(CHAIN, "coin", "native"), "SIM", 9)
        token = Asset(AssetId(CHAIN, "token", "gold"), "GLD", 2)
        self._credentials = [named_credential(CHAIN, name) for name in ("ann", "bob", "cem")]
        self.chain = SimulatedChain(
            CHAIN, coin=coin, tokens=[token], rules=rules, genesis_time=1000
        )
        for credential in self._credentials:
            self.chain.fund(credential.account, coin.id, 10**9)
            self.chain.fund(credential.account, token.id, 10**6)
        self._views: list[SimulatedAdapter] = []
        self.restart = self._take_down_and_up
        if rules.depth:
            self.reorg = self._reorganise

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Adapter]:
        view = self._view(self.chain, bounds=BOUNDS)
        self._views.append(view)
        maker = asyncio.create_task(self._make_blocks())
        try:
            yield view
        finally:
            maker.cancel()
            self._views.remove(view)

    async def _make_blocks(self) -> None:
        while True:
            await asyncio.sleep(0.001)
            self.chain.produce_block(self.chain.time + 1)

    @property
    def credentials(self) -> Sequence[Credential]:
        return self._credentials

    @property
    def assets(self) -> Sequence[AssetId]:
        return list(self.chain.assets)

    @property
    def absent_asset(self) -> AssetId:
        return AssetId(CHAIN, "token", "unobtainium")

    async def advance_time(self, to: int) -> None:
        while self.chain.time < to:
            self.chain.produce_block(self.chain.time + 1)

    async def _reorganise(self, depth: int) -> None:
        self.chain.reorg(depth)

    async def _take_down_and_up(self) -> None:
        for view in self._views:
            view.down = True
        for _ in range(3):
            self.chain.produce_block(self.chain.time + 1)
            await asyncio.sleep(0)
        for view in self._views:
            view.down = False
