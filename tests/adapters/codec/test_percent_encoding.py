"""Percent-encoding: one spelling for each text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.codec.percent_encoding import percent_decode, percent_encode
from adapters.model import InvalidValue


@given(st.text())
def test_percent_encoding_has_one_inverse(text: str) -> None:
    try:
        encoded = percent_encode(text)
    except UnicodeEncodeError:
        return
    assert percent_decode(encoded, "text") == text
    assert set(encoded) <= set("%-." + "".join(map(chr, range(128))))


@pytest.mark.parametrize("text", ["%5f", "%41", "%FF", "%", "%4", "a b", "é", "\ud800", "a_b"])
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="MSP id"):
        percent_decode(text, "MSP id")
