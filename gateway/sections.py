"""The sections of the configuration file, as models: what each key means and what it allows.

The blocks of the chains are checked by their adapters' own models; see ``settings.py``.
"""

from __future__ import annotations

import re
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from adapters.model import MAX_AMOUNT, AssetId, InvalidValue
from gateway.connection_limits import ConnectionLimits
from relayers.offers.policy import Otherwise

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Section(BaseModel):
    """A block of the file: unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )


def _secret_reference(text: str) -> str:
    if re.fullmatch(r"file:.+|env:[A-Za-z_][A-Za-z0-9_]*", text) is None:
        raise ValueError(
            "a secret is never written here: give file:PATH or env:NAME, which say where it is"
        )
    return text


SecretReference = Annotated[str, AfterValidator(_secret_reference)]
"""``file:PATH`` (its content, less a closing line break) or ``env:NAME``."""

Port = Annotated[int, Field(ge=1, le=65_535)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class KeySection(Section):
    """A key, by where it is. A text alone in place of the block is its `uri`."""

    uri: str = Field(
        pattern=r"^[a-z][a-z0-9+-]*:.+$",
        description="`keystore:PATH`: an encrypted key file, as isthmus key new and isthmus key "
        "import make it. `pem:PATH`: a P-256 key in PEM, as Fabric's tools write it; not for "
        "gateway.swap_key.",
    )
    passphrase: SecretReference | None = Field(
        default=None,
        description="`file:PATH` or `env:NAME` of the passphrase. Without it that of a key file is "
        "asked for where somebody sits at the terminal, and a PEM file is taken to have none.",
    )

    @model_validator(mode="before")
    @classmethod
    def _text_is_the_uri(cls, value: Any) -> Any:
        return {"uri": value} if isinstance(value, str) else value


class GatewaySection(Section):
    """Who this gateway is."""

    organisation: Name = Field(description="The organisation's name, as its peers know it.")
    key: KeySection = Field(
        description="The secp256k1 key that signs offers; peers pin its address. Best one of its "
        "own, that acts on no chain."
    )
    swap_key: KeySection = Field(
        description="The key from which preimages are made: a key file of kind swap_key. Whoever "
        "has it and an offer can claim."
    )


class JournalSection(Section):
    """The record of all swaps: one file, in one process at a time."""

    path: Path = Field(description="The SQLite file; it is made where there is none.")


class BoundsSection(Section):
    """What this gateway demands of itself; the deadlines of every swap follow from it."""

    reaction: int = Field(ge=0, description="R: seconds in which the gateway reacts.")
    outage: int = Field(ge=0, description="O: seconds for which it may be down during a swap.")


class ListenerSection(Section):
    """Where to listen."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: Port = Field(description="The port to listen on.")
    connections: int = Field(default=512, ge=1, description="The most connections at once.")
    connections_per_address: int = Field(
        default=512, ge=1, description="The most connections at once from one address."
    )

    @property
    def limits(self) -> ConnectionLimits:
        return ConnectionLimits(self.connections, self.connections_per_address)

    @property
    def url(self) -> str:
        """Where clients on this machine reach it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        encrypted = getattr(self, "tls_certificate", None) is not None
        return f"{'https' if encrypted else 'http'}://{host}:{self.port}"


class ApiSection(ListenerSection):
    """The HTTP API for this organisation's own users. Anywhere but on loopback it must have TLS."""

    token: SecretReference = Field(description="`file:PATH` or `env:NAME` of the bearer token.")
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file of the certificate. Required, with `tls_key`, where `host` is not "
        "127.0.0.1, ::1 or localhost; the two go together.",
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file of its private key, not encrypted."
    )

    @model_validator(mode="after")
    def _tls_beyond_loopback(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: give both or neither")
        if self.tls_certificate is None and self.host not in LOOPBACK:
            raise ValueError(
                "without tls_certificate and tls_key the API may only listen on 127.0.0.1: "
                "the bearer token would travel in the clear"
            )
        return self


class PeerApiSection(ListenerSection):
    """Where the other gateways reach this one; always TLS."""

    connections_per_address: int = Field(
        default=64,
        ge=1,
        description="The most connections at once from one address. Raise it where all peers come "
        "through one proxy.",
    )
    tls_certificate: Path = Field(description="PEM file of the certificate that peers pin.")
    tls_key: Path = Field(description="PEM file of its private key, not encrypted.")


def _fraction(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise ValueError("write a price as text, such as 3/1000 or 1.25, so that it is exact")
    text = str(value)
    if re.fullmatch(r"[0-9]{1,80}(/[0-9]{1,80}|\.[0-9]{1,80})?", text) is None:
        raise ValueError("a price is a fraction such as 3/1000, or a decimal such as 1.25")
    try:
        price = Fraction(text)
    except ZeroDivisionError:
        raise ValueError("a price cannot have the denominator 0") from None
    if price <= 0:
        raise ValueError("a price must be greater than zero")
    return text


def _amount(value: Any) -> Any:
    if isinstance(value, bool) or re.fullmatch(r"[0-9]{1,78}", str(value)) is None:
        raise ValueError("an amount is a whole number in the asset's smallest unit")
    if not 0 < int(value) <= MAX_AMOUNT:
        raise ValueError("an amount must be from 1 to 2^256 - 1")
    return str(value)


def _asset(value: str) -> str:
    try:
        AssetId.parse(value)
    except InvalidValue as error:
        raise ValueError(str(error)) from None
    return value


Asset = Annotated[str, AfterValidator(_asset)]


class RuleSection(Section):
    """One pair of assets that is exchanged without asking."""

    get: Asset = Field(description="CAIP-19 id of what this gateway gets.")
    give: Asset = Field(description="CAIP-19 id of what this gateway gives.")
    price_min: str = Field(
        description="The least got per given, in smallest units, inclusive: 3/1000 or 1.25."
    )
    price_max: str | None = Field(
        default=None, description="The most got per given, inclusive. Default: no bound."
    )
    least: str | None = Field(
        default=None,
        description="The least given in one swap, in smallest units: give more than its fees are "
        "worth. Default: a hundredth of per_swap.",
    )
    per_swap: str = Field(description="The most given in one swap, in smallest units.")
    per_day: str = Field(description="The most given to this peer within 24 hours.")

    @field_validator("price_min", "price_max", mode="before")
    @classmethod
    def _price(cls, value: Any) -> Any:
        return value if value is None else _fraction(value)

    @field_validator("least", "per_swap", "per_day", mode="before")
    @classmethod
    def _limit(cls, value: Any) -> Any:
        return value if value is None else _amount(value)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.price_max is not None and Fraction(self.price_max) < Fraction(self.price_min):
            raise ValueError("price_max is below price_min: no offer could ever fit")
        if self.least_given > int(self.per_swap):
            raise ValueError("per_swap is below least: no offer could ever fit")
        return self

    @property
    def least_given(self) -> int:
        """``least``, or its default: dust must not cost an operator more in fees than it brings."""
        if self.least is not None:
            return int(self.least)
        return max(1, int(self.per_swap) // 100)


class PolicySection(Section):
    """When this peer's offers are accepted without asking."""

    rules: tuple[RuleSection, ...] = Field(min_length=1, description="One per pair of assets.")
    min_time: int = Field(
        default=0, ge=0, description="Seconds that must be left until leg B's deadline."
    )
    max_time: int = Field(
        default=86_400, ge=1, description="The most seconds for which leg B may be locked."
    )
    otherwise: Otherwise = Field(
        default=Otherwise.ASK,
        description="What becomes of other offers: ask (a person decides) or decline.",
    )


class PeerSection(Section):
    """Another organisation's gateway, pinned by URL, key and TLS certificate."""

    name: Name = Field(description="What this organisation calls the peer.")
    address: str = Field(
        pattern=r"^0x[0-9a-fA-F]{40}$",
        description="The address of the peer's `gateway.key`, which signs its offers; not that of "
        "a key that acts on a chain.",
    )
    url: str = Field(
        pattern=r"^https://[^/?#\s]+/?$",
        description="Where its peer listener is, for example https://gateway.example.com:8443.",
    )
    tls_ca: Path | None = Field(
        default=None,
        description="PEM file of the CA that issued the peer's certificate. Give exactly one of "
        "`tls_ca` and `tls_certificate`.",
    )
    tls_certificate: Path | None = Field(
        default=None, description="PEM file of the peer's certificate itself, in place of tls_ca."
    )
    policy: PolicySection | None = Field(
        default=None, description="Without it each offer of this peer waits for a person."
    )

    @model_validator(mode="after")
    def _one_trust(self) -> Self:
        if (self.tls_ca is None) == (self.tls_certificate is None):
            raise ValueError("give one of tls_ca and tls_certificate: it pins the peer's TLS")
        return self


class OffersSection(Section):
    """How this gateway deals in offers."""

    valid_for: int = Field(
        default=300, ge=1, description="Seconds for which an own offer can be taken up."
    )
    slack: int = Field(
        default=30, ge=0, description="Seconds that own deadlines have over what is demanded."
    )
    longest: int = Field(
        default=604_800, ge=1, description="Seconds; no deadline may lie further ahead."
    )
    open_per_peer: int = Field(
        default=100, ge=1, description="Received offers of one peer that may wait at once."
    )
    hourly: int = Field(
        default=1_000, ge=1, description="Offers of one peer that are taken in within an hour."
    )
    swaps_per_peer: int | None = Field(
        default=None,
        ge=1,
        description="Swaps with one peer that are open at once and whose claims are made on one "
        "chain; own offers count. Default: 12 × (1 + R ÷ I), the quotient rounded down, with I of "
        "that chain (R ÷ I or 1 with an adapter that takes one submission at a time): so many can "
        "be claimed in time though all secrets come out at the last moment.",
    )


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogSection(Section):
    """What is logged, to standard error, as JSON lines."""

    level: LogLevel = Field(
        default=LogLevel.INFO,
        description="The least that is logged; of libraries, warnings and errors at most.",
    )


class AuditSection(Section):
    """The audit log: who commanded what, and what became of it."""

    path: Path | None = Field(
        default=None, description="The file. Default: beside the journal, ending in .audit.jsonl."
    )


class ChainKeys(Section):
    """What a chain's block has besides the adapter's own keys."""

    key: KeySection = Field(description="The key that acts on this chain.")


class Root(Section):
    """The configuration of a gateway."""

    gateway: GatewaySection
    journal: JournalSection
    bounds: BoundsSection
    api: ApiSection
    peer_api: PeerApiSection
    chains: dict[Name, dict[str, Any]] = Field(
        min_length=1,
        description="One block per chain, under the name by which it is called here. `adapter` "
        "says which adapter's keys it has; `key` is the key that acts on it.",
    )
    peers: tuple[PeerSection, ...] = Field(default=(), description="The other gateways.")
    offers: OffersSection = OffersSection()
    plugins: tuple[str, ...] = Field(
        default=(), description="Adapters of other packages that may be loaded."
    )
    log: LogSection = LogSection()
    audit: AuditSection = AuditSection()

    @model_validator(mode="after")
    def _peers_are_told_apart(self) -> Self:
        for field in ("name", "address"):
            seen = [getattr(peer, field).lower() for peer in self.peers]
            if len(set(seen)) < len(seen):
                raise ValueError(f"two peers have the same {field}")
        return self


class MetricsSection(ListenerSection):
    """Where a watchtower shows its health and metrics."""


class TowerRoot(Section):
    """The configuration of a watchtower: it has no key of any party, only its own."""

    organisation: Name = Field(description="Who runs it.")
    chains: dict[Name, dict[str, Any]] = Field(
        min_length=2, description="As in a gateway's configuration; `key` pays the fees."
    )
    serves: tuple[str, ...] = Field(
        default=(),
        description="CAIP-10 accounts whose locks it looks after: it claims those that one of them "
        "sends or gets, and refunds only those that one of them sent. Default: everybody's.",
    )
    state: Path = Field(description="The file in which it keeps how far it has read.")
    patience: int = Field(
        default=0,
        ge=0,
        description="Seconds that the owners of a lock get to act themselves, except shortly "
        "before a deadline.",
    )
    metrics: MetricsSection | None = Field(default=None, description="Default: none are shown.")
    plugins: tuple[str, ...] = Field(
        default=(), description="Adapters of other packages that may be loaded."
    )
    log: LogSection = LogSection()
