"""The configuration of an Ethereum chain."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from adapters.ethereum.fees import FeePolicy
from adapters.ethereum.identity import Identities, chain_number, checksummed, parse_address
from adapters.model import AccountId, AssetId
from adapters.node_label import node_label
from adapters.spi import ChainSettings


def _address(text: str) -> str:
    return checksummed(parse_address(text, "address"))


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://", "ws://", "wss://")):
        raise ValueError("a node URL begins with http://, https://, ws:// or wss://")
    label = node_label(text)
    if "None" in label:
        raise ValueError("a node URL names a host")
    return text


Address = Annotated[str, AfterValidator(_address)]


class EthereumSettings(ChainSettings):
    """A chain's block of configuration with ``adapter: ethereum``."""

    urls: tuple[Annotated[str, AfterValidator(_url)], ...] = Field(
        min_length=1,
        repr=False,
        description="Nodes, http(s) or ws(s), in the order in which they are asked. A URL may hold "
        "an access key; it is never shown but for its host.",
    )
    contract: Address = Field(description="Address of the HashTimeLock contract.")
    deployed_at: int = Field(
        default=0, ge=0, description="Block of the contract's deployment; events are read from it."
    )
    code_hash: str | None = Field(
        default=None,
        pattern=r"^0x[0-9a-f]{64}$",
        description="Keccak-256 of the contract's code, where it is not one that this version of "
        "Isthmus carries.",
    )
    final_by: Literal["finalized", "safe"] | Annotated[int, Field(ge=0, le=100_000)] = Field(
        default="finalized",
        description="When a block is irreversible: by the node's tag finalized or safe, or at a "
        "depth (0: at once).",
    )
    tokens: tuple[Address, ...] = Field(
        default=(), description="ERC-20 tokens that are known without being asked for."
    )
    approve: Literal["automatic", "never"] = Field(
        default="automatic",
        description="Before the first lock of a token, approve the lock contract for all of the "
        "signer's tokens (it takes tokens from nobody but its caller), or leave that to the "
        "operator.",
    )
    coin_symbol: str = Field(
        default="ETH",
        min_length=1,
        max_length=16,
        description="How people call the chain's native coin; no node tells it.",
    )
    coin_decimals: int = Field(
        default=18, ge=0, le=36, description="Decimals of the native coin; no node tells them."
    )
    max_fee_per_gas: int | None = Field(
        default=None,
        ge=0,
        description="Never pay more than this for a unit of gas, in wei. Without it, whatever "
        "price a node names is paid.",
    )
    priority_fee_per_gas: int | None = Field(
        default=None, ge=0, description="The tip in wei, where the node is not to be asked for it."
    )
    gas_price: int | None = Field(
        default=None,
        ge=0,
        description="A fixed gas price in wei, for chains with legacy transactions; 0 where gas "
        "is free.",
    )
    legacy: bool = Field(
        default=False, description="Send legacy transactions even where there is a base fee."
    )
    request_timeout: float = Field(
        default=10.0, gt=0, le=300, description="Seconds until a node that is silent is given up."
    )
    poll_interval: float = Field(
        default=1.0, gt=0, le=60, description="Seconds between two looks at the newest block."
    )
    log_range: int = Field(
        default=2_000,
        ge=1,
        le=1_000_000,
        description="Blocks whose logs are asked for at a time; halved where a node refuses.",
    )

    def identities(self) -> Identities:
        """Raises InvalidValue where the chain is not one of Ethereum's kind."""
        return Identities(self.chain_id(), parse_address(self.contract, "contract"))

    def canonical_account(self, account: AccountId) -> AccountId:
        """With its checksum, where that is not wrong. Raises InvalidValue."""
        return self.identities().read_account(account)

    def canonical_asset(self, asset: AssetId) -> AssetId:
        return self.identities().read_asset(asset)

    def number(self) -> int:
        return chain_number(self.chain_id())

    def fee_policy(self) -> FeePolicy:
        return FeePolicy(
            self.max_fee_per_gas, self.priority_fee_per_gas, self.gas_price, self.legacy
        )
