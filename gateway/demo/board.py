"""What is known of a demonstration while it plays: what the screen draws and the report counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import permutations

from gateway.devnet.ledgers import LEDGERS

LOG_LINES = 400


class Progress(StrEnum):
    WAITING = "waiting"
    PLAYING = "playing"
    RIGHT = "right"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """An ordered pair of ledgers: the initiator gives on ``a`` and gets on ``b``."""

    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.a}:{self.b}"

    @property
    def arrow(self) -> str:
        return f"{self.a} → {self.b}"


PAIRS = tuple(Pair(a, b) for a, b in permutations(LEDGERS, 2))
"""All that there are."""


@dataclass(slots=True)
class Run:
    """One scenario on one pair."""

    scenario: str
    pair: Pair
    progress: Progress = Progress.WAITING
    phase: str = ""
    t1: int | None = None
    t2: int | None = None
    outcome: str = ""
    expected: str = ""
    reason: str = ""
    seconds: float = 0.0
    changes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Per party and asset (CAIP-19): what this run changed on the ledger, in smallest units."""


@dataclass(frozen=True, slots=True)
class Line:
    at: float
    run: Run | None
    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """A balance, before the scenarios and now; ``expected`` once it can be said."""

    party: str
    asset: str
    symbol: str
    decimals: int
    before: int
    now: int
    expected: int | None = None


@dataclass(slots=True)
class Board:
    seed: int
    runs: dict[tuple[str, Pair], Run] = field(default_factory=dict)
    log: deque[Line] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    holdings: dict[tuple[str, str], Holding] = field(default_factory=dict)
    step: str = ""
    told: int = 0
    """How many lines there have been in all."""

    def say(self, at: float, text: str, run: Run | None = None, style: str = "") -> None:
        self.log.append(Line(at, run, text, style))
        self.told += 1

    @property
    def scenarios(self) -> list[str]:
        return list(dict.fromkeys(scenario for scenario, _ in self.runs))

    @property
    def pairs(self) -> list[Pair]:
        return list(dict.fromkeys(pair for _, pair in self.runs))

    @property
    def ok(self) -> bool:
        """Every run as it should be, and every balance on every ledger to the last unit."""
        return (
            bool(self.runs)
            and all(run.progress is Progress.RIGHT for run in self.runs.values())
            and all(holding.now == holding.expected for holding in self.holdings.values())
        )


def as_json(board: Board) -> Mapping[str, object]:
    return {
        "ok": board.ok,
        "seed": board.seed,
        "scenarios": [
            {
                "name": run.scenario,
                "pair": [run.pair.a, run.pair.b],
                "outcome": run.outcome,
                "expected": run.expected,
                "seconds": round(run.seconds, 1),
                "balances": {
                    party: {asset: str(change) for asset, change in sorted(changes.items())}
                    for party, changes in sorted(run.changes.items())
                },
                **({"reason": run.reason} if run.reason else {}),
            }
            for run in board.runs.values()
        ],
        "ledgers": [
            {
                "party": holding.party,
                "asset": holding.asset,
                "before": str(holding.before),
                "after": str(holding.now),
                "expected": None if holding.expected is None else str(holding.expected),
            }
            for holding in sorted(board.holdings.values(), key=lambda h: (h.party, h.asset))
        ],
    }
