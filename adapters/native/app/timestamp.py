"""A moment as ABCI and CometBFT give it: seconds and nanoseconds since 1970, in UTC."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?Z"
)
_EPOCH = datetime.datetime(1970, 1, 1)
_ZERO_SECONDS = -62135596800


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """google.protobuf.Timestamp. Integers throughout: no float ever touches a block's time."""

    seconds: int
    nanos: int = 0

    @classmethod
    def parse(cls, text: str) -> Timestamp:
        """Reads RFC 3339 in UTC, as CometBFT writes it. Raises ValueError."""
        match = _RFC3339.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not an RFC 3339 time in UTC")
        year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
        since = datetime.datetime(year, month, day, hour, minute, second) - _EPOCH
        return cls(since.days * 86400 + since.seconds, int((match[7] or "").ljust(9, "0")))

    @classmethod
    def of_nanoseconds(cls, nanoseconds: int) -> Timestamp:
        return cls(*divmod(nanoseconds, 10**9))

    def nanoseconds(self) -> int:
        return self.seconds * 10**9 + self.nanos

    def __str__(self) -> str:
        """RFC 3339 as Go's RFC3339Nano writes it: no trailing zeros in the fraction."""
        moment = _EPOCH + datetime.timedelta(seconds=self.seconds)
        fraction = f".{self.nanos:09d}".rstrip("0").rstrip(".")
        return f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + fraction + "Z"


ZERO_TIME = Timestamp(_ZERO_SECONDS)
"""Go's zero time, 0001-01-01: what CometBFT writes where a commit signature is absent."""
