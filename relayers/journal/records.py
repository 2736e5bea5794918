"""How values are written: JSON, one codec for every journal.

    {"v":1,"kind":"<which type>","body":{...}}

``v`` is the schema version and stands in every record; one that is newer than this program is
refused. Bytes are hexadecimal, amounts decimal text. A field that this program does not know is
refused too: a journal never drops what it cannot read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from adapters.model import InvalidValue
from relayers.journal.port import (
    SCHEMA_VERSION,
    JournalCorrupt,
    JournalError,
    JournalTooNew,
    Unreadable,
)
from relayers.protocol import facts, intents
from relayers.protocol.facts import At, ChainView, FactBody
from relayers.protocol.intents import Intent
from relayers.protocol.state import Swap, UserEvent

_HEADER = re.compile(rb'\{"v":([0-9]{1,9}),"kind":"([a-z_]+)",')

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Record(Generic[T]):
    v: int
    kind: str
    body: T

    __pydantic_config__ = ConfigDict(extra="forbid", ser_json_bytes="hex", val_json_bytes="hex")


_FACT_KINDS: dict[str, type[FactBody]] = {
    "offer_made": facts.OfferMade,
    "offer_accepted": facts.OfferAccepted,
    "offer_declined": facts.OfferDeclined,
    "offer_received": facts.OfferReceived,
    "acceptance_received": facts.AcceptanceReceived,
    "decline_received": facts.DeclineReceived,
    "observed": facts.Observed,
    "looked_up": facts.LookedUp,
    "reveal_begun": facts.RevealBegun,
    "refused": facts.Refused,
    "delivered": facts.Delivered,
    "woken": facts.Woken,
}
_INTENT_KINDS: dict[str, type[Intent]] = {
    "send_offer": intents.SendOffer,
    "send_acceptance": intents.SendAcceptance,
    "send_decline": intents.SendDecline,
    "lock": intents.SubmitLock,
    "claim": intents.SubmitClaim,
    "refund": intents.SubmitRefund,
}


class Codec(Generic[T]):
    """Writes and reads values of one family of types, each under its kind."""

    def __init__(self, what: str, kinds: dict[str, type[Any]]) -> None:
        self._what = what
        self._adapters = {kind: TypeAdapter(_Record[of]) for kind, of in kinds.items()}  # type: ignore[valid-type]
        self._kinds = {of: kind for kind, of in kinds.items()}

    def encode(self, value: T) -> bytes:
        kind = self._kinds[type(value)]
        return self._adapters[kind].serializer.to_json(_Record(SCHEMA_VERSION, kind, value))

    def decode(self, record: bytes) -> T:
        """Raises JournalTooNew, JournalCorrupt."""
        match = _HEADER.match(record) if isinstance(record, bytes) else None
        if match is None:
            raise JournalCorrupt(f"a stored {self._what} is not a record of this program")
        if int(match[1]) > SCHEMA_VERSION:
            raise JournalTooNew(
                f"a stored {self._what} has schema version {int(match[1])}, and this program reads "
                f"up to {SCHEMA_VERSION}: use the version that wrote it"
            )
        adapter = self._adapters.get(match[2].decode())
        if adapter is None:
            raise JournalCorrupt(f"a stored {self._what} is of the unknown kind {match[2]!r}")
        try:
            body: T = adapter.validate_json(record).body
            return body
        except (ValidationError, InvalidValue) as error:
            # Why not pydantic's own text: it quotes the input, and that may be a secret.
            if isinstance(error, ValidationError):
                place = error.errors(include_input=False)[0]["loc"]
                where = ".".join(str(part) for part in place) or "its JSON"
            else:
                where = "a value"
            raise JournalCorrupt(
                f"a stored {self._what} ({match[2].decode()}) cannot be read: {where} is not valid"
            ) from None

    def read(self, record: bytes) -> T | Unreadable:
        """The value, or why it cannot be read: what is wrong with one record stops no other."""
        try:
            return self.decode(record)
        except JournalError as error:
            return Unreadable(str(error))


@cache
def fact_codec() -> Codec[FactBody]:
    return Codec[FactBody]("fact", _FACT_KINDS)


@cache
def intent_codec() -> Codec[Intent]:
    return Codec[Intent]("intent", _INTENT_KINDS)


@cache
def swap_codec() -> Codec[Swap]:
    return Codec("snapshot", {"swap": Swap})


@cache
def at_codec() -> Codec[At]:
    return Codec("moment", {"at": At})


@cache
def view_codec() -> Codec[ChainView]:
    return Codec("chain view", {"chain": ChainView})


@cache
def event_codec() -> Codec[UserEvent]:
    return Codec("user event", {"event": UserEvent})
