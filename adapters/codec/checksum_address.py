"""EIP-55: Ethereum addresses as text, with a checksum in the case of their letters."""

from __future__ import annotations

from functools import lru_cache

from adapters.codec.keccak import keccak256


@lru_cache(maxsize=4096)
def checksummed(address: bytes) -> str:
    """EIP-55: a hexadecimal letter is upper case where the hash of the lower case is 8 or more."""
    lower = address.hex()
    digest = keccak256(lower.encode()).hex()
    return "0x" + "".join(
        letter.upper() if int(nibble, 16) >= 8 else letter
        for letter, nibble in zip(lower, digest, strict=False)
    )
