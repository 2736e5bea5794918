"""A P-256 private key from a PEM file, in this process."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.p256_signer import P256Signer
from adapters.spi import SigningFailed


class PemSigner(P256Signer):
    """Signs with a key as Fabric's CA tools write it: PEM, unencrypted, P-256."""

    @classmethod
    def load(cls, path: Path) -> PemSigner:
        """Raises SigningFailed; the message names the file, never what is in it."""
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise SigningFailed(f"key file {path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError):
            raise SigningFailed(f"key file {path} is not an unencrypted key in PEM") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise SigningFailed(f"the key in {path} is not ECDSA on P-256")
        return cls(key)
