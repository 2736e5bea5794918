"""The scenarios: what each shows, and what must come out of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What the two ledgers say of a run's locks when it is over."""

    SWAPPED = "swapped"
    """Both locks claimed."""
    REFUNDED = "refunded"
    """The initiator's lock refunded; the responder never locked."""
    BOTH_REFUNDED = "both refunded, responder first"
    NOTHING_LOST = "all came back"
    """The cheat's false lock and the honest side's true one refunded; nothing was revealed, and
    nobody locked in return."""
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    shows: str
    expected: Outcome


HAPPY = Scenario("happy", "both lock, the initiator claims, the responder claims", Outcome.SWAPPED)
RESPONDER_ABSENT = Scenario(
    "responder-absent", "the responder never locks; the initiator is refunded", Outcome.REFUNDED
)
INITIATOR_SILENT = Scenario(
    "initiator-silent",
    "both lock, the initiator never reveals; both are refunded, the responder first",
    Outcome.BOTH_REFUNDED,
)
RESPONDER_DOWN = Scenario(
    "responder-down",
    "the initiator claims late while the responder's gateway is killed; a watchtower without a "
    "key of either party, or the gateway started again in time, completes the claim",
    Outcome.SWAPPED,
)
WRONG_LOCK = Scenario(
    "wrong-lock",
    "the counterparty locks less, another asset, another hash, too short a deadline or to another "
    "recipient; the honest side never reveals, never locks in return, and gets all back",
    Outcome.NOTHING_LOST,
)
CRASH = Scenario(
    "crash",
    "the initiator's gateway is killed at a step chosen by the seed, and started again",
    Outcome.SWAPPED,
)

SCENARIOS = (HAPPY, RESPONDER_ABSENT, INITIATOR_SILENT, RESPONDER_DOWN, WRONG_LOCK, CRASH)


class Flaw(StrEnum):
    """In what a cheat's lock differs from the agreed one."""

    AMOUNT = "less"
    ASSET = "another asset"
    HASHLOCK = "another hash"
    DEADLINE = "too short a deadline"
    RECIPIENT = "another recipient"


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is false with the lock that answers an honest one, and with the one that begins."""

    answer: Flaw
    beginning: Flaw


def flaws_of(seed: int, place: int) -> Flaws:
    """Of the pair at this place among all of them: so, all pairs together show every flaw in both
    halves, whatever the seed."""
    flaws = list(Flaw)
    at = seed + place
    return Flaws(flaws[at % len(flaws)], flaws[(at + 2) % len(flaws)])
