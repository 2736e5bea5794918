"""One command at a time works on the network of a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Busy(Exception):
    """Another command is at work in the folder. The message names it and says what to do."""


@contextmanager
def sole_turn(folder: Path) -> Iterator[None]:
    """The system ends the turn of a process that dies. The folder must be there. Raises Busy."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy(
                f"another isthmus devnet up or down is at work in {folder}: let it end first"
            ) from None
        yield
