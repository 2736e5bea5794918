"""How commands answer: tables for people, JSON for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

T = TypeVar("T")

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Answer in JSON; a failure too, as one line on standard output."),
]


class Failed(Exception):
    """A command could not do what it was asked; the message says why."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command's work; Ctrl-C ends it quietly with status 130."""
    import asyncio

    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def print_json(value: BaseModel | Sequence[BaseModel] | dict[str, Any] | list[Any]) -> None:
    from pydantic import BaseModel

    def plain(item: Any) -> Any:
        match item:
            case BaseModel():
                return item.model_dump(mode="json")
            case list() | tuple():
                return [plain(one) for one in item]
            case _:
                return item

    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """A table whose cells are printed as they are; ``empty`` where it has no rows."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if table.row_count:
        console().print(table)
    else:
        typer.echo(empty)


def brief(text: str, most: int = 21) -> str:
    """An id for a table: its beginning and its end. ``--json`` has it whole."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def moment(seconds: int) -> str:
    """A Unix time for people: local, and how far away it is; the number alone where no calendar
    goes so far, since a peer may have written it."""
    away = seconds - int(time.time())
    try:
        local = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, OSError, ValueError):
        return str(seconds)
    return f"{local} ({_span(away)} from now)" if away >= 0 else f"{local} ({_span(-away)} ago)"


def _span(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
