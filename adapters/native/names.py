"""How the native ledger's accounts and assets are written in CAIP form.

chain     isthmus:<first 32 hex digits of the genesis hash>
account   isthmus:<reference>:<account id, 64 lower-case hex digits>
asset     isthmus:<reference>/asset:<symbol>
"""

from __future__ import annotations

import re

from adapters.model import AccountId, AssetId, ChainId, InvalidValue
from adapters.native.app.canonical import Malformed
from adapters.native.app.names import check_symbol

ASSET_NAMESPACE = "asset"
_ACCOUNT = re.compile(r"[0-9a-f]{64}")


def account_bytes(account: AccountId, chain: ChainId) -> bytes:
    """The 32 bytes of an account of this chain. Raises InvalidValue."""
    if account.chain != chain:
        raise InvalidValue(f"account {account} is not on {chain}")
    if _ACCOUNT.fullmatch(account.address) is None:
        raise InvalidValue(f"account {account} must end in 64 lower-case hex digits")
    return bytes.fromhex(account.address)


def asset_symbol(asset: AssetId, chain: ChainId) -> str:
    """The symbol of an asset of this chain. Raises InvalidValue."""
    if asset.chain != chain:
        raise InvalidValue(f"asset {asset} is not on {chain}")
    if asset.namespace != ASSET_NAMESPACE:
        raise InvalidValue(f"asset {asset} must be written {chain}/{ASSET_NAMESPACE}:SYMBOL")
    try:
        return check_symbol(asset.reference)
    except Malformed as error:
        raise InvalidValue(f"asset {asset}: {error}") from error


def account_name(account: bytes, chain: ChainId) -> AccountId:
    return AccountId(chain, account.hex())


def asset_name(symbol: str, chain: ChainId) -> AssetId:
    return AssetId(chain, ASSET_NAMESPACE, symbol)
