"""isthmus gateway run, isthmus watchtower run."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli.answers import AsJson
from gateway.cli.connection import OwnConfig

if TYPE_CHECKING:
    from relayers.signing.secret import Prompt

gateway_commands = typer.Typer(no_args_is_help=True, help="This organisation's gateway.")
watchtower_commands = typer.Typer(no_args_is_help=True, help="A watchtower.")


@gateway_commands.callback()
def _gateway() -> None:
    """This organisation's gateway."""


@watchtower_commands.callback()
def _watchtower() -> None:
    """A watchtower: it finishes other people's swaps, with no key of theirs."""


@gateway_commands.command("run")
def run_gateway(config: OwnConfig, as_json: AsJson = False) -> None:
    """Runs the gateway until it is stopped (SIGTERM or Ctrl-C).

    With --json it prints one line once it serves: who it is, and where. The log is on standard
    error.
    """
    from gateway import garbage

    garbage.begin()
    import asyncio

    from gateway import compose
    from gateway.settings import load_gateway
    from gateway.telemetry.logs import set_up_logs

    settings = load_gateway(config)
    set_up_logs(settings.root.log.level)

    def serving(gateway: compose.Gateway) -> None:
        root = settings.root
        _print_line(
            {
                "ok": True,
                "organisation": root.gateway.organisation,
                "address": "0x" + gateway.services.dealing.address.hex(),
                "api": root.api.url,
                "peer_api": root.peer_api.url,
                "chains": [chain.name for chain in settings.chains],
            }
        )

    told = serving if as_json else lambda _: None
    asyncio.run(compose.run_gateway(settings, prompt=prompt(), serving=told))


@watchtower_commands.command("run")
def run_watchtower(config: OwnConfig, as_json: AsJson = False) -> None:
    """Runs a watchtower until it is stopped: it claims for whoever is due, once a secret is on a
    chain, and refunds what is overdue.

    With --json it prints one line once it watches: who it is, and where its metrics are. The log is
    on standard error.
    """
    from gateway import garbage

    garbage.begin()
    import asyncio

    from gateway import compose
    from gateway.settings import load_tower
    from gateway.telemetry.logs import set_up_logs

    settings = load_tower(config)
    set_up_logs(settings.root.log.level)

    def serving(_: compose.WatchtowerProcess) -> None:
        metrics = settings.root.metrics
        _print_line(
            {
                "ok": True,
                "organisation": settings.root.organisation,
                "metrics": metrics.url if metrics is not None else None,
                "chains": [chain.name for chain in settings.chains],
            }
        )

    told = serving if as_json else lambda _: None
    asyncio.run(compose.run_tower(settings, prompt=prompt(), serving=told))


def _print_line(value: Mapping[str, Any]) -> None:
    """At once, though it be into a pipe."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def prompt() -> Prompt | None:
    """Nobody is asked where nobody is there."""
    if not sys.stdin.isatty():
        return None
    from getpass import getpass

    return getpass
