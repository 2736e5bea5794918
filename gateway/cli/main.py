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
    # Plain help: drawing it with rich alone takes longer than all the rest of --help.
    rich_markup_mode=None,
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


EXPECTED = {
    "adapters.model": ("InvalidValue",),
    "adapters.spi": ("AdapterError", "SigningFailed"),
    "gateway.cli.answers": ("Failed",),
    "gateway.client": ("ApiError", "GatewayUnreachable"),
    "gateway.devnet.environment": ("NotPrepared",),
    "gateway.devnet.ports": ("PortsTaken",),
    "gateway.settings": ("ConfigurationError",),
    "relayers.journal.port": ("JournalError",),
    "relayers.signing.keystore": ("KeyFileError",),
    "relayers.signing.secret": ("SecretMissing",),
}
"""Errors whose message is written for people, by module. They are named, not imported: what was
raised is of a module that is loaded, and the others are not needed to tell so."""


def is_expected(error: Exception) -> bool:
    return any(
        isinstance(error, getattr(sys.modules[module], name))
        for module, names in EXPECTED.items()
        if module in sys.modules
        for name in names
    )


def main() -> NoReturn:
    try:
        app()
    except Exception as error:
        if not is_expected(error):
            raise
        for line in str(error).splitlines():
            sys.stderr.write(f"isthmus: {line}\n")
    sys.exit(1)
