"""The demonstration as a person sees it: a live board on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from adapters.model import format_amount
from gateway.demo.board import Board, Holding, Progress, Run

_MARK = {
    Progress.WAITING: ("·", "dim"),
    Progress.PLAYING: ("▸", "cyan"),
    Progress.RIGHT: ("✓", "green"),
    Progress.WRONG: ("✗", "bold red"),
}


class Screen:
    """Draws a board. Rich calls it again and again while it is live."""

    def __init__(self, board: Board, console: Console, clock: Callable[[], float] = time.time):
        self._board = board
        self._console = console
        self._clock = clock
        self._begun = clock()

    def __rich__(self) -> RenderableType:
        return Group(self._title(), self._grid(), self._balances(), self._log(10))

    def _title(self) -> Text:
        seconds = int(self._clock() - self._begun)
        return Text.assemble(
            ("Isthmus", "bold"),
            "  alpha and beta, two organisations, each its own gateway · "
            f"seed {self._board.seed} · {seconds} s · ",
            (self._board.step, "italic"),
        )

    def _grid(self) -> Table:
        grid = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
        grid.add_column("scenario", no_wrap=True)
        for pair in self._board.pairs:
            grid.add_column(pair.arrow)
        for scenario in self._board.scenarios:
            cells = []
            for pair in self._board.pairs:
                run = self._board.runs.get((scenario, pair))
                cells.append(self._cell(run) if run else Text(""))
            grid.add_row(scenario, *cells)
        return grid

    def _cell(self, run: Run) -> Text:
        mark, style = _MARK[run.progress]
        text = Text(f"{mark} ", style=style)
        if run.progress in (Progress.RIGHT, Progress.WRONG):
            return text.append(run.outcome or run.reason, style=style)
        text.append(run.phase or "", style="")
        now = self._clock()
        for name, deadline in (("t2", run.t2), ("t1", run.t1)):
            if deadline is not None and deadline > now:
                left = int(deadline - now)
                text.append(f"  {name} {left}s", style="yellow" if left < 10 else "dim")
                break
        return text

    def _balances(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
        for name in ("party", "ledger", "asset"):
            table.add_column(name)
        for name in ("before", "now", "change"):
            table.add_column(name, justify="right")
        for holding in sorted(self._board.holdings.values(), key=lambda h: (h.party, h.asset)):
            if holding.before != holding.now or holding.expected is not None:
                table.add_row(*_balance_row(holding))
        return table

    def _log(self, lines: int) -> Panel:
        text = Text("\n").join(
            Text.assemble((_stamp(line.at), "dim"), " ", _about(line.run), (line.text, line.style))
            for line in list(self._board.log)[-lines:]
        )
        return Panel(text, title="what happens", box=box.ROUNDED, height=lines + 2)


def _balance_row(holding: Holding) -> tuple[RenderableType, ...]:
    def shown(amount: int) -> str:
        return format_amount(amount, holding.decimals)

    change = holding.now - holding.before
    right = holding.expected is None or holding.expected == holding.now
    style = "" if change == 0 else ("green" if change > 0 else "magenta")
    chain, _, asset = holding.asset.partition("/")
    return (
        holding.party,
        chain.partition(":")[0],
        f"{holding.symbol}" if holding.symbol else asset,
        shown(holding.before),
        shown(holding.now),
        Text(f"{change:+d}" if holding.decimals == 0 else _signed(change, holding.decimals), style)
        if right
        else Text(f"{_signed(change, holding.decimals)} (wrong)", "bold red"),
    )


def _signed(change: int, decimals: int) -> str:
    return ("+" if change > 0 else "") + format_amount(change, decimals)


def _stamp(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _about(run: Run | None) -> Text:
    return Text("") if run is None else Text(f"{run.scenario} {run.pair.arrow}: ", "blue")


class PlainLines:
    """The log alone, a line as it comes, for output that is not a terminal."""

    def __init__(self, board: Board, console: Console) -> None:
        self._board = board
        self._console = console
        self._shown = 0

    def catch_up(self) -> None:
        new = self._board.told - self._shown
        for line in list(self._board.log)[-new:] if new else []:
            where = f"{line.run.scenario} {line.run.pair}: " if line.run else ""
            self._console.print(
                f"{_stamp(line.at)} {where}{line.text}", highlight=False, markup=False
            )
        self._shown = self._board.told


def summary(board: Board) -> Group:
    """The closing table: a row per scenario and pair, then every balance as the ledgers say."""
    runs = Table(box=box.SIMPLE_HEAD, title="scenarios")
    for name in ("scenario", "pair", "outcome", "expected"):
        runs.add_column(name)
    runs.add_column("seconds", justify="right")
    runs.add_column("")
    for run in board.runs.values():
        mark, style = _MARK[run.progress]
        runs.add_row(
            run.scenario,
            run.pair.arrow,
            Text(run.outcome + (f" ({run.reason})" if run.reason else "")),
            run.expected,
            f"{run.seconds:.1f}",
            Text(mark, style),
        )
    held = Table(box=box.SIMPLE_HEAD, title="balances, read back from the ledgers")
    for name in ("party", "ledger", "asset"):
        held.add_column(name)
    for name in ("before", "now", "change"):
        held.add_column(name, justify="right")
    for holding in sorted(board.holdings.values(), key=lambda h: (h.party, h.asset)):
        held.add_row(*_balance_row(holding))
    return Group(runs, held)
