"""Accounts on Fabric: which account a certificate speaks for, alike in the chaincode and here.

    address = percent-encoded MSP id ‖ "." ‖ hex(SHA-256("x509::" ‖ subject ‖ "::" ‖ issuer))

``subject`` and ``issuer`` are distinguished names as the client identity library of Fabric's
chaincode shims writes them, so the hashed text is what ``GetID`` returns there (before its base64)
and a renewed certificate keeps its account. Like that library, names keep only the attributes of
X.520 that it knows (C, O, OU, L, ST, STREET, POSTALCODE, CN, SERIALNUMBER): an organisation's CA
must not tell two identities apart by any other attribute alone.

Percent-encoding is that of ``adapters/codec/percent_encoding.py``: what CAIP-10 allows.
"""

from __future__ import annotations

import hashlib
import re

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from adapters.codec.percent_encoding import percent_decode, percent_encode
from adapters.model import AccountId, ChainId, InvalidValue

_ADDRESS = re.compile(r"((?:[-.a-zA-Z0-9]|%[0-9A-F]{2}){1,63})\.([0-9a-f]{64})")

# Go's pkix.Name groups attributes by type in this order; its text runs through them backwards.
_ATTRIBUTES: tuple[tuple[ObjectIdentifier, str, bool], ...] = (
    (NameOID.COUNTRY_NAME, "C", True),
    (NameOID.ORGANIZATION_NAME, "O", True),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "OU", True),
    (NameOID.LOCALITY_NAME, "L", True),
    (NameOID.STATE_OR_PROVINCE_NAME, "ST", True),
    (NameOID.STREET_ADDRESS, "STREET", True),
    (NameOID.POSTAL_CODE, "POSTALCODE", True),
    (NameOID.COMMON_NAME, "CN", False),
    (NameOID.SERIAL_NUMBER, "SERIALNUMBER", False),
)


def identity_text(certificate: x509.Certificate) -> str:
    """``x509::subject::issuer``, the text that Fabric's client identity library names by."""
    return (
        f"x509::{_distinguished_name(certificate.subject)}"
        f"::{_distinguished_name(certificate.issuer)}"
    )


def address_of(msp_id: str, certificate: bytes) -> str:
    """The address of an identity: its MSP and its X.509 certificate in PEM. Raises InvalidValue."""
    try:
        parsed = x509.load_pem_x509_certificate(certificate)
        text = identity_text(parsed)
    except ValueError as error:
        raise InvalidValue("the identity's certificate is not X.509 in PEM") from error
    return check_address(
        f"{percent_encode(msp_id)}.{hashlib.sha256(text.encode()).hexdigest()}", "MSP id"
    )


def account_of(chain: ChainId, msp_id: str, certificate: bytes) -> AccountId:
    """The account of an identity on a chain. Raises InvalidValue."""
    return AccountId(chain, address_of(msp_id, certificate))


def check_address(address: str, field: str) -> str:
    """The address itself, if an identity could have it. Raises InvalidValue."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise InvalidValue(
            f"{field} is not a Fabric account: write the percent-encoded MSP id (63 characters at "
            "most), a dot, and 64 lower-case hex digits"
        )
    percent_decode(match[1], field)
    return address


def msp_of(address: str) -> str:
    """The MSP id of an address. Raises InvalidValue."""
    check_address(address, "account")
    return percent_decode(address.rpartition(".")[0], "account")


def _distinguished_name(name: x509.Name) -> str:
    groups: list[str] = []
    for oid, short, many in _ATTRIBUTES:
        values = [str(attribute.value) for attribute in name.get_attributes_for_oid(oid)]
        if values:
            # Go keeps the last of a common name or serial number that comes twice.
            chosen = values if many else values[-1:]
            groups.append("+".join(f"{short}={_escape(value)}" for value in chosen))
    return ",".join(reversed(groups))


def _escape(value: str) -> str:
    escaped = re.sub(r'([,+"\\<>;])', r"\\\1", value)
    if escaped.startswith(("#", " ")):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and len(value) > 1:
        escaped = escaped[:-1] + "\\ "
    return escaped
