"""The names that the native ledger gives: account ids, asset symbols, the words of a lock id.

The five identity words of ``adapters/codec/lock_id.py`` on this chain, 32 bytes each:

    chain       the genesis hash, whole (``genesis.py``)
    contract    the lock module's name, ASCII, padded on the right with zero bytes
    sender      the account id
    recipient   the account id
    asset       the asset's symbol, ASCII, padded on the right with zero bytes

Symbols are unique on a chain and hold no zero byte, so padding keeps them apart.
"""

from __future__ import annotations

import hashlib
import re

from adapters.native.app.canonical import Malformed

APPLICATION_VERSION = 1
"""ABCI's app_version: goes up when the meaning of any transaction or record changes."""

LOCK_MODULE = "locks"

_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9.-]{0,31}")
_ACCOUNT_DOMAIN = b"isthmus/native/account/1\x00"
MAX_DECIMALS = 36


def account_id(public_key: bytes) -> bytes:
    """The id (32 bytes) of the account that is created with this compressed public key.

    The id stays when the key is rotated; it is derived from the first key only.
    """
    if len(public_key) != 33:
        raise Malformed("public key must be 33 bytes, compressed")
    return hashlib.sha256(_ACCOUNT_DOMAIN + public_key).digest()


def check_symbol(symbol: str, field: str = "asset") -> str:
    """The symbol, if it can name an asset. Raises Malformed."""
    if _SYMBOL.fullmatch(symbol) is None:
        raise Malformed(
            f"{field} must be a letter, then at most 31 letters, digits, dots or dashes"
        )
    return symbol


def name_word(name: str) -> bytes:
    """A name of at most 32 ASCII characters as a word of 32 bytes."""
    raw = name.encode("ascii")
    if len(raw) > 32 or b"\x00" in raw:
        raise Malformed(f"{name[:40]!r} does not fit a word of 32 bytes")
    return raw.ljust(32, b"\x00")
