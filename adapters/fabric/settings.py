"""A Fabric channel's block of configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from adapters.fabric.lock_codec import LockCodec
from adapters.model import AccountId, AssetId
from adapters.spi import ChainSettings


class GatewayEndpoint(BaseModel):
    """One peer whose Gateway service the driver may use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(
        pattern=r"^[^:/\s]+:[0-9]{1,5}$",
        description="host:port of the peer, for example peer0.org1.example.com:7051.",
    )
    tls_ca: Path | None = Field(
        default=None,
        description="PEM file of the CAs that the peer's TLS certificate is checked against. "
        "Without it the connection is not encrypted, and only a loopback address is allowed.",
    )
    server_name: str | None = Field(
        default=None,
        description="The name to expect in the peer's TLS certificate, where it is not the host's.",
    )

    @model_validator(mode="after")
    def _plain_only_on_loopback(self) -> Self:
        host = self.address.rpartition(":")[0]
        if self.tls_ca is None and host not in ("127.0.0.1", "localhost"):
            raise ValueError("tls_ca is missing: only a loopback peer may be spoken to without TLS")
        return self


class FabricSettings(ChainSettings):
    """What the driver needs to know of a channel and of the identity that acts on it."""

    endpoints: tuple[GatewayEndpoint, ...] = Field(
        min_length=1,
        description="Peers of the own organisation, tried in this order when one does not answer.",
    )
    channel: str = Field(min_length=1, description="The channel's name.")
    chaincode: str = Field(
        default="isthmus",
        pattern=r"^[a-zA-Z0-9]+([-_][a-zA-Z0-9]+)*$",
        description="The name under which the lock chaincode is committed on the channel.",
    )
    chaincode_version: str | None = Field(
        default=None,
        description="The version that the committed definition must have. Default: any.",
    )
    msp_id: str = Field(min_length=1, description="MSP id of the organisation, e.g. Org1MSP.")
    certificate: Path = Field(
        description="PEM file of the certificate that acts: its account sends and receives."
    )
    reader_certificate: Path | None = Field(
        default=None,
        description="PEM file of the certificate that reads. Default: the one that acts.",
    )
    reader_key: Path = Field(
        description="PEM file of the reading certificate's private key (P-256), not encrypted: "
        "whoever can read the file can read the channel. A reader of its own, whose account holds "
        "nothing, keeps the acting key out of it.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file of the client's TLS certificate, where peers want one; goes together "
        "with `tls_key`.",
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file of the key of `tls_certificate`, not encrypted."
    )
    reaction: int = Field(
        ge=0,
        description="R: seconds in which a gateway of the channel reacts. A claim that was "
        "endorsed in time can be committed R + I after its deadline.",
    )
    assets: tuple[str, ...] = Field(
        default=(),
        description="Assets that are known without being asked for: asset:ID for one that the "
        "lock chaincode registers, token:CHAINCODE for one that another chaincode holds.",
    )
    first_block: int = Field(
        default=0, ge=0, description="Block from which events are read where there is no cursor."
    )
    poll_interval: float = Field(
        default=1.0, gt=0, le=60, description="Seconds between two looks at the head."
    )
    request_timeout: float = Field(
        default=15.0, gt=0, le=300, description="Seconds within which a peer must answer."
    )

    @field_validator("assets")
    @classmethod
    def _assets_have_a_form(cls, assets: tuple[str, ...]) -> tuple[str, ...]:
        for asset in assets:
            if not asset.startswith(("asset:", "token:")):
                raise ValueError(f"asset {asset!r} must be asset:ID or token:CHAINCODE")
        return assets

    @model_validator(mode="after")
    def _tls_pair(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: give both or neither")
        return self

    def canonical_account(self, account: AccountId) -> AccountId:
        """There is one spelling; another is refused. Raises InvalidValue."""
        self._codec().address(account)
        return account

    def canonical_asset(self, asset: AssetId) -> AssetId:
        self._codec().asset_text(asset)
        return asset

    def _codec(self) -> LockCodec:
        """For identifiers: only lock ids need the channel's genesis block."""
        return LockCodec(self.chain_id(), b"", self.chaincode)
