"""``dataclasses.replace``, three times as fast: a step replaces half a dozen values, and steps are
what a gateway does most. The type checker sees the original, and so checks every field."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import replace
else:

    def replace(value: Any, /, **changes: Any) -> Any:
        """A copy of a dataclass value with some fields changed. Raises KeyError or TypeError for
        others."""
        layout = _layout(type(value))
        if layout is None:
            return dataclasses.replace(value, **changes)
        copy, write = layout
        copied = copy(value)
        for name in changes:
            write[name](copied, changes[name])
        return copied


@cache
def _layout(
    cls: type[Any],
) -> tuple[Callable[[Any], Any], dict[str, Callable[[Any, Any], None]]] | None:
    """A function that copies a value, and one for each field that writes it; every field is one of
    __init__'s. None where the class keeps its fields elsewhere, or checks them once they are set.

    Slots are written directly, which frozen values allow to nobody else. The copying function is
    compiled from the fields' names, as ``dataclasses`` itself compiles __init__.
    """
    if "__slots__" not in cls.__dict__ or hasattr(cls, "__post_init__"):
        return None
    names = [field.name for field in dataclasses.fields(cls)]
    write = {name: getattr(cls, name).__set__ for name in names}
    space: dict[str, Any] = {"new": object.__new__, "cls": cls} | {
        f"set_{name}": write[name] for name in names
    }
    lines = "".join(f"    set_{name}(copied, value.{name})\n" for name in names)
    exec(f"def copy(value):\n    copied = new(cls)\n{lines}    return copied\n", space)  # noqa: S102
    return space["copy"], write


__all__ = ["replace"]
