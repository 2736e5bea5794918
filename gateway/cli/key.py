"""isthmus key: new, import, list."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.answers import AsJson, Failed, print_json, print_table

if TYPE_CHECKING:
    from relayers.signing.key_files import KeyFile
    from relayers.signing.keystore import KeyKind
    from relayers.signing.secret import Secret

key_commands = typer.Typer(no_args_is_help=True, help="Key files, encrypted under a passphrase.")

Kind = Annotated[
    str,
    typer.Option(
        help="secp256k1 (gateway, Ethereum, native), p256 (Fabric) or swap_key (preimages)."
    ),
]
Passphrase = Annotated[
    str | None,
    typer.Option(help="file:PATH or env:NAME of the passphrase; asked for, if not said."),
]


@key_commands.command()
def new(
    path: Annotated[Path, typer.Argument(help="The file to make.")],
    kind: Kind = "secp256k1",
    passphrase: Passphrase = None,
    as_json: AsJson = False,
) -> None:
    """Makes a new key in a new file."""
    import secrets

    from relayers.signing.key_files import make

    _free(path)
    _print(make(path, _kind(kind), _new_passphrase(passphrase), secrets.token_bytes), as_json)


@key_commands.command("import")
def import_key(
    source: Annotated[
        Path, typer.Argument(help="A v3 key file, a P-256 key in PEM, or a file of 64 hex digits.")
    ],
    path: Annotated[Path, typer.Argument(help="The file to make.")],
    kind: Kind = "secp256k1",
    source_passphrase: Annotated[
        str | None,
        typer.Option(help="file:PATH or env:NAME of the source's passphrase, where it has one."),
    ] = None,
    passphrase: Passphrase = None,
    as_json: AsJson = False,
) -> None:
    """Brings a key into a new file, encrypted anew. The source is left as it is."""
    import secrets

    from relayers.signing.key_files import keep, secret_from

    _free(path)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise Failed(f"key file {source} cannot be read: {error.strerror}") from error
    needed = content.lstrip().startswith(b"{") or b"ENCRYPTED" in content
    opening = (
        _secret(source_passphrase, f"the passphrase of {source}")
        if needed or source_passphrase is not None
        else None
    )
    wanted = _kind(kind)
    secret = secret_from(content, wanted, opening, str(source))
    _print(keep(path, wanted, secret, _new_passphrase(passphrase), secrets.token_bytes), as_json)


@key_commands.command("list")
def list_keys(
    folder: Annotated[Path, typer.Argument(help="The folder to look in.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Lists the key files of a folder. No passphrase is needed."""
    from relayers.signing.key_files import listed

    if not folder.is_dir():
        raise Failed(f"{folder} is not a folder")
    keys = [_shown(key) for key in listed(folder)]
    if as_json:
        print_json(keys)
        return
    print_table(
        ("file", "kind", "address", "public key"),
        ([value or "" for value in key.values()] for key in keys),
        f"no key files in {folder}",
    )


def _free(path: Path) -> None:
    """Said before anybody is asked for a passphrase."""
    if path.exists():
        raise Failed(f"there is a file {path} already; choose another name")


def _kind(text: str) -> KeyKind:
    from relayers.signing.keystore import KeyKind

    try:
        return KeyKind(text)
    except ValueError:
        known = ", ".join(kind.value for kind in KeyKind)
        raise Failed(f"--kind: {text!r} is not one of {known}") from None


def _secret(reference: str | None, what: str) -> Secret:
    from gateway.settings import read_secret

    if reference is None and not sys.stdin.isatty():
        raise Failed(f"{what} is needed: give it as file:PATH or env:NAME")
    from getpass import getpass

    return read_secret(reference, what, prompt=getpass)


def _new_passphrase(reference: str | None) -> Secret:
    secret = _secret(reference, "a passphrase for the new key file")
    if reference is None and _secret(None, "the same again") != secret:
        raise Failed("the two passphrases differ; nothing was made")
    return secret


def _shown(key: KeyFile) -> dict[str, str | None]:
    from adapters.codec.secp256k1 import address_of
    from relayers.signing.keystore import KeyKind

    header = key.header
    public_key = header.public_key
    address = (
        "0x" + address_of(public_key).hex()
        if public_key is not None and header.kind is KeyKind.SECP256K1
        else None
    )
    return {
        "file": str(key.path),
        "kind": header.kind.value,
        "address": address,
        "public_key": "0x" + public_key.hex() if public_key is not None else None,
    }


def _print(key: KeyFile, as_json: bool) -> None:
    shown = _shown(key)
    if as_json:
        print_json(dict(shown))
        return
    for name, value in shown.items():
        if value is not None:
            typer.echo(f"{name.replace('_', ' '):11} {value}")
