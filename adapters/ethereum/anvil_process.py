"""Runs Anvil with a state file that is always whole: ``python -m adapters.ethereum.anvil_process
FOLDER ANVIL ARGUMENT…``.

Anvil writes its state into ``FOLDER/state.json`` in place, every second and at its end. A copy of
the newest state that could be read in full is kept beside it; at the start, a file that was cut
short is replaced by that copy. SIGTERM and SIGINT are passed on; the exit status is Anvil's. If
this process is killed hard, so is Anvil: on Linux the kernel sees to that.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

_COPY_EVERY = 5.0
"""Seconds between two copies."""
_PR_SET_PDEATHSIG = 1


def _whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            json.load(file)
    except (OSError, ValueError):
        return False
    return True


def keep_copy(state: Path, copy: Path) -> None:
    """Copies the state, if it is whole, in one step."""
    part = copy.with_suffix(".part")
    try:
        shutil.copyfile(state, part)
    except OSError:
        return
    if _whole(part):
        part.replace(copy)


def recover(state: Path, copy: Path) -> None:
    """Makes sure that the state file, if there is one, can be read."""
    if not state.exists() or _whole(state):
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
        [*command, "--preserve-historical-states"],
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads here
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        child.send_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while True:
        try:
            status = child.wait(_COPY_EVERY)
        except subprocess.TimeoutExpired:
            keep_copy(state, copy)
        else:
            return status if status >= 0 else 128 - status


if __name__ == "__main__":
    os._exit(main())
