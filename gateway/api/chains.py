"""The chains of the user API: list, show, balances, and resuming one that was frozen."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from adapters.model import Asset, AssetId, InvalidValue, format_amount
from adapters.spi import Unavailable
from gateway.api.bodies import (
    AssetView,
    BalancesView,
    BalanceView,
    ChainDetail,
    ChainSummary,
)
from gateway.api.commands import carried_out
from gateway.api.description import Guards, described_router
from gateway.api.problems import ProblemError
from gateway.services import Services
from relayers.offers.chains import TradedChain


def chain_router(services: Services, guards: Guards) -> APIRouter:
    router = described_router("/v1/chains", "chains", guards)

    def named(name: str) -> TradedChain:
        chain = services.dealing.chains.named(name)
        if chain is None and name in services.dealing.chains.awaited():
            trouble = services.trouble().get(name)
            why = trouble.problem if trouble is not None else "its node was not reached yet"
            raise Unavailable(f"chain {name} is not open: {why}")
        if chain is None:
            known = ", ".join(chain.name for chain in services.dealing.chains)
            raise ProblemError(
                404, "unknown_chain", f"no chain is named {name[:80]!r}; configured are {known}"
            )
        return chain

    @router.get("", operation_id="chains")
    async def chains() -> tuple[ChainSummary, ...]:
        """All chains, as they were last seen."""
        return tuple(_view(services, chain) for chain in services.dealing.chains)

    @router.get("/{name}", operation_id="chain")
    async def chain(name: str) -> ChainDetail:
        """One chain, with the assets that it is known to have."""
        found = named(name)
        assets = await found.adapter.assets()
        return ChainDetail(
            **dict(_view(services, found)),
            assets=tuple(
                AssetView(id=str(asset.id), symbol=asset.symbol, decimals=asset.decimals)
                for asset in assets
            ),
        )

    @router.get("/{name}/balances", operation_id="balances")
    async def balances(
        name: str,
        asset: Annotated[
            list[str] | None, Query(description="CAIP-19 ids. Default: the known assets.")
        ] = None,
    ) -> BalancesView:
        """What this gateway's account holds, read from the chain now."""
        found = named(name)
        wanted: list[Asset] = []
        if asset is None:
            wanted.extend(await found.adapter.assets())
        else:
            wanted.extend([await _asset(found, text) for text in asset[:50]])
        return BalancesView(
            chain=str(found.id),
            account=str(found.account),
            balances=tuple([await _balance(found, one) for one in wanted]),
        )

    @router.post("/{name}/resume", operation_id="resume")
    async def resume(name: str) -> ChainSummary:
        """Says that a frozen chain can be trusted again: new locks and reveals may be made on
        it."""
        found = named(name)
        await carried_out(services, "user", "resume", _resume(services, found))
        return _view(services, found)

    return router


async def _resume(services: Services, chain: TradedChain) -> None:
    view = services.engine.views().get(chain.id)
    if view is None or view.frozen is None:
        raise ProblemError(409, "not_now", f"chain {chain.name} is not frozen")
    await services.engine.unfreeze(chain.id)


def _view(services: Services, chain: TradedChain) -> ChainSummary:
    profile = chain.adapter.profile
    view = services.engine.views().get(chain.id)
    trouble = services.trouble().get(chain.name)
    return ChainSummary(
        name=chain.name,
        chain=str(chain.id),
        contract=profile.contract,
        account=str(chain.account),
        inclusion=profile.bounds.inclusion,
        finality=profile.bounds.finality,
        clock=profile.bounds.clock,
        late=profile.bounds.late,
        stale_after=profile.stale_after,
        capabilities=tuple(sorted(profile.capabilities)),
        fee_asset=str(profile.fee_asset) if profile.fee_asset is not None else None,
        height=view.head.height if view is not None else None,
        final_height=view.head.final_height if view is not None else None,
        time=view.head.time if view is not None else None,
        stale=view is None or services.clock() - view.head.time > profile.stale_after,
        frozen=view.frozen if view is not None else None,
        problem=trouble.problem if trouble is not None else None,
        since=trouble.since if trouble is not None else None,
    )


async def _asset(chain: TradedChain, text: str) -> Asset:
    try:
        return await chain.adapter.asset(AssetId.parse(text))
    except InvalidValue as error:
        raise ProblemError(422, "unknown_asset", f"asset: {error}", "asset") from error


async def _balance(chain: TradedChain, asset: Asset) -> BalanceView:
    amount = await chain.adapter.balance(chain.account, asset.id)
    if amount < 0:
        raise Unavailable(f"chain {chain.name} answers a balance below zero")
    return BalanceView(
        asset=str(asset.id),
        symbol=asset.symbol,
        decimals=asset.decimals,
        amount=str(amount),
        display=f"{format_amount(amount, asset.decimals)} {asset.symbol}",
    )
