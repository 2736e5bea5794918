"""The audit log: who commanded what, and what became of it; JSON lines that are only added to.

A line is on the disk before its command is answered. It holds identifiers, codes and sentences for
people; no key, token, salt or preimage is ever handed to it. Where the disk takes no line, the line
goes to the log as an error, and the work goes on: claims and refunds must not wait for a disk.

Refusals that changed nothing and that another can bring about as often as he likes are bounded
(``repeats.py``); such a line has ``unwritten``: so many alike came since the one before.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.spi import Misconfigured
from gateway.repeats import EVERY, Kind, Repeats
from relayers.clock import Clock

_log = logging.getLogger(__name__)


class AuditLog:
    """One file, opened for appending. Raises Misconfigured where it cannot be written."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._repeats = Repeats(clock)
        self._cut = False
        try:
            # Not for other users of the machine: it says who dealt with whom.
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise Misconfigured(
                f"audit log {path} cannot be written: {error.strerror}; correct audit.path"
            ) from error

    def write(
        self, actor: str, command: str, outcome: str, *, swap: str = "", detail: str = ""
    ) -> None:
        """``actor``: user, policy, or peer:NAME. ``outcome``: done, or the code of the refusal.
        Never raises OSError."""
        self._write(actor, command, outcome, swap, detail, 0)

    def write_bounded(
        self, actor: str, command: str, code: str, *, swap: str = "", detail: str = ""
    ) -> None:
        """A refusal that changed nothing: the first of an actor, command and code is written at
        once, then a line a minute at most, with the count of those that were not. Never raises
        OSError."""
        kind = Kind(actor, command, code)
        due = self._repeats.came(kind)
        if due is None:
            return
        written, unwritten = due
        if written != kind:
            swap, detail = "", "of more kinds than are told apart"
        self._write(*written, swap, detail, unwritten)

    def write_counts(self, *, at_once: bool = False) -> None:
        """Writes the counts that have waited for a minute, or all of them. Never raises OSError."""
        for kind, unwritten in self._repeats.overdue(at_once=at_once):
            self._write(*kind, "", "as the ones before", unwritten)

    async def run(self) -> None:
        """Writes the counts as their time comes, also where nobody is refused any more. Endless."""
        while True:
            await asyncio.sleep(EVERY)
            self.write_counts()

    def _write(
        self, actor: str, command: str, outcome: str, swap: str, detail: str, unwritten: int
    ) -> None:
        record: dict[str, str | int] = {
            "at": int(self._clock()),
            "actor": actor,
            "command": command,
            "outcome": outcome,
            "swap": swap,
            "detail": detail,
        }
        if unwritten:
            record["unwritten"] = unwritten
        line = json.dumps(record, ensure_ascii=True, separators=(",", ":"))
        try:
            self._append(line)
        except OSError as error:
            _log.error("the audit log took no line: %s; the line: %s", error.strerror, line)

    def _append(self, line: str) -> None:
        """Raises OSError where the line is not on the disk, or only in part."""
        content = (("\n" if self._cut else "") + line + "\n").encode()
        # One write of one line: lines of two processes do not mix.
        written = os.write(self._file, content)
        self._cut = written < len(content)
        if self._cut:
            raise OSError(errno.ENOSPC, "only a part of it was written")
        os.fsync(self._file)

    def close(self) -> None:
        self.write_counts(at_once=True)
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
