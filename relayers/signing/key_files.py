"""Key files in a folder: made, imported, listed. None is ever overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.whole_file import sync_folder
from relayers.signing.keystore import (
    SCRYPT_COST,
    KeyFileError,
    KeyFileHeader,
    KeyKind,
    decrypt,
    encrypt,
    read_header,
)
from relayers.signing.local_signers import LocalP256Signer, LocalSecp256k1Signer
from relayers.signing.secret import Secret

RandomBytes = Callable[[int], bytes]
"""Returns so many random bytes; ``secrets.token_bytes`` outside of tests."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    path: Path
    header: KeyFileHeader


def make(
    path: Path,
    kind: KeyKind,
    passphrase: Secret,
    random_bytes: RandomBytes,
    *,
    cost: int = SCRYPT_COST,
) -> KeyFile:
    """Makes a new key in a file that is not there yet. Raises KeyFileError."""
    while True:
        secret = random_bytes(32)
        try:
            public_key = public_key_of(kind, secret)
        except KeyFileError:
            continue  # not below the order: about once in 2^32 keys of P-256
        return _write(path, kind, secret, public_key, passphrase, random_bytes, cost)


def keep(
    path: Path,
    kind: KeyKind,
    secret: bytes,
    passphrase: Secret,
    random_bytes: RandomBytes,
    *,
    cost: int = SCRYPT_COST,
) -> KeyFile:
    """Imports 32 bytes into a file that is not there yet. Raises KeyFileError."""
    public_key = public_key_of(kind, secret)
    return _write(path, kind, secret, public_key, passphrase, random_bytes, cost)


def secret_from(content: bytes, kind: KeyKind, passphrase: Secret | None, name: str) -> bytes:
    """The 32 bytes in what a user imports: a v3 file, a PEM file of P-256 (PKCS #8 or SEC 1), or
    64 hexadecimal digits. Raises KeyFileError."""
    text = content.strip()
    if text.startswith(b"{"):
        if passphrase is None:
            raise KeyFileError(f"key file {name} needs its passphrase")
        return decrypt(content, passphrase, name).secret
    if text.startswith(b"-----BEGIN"):
        if kind is not KeyKind.P256:
            raise KeyFileError(f"{name} is a PEM file; only P-256 keys are imported from those")
        return load_pem(content, passphrase, name).private_numbers().private_value.to_bytes(32)
    try:
        secret = bytes.fromhex(text.decode().removeprefix("0x"))
    except (ValueError, UnicodeDecodeError):
        secret = b""
    if len(secret) != 32:
        raise KeyFileError(f"{name} holds neither a v3 key file, a PEM key, nor 64 hex digits")
    return secret


def load_pem(content: bytes, passphrase: Secret | None, name: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key in PEM, encrypted or not. Raises KeyFileError."""
    password = passphrase.text.encode() if passphrase is not None else None
    try:
        key = load_pem_private_key(content, password)
    except TypeError:
        what = "needs a passphrase" if password is None else "has no passphrase, but one was given"
        raise KeyFileError(f"key file {name} {what}") from None
    except ValueError:
        what = "is not a private key in PEM"
        if password is not None:
            what = "cannot be opened: the passphrase is wrong, or the file is damaged"
        raise KeyFileError(f"key file {name} {what}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError(f"key file {name} is not a P-256 key")
    return key


def public_key_of(kind: KeyKind, secret: bytes) -> bytes | None:
    """65 bytes; None for a swap key. Raises KeyFileError where these bytes are no such key."""
    match kind:
        case KeyKind.SECP256K1:
            return LocalSecp256k1Signer(secret).public_key
        case KeyKind.P256:
            return LocalP256Signer.from_secret(secret).public_key
        case KeyKind.SWAP_KEY:
            if len(secret) != 32:
                raise KeyFileError(f"a swap key is 32 bytes, and this one is {len(secret)}")
            return None


def listed(folder: Path) -> Sequence[KeyFile]:
    """The key files in a folder, by name; files of another sort are passed over."""
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            found.append(KeyFile(path, read_header(path.read_bytes(), path.name)))
        except (KeyFileError, OSError):
            continue
    return tuple(found)


def _write(
    path: Path,
    kind: KeyKind,
    secret: bytes,
    public_key: bytes | None,
    passphrase: Secret,
    random_bytes: RandomBytes,
    cost: int,
) -> KeyFile:
    content = encrypt(
        secret,
        kind,
        public_key,
        passphrase,
        salt=random_bytes(32),
        iv=random_bytes(16),
        cost=cost,
    )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyFileError(
            f"key file {path} cannot be written: {path.parent} cannot be made: {error.strerror}"
        ) from None
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Why a link: unlike a rename it refuses where there is a file already.
        os.link(draft, path)
        sync_folder(path.parent)
    except FileExistsError:
        raise KeyFileError(f"there is a file {path} already; choose another name") from None
    except OSError as error:
        raise KeyFileError(f"key file {path} cannot be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    return KeyFile(path, read_header(content, path.name))
