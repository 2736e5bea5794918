"""Values made here do what those of ``dataclasses`` do."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from adapters.model import Bounds, ChainId, InvalidValue, Position
from adapters.values import dataclass, replace


@dataclass(frozen=True, slots=True)
class Made:
    first: int
    second: str = "b"
    kept: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    first: int
    second: str = "b"
    kept: object = None


@dataclass(frozen=True, slots=True)
class Checked:
    amount: int
    seen: list[type[Any]]

    def __post_init__(self) -> None:
        self.seen.append(type(self))
        if self.amount < 0:
            raise InvalidValue("amount is below zero")


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, "c"), {}),
    ((1,), {"kept": [2]}),
    ((), {"kept": None, "first": 1, "second": "b"}),
    ((), {}),
    ((1, 2, 3, 4), {}),
    ((1,), {"other": 1}),
    ((1,), {"first": 1}),
]


def _of(cls: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> str:
    try:
        return repr(cls(*arguments, **named)).replace(cls.__name__, "Value")
    except TypeError as error:
        return str(error).replace(cls.__name__, "Value")


@pytest.mark.parametrize(("arguments", "named"), CALLS)
def test_a_value_is_made_as_the_standard_library_makes_it(
    arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    assert _of(Made, arguments, named) == _of(Standard, arguments, named)


def test_a_value_never_changes() -> None:
    value = Made(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.first = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del value.first
    with pytest.raises((AttributeError, TypeError)):
        value.other = 2  # type: ignore[attr-defined]
    assert value == Made(1)


@pytest.mark.parametrize(
    "changes", [{}, {"first": 2}, {"second": "c"}, {"kept": 1}, {"second": "", "kept": (1, 2)}]
)
def test_values_are_equal_where_those_of_the_standard_library_are(changes: dict[str, Any]) -> None:
    value, other = Made(1), replace(Made(1), **changes)
    expected = Standard(1) == dataclasses.replace(Standard(1), **changes)
    assert (value == other) is (other == value) is expected
    assert (value != other) is not expected
    assert (hash(value) == hash(other)) is expected
    assert hash(value) == hash(Standard(1))


def test_a_value_of_another_class_is_another() -> None:
    assert Made(1) != Standard(1)
    assert Made(1).__eq__(Standard(1)) is NotImplemented
    assert (Made(1) == AlwaysEqual()) is True


class AlwaysEqual:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_values_are_ordered_where_that_is_asked_for() -> None:
    first, second = Position(1, b"", 2, "a"), Position(1, b"", 3, "a")
    assert first < second
    assert sorted([second, first]) == [first, second]
    with pytest.raises(TypeError):
        Made(1) < Made(2)  # type: ignore[operator]  # noqa: B015


def test_what_a_class_checks_is_checked_on_the_value_itself() -> None:
    seen: list[type[Any]] = []
    value = Checked(1, seen)
    with pytest.raises(InvalidValue, match="below zero"):
        Checked(-1, seen)
    with pytest.raises(InvalidValue, match="below zero"):
        replace(value, amount=-1)
    replace(value, amount=2)
    assert seen == [Checked] * 4
    with pytest.raises(InvalidValue, match="inclusion"):
        Bounds(-1, 0, 0)


@pytest.mark.parametrize("value", [Made(1, kept=(1, 2)), ChainId("eip155", "1")])
@pytest.mark.parametrize("changes", [{}, {"second": "c"}, {"reference": "2"}])
def test_a_copy_with_some_fields_changed(value: Any, changes: dict[str, Any]) -> None:
    before = repr(value)
    if not changes.keys() <= set(value.__slots__):
        with pytest.raises(AttributeError, match=next(iter(changes))):
            replace(value, **changes)
    else:
        copied = replace(value, **changes)
        assert copied == dataclasses.replace(value, **changes)
        assert type(copied) is type(value)
        assert copied is not value
    assert repr(value) == before


def test_a_value_of_the_standard_library_is_copied_too() -> None:
    assert replace(Standard(1), first=2) == Standard(2)
    with pytest.raises(TypeError):
        replace(Standard(1), other=1)  # type: ignore[call-arg]


def test_a_value_can_be_pickled_and_copied() -> None:
    value = Made(1, kept=(1, 2))
    for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert again == value
        assert type(again) is Made


def test_what_is_not_made_here_is_refused() -> None:
    with pytest.raises(TypeError, match="only frozen"):
        dataclass(slots=True)(type("Loose", (), {}))

    class Mutable:
        __annotations__ = {"found": list}
        found = dataclasses.field(default_factory=list)

    with pytest.raises(TypeError, match="standard library"):
        dataclass(frozen=True, slots=True)(Mutable)
    with pytest.raises(TypeError, match="standard library"):
        dataclass(frozen=True, slots=True)(type("Under", (Standard,), {}))


def test_a_method_that_a_class_writes_itself_is_kept() -> None:
    @dataclass(frozen=True, slots=True)
    class Odd:
        number: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Odd) and self.number % 2 == other.number % 2

        __hash__ = None  # type: ignore[assignment]

    assert Odd(1) == Odd(3)
    assert Odd(1) != Odd(2)


def test_a_class_is_described_as_the_standard_library_describes_it() -> None:
    def described(cls: Any) -> Any:
        return [(field.name, field.type, field.default) for field in dataclasses.fields(cls)]

    assert described(Made) == described(Standard)
    assert Made.__init__.__annotations__ == Standard.__init__.__annotations__
    assert Made.__match_args__ == ("first", "second", "kept")
