"""Accounts of simulated chains: an account is the Ethereum-style address of a public key."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from adapters.codec.secp256k1 import address_of
from adapters.model import AccountId, ChainId
from adapters.spi import Credential, Scheme


@lru_cache(maxsize=4096)
def account_of(chain: ChainId, public_key: bytes) -> AccountId:
    """The account that this key (65 bytes, uncompressed) speaks for. Raises InvalidValue."""
    return AccountId(chain, "0x" + address_of(public_key).hex())


class NamedSigner:
    """A signer for simulations, made of a name: it costs nothing and guards nothing.

    The simulated ledger compares the account with the public key and never verifies a signature, so
    the public key need not be a point of the curve and the signature is a hash.
    """

    scheme = Scheme.SECP256K1

    def __init__(self, name: str) -> None:
        self._name = name
        self.public_key = b"\x04" + hashlib.sha512(name.encode()).digest()

    async def sign(self, digest: bytes) -> bytes:
        return hashlib.sha512(self.public_key + digest).digest() + b"\x00"

    def __repr__(self) -> str:
        return f"NamedSigner({self._name!r})"


def named_credential(chain: ChainId, name: str) -> Credential:
    """A party of a simulation: its account on this chain and a signer for it."""
    signer = NamedSigner(name)
    return Credential(account_of(chain, signer.public_key), signer)
