"""The transition table of a swap, as data: what each phase means, waits for, and may become.

``swap.step`` is checked against it in tests: every transition seen is in the table, and every row
of the table is reached. ``to_markdown`` draws docs/reference/swap-transitions.md from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import assert_never

from adapters.model import LockClaimed, LockOpened, LockRefunded
from adapters.values import dataclass
from relayers.protocol.facts import (
    AcceptanceReceived,
    DeclineReceived,
    Delivered,
    FactBody,
    LookedUp,
    Observed,
    OfferAccepted,
    OfferDeclined,
    OfferMade,
    OfferReceived,
    Refused,
    RevealBegun,
    Woken,
)
from relayers.protocol.forms import Parties, filled
from relayers.protocol.state import ENDS, Phase, Role


class FactKind(StrEnum):
    OFFER_MADE = "offer made"
    OFFER_RECEIVED = "offer received"
    OFFER_ACCEPTED = "offer accepted"
    OFFER_DECLINED = "offer declined"
    ACCEPTANCE_RECEIVED = "acceptance received"
    DECLINE_RECEIVED = "decline received"
    LOCK_SEEN = "lock seen"
    CLAIM_SEEN = "claim seen"
    REFUND_SEEN = "refund seen"
    LOOKED_UP = "lock looked up"
    REVEAL_BEGUN = "reveal begun"
    REFUSED = "refused"
    DELIVERED = "delivered"
    WOKEN = "woken"


def kind_of(body: FactBody) -> FactKind:
    """The fact's row heading; what was seen on a chain is told apart by the event."""
    match body:
        case OfferMade():
            return FactKind.OFFER_MADE
        case OfferReceived():
            return FactKind.OFFER_RECEIVED
        case OfferAccepted():
            return FactKind.OFFER_ACCEPTED
        case OfferDeclined():
            return FactKind.OFFER_DECLINED
        case AcceptanceReceived():
            return FactKind.ACCEPTANCE_RECEIVED
        case DeclineReceived():
            return FactKind.DECLINE_RECEIVED
        case Observed(observation):
            match observation.event:
                case LockOpened():
                    return FactKind.LOCK_SEEN
                case LockClaimed():
                    return FactKind.CLAIM_SEEN
                case LockRefunded():
                    return FactKind.REFUND_SEEN
                case _:
                    assert_never(observation.event)
        case LookedUp():
            return FactKind.LOOKED_UP
        case RevealBegun():
            return FactKind.REVEAL_BEGUN
        case Refused():
            return FactKind.REFUSED
        case Delivered():
            return FactKind.DELIVERED
        case Woken():
            return FactKind.WOKEN
        case _:
            assert_never(body)


SEEN = frozenset(
    {FactKind.LOCK_SEEN, FactKind.CLAIM_SEEN, FactKind.REFUND_SEEN, FactKind.LOOKED_UP}
)
"""What a chain shows, at any stage: pending, final or retracted; or says when it is asked."""

TIME = frozenset(FactKind) - {FactKind.OFFER_MADE, FactKind.OFFER_RECEIVED}
"""Any fact but an offer: each brings the time with it, and the swap decides anew."""


@dataclass(frozen=True, slots=True)
class Transition:
    """From the phase that holds it, on one of these facts, to another phase, because of ``why``.

    One fact may lead through several transitions at once: the first is on that fact, the others
    follow from what was known before.
    """

    to: Phase
    on: frozenset[FactKind]
    why: str


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """A phase as one side sees it, in plain words. ``means``, ``waits_for`` (empty for an end) and
    ``follows`` are what the users of a swap are told too: forms to be filled in by ``filled``."""

    role: Role
    phase: Phase
    means: str
    waits_for: str
    follows: str
    fails: str
    recovers: str
    transitions: tuple[Transition, ...]


def _on(to: Phase, why: str, *kinds: FactKind) -> Transition:
    return Transition(to, frozenset(kinds), why)


def _seen(to: Phase, why: str) -> Transition:
    return Transition(to, SEEN, why)


def _time(to: Phase, why: str) -> Transition:
    return Transition(to, TIME, why)


_SURFACED = "our lock is on its chain after all"
_OVER = "Nothing more happens."
_NONE = "It cannot fail: nothing of ours is at stake."

INITIATOR = (
    PhaseRow(
        Role.INITIATOR,
        Phase.OFFERED,
        "We have made an offer. Nothing is locked.",
        "{peer} to accept it",
        "Once it is accepted, we lock on {own}; otherwise it expires.",
        _NONE,
        "After valid_until the offer expires by itself.",
        (
            _on(
                Phase.LOCKING, "an acceptance that fits came in time", FactKind.ACCEPTANCE_RECEIVED
            ),
            _on(Phase.DECLINED, "the other side rejected it", FactKind.DECLINE_RECEIVED),
            _on(Phase.DECLINED, "the other gateway refused to take it", FactKind.REFUSED),
            Transition(
                Phase.EXPIRED, TIME | {FactKind.OFFER_MADE}, "valid_until has come unaccepted"
            ),
        ),
    ),
    PhaseRow(
        Role.INITIATOR,
        Phase.LOCKING,
        "It is agreed; {our_lock} is on its way.",
        "{our_lock} to be final",
        "Then we wait for {peer} to lock on {their}.",
        "The chain refuses the lock, or it never arrives.",
        "Before the lock limit it is sent again; after it, it is called off and the swap fails. If "
        "it came all the same, it is refunded from its deadline on.",
        (
            _seen(Phase.LOCKED, "our lock is final"),
            _on(Phase.FAILED, "the lock was refused and is not on its chain", FactKind.REFUSED),
            _on(
                Phase.FAILED,
                "t1 has come, and A says that our lock is not there",
                FactKind.LOOKED_UP,
            ),
            _time(Phase.FAILED, "our secret is out, and our lock was not seen"),
            _time(Phase.REVEALING, "our secret is public, so we claim B at once"),
        ),
    ),
    PhaseRow(
        Role.INITIATOR,
        Phase.LOCKED,
        "{Our_lock} is final.",
        "{their_lock} to be final, and as agreed",
        "Then we claim it, which reveals the secret; without it we never reveal, and take "
        "{our_lock} back after its deadline.",
        "The other side does not lock in time, or not what was agreed.",
        "After the reveal limit we never reveal, and take our lock back from t1 on.",
        (
            _time(Phase.CLAIMING, "B's lock is final and open, before the reveal limit"),
            _time(Phase.REFUNDING, "the reveal limit has come, or our lock has ended"),
            _time(Phase.REVEALING, "our secret is public, so we claim B at once"),
        ),
    ),
    PhaseRow(
        Role.INITIATOR,
        Phase.CLAIMING,
        "Both locks are final; our claim is being prepared. The secret is still ours alone.",
        "a last look at the time on {their}, and the record that we reveal",
        "Then the secret goes out with our claim; if that is too late, it never does.",
        "The head of B is stale, B is frozen, or the reveal limit comes first.",
        "A stale head is tried again; after the limit we never reveal and wait for the refund.",
        (
            _on(Phase.REVEALING, "the margin holds; the record is written", FactKind.REVEAL_BEGUN),
            _time(Phase.REFUNDING, "the reveal limit has come"),
            _time(Phase.REVEALING, "our secret is public already"),
        ),
    ),
    PhaseRow(
        Role.INITIATOR,
        Phase.REVEALING,
        "The secret has left, or is leaving, with our claim on {their}.",
        "our claim on {their} to be final",
        "The claim is sent again until it is final or {their_lock} was refunded.",
        "The claim is lost, delayed or reverted by a reorg; we crash.",
        "The claim is pursued until it is final or B's lock is refunded; an alert at the deadline.",
        (
            _seen(Phase.SETTLING, "our claim is final"),
            _time(Phase.REFUNDING, "B's lock is refunded or gone, or ours is back and t2 has come"),
        ),
    ),
    PhaseRow(
        Role.INITIATOR,
        Phase.SETTLING,
        "We are paid. {Our_lock} is {peer}'s to collect.",
        "{peer} to claim {our_lock}",
        "Once it is claimed the swap is complete; if {peer} never does, it comes back to us as "
        "well.",
        "The other side does not collect.",
        "From t1 on our lock is refunded to us.",
        (
            _time(Phase.COMPLETED, "our lock has ended, one way or the other"),
            _seen(Phase.REVEALING, "B took back our final claim"),
        ),
    ),
    PhaseRow(
        Role.INITIATOR,
        Phase.REFUNDING,
        "The swap will not happen; {our_lock} is to come back.",
        "the deadline of {our_lock}, then our refund to be final",
        "From the deadline on the refund is sent until it is final.",
        "The refund is lost or delayed.",
        "It is sent again until the lock has ended; anyone may send it.",
        (
            _seen(Phase.REFUNDED, "our refund is final"),
            _on(
                Phase.FAILED,
                "t1 has come, and A says that our lock is not there",
                FactKind.LOOKED_UP,
            ),
            _time(Phase.REVEALING, "our secret is public and B's lock can still be ours"),
            _time(Phase.LOST, "our lock was claimed and B's cannot be ours: a bound broke"),
        ),
    ),
)

RESPONDER = (
    PhaseRow(
        Role.RESPONDER,
        Phase.RECEIVED,
        "{Peer} has made us an offer. Nothing is locked.",
        "us to accept or reject it",
        "If we accept, {peer} locks first, on {their}; otherwise it expires.",
        _NONE,
        "After valid_until the offer expires by itself.",
        (
            _on(Phase.ACCEPTED, "accepted in time for the arithmetic", FactKind.OFFER_ACCEPTED),
            _on(Phase.DECLINED, "rejected here", FactKind.OFFER_DECLINED),
            Transition(
                Phase.EXPIRED, TIME | {FactKind.OFFER_RECEIVED}, "valid_until has come unaccepted"
            ),
        ),
    ),
    PhaseRow(
        Role.RESPONDER,
        Phase.ACCEPTED,
        "We have accepted. Nothing of ours is locked.",
        "{their_lock} to be final, and as agreed",
        "Then we lock on {own}; without it the swap expires and we have paid nothing.",
        "The initiator does not lock, or not what was agreed, or not in time.",
        "At our lock limit the swap expires; we have paid nothing.",
        (
            _time(Phase.LOCKING, "A's lock is final, open and as agreed, before our lock limit"),
            _time(Phase.EXPIRED, "our lock limit has come"),
            _seen(Phase.REFUNDING, _SURFACED),
        ),
    ),
    PhaseRow(
        Role.RESPONDER,
        Phase.LOCKING,
        "It is agreed; {our_lock} is on its way.",
        "{our_lock} to be final",
        "Then we wait for {peer} to claim it, which shows us the secret.",
        "The chain refuses the lock, or it never arrives.",
        "Before the lock limit it is sent again; after it, it is called off and the swap fails. If "
        "it came all the same, it is refunded from its deadline on.",
        (
            _seen(Phase.LOCKED, "our lock is final"),
            _on(Phase.FAILED, "the lock was refused and is not on its chain", FactKind.REFUSED),
            _on(
                Phase.FAILED,
                "t2 has come, and B says that our lock is not there",
                FactKind.LOOKED_UP,
            ),
            _time(Phase.CLAIMING, "the secret is on a chain"),
        ),
    ),
    PhaseRow(
        Role.RESPONDER,
        Phase.LOCKED,
        "Both locks are there, {our_lock} is final.",
        "{peer} to claim it, which shows us the secret",
        "Then we claim {their_lock}; without the secret we take {our_lock} back after its "
        "deadline.",
        "The initiator never reveals.",
        "From t2 on our lock is refunded to us.",
        (
            _time(Phase.CLAIMING, "the secret is on a chain, pending or final"),
            _time(Phase.REFUNDING, "t2 has come on B, or our lock has ended"),
        ),
    ),
    PhaseRow(
        Role.RESPONDER,
        Phase.CLAIMING,
        "The secret is known; our claim on {their} is on its way.",
        "our claim on {their} to be final, and {our_lock} to end",
        "The claim is sent again until it is final or {their_lock} was refunded.",
        "The claim is lost, delayed or reverted by a reorg; we crash.",
        "The claim is pursued until it is final or A's lock is refunded; an alert at the deadline.",
        (
            _time(Phase.COMPLETED, "we are paid, and our lock has ended"),
            _time(Phase.REFUNDING, "A's lock is refunded or gone, or ours is back and t1 has come"),
        ),
    ),
    PhaseRow(
        Role.RESPONDER,
        Phase.REFUNDING,
        "The swap will not happen; {our_lock} is to come back.",
        "the deadline of {our_lock}, then our refund to be final",
        "From the deadline on the refund is sent until it is final.",
        "The refund is lost or delayed; the secret appears after all.",
        "The refund is sent again until the lock has ended; a secret that appears is used.",
        (
            _seen(Phase.REFUNDED, "our refund is final"),
            _on(
                Phase.FAILED,
                "t2 has come, and B says that our lock is not there",
                FactKind.LOOKED_UP,
            ),
            _time(Phase.CLAIMING, "the secret is on a chain and A's lock can still be ours"),
            _time(Phase.LOST, "our lock was claimed and A's cannot be ours: a bound broke"),
        ),
    ),
)


def _ends(role: Role, begins_again: Phase) -> tuple[PhaseRow, ...]:
    took_back = "a chain took back what was final"
    surfaced = (_seen(Phase.REFUNDING, _SURFACED),)
    none = "It is an end."
    return (
        PhaseRow(
            role,
            Phase.DECLINED,
            "The offer was rejected. Nothing is locked.",
            "",
            _OVER,
            none,
            "",
            (),
        ),
        PhaseRow(
            role,
            Phase.EXPIRED,
            "The offer was not taken up, or not followed by a lock, in time. We have paid nothing.",
            "",
            _OVER,
            none,
            "" if role is Role.INITIATOR else "A lock of ours that surfaces is refunded.",
            () if role is Role.INITIATOR else surfaced,
        ),
        PhaseRow(
            role,
            Phase.FAILED,
            "Our lock never came to be, or vanished. We have paid nothing.",
            "",
            _OVER,
            "A lock that was under way surfaces late.",
            "It is refunded after its deadline, or the swap goes on if the secret is public.",
            surfaced,
        ),
        PhaseRow(
            role,
            Phase.REFUNDED,
            "{Our_lock} is back with us. We have paid nothing.",
            "",
            _OVER,
            none,
            "Late news may show that we were paid as well.",
            (
                _seen(Phase.COMPLETED, "the claim of the other side's lock is final after all"),
                _seen(Phase.REFUNDING, took_back),
            ),
        ),
        PhaseRow(
            role,
            Phase.COMPLETED,
            "Done: we are paid on {their}, and {peer} on {own}.",
            "",
            _OVER,
            "A chain breaks its finality rule.",
            "The claim is pursued again.",
            (_seen(begins_again, took_back),),
        ),
        PhaseRow(
            role,
            Phase.LOST,
            "{Our_lock} was claimed and we were not paid: a bound broke.",
            "",
            "Somebody must look: compare the chains with the bounds in the configuration.",
            "It is a loss.",
            "Late news may show that we were paid, or that our lock came back.",
            (_seen(begins_again, took_back),),
        ),
    )


TABLE: tuple[PhaseRow, ...] = (
    *INITIATOR,
    *_ends(Role.INITIATOR, Phase.REVEALING),
    *RESPONDER,
    *_ends(Role.RESPONDER, Phase.CLAIMING),
)

_BY_PHASE = {(row.role, row.phase): row for row in TABLE}


def row_of(role: Role, phase: Phase) -> PhaseRow | None:
    """None where a role never has that phase."""
    return _BY_PHASE.get((role, phase))


def path(role: Role, start: Phase, kind: FactKind, end: Phase) -> tuple[Transition, ...] | None:
    """A shortest way through the table from one phase to another on one fact: the first transition
    is on that fact, the others follow from what was known before. None if there is none."""
    ways: list[tuple[Phase, tuple[Transition, ...]]] = [(start, ())]
    reached = {start}
    for phase, way in ways:
        if phase is end:
            return way
        row = row_of(role, phase)
        for transition in row.transitions if row is not None else ():
            if (way or kind in transition.on) and transition.to not in reached:
                reached.add(transition.to)
                ways.append((transition.to, (*way, transition)))
    return None


# --- as a document -------------------------------------------------------------------------------


def to_markdown() -> str:
    """The page docs/reference/swap-transitions.md, whole."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Swap transitions"
    yield ""
    yield "Drawn from `relayers/protocol/table.py` by `make reference`. Chain A is where the"
    yield "initiator locks until t1, chain B where the responder locks until t2. Each fact brings"
    yield "the time and the newest heads with it, and after each fact the swap decides on all that"
    yield "it knows: that is what *any fact* means below. One fact may lead through several rows:"
    yield "the first is on that fact, the others follow from what was known before."
    for role in Role:
        yield ""
        yield f"## {role.value.capitalize()}"
        yield ""
        yield from _diagram(role)
        yield ""
        yield "| phase | means | waits for | then | fails when | recovers by |"
        yield "|---|---|---|---|---|---|"
        parties = Parties("the other side", *("AB" if role is Role.INITIATOR else "BA"))
        for row in TABLE:
            if row.role is role:
                told = [filled(form, parties) for form in (row.means, row.waits_for, row.follows)]
                cells = (cell or "–" for cell in (*told, row.fails, row.recovers))
                yield f"| `{row.phase}` | {' | '.join(cells)} |"
        yield ""
        yield "| from | on | to | because |"
        yield "|---|---|---|---|"
        for row in TABLE:
            if row.role is not role:
                continue
            for transition in row.transitions:
                facts = _facts(transition.on)
                yield f"| `{row.phase}` | {facts} | `{transition.to}` | {transition.why} |"


def _diagram(role: Role) -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    start = Phase.OFFERED if role is Role.INITIATOR else Phase.RECEIVED
    yield f"    [*] --> {start}"
    for row in TABLE:
        if row.role is role and row.phase not in ENDS:
            for target in dict.fromkeys(transition.to for transition in row.transitions):
                yield f"    {row.phase} --> {target}"
    for row in TABLE:
        if row.role is role and row.phase in ENDS:
            yield f"    {row.phase} --> [*]"
    yield "```"


def _facts(kinds: frozenset[FactKind]) -> str:
    if kinds >= TIME:
        return "any fact"
    if kinds == SEEN:
        return "anything seen on a chain"
    return ", ".join(kind.value for kind in FactKind if kind in kinds)
