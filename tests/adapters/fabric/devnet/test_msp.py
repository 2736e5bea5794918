"""Which certificates are identities, and which signatures are theirs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import utils

from adapters.devnet_certificates import KeyPair, issue_identity, make_authority
from adapters.fabric.devnet.msp import (
    InvalidIdentity,
    Membership,
    UnknownIdentity,
    serialize,
)
from adapters.fabric.devnet.signature import ORDER, InvalidSignature, sign, verify


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    return make_authority("ca.A", "A")


@pytest.fixture(scope="module")
def membership(authority: KeyPair) -> Membership:
    return Membership({"AMSP": authority.certificate, "BMSP": make_authority("b", "B").certificate})


def test_a_client_is_an_identity(authority: KeyPair, membership: Membership) -> None:
    pair = issue_identity(authority, "one", "A", "client")
    identity = membership.identity(serialize("AMSP", pair.certificate_pem()))
    assert (identity.msp_id, identity.role) == ("AMSP", "client")
    assert not identity.expired(datetime.now(UTC))
    assert identity.expired(datetime.now(UTC) + timedelta(days=4000))


def test_a_certificate_of_another_authority_is_unknown(
    authority: KeyPair, membership: Membership
) -> None:
    pair = issue_identity(authority, "one", "A", "client")
    impostor = issue_identity(make_authority("ca.A", "A"), "one", "A", "client")
    for msp_id, certificate in (
        ("BMSP", pair.certificate_pem()),
        ("ZMSP", pair.certificate_pem()),
        ("AMSP", impostor.certificate_pem()),
        ("AMSP", b"no certificate"),
    ):
        with pytest.raises(UnknownIdentity):
            membership.identity(serialize(msp_id, certificate))
    with pytest.raises(UnknownIdentity):
        membership.identity(b"\xff\xff")


def test_an_authority_and_a_certificate_without_a_role_are_invalid(
    authority: KeyPair, membership: Membership
) -> None:
    nobody = issue_identity(authority, "one", "A", None)
    for certificate, why in (
        (authority.certificate_pem(), "a CA certificate"),
        (nobody.certificate_pem(), "one unit of client, peer, admin, orderer"),
    ):
        with pytest.raises(InvalidIdentity, match=why) as caught:
            membership.identity(serialize("AMSP", certificate))
        assert caught.value.msp_id == "AMSP"


def test_the_high_twin_of_a_signature_is_refused(authority: KeyPair) -> None:
    key = authority.key.public_key()
    for number in range(20):
        data = number.to_bytes(4, "big")
        signature = sign(authority.key, data)
        verify(key, data, signature)
        r, s = utils.decode_dss_signature(signature)
        assert s <= ORDER // 2
        with pytest.raises(InvalidSignature, match="high s"):
            verify(key, data, utils.encode_dss_signature(r, ORDER - s))
        with pytest.raises(InvalidSignature, match="does not match"):
            verify(key, data + b"x", signature)
    with pytest.raises(InvalidSignature, match="DER"):
        verify(key, b"x", b"junk")


def test_a_private_key_file_is_for_its_owner_alone(authority: KeyPair, tmp_path: Path) -> None:
    authority.write(tmp_path / "ca")
    assert (tmp_path / "ca" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert KeyPair.read(tmp_path / "ca").certificate == authority.certificate
    assert "PRIVATE" not in repr(authority)
