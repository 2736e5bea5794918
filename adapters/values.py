"""``dataclass`` and ``replace`` of the standard library, for frozen values made by the thousand.

Why: the frozen dataclasses of the standard library write each field through
``object.__setattr__``, and that was a third of all that an engine does. Here the fields are written
into a draft, a class of the same slots that is not frozen, which then becomes the value: two to
four times faster (docs/adr/0013-values-are-drafts-first.md). Nobody ever sees a draft. Fields are
compared by identity first: the next state of a swap shares most of them with the one before.

The type checker sees the originals, and so checks every field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:

    def dataclass(cls: type[Any] | None = None, /, **options: Any) -> Any:
        """As that of the standard library; ``frozen`` and ``slots`` must be asked for."""
        if cls is None:
            return lambda cls: dataclass(cls, **options)
        if not (options.get("frozen") and options.get("slots")):
            raise TypeError(f"{cls.__name__}: only frozen dataclasses with slots are made here")
        written = frozenset(vars(cls))
        made = dataclasses.dataclass(**options)(cls)
        for name, function in _functions(made).items():
            if name == "copy":
                _COPIERS[made] = function
            elif name not in written and options.get(name.strip("_"), True):
                function.__qualname__ = f"{made.__qualname__}.{name}"
                function.__module__ = made.__module__
                function.__annotations__ = getattr(made, name).__annotations__
                setattr(made, name, function)
        return made

    def replace(value: Any, /, **changes: Any) -> Any:
        """A copy of a dataclass value with some fields changed; what its class checks is checked.
        Raises AttributeError or TypeError for other fields."""
        copy = _COPIERS.get(type(value))
        if copy is None:
            return dataclasses.replace(value, **changes)
        return copy(value, changes)


_COPIERS: dict[type[Any], Callable[[Any, Mapping[str, Any]], Any]] = {}


def _functions(made: type[Any]) -> dict[str, Callable[..., Any]]:
    """``__init__``, ``__eq__`` and ``copy(value, changes)`` for a frozen dataclass with slots."""
    fields = dataclasses.fields(made)
    if made.__bases__ != (object,) or any(
        field.kw_only or not field.init or field.default_factory is not dataclasses.MISSING
        for field in fields
    ):
        raise TypeError(f"{made.__name__}: use the dataclass of the standard library for this")
    names = [field.name for field in fields]
    known = {
        "_set": object.__setattr__,
        "_become": vars(object)["__class__"].__set__,
        "_new": object.__new__,
        "_value": made,
        "_draft": type(made.__name__, (), {"__slots__": made.__slots__}),
    }
    arguments = ["self"]
    for field in fields:
        if field.default is dataclasses.MISSING:
            arguments.append(field.name)
        else:
            known[f"_default_{field.name}"] = field.default
            arguments.append(f"{field.name}=_default_{field.name}")
    checks = ["self.__post_init__()"] if hasattr(made, "__post_init__") else []
    same = [
        f"(self.{field.name} is other.{field.name} or self.{field.name} == other.{field.name})"
        for field in fields
        if field.compare
    ]
    source = [
        _function(
            "__init__",
            arguments,
            [
                "_become(self, _draft)",
                *(f"self.{name} = {name}" for name in names),
                "self.__class__ = _value",
                *checks,
            ],
        ),
        _function(
            "__eq__",
            ["self", "other"],
            [
                "if other.__class__ is not self.__class__: return NotImplemented",
                f"return self is other or ({' and '.join(same) or True})",
            ],
        ),
        _function(
            "copy",
            ["value", "changes"],
            [
                "self = _new(_draft)",
                *(f"self.{name} = value.{name}" for name in names),
                "for name in changes: _set(self, name, changes[name])",
                "self.__class__ = _value",
                *checks,
                "return self",
            ],
        ),
    ]
    found: dict[str, Callable[..., Any]] = {}
    # Only names of fields, which are identifiers, stand in what is run here.
    exec("\n".join(source), known, found)  # noqa: S102
    return found


def _function(name: str, arguments: list[str], lines: list[str]) -> str:
    body = "".join(f"\n    {line}" for line in lines)
    return f"def {name}({', '.join(arguments)}):{body}"


__all__ = ["dataclass", "replace"]
