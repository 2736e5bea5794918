"""isthmus config: check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.answers import AsJson, print_json

config_commands = typer.Typer(no_args_is_help=True, help="The configuration file.")


@config_commands.callback()
def _config() -> None:
    """The configuration file."""


@config_commands.command()
def check(
    config: Annotated[Path, typer.Option("-c", "--config", help="The file to check.")],
    watchtower: Annotated[
        bool, typer.Option("--watchtower", help="It is a watchtower's configuration.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Reads a configuration and says what is wrong with it. Nothing is started or written."""
    from gateway.settings import ConfigurationError, load_gateway, load_tower

    try:
        chains = load_tower(config).chains if watchtower else load_gateway(config).chains
    except ConfigurationError as error:
        if not as_json:
            raise
        print_json({"ok": False, "problems": list(error.problems)})
        raise typer.Exit(1) from None
    if as_json:
        print_json({"ok": True, "chains": [chain.name for chain in chains]})
    else:
        typer.echo(f"{config} can be used; chains: {', '.join(chain.name for chain in chains)}")
