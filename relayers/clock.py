"""The clock port: Unix seconds, handed to whoever needs the time, so that a simulation owns it."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns Unix seconds. Sleeping is the event loop's affair: both must run at one speed."""


def system_clock() -> float:
    """The machine's own clock."""
    return time.time()
