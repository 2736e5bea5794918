"""The native chain's block of a gateway's configuration."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from adapters.model import AccountId, AssetId
from adapters.native.app.canonical import Malformed
from adapters.native.app.names import check_symbol
from adapters.native.names import account_bytes, asset_symbol
from adapters.spi import ChainSettings


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ValueError("must be a URL such as http://127.0.0.1:26657")
    return text.rstrip("/")


def _symbol(text: str) -> str:
    try:
        return check_symbol(text)
    except Malformed as error:
        raise ValueError(str(error)) from error


class NativeSettings(ChainSettings):
    urls: tuple[Annotated[str, AfterValidator(_url)], ...] = Field(
        min_length=1,
        description="CometBFT RPC of the organisation's own nodes; the first that answers is used.",
    )
    contract: Literal["locks"] = Field(
        default="locks", description="The lock module's name; the application has one."
    )
    account: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="Account id for which the key speaks. Default: the one that the key created; "
        "name it where the account's key was rotated.",
    )
    assets: tuple[Annotated[str, AfterValidator(_symbol)], ...] = Field(
        default=(), description="Symbols of the assets to list."
    )
    request_timeout: float = Field(
        default=10.0, gt=0, le=120, description="Seconds until a node that is silent is given up."
    )
    poll_interval: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="Seconds between looks for new blocks where a node has no WebSocket.",
    )

    def canonical_account(self, account: AccountId) -> AccountId:
        """There is one spelling; another is refused. Raises InvalidValue."""
        account_bytes(account, self.chain_id())
        return account

    def canonical_asset(self, asset: AssetId) -> AssetId:
        asset_symbol(asset, self.chain_id())
        return asset
