"""Ordering services to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Consensus(StrEnum):
    """As the channel's configuration names it."""

    RAFT = "etcdraft"
    BFT = "BFT"


@dataclass(frozen=True, slots=True)
class Ordering:
    """How many orderers agree, and by what protocol."""

    consensus: Consensus
    orderers: int
    inclusion: int
    """I of the network's profile, in seconds: with a leader that has just died, where one may."""


RAFT = Ordering(Consensus.RAFT, 1, 4)
"""One orderer: nothing is ordered while it is down."""
RAFT_OF_THREE = Ordering(Consensus.RAFT, 3, 20)
"""One may fail. A dead leader is replaced within seconds."""
BFT_OF_FOUR = Ordering(Consensus.BFT, 4, 90)
"""One may fail in any way whatever. A dead leader is complained of first, which takes longer."""

ORDERINGS: Mapping[str, Ordering] = {
    "raft": RAFT,
    "raft-of-three": RAFT_OF_THREE,
    "bft": BFT_OF_FOUR,
}
"""By the names that an operator chooses from."""
