"""isthmus gateway run, isthmus watchtower run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from relayers.signing.secret import Prompt

gateway_commands = typer.Typer(no_args_is_help=True, help="This organisation's gateway.")
watchtower_commands = typer.Typer(no_args_is_help=True, help="A watchtower.")

RunConfig = Annotated[Path, typer.Option("-c", "--config", help="The configuration file.")]


@gateway_commands.callback()
def _gateway() -> None:
    """This organisation's gateway."""


@watchtower_commands.callback()
def _watchtower() -> None:
    """A watchtower: it finishes other people's swaps, with no key of theirs."""


@gateway_commands.command("run")
def run_gateway(config: RunConfig) -> None:
    """Runs the gateway until it is stopped (SIGTERM or Ctrl-C)."""
    from gateway import garbage

    garbage.begin()
    import asyncio

    from gateway import compose
    from gateway.settings import load_gateway
    from gateway.telemetry.logs import set_up_logs

    settings = load_gateway(config)
    set_up_logs(settings.root.log.level)
    asyncio.run(compose.run_gateway(settings, prompt=prompt()))


@watchtower_commands.command("run")
def run_watchtower(config: RunConfig) -> None:
    """Runs a watchtower until it is stopped: it claims for whoever is due, once a secret is on a
    chain, and refunds what is overdue."""
    from gateway import garbage

    garbage.begin()
    import asyncio

    from gateway import compose
    from gateway.settings import load_tower
    from gateway.telemetry.logs import set_up_logs

    settings = load_tower(config)
    set_up_logs(settings.root.log.level)
    asyncio.run(compose.run_tower(settings, prompt=prompt()))


def prompt() -> Prompt | None:
    """Nobody is asked where nobody is there."""
    if not sys.stdin.isatty():
        return None
    from getpass import getpass

    return getpass
