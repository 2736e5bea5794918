"""Tells warnings and alerts of swaps to whoever watches the log and the metrics.

The event stream has them too, but only while somebody listens. This worker follows the journal's
events from where it left off, over restarts: how far it came is in a small file beside the journal.
An alert may be told twice after a crash; none is passed over. Where the file is missing, or does
not fit the journal (an older copy was put in its place), what is older than a day is left alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol, Self, assert_never, cast

from structlog.stdlib import get_logger

from adapters.model import Hashlock
from adapters.whole_file import write_whole
from gateway.telemetry.runbooks import page_of
from relayers.clock import Clock
from relayers.journal.port import StoredEvent
from relayers.protocol.alerts import AlertKind
from relayers.protocol.state import Level

_log = get_logger("gateway.alerts")

OTHER: Final = "other"
"""Counts alerts of a kind that this version does not raise: another version wrote the journal."""

FRESH: Final = 24 * 3600
"""Seconds: how old a warning may be and still be told, where it is not known what was told."""

_SAVE_EVERY: Final = 256
"""Events after which the place is written though none of them was told."""

_KINDS: Final = frozenset(kind.value for kind in AlertKind)


class Stored(Protocol):
    """Reads events of the journal: those numbered above ``after``, at most ``limit``."""

    def __call__(self, after: int, limit: int, /) -> Awaitable[Sequence[StoredEvent]]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """An event of one journal; all of it, since numbers alone are the same in every journal."""

    number: int
    at: int
    swap: str
    kind: str

    @classmethod
    def of(cls, stored: StoredEvent) -> Self:
        return cls(stored.number, stored.at, _swap(stored.key), stored.event.kind)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None where there is none that can be read; why not is logged."""
        try:
            fields = json.loads(path.read_bytes())
            place = cls(**fields)
            if not isinstance(place.number, int):
                raise ValueError("number")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            _log.warning("cannot be read; told anew is what is fresh", file=str(path), error=error)
            return None
        return place

    def write(self, path: Path) -> None:
        """Raises OSError. A crash leaves the old one or the new one."""
        write_whole(path, json.dumps(asdict(self)).encode())


class AlertTeller:
    """``follow``: the engine's events after a number, endless. ``stored``: those of the journal.
    ``place``: the file that says how far it came. ``count`` is called with each alert's kind, or
    OTHER."""

    def __init__(
        self,
        follow: Callable[[int], AsyncIterator[StoredEvent]],
        stored: Stored,
        place: Path,
        clock: Clock,
        count: Callable[[str], None],
    ) -> None:
        self._follow = follow
        self._stored = stored
        self._path = place
        self._clock = clock
        self._count = count
        self._unsaved = 0
        self._save_failed = False

    async def run(self) -> None:
        """Runs until it is cancelled. Raises JournalError."""
        after = await self._told_before()
        oldest = 0
        if after is None:
            after, oldest = 0, int(self._clock()) - FRESH
        follow = cast(AsyncGenerator[StoredEvent, None], self._follow(after))
        async with aclosing(follow) as events:
            async for stored in events:
                told = stored.at >= oldest and self._tell(stored)
                self._unsaved += 1
                if told or self._unsaved >= _SAVE_EVERY:
                    self._save(Place.of(stored))

    async def _told_before(self) -> int | None:
        place = Place.read(self._path)
        if place is None:
            return None
        found = await self._stored(place.number - 1, 1)
        if found and Place.of(found[0]) == place:
            return place.number
        _log.warning("another journal's; told anew is what is fresh", file=str(self._path))
        return None

    def _tell(self, stored: StoredEvent) -> bool:
        """Whether there was something to tell."""
        event = stored.event
        about = {
            "kind": event.kind,
            "swap": _swap(stored.key),
            "text": event.text,
            "at": stored.at,
            "number": stored.number,
        }
        match event.level:
            case Level.INFO:
                return False
            case Level.WARNING:
                _log.warning("warning", **about)
            case Level.ALERT:
                known = event.kind in _KINDS
                _log.error("alert", **about, runbook=page_of(event.kind))
                self._count(event.kind if known else OTHER)
            case _:
                assert_never(event.level)
        return True

    def _save(self, place: Place) -> None:
        self._unsaved = 0
        try:
            place.write(self._path)
            self._save_failed = False
        except OSError as error:
            # Telling matters more: after a restart some of it is told again.
            if not self._save_failed:
                _log.error("cannot be written", file=str(self._path), error=error.strerror)
            self._save_failed = True


def _swap(key: Hashlock) -> str:
    return "0x" + key.hex()
