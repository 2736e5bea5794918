"""The other gateways that this one deals with: each is pinned by its URL, its key and its TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.model import InvalidValue
from adapters.spi import Misconfigured
from relayers.offers.policy import Policy


@dataclass(frozen=True, slots=True)
class TrustedAuthority:
    """The peer's TLS certificate must be issued by a CA of this PEM file, for the URL's host."""

    path: Path


@dataclass(frozen=True, slots=True)
class PinnedCertificate:
    """The peer's TLS certificate must be the one in this PEM file, whatever names it has."""

    path: Path


Trust = TrustedAuthority | PinnedCertificate


@dataclass(frozen=True, slots=True)
class Peer:
    """``address``: the gateway's key as an Ethereum address (20 bytes). ``policy`` None: each offer
    of this peer waits for a person."""

    name: str
    address: bytes
    url: str
    trust: Trust
    policy: Policy | None = None


class Peers:
    """All peers, by name and by address. Raises InvalidValue where two share one of them."""

    def __init__(self, peers: Iterable[Peer]) -> None:
        self._all = tuple(peers)
        self._by_name = {peer.name: peer for peer in self._all}
        self._by_address = {peer.address: peer for peer in self._all}
        if len(self._by_name) < len(self._all):
            raise InvalidValue("two peers have the same name")
        if len(self._by_address) < len(self._all):
            raise InvalidValue("two peers have the same address")

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._all)

    def named(self, name: str) -> Peer | None:
        return self._by_name.get(name)

    def at(self, address: bytes) -> Peer | None:
        return self._by_address.get(address)


def tls_context(peer: Peer) -> ssl.SSLContext:
    """The client's side of TLS to a peer: nothing is trusted but what is pinned. Raises
    Misconfigured where the file is not there or is no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if isinstance(peer.trust, PinnedCertificate):
        # The certificate itself is the anchor, so its names add nothing.
        context.check_hostname = False
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=peer.trust.path)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(
            f"peer {peer.name}: TLS file {peer.trust.path} cannot be used: "
            f"{error.strerror or error}; give a PEM file with the peer's certificate or its CA"
        ) from error
    return context
