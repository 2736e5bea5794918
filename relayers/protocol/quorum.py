"""Notary sets and quorums: who may attest, how many must, and until when.

A set is valid in one epoch, until an absolute time. Its threshold is above one half of its seats,
so that two quorums of one set share a notary, and no organisation has a threshold's worth of seats,
so that none is a quorum by itself. Signers are named by their index in the set, each once, in
increasing order: what is out of order is refused, so that nobody is counted twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from adapters.model import InvalidValue, check_uint64
from adapters.values import dataclass


@dataclass(frozen=True, slots=True)
class Notary:
    """One seat. ``address``: 20 bytes, of the secp256k1 key that signs. Raises InvalidValue."""

    address: bytes
    organisation: str

    def __post_init__(self) -> None:
        if not isinstance(self.address, bytes) or len(self.address) != 20:
            raise InvalidValue("address of a notary must be 20 bytes", "address")
        if not any(self.address):
            raise InvalidValue(
                "address of a notary is zero, which is what a signature of nobody recovers to",
                "address",
            )
        name = self.organisation
        if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable():
            raise InvalidValue(
                f"organisation of notary 0x{self.address.hex()} must be a name without white space "
                "around it",
                "organisation",
            )


@dataclass(frozen=True, slots=True)
class NotarySet:
    """``valid_until``: Unix seconds of the chain that verifies, the last at which it counts.

    Raises InvalidValue, naming the field, for a set that must never be in force."""

    epoch: int
    valid_until: int
    notaries: tuple[Notary, ...]
    threshold: int

    def __post_init__(self) -> None:
        check_uint64(self.epoch, "epoch")
        check_uint64(self.valid_until, "valid_until")
        if not isinstance(self.notaries, tuple) or not self.notaries:
            raise InvalidValue("notaries must be a tuple of one notary at least", "notaries")
        twice = _first_twice([notary.address for notary in self.notaries])
        if twice is not None:
            raise InvalidValue(f"notaries names 0x{twice.hex()} twice", "notaries")
        check_uint64(self.threshold, "threshold")
        seats = len(self.notaries)
        if 2 * self.threshold <= seats:
            raise InvalidValue(
                f"threshold is {self.threshold} of {seats}; it must be above one half, "
                f"{seats // 2 + 1} at least",
                "threshold",
            )
        if self.threshold > seats:
            raise InvalidValue(
                f"threshold is {self.threshold} of {seats}: there are not so many notaries",
                "threshold",
            )
        # Names that differ in case alone are more likely one organisation than two.
        held = Counter(notary.organisation.casefold() for notary in self.notaries)
        for notary in self.notaries:
            count = held[notary.organisation.casefold()]
            if count >= self.threshold:
                raise InvalidValue(
                    f"notaries gives {notary.organisation} {count} of {seats} seats: with a "
                    f"threshold of {self.threshold} it is a quorum by itself",
                    "notaries",
                )

    @property
    def tolerated(self) -> int:
        """How many notaries may be silent before nothing is attested any more."""
        return len(self.notaries) - self.threshold


@dataclass(frozen=True, slots=True)
class Quorum:
    """Enough have signed. ``signers`` in the order of their seats."""

    signers: tuple[Notary, ...]


class Field(StrEnum):
    """What a quorum is refused for."""

    EPOCH = "epoch"
    SIGNERS = "signers"


@dataclass(frozen=True, slots=True)
class NoQuorum:
    """Nothing may be done on these signatures. ``reason``: one sentence that names the field."""

    field: Field
    reason: str


def verdict(
    sets: Mapping[int, NotarySet],
    epoch: int,
    signers: Sequence[int],
    now: int,
    revoked: Collection[int],
) -> Quorum | NoQuorum:
    """Whether these signers of this epoch are a quorum at this time. Total: refuses, never raises.

    ``sets``: those that have ever been in force, by epoch. ``signers``: the indices, within the
    set, of those whose signatures were verified. ``now``: Unix seconds of the chain that decides.
    ``revoked``: epochs that the guardian has revoked.
    """
    notaries = sets.get(epoch)
    if notaries is None or notaries.epoch != epoch:
        return NoQuorum(Field.EPOCH, f"epoch {epoch} is not known")
    if epoch in revoked:
        return NoQuorum(Field.EPOCH, f"epoch {epoch} was revoked")
    if now > notaries.valid_until:
        return NoQuorum(
            Field.EPOCH, f"epoch {epoch} was valid until {notaries.valid_until}; it is {now}"
        )
    seats = len(notaries.notaries)
    before = -1
    for index in signers:
        if not 0 <= index < seats:
            return NoQuorum(
                Field.SIGNERS,
                f"signers names seat {index}; epoch {epoch} has seats 0 to {seats - 1}",
            )
        if index <= before:
            return NoQuorum(
                Field.SIGNERS,
                f"signers names seat {index} after seat {before}; each comes once, in order",
            )
        before = index
    if len(signers) < notaries.threshold:
        return NoQuorum(
            Field.SIGNERS,
            f"signers are {len(signers)} of {seats}; epoch {epoch} needs {notaries.threshold}",
        )
    return Quorum(tuple(notaries.notaries[index] for index in signers))


def _first_twice(addresses: Sequence[bytes]) -> bytes | None:
    seen: set[bytes] = set()
    for address in addresses:
        if address in seen:
            return address
        seen.add(address)
    return None
