"""Messages between gateways are strict, and have one text each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.model import MAX_AMOUNT, AccountId
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.offers.typed_data import Decline, offer_digest
from relayers.offers.wire import (
    MAX_BODY,
    AcceptanceMessage,
    DeclineMessage,
    OfferMessage,
    acceptance_message,
    acceptance_of,
    decline_message,
    decline_of,
    offer_message,
    offer_of,
    parse,
)
from relayers.protocol.offer import Acceptance
from tests.relayers.offers.samples import CHAIN_A, CHAIN_B, sample_offer

SIGNATURE = b"\x11" * 65


def body() -> dict[str, Any]:
    message: dict[str, Any] = json.loads(offer_message(sample_offer(), SIGNATURE).model_dump_json())
    return message


def test_values_come_back_as_they_were() -> None:
    text = offer_message(sample_offer(), SIGNATURE).model_dump_json().encode()
    assert offer_of(parse(OfferMessage, text)) == (sample_offer(), SIGNATURE)
    acceptance = Acceptance(
        offer_digest(sample_offer()),
        sample_offer().hashlock,
        AccountId(CHAIN_A, "0x01"),
        AccountId(CHAIN_B, "0x02"),
    )
    text = acceptance_message(acceptance, SIGNATURE).model_dump_json().encode()
    assert acceptance_of(parse(AcceptanceMessage, text)) == (acceptance, SIGNATURE)
    decline = Decline(b"\x01" * 20, b"\x02" * 20, sample_offer().hashlock, "no")
    text = decline_message(decline, SIGNATURE).model_dump_json().encode()
    assert decline_of(parse(DeclineMessage, text)) == (decline, SIGNATURE)


MISSING = object()

BAD: list[tuple[str, Any]] = [
    ("offer.a.amount", "0"),
    ("offer.a.amount", "-1"),
    ("offer.a.amount", "01"),
    ("offer.a.amount", "1.5"),
    ("offer.a.amount", 5),
    ("offer.a.amount", "9" * 79),
    ("offer.a.deadline", -1),
    ("offer.a.deadline", 2**63),
    ("offer.a.deadline", "2000"),
    ("offer.a.deadline", 2000.0),
    ("offer.a.deadline", True),
    ("offer.a.chain", "eip155"),
    ("offer.a.chain", ""),
    ("offer.a.asset", "not an asset"),
    ("offer.a.asset", "sim:beta/slip44:60"),
    ("offer.a.account", "sim:alpha"),
    ("offer.a.account", MISSING),
    ("offer.a.colour", "red"),
    ("offer.b", None),
    ("offer.version", 0),
    ("offer.version", "1"),
    ("offer.initiator", "0x" + "AB" * 20),
    ("offer.initiator", "0x01"),
    ("offer.salt", "0x" + "00" * 31),
    ("offer.hashlock", "0x" + "00" * 32),
    ("offer.hashlock", "00" * 32),
    ("offer.valid_until", 0),
    ("offer.reference", "x" * 129),
    ("offer.reference", "line\nbreak"),
    ("offer.preimage", "0x" + "07" * 32),
    ("signature", "0x11"),
    ("signature", MISSING),
    ("extra", 1),
]


@pytest.mark.parametrize(("path", "value"), BAD)
def test_what_is_not_exactly_right_is_refused(path: str, value: Any) -> None:
    message = body()
    *parents, last = path.split(".")
    place = message
    for parent in parents:
        place = place[parent]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(OfferRefused) as caught:
        offer_of(parse(OfferMessage, json.dumps(message).encode()))
    assert caught.value.code is Refusal.INVALID_VALUE
    assert caught.value.field is not None
    assert caught.value.field.split(".")[0] in path


def test_the_two_legs_must_be_on_two_chains() -> None:
    message = body()
    message["offer"]["b"] = message["offer"]["a"]
    with pytest.raises(OfferRefused, match="two chains"):
        offer_of(parse(OfferMessage, json.dumps(message).encode()))


def test_an_amount_above_the_most_is_refused() -> None:
    message = body()
    message["offer"]["a"]["amount"] = str(MAX_AMOUNT)
    offer_of(parse(OfferMessage, json.dumps(message).encode()))
    message["offer"]["a"]["amount"] = str(MAX_AMOUNT + 1)
    with pytest.raises(OfferRefused, match=r"above 2\^256"):
        offer_of(parse(OfferMessage, json.dumps(message).encode()))


def test_a_long_message_is_refused_before_it_is_read() -> None:
    with pytest.raises(OfferRefused, match="longer than"):
        parse(OfferMessage, b" " * (MAX_BODY + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_and_never_raise_anything_else(garbage: bytes) -> None:
    with pytest.raises(OfferRefused):
        offer_of(parse(OfferMessage, garbage))


def test_what_was_sent_is_not_quoted_in_the_error() -> None:
    message = body()
    message["offer"]["salt"] = "a-secret-put-in-the-wrong-place"
    with pytest.raises(OfferRefused) as caught:
        parse(OfferMessage, json.dumps(message).encode())
    assert "a-secret" not in caught.value.detail
