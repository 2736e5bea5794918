"""What the chaincode process is told by its environment, as Fabric's external builders expect.

    CHAINCODE_ID               the package id that the peer calculated at installation
    CHAINCODE_SERVER_ADDRESS   host:port to listen on
    CHAINCODE_TLS_DISABLED     true: no TLS; false: TLS is a must; unset: TLS where a key is given
    CHAINCODE_TLS_KEY, CHAINCODE_TLS_CERT     PEM files
    CHAINCODE_CLIENT_CA_CERT   PEM file: only peers with a certificate of these CAs may connect
    ISTHMUS_CLOCK_BOUND        seconds by which a transaction's timestamp may be off; default 10
    ISTHMUS_CHAIN              SHA-256 of the channel's genesis block header, in hex; optional
    ISTHMUS_TOKENS             chaincodes whose tokens may be adopted, with commas between

The chaincode is a program of its own, run beside a peer: this is its composition root.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.fabric.chaincode.configuration import MAX_CLOCK_BOUND, Consent
from adapters.fabric.chaincode.server import Tls

DEFAULT_CLOCK_BOUND = 10


class BadEnvironment(Exception):
    """A variable is missing or wrong; the message names it."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    package: str
    address: str
    tls: Tls | None


def read_service(environment: Mapping[str, str]) -> ServiceSettings:
    """Raises BadEnvironment."""
    values = {}
    for name in ("CHAINCODE_ID", "CHAINCODE_SERVER_ADDRESS"):
        values[name] = environment.get(name, "")
        if not values[name]:
            raise BadEnvironment(f"{name} is not set")
    return ServiceSettings(
        values["CHAINCODE_ID"], values["CHAINCODE_SERVER_ADDRESS"], _tls(environment)
    )


def read_consent(environment: Mapping[str, str]) -> Consent:
    """Raises BadEnvironment."""
    bound = environment.get("ISTHMUS_CLOCK_BOUND") or str(DEFAULT_CLOCK_BOUND)
    if not re.fullmatch(r"[1-9][0-9]{0,3}", bound) or int(bound) > MAX_CLOCK_BOUND:
        raise BadEnvironment(f"ISTHMUS_CLOCK_BOUND must be 1 to {MAX_CLOCK_BOUND} seconds")
    chain = environment.get("ISTHMUS_CHAIN", "")
    if chain and not re.fullmatch(r"[0-9a-f]{64}", chain):
        raise BadEnvironment("ISTHMUS_CHAIN must be 64 lower-case hex digits")
    names = (name.strip() for name in environment.get("ISTHMUS_TOKENS", "").split(","))
    return Consent(
        int(bound), bytes.fromhex(chain) if chain else None, frozenset(n for n in names if n)
    )


def _tls(environment: Mapping[str, str]) -> Tls | None:
    disabled = environment.get("CHAINCODE_TLS_DISABLED", "").lower()
    key, certificate = (environment.get(f"CHAINCODE_TLS_{part}", "") for part in ("KEY", "CERT"))
    client_ca = environment.get("CHAINCODE_CLIENT_CA_CERT", "")
    if disabled not in ("", "true", "false"):
        raise BadEnvironment("CHAINCODE_TLS_DISABLED must be true or false")
    if disabled == "true" or (not disabled and not key and not certificate):
        return None
    if not key or not certificate:
        raise BadEnvironment("TLS needs both CHAINCODE_TLS_KEY and CHAINCODE_TLS_CERT")
    return Tls(
        _file("CHAINCODE_TLS_KEY", key),
        _file("CHAINCODE_TLS_CERT", certificate),
        _file("CHAINCODE_CLIENT_CA_CERT", client_ca) if client_ca else None,
    )


def _file(variable: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadEnvironment(f"{variable}: cannot read {path}: {error.strerror}") from error
