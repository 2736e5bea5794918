"""Runs Anvil with a state file that is always whole: ``python -m adapters.ethereum.anvil_process
FOLDER ANVIL ARGUMENT…``.

Anvil writes its state into ``FOLDER/state.json`` in place, every second and at its end. A copy of
the newest state that was whole is kept beside it; at the start, a file that was cut short is
replaced by that copy. SIGTERM and SIGINT are passed on; the exit status is Anvil's. If this process
is killed hard, so is Anvil: on Linux the kernel sees to that.

What a kill -9 costs: the blocks since the last write, one second of them; where it meets a write,
those since the last copy. The development network calls a block final at a depth of two, so a
longer interval would take back blocks that were final, and gateways would freeze the chain.

What a running network costs: the state as of now, and some 1.7 kB of JSON for every block ever
made, written once in a second; with a block a second 6 MB after an hour, 150 MB after a day. States
of earlier blocks are not written, which would be 65 kB for each: nobody reads them. Of these Anvil
keeps so many in memory, and none on disk, as a test's reorganisation goes back.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

_COPY_EVERY = 1.0
"""Seconds between two copies at the least."""
_SHARE_OF_TIME = 0.05
"""The most of its time that this process spends on copies."""
_STATES_IN_MEMORY = 64
_PR_SET_PDEATHSIG = 1

_TAIL = b'"historical_states":null}'
"""How Anvil ends what it writes. No part of a file ends so but the whole of it."""


def _complete(path: Path) -> bool:
    """Whether the file has its end; without reading the rest, which may be large."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - len(_TAIL)))
        return file.read() == _TAIL


def _readable(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            json.load(file)
    except (OSError, ValueError):
        return False
    return True


def _mark(path: Path) -> tuple[int, int]:
    seen = path.stat()
    return seen.st_mtime_ns, seen.st_size


class Copies:
    """Keeps a copy of the newest whole state."""

    def __init__(self, state: Path, copy: Path) -> None:
        self._state = state
        self._copy = copy
        self._copied: tuple[int, int] | None = None

    def keep(self) -> bool:
        """Copies the state in one step, if it has changed since and is whole. Whether it did."""
        part = self._copy.with_suffix(".part")
        try:
            before = _mark(self._state)
            if before == self._copied:
                return False
            shutil.copyfile(self._state, part)
            if not _complete(part) or _mark(self._state) != before:
                # Anvil is writing; what it writes is there at the next look.
                return False
            part.replace(self._copy)
        except OSError:
            return False
        self._copied = before
        return True


def recover(state: Path, copy: Path) -> None:
    """Makes sure that the state file, if there is one, can be read."""
    if not state.exists() or _readable(state):
        return
    state.unlink()
    if copy.exists():
        shutil.copyfile(copy, state)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    folder, program, *arguments = sys.argv[1:]
    state, copy = Path(folder) / "state.json", Path(folder) / "state.copy.json"
    state.parent.mkdir(parents=True, exist_ok=True)
    recover(state, copy)
    command = [program, *arguments, "--state", str(state), "--state-interval", "1"]
    child = subprocess.Popen(  # noqa: S603 - our own argument list
        [*command, "--prune-history", str(_STATES_IN_MEMORY)],
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads here
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        child.send_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    copies = Copies(state, copy)
    pause = _COPY_EVERY
    while True:
        try:
            status = child.wait(pause)
        except subprocess.TimeoutExpired:
            begun = time.monotonic()
            copies.keep()
            pause = max(_COPY_EVERY, (time.monotonic() - begun) / _SHARE_OF_TIME)
        else:
            return status if status >= 0 else 128 - status


if __name__ == "__main__":
    os._exit(main())
