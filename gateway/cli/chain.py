"""isthmus chain: list, show, balance, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.answers import AsJson, brief, moment, print_json, print_table, run
from gateway.cli.connection import ChosenGateway, with_gateway

if TYPE_CHECKING:
    from gateway.api.bodies import BalancesView, ChainDetail, ChainSummary

chain_commands = typer.Typer(no_args_is_help=True, help="The chains that the gateway works on.")

ChainName = Annotated[str, typer.Argument(help="The chain's name in the configuration.")]


@chain_commands.command("list")
@with_gateway
def list_chains(chosen: ChosenGateway, as_json: AsJson = False) -> None:
    """Lists the chains as they were last seen."""

    async def work() -> tuple[ChainSummary, ...]:
        async with chosen.client() as client:
            return await client.chains()

    chains = run(work())
    if as_json:
        print_json(chains)
        return
    print_table(
        ("name", "chain", "height", "final", "state", "account"),
        (
            (
                chain.name,
                brief(chain.chain),
                "" if chain.height is None else str(chain.height),
                "" if chain.final_height is None else str(chain.final_height),
                _state(chain),
                brief(chain.account.removeprefix(f"{chain.chain}:"), 15),
            )
            for chain in chains
        ),
        "no chains",
    )


@chain_commands.command()
@with_gateway
def show(chosen: ChosenGateway, name: ChainName, as_json: AsJson = False) -> None:
    """Shows one chain: its bounds, its head, its assets."""

    async def work() -> ChainDetail:
        async with chosen.client() as client:
            return await client.chain(name)

    chain = run(work())
    if as_json:
        print_json(chain)
        return
    typer.echo(f"chain         {chain.chain}")
    typer.echo(f"state         {_state(chain)}")
    typer.echo(f"account       {chain.account}")
    typer.echo(f"lock contract {chain.contract}")
    if chain.time is not None:
        typer.echo(f"newest block  {chain.height}, of {moment(chain.time)}")
    typer.echo(
        f"bounds        included within {chain.inclusion} s, final {chain.finality} s later, "
        f"clock within {chain.clock} s, late by at most {chain.late} s"
    )
    typer.echo(f"can           {', '.join(chain.capabilities)}")
    print_table(
        ("asset", "symbol", "decimals"),
        ((asset.id, asset.symbol, str(asset.decimals)) for asset in chain.assets),
        "no assets are known without being asked for",
    )


@chain_commands.command()
@with_gateway
def balance(
    chosen: ChosenGateway,
    name: Annotated[
        str | None, typer.Argument(help="The chain's name; every chain, if not said.")
    ] = None,
    asset: Annotated[
        list[str] | None, typer.Option(help="CAIP-19 id; may be given several times.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What the gateway's accounts hold, read from the chains now."""

    async def work() -> list[tuple[str, BalancesView]]:
        async with chosen.client() as client:
            names = [name] if name else [chain.name for chain in await client.chains()]
            return [(one, await client.balances(one, *(asset or ()))) for one in names]

    found = run(work())
    if as_json:
        print_json([balances for _, balances in found])
        return
    print_table(
        ("chain", "balance", "asset"),
        (
            (chain, balance.display, brief(balance.asset, 41))
            for chain, balances in found
            for balance in balances.balances
        ),
        "no assets",
    )


@chain_commands.command()
@with_gateway
def resume(chosen: ChosenGateway, name: ChainName, as_json: AsJson = False) -> None:
    """Says that a frozen chain can be trusted again: new locks and reveals may be made on it."""

    async def work() -> ChainSummary:
        async with chosen.client() as client:
            return await client.resume(name)

    chain = run(work())
    if as_json:
        print_json(chain)
    else:
        typer.echo(f"{chain.name} is {_state(chain)}")


def _state(chain: ChainSummary) -> str:
    if chain.problem is not None:
        return f"unreachable: {chain.problem}"
    if chain.frozen is not None:
        return f"frozen: {chain.frozen}"
    return "stale" if chain.stale else "live"
