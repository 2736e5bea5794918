"""A key in this process: of a development network's deployer, or read from an operator's file."""

from __future__ import annotations

from adapters.spi import Scheme


class LocalKey:
    """Implements ``adapters.spi.Signer`` for 32 bytes of a secp256k1 key. It never shows them."""

    scheme = Scheme.SECP256K1

    def __init__(self, secret: bytes) -> None:
        from eth_keys.datatypes import PrivateKey

        self._key = PrivateKey(secret)
        self.public_key = b"\x04" + self._key.public_key.to_bytes()

    def __repr__(self) -> str:
        return f"LocalKey({self._key.public_key.to_checksum_address()})"

    async def sign(self, digest: bytes) -> bytes:
        return self._key.sign_msg_hash(digest).to_bytes()
