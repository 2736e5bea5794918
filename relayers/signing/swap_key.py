"""The swap key: the one secret from which an organisation's preimages are derived.

    preimage = HMAC-SHA-256(swap key, "isthmus/swap/preimage/v1" ‖ salt)

``salt`` is the offer's 32 random bytes. Whoever has the journal but not this key cannot open a
single lock before its preimage is on a chain.
"""

from __future__ import annotations

import hmac
from typing import Protocol

from adapters.model import Preimage
from adapters.spi import SigningFailed
from relayers.signing.keystore import KeyFileError

DOMAIN = b"isthmus/swap/preimage/v1"


class SwapKey(Protocol):
    """The port: the key may be in this process, or in a vault that can do HMAC."""

    async def preimage(self, salt: bytes) -> Preimage:
        """The preimage of a salt of 32 bytes, the same one each time. Raises SigningFailed."""


class LocalSwapKey:
    """A swap key in this process. ``secret`` is 32 bytes. Raises KeyFileError."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32:
            raise KeyFileError(f"a swap key is 32 bytes, and this one is {len(secret)}")
        self._secret = secret

    async def preimage(self, salt: bytes) -> Preimage:
        if len(salt) != 32:
            raise SigningFailed(f"a salt is 32 bytes, and this one is {len(salt)}")
        return Preimage(hmac.digest(self._secret, DOMAIN + salt, "sha256"))

    def __repr__(self) -> str:
        return "LocalSwapKey(<hidden>)"
