"""A key in this process, for tests."""

from __future__ import annotations

import hashlib

from eth_keys.datatypes import PrivateKey

from adapters.spi import Scheme


class LocalSigner:
    """The same name makes the same key."""

    def __init__(self, name: str) -> None:
        self._key = PrivateKey(hashlib.sha256(name.encode()).digest())
        self.signed = 0

    @property
    def scheme(self) -> Scheme:
        return Scheme.SECP256K1

    @property
    def public_key(self) -> bytes:
        return b"\x04" + self._key.public_key.to_bytes()

    async def sign(self, digest: bytes) -> bytes:
        self.signed += 1
        return self._key.sign_msg_hash(digest).to_bytes()
