"""The plugin ``simulated``: chains in this process's memory, with a block every so often.

For tests and trials of a gateway without any ledger. All adapters that this process opens for one
chain id are views of one chain, which lives as long as the process; nothing is kept on disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from adapters.model import (
    AccountId,
    Asset,
    AssetId,
    Bounds,
    ChainId,
    InvalidValue,
    check_amount,
)
from adapters.simulated.accounts import account_of
from adapters.simulated.adapter import SimulatedAdapter
from adapters.simulated.chain import Rules, SimulatedChain
from adapters.spi import (
    INTERFACE_VERSION,
    Adapter,
    ChainSettings,
    Credential,
    Misconfigured,
    Scheme,
    Signer,
)

_AT_ONCE = 16
"""As on the other chains; a simulated chain takes any number."""


class AssetSettings(BaseModel):
    """An asset of the ledger."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description="CAIP-19 id, for example sim:alpha/token:gold.")
    symbol: str = Field(min_length=1, max_length=16, description="How people call it.")
    decimals: int = Field(
        ge=0, le=77, description="How many of its decimal digits the smallest unit takes up."
    )


class FundsSettings(BaseModel):
    """What an account holds from the start."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str = Field(description="CAIP-10 id of an account that has a balance from the start.")
    asset: str = Field(description="CAIP-19 id of the asset.")
    amount: int = Field(gt=0, description="In smallest units.")


class LedgerSettings(BaseModel):
    """The chain itself; whoever opens it must say the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    depth: int = Field(default=2, ge=0, description="Blocks that make one final; 0: at once.")
    late: bool = Field(
        default=False,
        description="Check times at submission only, as Fabric does with endorsements.",
    )
    fee: int = Field(default=0, ge=0, description="Of a transaction, in smallest units of coin.")
    block_interval: float = Field(default=1.0, gt=0, description="Seconds between two blocks.")
    coin: AssetSettings = Field(description="The coin in which fees are paid.")
    tokens: tuple[AssetSettings, ...] = Field(default=(), description="Its other assets.")
    funds: tuple[FundsSettings, ...] = Field(
        default=(), description="What accounts hold from the start."
    )


class SimulatedSettings(ChainSettings):
    ledger: LedgerSettings


@dataclass(slots=True)
class _Ledger:
    chain: SimulatedChain
    settings: LedgerSettings
    next_block: float
    """On the event loop's clock."""


class SimulatedPlugin:
    """Satisfies ``adapters.spi.AdapterPlugin``. ``clock`` gives Unix seconds for block times."""

    name = "simulated"
    interface = INTERFACE_VERSION
    settings = SimulatedSettings

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ledgers: dict[ChainId, _Ledger] = {}

    def chain(self, chain: ChainId) -> SimulatedChain:
        """The chain behind the adapters, for a test to disturb. Raises InvalidValue."""
        if chain not in self._ledgers:
            raise InvalidValue(f"no simulated chain {chain} has been opened in this process")
        return self._ledgers[chain].chain

    def open(self, name: str, settings: SimulatedSettings) -> AbstractAsyncContextManager[Adapter]:
        return self._open(name, settings)

    @asynccontextmanager
    async def _open(self, name: str, settings: SimulatedSettings) -> AsyncIterator[Adapter]:
        ledger = self._ledger(name, settings)
        ledger.next_block = asyncio.get_running_loop().time() + settings.ledger.block_interval
        maker = asyncio.create_task(self._make_blocks(ledger), name=f"blocks of {name}")
        try:
            yield SimulatedAdapter(
                ledger.chain,
                name=name,
                bounds=Bounds(
                    settings.inclusion,
                    settings.finality,
                    settings.clock,
                    # As Fabric: a claim endorsed in time lands at the latest with the next blocks.
                    late=settings.inclusion if settings.ledger.late else 0,
                ),
                stale_after=settings.stale_after,
                at_once=_AT_ONCE,
            )
        finally:
            maker.cancel()
            with suppress(asyncio.CancelledError):
                await maker

    def _ledger(self, name: str, settings: SimulatedSettings) -> _Ledger:
        try:
            chain_id = settings.chain_id()
            ledger = self._ledgers.get(chain_id)
            if ledger is None:
                ledger = _Ledger(self._made(chain_id, settings.ledger), settings.ledger, 0.0)
                self._ledgers[chain_id] = ledger
        except InvalidValue as error:
            raise Misconfigured(f"chain {name}: {error}") from error
        if ledger.settings != settings.ledger:
            raise Misconfigured(
                f"chain {name}: ledger differs from what {chain_id} was first opened with in this "
                "process; give both the same, or another chain id"
            )
        return ledger

    def _made(self, chain: ChainId, settings: LedgerSettings) -> SimulatedChain:
        made = SimulatedChain(
            chain,
            coin=_asset(settings.coin),
            tokens=[_asset(token) for token in settings.tokens],
            rules=Rules(settings.depth, settings.late, settings.fee),
            genesis_time=int(self._clock()),
        )
        for funds in settings.funds:
            account, asset = AccountId.parse(funds.account), AssetId.parse(funds.asset)
            made.fund(account, asset, check_amount(funds.amount, "funds.amount"))
        return made

    async def _make_blocks(self, ledger: _Ledger) -> None:
        # Each open adapter has such a task, so that blocks go on whichever is closed first; the
        # one that wakes first makes the block, and the others see that it is made.
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(0.0, ledger.next_block - loop.time()))
            if loop.time() >= ledger.next_block:
                ledger.next_block = loop.time() + ledger.settings.block_interval
                ledger.chain.produce_block(max(int(self._clock()), ledger.chain.time))

    def credential(self, settings: Any, signer: Signer) -> Credential:
        if signer.scheme is not Scheme.SECP256K1:
            raise Misconfigured(
                f"chain {settings.chain}: the key is {signer.scheme}; simulated chains use "
                f"{Scheme.SECP256K1}"
            )
        return Credential(account_of(settings.chain_id(), signer.public_key), signer)


def _asset(settings: AssetSettings) -> Asset:
    return Asset(AssetId.parse(settings.id), settings.symbol, settings.decimals)


plugin = SimulatedPlugin()
