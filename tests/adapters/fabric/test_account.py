"""Accounts of Fabric identities: the text that Fabric's own library names them by, hashed."""

from __future__ import annotations

import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import NameOID

from adapters.fabric.account import (
    address_of,
    check_address,
    identity_text,
    msp_of,
)
from adapters.model import AccountId, ChainId, InvalidValue

KEY = ec.generate_private_key(ec.SECP256R1())
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def certificate(
    subject: list[tuple[x509.ObjectIdentifier, str]],
    issuer: list[tuple[x509.ObjectIdentifier, str]],
) -> x509.Certificate:
    def name(parts: list[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])

    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(START)
        .not_valid_after(START + datetime.timedelta(days=1))
        .sign(KEY, hashes.SHA256())
    )


ISSUER = [
    (NameOID.COUNTRY_NAME, "US"),
    (NameOID.STATE_OR_PROVINCE_NAME, "California"),
    (NameOID.LOCALITY_NAME, "San Francisco"),
    (NameOID.ORGANIZATION_NAME, "org1.example.com"),
    (NameOID.COMMON_NAME, "ca.org1.example.com"),
]


def test_names_are_written_as_fabrics_identity_library_writes_them() -> None:
    # The form in which cryptogen's certificates appear in Fabric's own documentation of GetID.
    subject = [
        (NameOID.COUNTRY_NAME, "US"),
        (NameOID.STATE_OR_PROVINCE_NAME, "California"),
        (NameOID.LOCALITY_NAME, "San Francisco"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "client"),
        (NameOID.COMMON_NAME, "User1@org1.example.com"),
    ]
    assert identity_text(certificate(subject, ISSUER)) == (
        "x509::CN=User1@org1.example.com,ST=California,L=San Francisco,OU=client,C=US"
        "::CN=ca.org1.example.com,ST=California,L=San Francisco,O=org1.example.com,C=US"
    )


def test_attributes_of_one_type_stand_together_and_unknown_ones_are_left_out() -> None:
    subject = [
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "client"),
        (NameOID.EMAIL_ADDRESS, "a@b.example"),
        (NameOID.COMMON_NAME, "ann"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "org1"),
        (NameOID.SERIAL_NUMBER, "12"),
    ]
    text = identity_text(certificate(subject, [(NameOID.COMMON_NAME, "ca")]))
    assert text == "x509::SERIALNUMBER=12,CN=ann,OU=client+OU=org1::CN=ca"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a,b", "a\\,b"),
        ('a+"b"', 'a\\+\\"b\\"'),
        ("#a", "\\#a"),
        (" a ", "\\ a\\ "),
        (" ", "\\ "),
        ("a<b>;c\\", "a\\<b\\>\\;c\\\\"),
        ("Zoë", "Zoë"),
    ],
)
def test_values_are_escaped(value: str, written: str) -> None:
    text = identity_text(certificate([(NameOID.COMMON_NAME, value)], ISSUER[:1]))
    assert text == f"x509::CN={written}::C=US"


def test_an_address_is_the_msp_and_the_hash() -> None:
    one = certificate([(NameOID.COMMON_NAME, "ann")], ISSUER)
    digest = hashlib.sha256(identity_text(one).encode()).hexdigest()
    address = address_of("Org_1.MSP", one.public_bytes(Encoding.PEM))
    assert address == f"Org%5F1.MSP.{digest}"
    assert msp_of(address) == "Org_1.MSP"
    chain = ChainId.parse("fabric:" + "0" * 32)
    assert AccountId.parse(f"{chain}:{address}") == AccountId(chain, address)


def test_what_is_no_certificate_has_no_address() -> None:
    with pytest.raises(InvalidValue, match=r"X\.509"):
        address_of("Org1MSP", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(InvalidValue):
        address_of("O" * 64, certificate(ISSUER, ISSUER).public_bytes(Encoding.PEM))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "Org1MSP",
        "Org1MSP." + "0" * 63,
        "Org1MSP." + "A" * 64,
        "." + "0" * 64,
        "Org%5f1." + "0" * 64,
        "Org%41." + "0" * 64,
        "Org%FF." + "0" * 64,
        "Org 1." + "0" * 64,
        "O" * 64 + "." + "0" * 64,
        "chaincode:isthmus:" + "0" * 64,
    ],
)
def test_an_address_has_one_form(address: str) -> None:
    with pytest.raises(InvalidValue, match="account"):
        check_address(address, "account")
