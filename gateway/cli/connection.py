"""Which gateway a command speaks to: the one of a configuration file, or one by URL and token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.answers import Failed

if TYPE_CHECKING:
    from gateway.client import GatewayClient

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


def connected(config: Path, url: str | None, token: str | None, ca: Path | None) -> GatewayClient:
    """Raises ConfigurationError, Failed."""
    from gateway.client import GatewayClient
    from gateway.settings import load_api, read_secret

    if url is None:
        if token is not None or ca is not None:
            raise Failed("--token and --tls-ca go with --url")
        if not config.exists():
            raise Failed(
                f"there is no file {config}: name the gateway's configuration with -c FILE, "
                "or its API with --url and --token"
            )
        api = load_api(config)
        scheme = "http" if api.tls_certificate is None else "https"
        host = f"[{api.host}]" if ":" in api.host else api.host
        # The certificate that the gateway shows is the one that its own file names.
        return GatewayClient(
            f"{scheme}://{host}:{api.port}",
            read_secret(api.token, "api.token"),
            ca=api.tls_certificate,
        )
    if token is None:
        raise Failed("--url needs --token file:PATH or --token env:NAME")
    return GatewayClient(url, read_secret(token, "--token"), ca=ca)
