"""isthmus config: check."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.answers import AsJson, print_json
from gateway.cli.connection import OwnConfig

config_commands = typer.Typer(no_args_is_help=True, help="The configuration file.")


@config_commands.callback()
def _config() -> None:
    """The configuration file."""


@config_commands.command()
def check(
    config: OwnConfig,
    watchtower: Annotated[
        bool, typer.Option("--watchtower", help="It is a watchtower's configuration.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Reads a configuration and says what is wrong with it. Nothing is started or written."""
    from gateway.settings import load_gateway, load_tower

    chains = load_tower(config).chains if watchtower else load_gateway(config).chains
    if as_json:
        print_json({"ok": True, "chains": [chain.name for chain in chains]})
    else:
        typer.echo(f"{config} can be used; chains: {', '.join(chain.name for chain in chains)}")
