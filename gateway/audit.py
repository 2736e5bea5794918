"""The audit log: who commanded what, and what became of it; JSON lines that are only added to.

A line is on the disk before its command is answered. It holds identifiers, codes and sentences for
people; no key, token, salt or preimage is ever handed to it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.spi import Misconfigured
from relayers.clock import Clock


class AuditLog:
    """One file, opened for appending. Raises Misconfigured where it cannot be written."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
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
        """``actor``: user, policy, or peer:NAME. ``outcome``: done, or the code of the refusal."""
        record = {
            "at": int(self._clock()),
            "actor": actor,
            "command": command,
            "outcome": outcome,
            "swap": swap,
            "detail": detail,
        }
        line = json.dumps(record, ensure_ascii=True, separators=(",", ":")) + "\n"
        # One write of one line: lines of two processes do not mix.
        os.write(self._file, line.encode())
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
