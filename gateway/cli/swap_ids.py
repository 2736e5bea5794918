"""Swap ids as people type them: the beginning is enough where it fits one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from gateway.cli.answers import Failed

Page = tuple[Sequence[str], str | None]
"""Some ids, each with 0x before it, and where the next page begins."""


async def whole_id(
    text: str, page: Callable[[str | None], Awaitable[Page]], what: str, shown_by: str
) -> str:
    """The whole id where only the beginning is given. ``what``: what the ids are of;
    ``shown_by``: the command that lists them. Raises Failed where none or several fit."""
    digits = text.lower().removeprefix("0x")
    if len(digits) >= 64 or not digits:
        return text
    found: list[str] = []
    after = None
    while True:
        ids, after = await page(after)
        found += [one for one in ids if one.startswith(f"0x{digits}")]
        if after is None:
            break
    match found:
        case [one]:
            return one
        case []:
            raise Failed(f"no {what}'s id begins with {text}: {shown_by} shows them")
        case _:
            raise Failed(f"{len(found)} {what}s' ids begin with {text}: give more of it")
