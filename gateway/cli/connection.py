"""Which gateway a command speaks to: the one of a configuration file, or one by URL and token."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec, cast

import typer

from gateway.cli.answers import Failed

if TYPE_CHECKING:
    from gateway.client import GatewayClient

P = ParamSpec("P")

ConfigFile = Annotated[
    Path,
    typer.Option(
        "-c",
        "--config",
        envvar="ISTHMUS_CONFIG",
        help="The gateway's configuration file.",
        show_default=True,
    ),
]
OwnConfig = Annotated[
    Path,
    typer.Option("-c", "--config", envvar="ISTHMUS_CONFIG", help="The configuration file."),
]
"""Of a command that reads the whole file itself, and so must be told which."""
Url = Annotated[
    str | None,
    typer.Option("--url", help="The gateway's API, in place of a configuration file."),
]
Token = Annotated[
    str | None,
    typer.Option("--token", help="With --url: file:PATH or env:NAME of the API's token."),
]
TlsCa = Annotated[
    Path | None, typer.Option("--tls-ca", help="With --url: PEM file to check its TLS against.")
]
DEFAULT_CONFIG = Path("gateway.yaml")


@dataclass(frozen=True, slots=True)
class ChosenGateway:
    """What was said of the gateway that a command is to speak to."""

    config: Path
    url: str | None
    token: str | None
    tls_ca: Path | None

    def client(self) -> GatewayClient:
        """Raises ConfigurationError, Failed."""
        from gateway.client import GatewayClient
        from gateway.settings import load_api, read_secret

        if self.url is None:
            if self.token is not None or self.tls_ca is not None:
                raise Failed("--token and --tls-ca go with --url")
            if not self.config.exists():
                raise Failed(
                    f"there is no file {self.config}: name the gateway's configuration with "
                    "-c FILE, or its API with --url and --token"
                )
            api = load_api(self.config)
            # The certificate that the gateway shows is the one that its own file names.
            return GatewayClient(
                api.url,
                read_secret(api.token, "api.token"),
                ca=api.tls_certificate,
            )
        if self.token is None:
            raise Failed("--url needs --token file:PATH or --token env:NAME")
        return GatewayClient(self.url, read_secret(self.token, "--token"), ca=self.tls_ca)


def with_gateway(command: Callable[Concatenate[ChosenGateway, P], None]) -> Callable[..., None]:
    """Gives a command the options that choose its gateway, before its ``--json``; the command
    itself has one parameter for them, its first."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=of)
        for name, of, default in _OPTIONS
    ]
    place = next((at for at, one in enumerate(own) if one.name == "as_json"), len(own))
    shown = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    shown[place:place] = options

    def called(**given: Any) -> None:
        chosen = ChosenGateway(*(given.pop(name) for name, _, _ in _OPTIONS))
        cast("Callable[..., None]", command)(chosen, **given)

    # The parser reads a command's name, its help and its parameters off the function.
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__annotations__ = {one.name: one.annotation for one in shown}
    called.__dict__["__signature__"] = inspect.Signature(shown)
    return called


_OPTIONS: Final[tuple[tuple[str, Any, Any], ...]] = (
    ("config", ConfigFile, DEFAULT_CONFIG),
    ("url", Url, None),
    ("token", Token, None),
    ("tls_ca", TlsCa, None),
)
"""In the order of ``ChosenGateway``'s fields."""
