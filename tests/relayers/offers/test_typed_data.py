"""The digests against eth_account's own EIP-712 encoder, and what a signature covers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data

from adapters.codec.secp256k1 import ORDER
from adapters.model import AccountId, AssetId, ChainId, Hashlock, InvalidValue
from adapters.spi import Scheme, SigningFailed
from relayers.offers import typed_data
from relayers.offers.typed_data import Decline
from relayers.protocol.offer import Acceptance, Offer
from tests.relayers.offers.samples import ALICE, BOB, CHAIN_A, CHAIN_B, EVE, MemorySigner, leg
from tests.relayers.offers.samples import sample_offer as offer


def acceptance() -> Acceptance:
    return Acceptance(
        offer=typed_data.offer_digest(offer()),
        hashlock=offer().hashlock,
        recipient_a=AccountId(CHAIN_A, "0x" + "cd" * 20),
        sender_b=AccountId(CHAIN_B, "0x" + "ef" * 20),
    )


def decline() -> Decline:
    return Decline(offer().initiator, offer().responder, offer().hashlock, "no – not today")


def reference_digest(primary: str, message: Any) -> bytes:
    full = {
        "types": {
            name: [{"name": member, "type": kind} for member, kind in members]
            for name, members in typed_data.TYPES.items()
            if name in ("EIP712Domain", primary) or (primary == "Offer" and name == "Leg")
        },
        "primaryType": primary,
        "domain": {"name": "Isthmus", "version": "1"},
        "message": message,
    }
    return bytes(_hash_eip191_message(encode_typed_data(full_message=full)))


def test_digests_are_those_of_another_encoder() -> None:
    assert typed_data.offer_digest(offer()) == reference_digest(
        "Offer", typed_data.offer_values(offer())
    )
    assert typed_data.acceptance_digest(acceptance()) == reference_digest(
        "Acceptance", typed_data.acceptance_values(acceptance())
    )
    assert typed_data.decline_digest(decline()) == reference_digest(
        "Decline", typed_data.decline_values(decline())
    )


def test_the_schema_is_what_the_documentation_says() -> None:
    text = " ".join((typed_data.__doc__ or "").split()).replace(" ", "")
    for name in ("Offer", "Leg", "Acceptance", "Decline"):
        own = typed_data.encode_type(name).partition(")")[0] + ")"
        assert own.replace(" ", "") in text, f"{name} is documented otherwise"


OTHER_CHAIN = ChainId.parse("sim:gamma")


@pytest.mark.parametrize(
    "changed",
    [
        replace(offer(), version=2),
        replace(offer(), initiator=b"\x09" * 20),
        replace(offer(), responder=b"\x09" * 20),
        replace(offer(), salt=b"\x09" * 32),
        replace(offer(), hashlock=Hashlock(b"\x09" * 32)),
        replace(offer(), valid_until=501),
        replace(offer(), reference=""),
        replace(offer(), a=leg(OTHER_CHAIN, 10**18, 2_000)),
        replace(offer(), a=replace(offer().a, contract="other")),
        replace(offer(), a=replace(offer().a, asset=AssetId(CHAIN_A, "erc20", "60"))),
        replace(offer(), a=replace(offer().a, amount=1)),
        replace(offer(), a=replace(offer().a, account=AccountId(CHAIN_A, "0x00"))),
        replace(offer(), a=replace(offer().a, deadline=1_999)),
        replace(offer(), b=replace(offer().b, amount=6)),
        replace(offer(), a=offer().b, b=offer().a),
    ],
)
def test_every_field_is_signed(changed: Offer) -> None:
    assert typed_data.offer_digest(changed) != typed_data.offer_digest(offer())


async def test_a_signature_is_of_one_key_and_one_digest() -> None:
    digest = typed_data.offer_digest(offer())
    signature = await typed_data.sign(ALICE, digest)
    address = typed_data.gateway_address(ALICE)
    assert typed_data.signed_by(address, digest, signature)
    assert not typed_data.signed_by(typed_data.gateway_address(BOB), digest, signature)
    assert not typed_data.signed_by(address, typed_data.decline_digest(decline()), signature)
    assert not typed_data.signed_by(address, digest, signature[:64])
    assert not typed_data.signed_by(address, digest, b"")


async def test_the_high_twin_of_a_signature_is_refused() -> None:
    digest = typed_data.offer_digest(offer())
    signature = await typed_data.sign(ALICE, digest)
    high = ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + high.to_bytes(32, "big") + bytes([1 - signature[64]])
    assert not typed_data.signed_by(typed_data.gateway_address(ALICE), digest, twin)


class WrongSigner(MemorySigner):
    """A remote signer that answers with another key than the one it names."""

    async def sign(self, digest: bytes) -> bytes:
        return await EVE.sign(digest)


async def test_a_signer_that_answers_with_another_key_is_found_out() -> None:
    with pytest.raises(SigningFailed, match="does not verify"):
        await typed_data.sign(WrongSigner(b"\x01" * 32), typed_data.offer_digest(offer()))


def test_a_key_of_another_curve_is_refused() -> None:
    signer = MemorySigner(b"\x01" * 32)
    signer.scheme = Scheme.P256
    with pytest.raises(InvalidValue, match="secp256k1"):
        typed_data.gateway_address(signer)


def test_a_number_that_does_not_fit_its_type_is_refused() -> None:
    with pytest.raises(InvalidValue, match="validUntil is not a uint64"):
        typed_data.offer_digest(replace(offer(), valid_until=2**64))
    with pytest.raises(InvalidValue, match="reason is not text"):
        typed_data.decline_digest(replace(decline(), reason="\ud800"))
