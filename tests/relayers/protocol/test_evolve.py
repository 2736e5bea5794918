"""The fast ``replace`` does what that of ``dataclasses`` does."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest

from adapters.model import InvalidValue
from relayers.protocol.evolve import replace
from relayers.protocol.state import Ignored, Move
from relayers.protocol.timelocks import GatewayBounds


@dataclass(frozen=True)
class Dictionary:
    first: int
    second: str = "b"


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (Move(None), {"ignored": Ignored.NOT_NOW, "detail": "why"}),
        (Move(None), {}),
        (Dictionary(1), {"second": "c"}),
        (GatewayBounds(30, 3600), {"reaction": 5}),
    ],
)
def test_a_copy_with_some_fields_changed(value: object, changes: dict[str, object]) -> None:
    before = repr(value)
    copied = replace(value, **changes)  # type: ignore[type-var]
    assert copied == dataclasses.replace(value, **changes)  # type: ignore[type-var]
    assert type(copied) is type(value)
    assert copied is not value
    assert repr(value) == before


def test_what_a_class_checks_is_checked() -> None:
    with pytest.raises(InvalidValue, match="reaction"):
        replace(GatewayBounds(30, 3600), reaction=-1)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(KeyError):
        replace(Move(None), other=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        replace(Dictionary(1), other=1)  # type: ignore[call-arg]
