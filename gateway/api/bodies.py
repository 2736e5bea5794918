"""The bodies of the user API: what is asked, and what is answered.

Amounts are decimal strings in smallest units; hashes are 0x-hex; times are Unix seconds.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway.api.codes import EVENTS
from relayers.protocol.alerts import AlertKind
from relayers.protocol.offer import MAX_REASON, MAX_REFERENCE
from relayers.protocol.state import Level, Phase

MAX_ASSET: Final = 200
"""Characters of an asset's id."""


_ALERT: Final = Field(json_schema_extra={"enum": [kind.value for kind in AlertKind]})
"""Described as it is; not demanded, since the journal may be from another version."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# --- asked ---------------------------------------------------------------------------------------


class SideBody(_Body):
    """One side of a swap: an asset, and how much of it, in one of two ways."""

    asset: str = Field(max_length=MAX_ASSET, description="CAIP-19 id.")
    amount: Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,80}$")] | None = Field(
        default=None, description='In smallest units, for example "12500000".'
    )
    quantity: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None, description='In whole units, for example "12.5".'
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.amount is None) == (self.quantity is None):
            raise ValueError("give one of amount (smallest units) and quantity (whole units)")
        return self


class DeadlinesBody(_Body):
    """Until when the two locks stand."""

    give: int = Field(description="t1, of what we give.")
    get: int = Field(description="t2, of what we get; before t1.")


class OfferRequestBody(_Body):
    """An offer to a peer."""

    peer: str = Field(max_length=100, description="The peer's name in the configuration.")
    give: SideBody
    get: SideBody
    valid_for: int | None = Field(
        default=None, description="Seconds for which it can be taken up. Default: the gateway's."
    )
    deadlines: DeadlinesBody | None = Field(
        default=None, description="Default: the earliest that the gateway's bounds allow."
    )
    reference: str = Field(
        default="", max_length=MAX_REFERENCE, description="Your own text; the peer sees it."
    )


class RejectionBody(_Body):
    """Why an offer is rejected."""

    reason: str = Field(default="", max_length=MAX_REASON, description="The peer is told it.")


class DropBody(_Body):
    """Which fact is given up, and why."""

    fact: int = Field(ge=1, description="`at_fault`: the first fact that waits, and no other.")
    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON)
    ] = Field(description="Goes on record.")


# --- answered ------------------------------------------------------------------------------------


class LockView(_Body):
    """A lock, as its chain has shown it so far."""

    id: str
    opened: Literal["pending", "final"] | None
    settled: Literal["claimed", "refunded"] | None
    settled_stage: Literal["pending", "final"] | None


class LegView(_Body):
    """One side of a swap. ``lock`` is there once the swap is agreed."""

    chain: str
    chain_name: str
    contract: str
    asset: str
    amount: str
    display: str | None = Field(description='For people, such as "12.5 GLD"; null if not known.')
    sender: str | None
    recipient: str | None
    deadline: int
    lock: LockView | None


class ExplanationView(_Body):
    """Where a swap is, in words."""

    where: str
    waits_for: str
    until: int | None
    next: str
    at_risk: str = Field(description="A deadline of ours that is in danger; empty where none is.")


class SwapView(_Body):
    """A swap from this gateway's side."""

    id: str = Field(description="The hashlock.")
    role: Literal["initiator", "responder"]
    phase: Phase
    ended: bool
    peer: str | None
    peer_address: str
    reference: str
    give: LegView
    get: LegView
    valid_until: int
    reason: str
    alerts: tuple[Annotated[str, _ALERT], ...] = Field(description="Kinds; stable.")
    begun: int
    changed: int


class SwapDetail(SwapView):
    """A swap, with words for people."""

    explanation: ExplanationView
    warnings: tuple[str, ...] = ()


class SwapPage(_Body):
    """Swaps, newest first. ``next``: give it as ``after`` for the page that follows."""

    swaps: tuple[SwapView, ...]
    next: str | None


class EventView(_Body):
    """Something that users are told."""

    number: int
    swap: str
    at: int
    kind: str = Field(
        description="Stable, for programs.",
        json_schema_extra={"enum": [*EVENTS, *(kind.value for kind in AlertKind)]},
    )
    level: Level
    text: str


class AssetView(_Body):
    id: str
    symbol: str
    decimals: int


class ChainSummary(_Body):
    """A chain. ``head`` is the newest known; ``problem``: why it cannot be asked now."""

    name: str
    chain: str
    contract: str
    account: str
    inclusion: int
    finality: int
    clock: int
    late: int
    stale_after: int
    capabilities: tuple[str, ...]
    fee_asset: str | None
    height: int | None
    final_height: int | None
    time: int | None
    stale: bool
    frozen: str | None
    problem: str | None
    since: int | None


class ChainDetail(ChainSummary):
    assets: tuple[AssetView, ...]


class BalanceView(_Body):
    asset: str
    symbol: str
    decimals: int
    amount: str
    display: str


class BalancesView(_Body):
    chain: str
    account: str
    balances: tuple[BalanceView, ...]


class PeerView(_Body):
    name: str
    address: str
    url: str
    policy: bool


class QuarantineView(_Body):
    """A swap that stands still until an operator decides."""

    swap: str
    reason: str
    unreadable: bool = Field(
        description="What is stored of the swap cannot be read: nothing of it is done till it can."
    )
    phase: Phase | None = Field(description="Where the swap stands; null where that is not known.")
    facts: int = Field(description="How many wait.")
    at_fault: int | None = Field(
        description="The first fact that waits, which drop would give up; null where none can be."
    )


class HeldFactView(_Body):
    """A fact that waits. What it carries is not shown."""

    fact: int = Field(description="Its number in the journal.")
    kind: str
    about: str
    reason: str


class QuarantineDetail(QuarantineView):
    """With the facts that wait, in their order: the first hundred."""

    waiting: tuple[HeldFactView, ...]


class QuarantinePage(_Body):
    """``next``: give it as ``after`` for the page that follows."""

    swaps: tuple[QuarantineView, ...]
    next: str | None


class ReplayView(_Body):
    """What became of a replay or a drop. ``held``: why the swap is in quarantine still."""

    swap: str
    released: bool = Field(description="It is not in quarantine any more.")
    held: QuarantineDetail | None


class FindingView(_Body):
    """One thing that was checked."""

    part: str
    check: str
    ok: bool
    seen: str
    mend: str = ""


class DoctorView(_Body):
    ok: bool
    findings: tuple[FindingView, ...]


class HealthView(_Body):
    ok: bool
    reasons: tuple[str, ...] = ()
