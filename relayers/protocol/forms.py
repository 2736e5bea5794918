"""Sentences on a swap as forms: its table holds them, and whoever tells them puts the names in."""

from __future__ import annotations

from adapters.values import dataclass


@dataclass(frozen=True, slots=True)
class Parties:
    """What people call the other side, and the chains of our lock and of theirs."""

    peer: str
    own: str
    their: str

    @property
    def our_lock(self) -> str:
        return f"our lock on {self.own}"

    @property
    def their_lock(self) -> str:
        return f"{self.peer}'s lock on {self.their}"


def filled(form: str, parties: Parties) -> str:
    """The sentence with the names in it: {peer}, {own}, {their}, {our_lock}, {their_lock}, and
    {Peer}, {Our_lock} where one begins with it."""
    return form.format(
        peer=parties.peer,
        Peer=_capital(parties.peer),
        own=parties.own,
        their=parties.their,
        our_lock=parties.our_lock,
        Our_lock=_capital(parties.our_lock),
        their_lock=parties.their_lock,
    )


def _capital(text: str) -> str:
    """A name stays as it is written; "our" and "the" begin a sentence."""
    return text[0].upper() + text[1:] if text.startswith(("our ", "the ")) else text
