"""Keys by URI: where a key is, and how it is opened, is one line of configuration.

    keystore:PATH   a key file of the v3 format
    pem:PATH        a P-256 key in PEM, as Fabric's tools write it

Vaults, HSMs and remote signers register an opener under a scheme of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from adapters.spi import Signer
from relayers.signing.key_files import load_pem, public_key_of
from relayers.signing.keystore import KeyFileError, KeyKind, KeyMaterial, decrypt
from relayers.signing.local_signers import LocalP256Signer, LocalSecp256k1Signer
from relayers.signing.secret import Secret
from relayers.signing.swap_key import LocalSwapKey, SwapKey

Passphrase = Callable[[], Secret]
"""Asked for only where a key needs one. Raises SecretMissing."""

SignerOpener = Callable[[str], Awaitable[Signer]]
"""Opens a remote signer by its whole URI. Raises KeyFileError, or SigningFailed where the remote
end does not answer."""

SwapKeyOpener = Callable[[str], Awaitable[SwapKey]]


class Keyring:
    """Opens keys. ``folder``: where relative paths begin."""

    def __init__(
        self,
        folder: Path,
        *,
        signers: Mapping[str, SignerOpener] | None = None,
        swap_keys: Mapping[str, SwapKeyOpener] | None = None,
    ) -> None:
        self._folder = folder
        self._signers = dict(signers or {})
        self._swap_keys = dict(swap_keys or {})

    async def signer(self, uri: str, passphrase: Passphrase | None = None) -> Signer:
        """Raises KeyFileError, SecretMissing."""
        scheme, path = self._place(uri)
        match scheme:
            case "keystore":
                material = await self._open(path, passphrase)
                match material.header.kind:
                    case KeyKind.SECP256K1:
                        return LocalSecp256k1Signer(material.secret)
                    case KeyKind.P256:
                        return LocalP256Signer.from_secret(material.secret)
                    case KeyKind.SWAP_KEY:
                        raise KeyFileError(f"key file {path} is a swap key; it cannot sign")
            case "pem":
                secret = passphrase() if passphrase is not None else None
                return LocalP256Signer(load_pem(_read(path), secret, str(path)))
        opener = self._signers.get(scheme)
        if opener is None:
            known = ", ".join(sorted({"keystore", "pem", *self._signers}))
            raise KeyFileError(f"a key is given as SCHEME:PATH, the scheme one of: {known}")
        return await opener(uri)

    async def swap_key(self, uri: str, passphrase: Passphrase | None = None) -> SwapKey:
        """Raises KeyFileError, SecretMissing."""
        scheme, path = self._place(uri)
        if scheme == "keystore":
            material = await self._open(path, passphrase)
            if material.header.kind is not KeyKind.SWAP_KEY:
                raise KeyFileError(
                    f"key file {path} is a {material.header.kind} key; a swap key must be one of "
                    "its own, made with: isthmus key new --kind swap_key"
                )
            return LocalSwapKey(material.secret)
        opener = self._swap_keys.get(scheme)
        if opener is None:
            known = ", ".join(sorted({"keystore", *self._swap_keys}))
            raise KeyFileError(f"a swap key is given as SCHEME:PATH, the scheme one of: {known}")
        return await opener(uri)

    def _place(self, uri: str) -> tuple[str, Path]:
        scheme, _, rest = uri.partition(":")
        return scheme, self._folder / rest.removeprefix("//")

    async def _open(self, path: Path, passphrase: Passphrase | None) -> KeyMaterial:
        content = _read(path)
        if passphrase is None:
            raise KeyFileError(f"key file {path} needs its passphrase")
        # scrypt takes a second; the loop goes on meanwhile.
        material = await asyncio.to_thread(decrypt, content, passphrase(), str(path))
        header = material.header
        try:
            public_key = public_key_of(header.kind, material.secret)
        except KeyFileError as error:
            raise KeyFileError(f"key file {path}: {error}") from None
        if header.public_key is not None and header.public_key != public_key:
            raise KeyFileError(
                f"key file {path} was altered: it names another public key than it holds"
            )
        return material


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"key file {path} cannot be read: {error.strerror}") from None
