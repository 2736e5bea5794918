"""The command ``isthmus`` and what becomes of errors: one sentence, and exit status 1."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from gateway.cli.chain import chain_commands
from gateway.cli.config import config_commands
from gateway.cli.demo import demo
from gateway.cli.devnet import devnet_commands
from gateway.cli.doctor import doctor
from gateway.cli.key import key_commands
from gateway.cli.run import gateway_commands, watchtower_commands
from gateway.cli.swap import swap_commands

app = typer.Typer(
    name="isthmus",
    help="Swaps assets between ledgers that know nothing of each other.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(swap_commands, name="swap")
app.add_typer(chain_commands, name="chain")
app.add_typer(gateway_commands, name="gateway")
app.add_typer(watchtower_commands, name="watchtower")
app.add_typer(key_commands, name="key")
app.add_typer(config_commands, name="config")
app.add_typer(devnet_commands, name="devnet")
app.command()(doctor)
app.command()(demo)


def _expected() -> tuple[type[Exception], ...]:
    """Errors whose message is written for people. Imported only when something went wrong."""
    from adapters.model import InvalidValue
    from adapters.spi import AdapterError, SigningFailed
    from gateway.cli.answers import Failed
    from gateway.client import ApiError, GatewayUnreachable
    from gateway.devnet.environment import NotPrepared
    from gateway.devnet.ports import PortsTaken
    from gateway.settings import ConfigurationError
    from relayers.journal.port import JournalError
    from relayers.signing.keystore import KeyFileError
    from relayers.signing.secret import SecretMissing

    return (
        AdapterError,
        ApiError,
        ConfigurationError,
        Failed,
        GatewayUnreachable,
        InvalidValue,
        JournalError,
        KeyFileError,
        NotPrepared,
        PortsTaken,
        SecretMissing,
        SigningFailed,
    )


def main() -> NoReturn:
    try:
        app()
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        for line in str(error).splitlines():
            sys.stderr.write(f"isthmus: {line}\n")
    sys.exit(1)
