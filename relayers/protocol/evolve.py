"""``dataclasses.replace``, twice as fast: a step replaces half a dozen values, and steps are what a
gateway does most. The type checker sees the original, and so checks every field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import replace
else:

    def replace(value: Any, /, **changes: Any) -> Any:
        """A copy of a dataclass value with some fields changed. Raises KeyError for others."""
        cls = type(value)
        read, places = _layout(cls)
        values = list(read(value))
        for name, change in changes.items():
            values[places[name]] = change
        return cls(*values)


@cache
def _layout(cls: type[Any]) -> tuple[Callable[[Any], tuple[Any, ...]], dict[str, int]]:
    """How to read all fields at once, and where each stands. Every field is one of __init__'s."""
    names = tuple(field.name for field in fields(cls))
    assert len(names) > 1, "attrgetter gives a tuple from two names on"
    return attrgetter(*names), {name: place for place, name in enumerate(names)}


__all__ = ["replace"]
