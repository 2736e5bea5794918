"""The command ``isthmus`` and what becomes of errors: one sentence, and exit status 1."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from gateway.cli.chain import chain_commands
from gateway.cli.config import config_commands
from gateway.cli.demo import demo
from gateway.cli.devnet import devnet_commands
from gateway.cli.doctor import doctor
from gateway.cli.failures import code_of, json_wanted, tell
from gateway.cli.key import key_commands
from gateway.cli.quarantine import quarantine_commands
from gateway.cli.run import gateway_commands, watchtower_commands
from gateway.cli.swap import swap_commands

app = typer.Typer(
    name="isthmus",
    no_args_is_help=True,
    # Plain help: drawing it with rich alone takes longer than all the rest of --help.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(swap_commands, name="swap")
app.add_typer(chain_commands, name="chain")
app.add_typer(quarantine_commands, name="quarantine")
app.add_typer(gateway_commands, name="gateway")
app.add_typer(watchtower_commands, name="watchtower")
app.add_typer(key_commands, name="key")
app.add_typer(config_commands, name="config")
app.add_typer(devnet_commands, name="devnet")
app.command()(doctor)
app.command()(demo)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"isthmus {version('isthmus')}")
        raise typer.Exit


@app.callback()
def _before_any_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="And exit.")
    ] = False,
) -> None:
    """Swaps assets between ledgers that know nothing of each other."""


def main() -> NoReturn:
    as_json = json_wanted(sys.argv[1:])
    status = 1
    try:
        # What the parser refuses it tells by itself, but for programs.
        status = app(standalone_mode=not as_json) or 0
    except Exception as error:
        foreseen = code_of(error) is not None
        if foreseen or as_json:
            tell(error, as_json=as_json)
        if not foreseen:
            raise
        status = getattr(error, "exit_code", 1)
    sys.exit(status)
