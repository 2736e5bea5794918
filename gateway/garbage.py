"""How the garbage collector is set in a process that runs for long.

What start-up made (modules, schemas, the swaps restored from the journal) stays until the end: it
is frozen, so that no collection goes through it again. What a gateway makes from then on is mostly
freed by its reference counts; the young generation is made large, so that the collector looks for
cycles once in 50,000 new objects and not once in 700. A full collection over a hundred thousand
swaps would otherwise stop the event loop, and with it a claim that is due, again and again.
"""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 50)
"""Of the three generations, as gc.set_threshold takes them."""


def begin() -> None:
    """To be called first of all: a tenth of the processor time of importing everything would go
    into collections that find nothing."""
    gc.set_threshold(*THRESHOLDS)


def settle() -> None:
    """To be called once, when all is open and before the work begins."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
