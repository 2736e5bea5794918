"""The audit log: who commanded what, and what became of it; JSON lines that are only added to.

A line is on the disk before its command is answered. It holds identifiers, codes and sentences for
people; no key, token, salt or preimage is ever handed to it. Where the disk takes no line, the line
goes to the log as an error, and the work goes on: claims and refunds must not wait for a disk.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.spi import Misconfigured
from relayers.clock import Clock

_log = logging.getLogger(__name__)


class AuditLog:
    """One file, opened for appending. Raises Misconfigured where it cannot be written."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
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
        record = {
            "at": int(self._clock()),
            "actor": actor,
            "command": command,
            "outcome": outcome,
            "swap": swap,
            "detail": detail,
        }
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
