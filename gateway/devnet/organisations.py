"""The organisations of a development network: keys, certificates and configuration for each.

Every organisation has a folder of its own and nothing of another's but its public key and its
certificate authority. The keys guard nothing of worth: their files are made with a low scrypt cost,
so that a gateway starts at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from adapters.codec.secp256k1 import address_of
from adapters.devnet import DevelopmentNetwork, Participant
from adapters.devnet_certificates import issue_tls_server, make_authority
from gateway.devnet.ports import HOST
from relayers.signing.key_files import make
from relayers.signing.keystore import KeyKind, read_header
from relayers.signing.secret import Secret

_COST = 2**12
_MOST = str(10**30)


@dataclass(frozen=True, slots=True)
class Ports:
    api: int
    peer: int


class Organisation:
    """One organisation's folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder / name
        self.configuration = self.folder / "gateway.yaml"

    def make(self) -> None:
        """Makes what is not there yet: keys, token, certificates."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._passphrase.exists():
            _write_secret(self._passphrase, secrets.token_urlsafe(24))
        if not self._token.exists():
            _write_secret(self._token, secrets.token_urlsafe(32))
        passphrase = Secret(self._passphrase.read_text())
        for name, kind in (
            ("identity", KeyKind.SECP256K1),
            ("ledger", KeyKind.SECP256K1),
            ("swap", KeyKind.SWAP_KEY),
        ):
            path = self.key(name)
            if not path.exists():
                make(path, kind, passphrase, secrets.token_bytes, cost=_COST)
        if not self.authority.exists():
            authority = make_authority(f"{self.name} TLS CA", self.name)
            server = issue_tls_server(authority, "localhost", self.name, ["localhost", HOST])
            server.write(self.folder / "tls")
            # Written last: its presence says that the rest is whole.
            self.authority.write_bytes(authority.certificate_pem())

    @property
    def authority(self) -> Path:
        """PEM file of the authority that this organisation's peers pin."""
        return self.folder / "tls" / "ca.pem"

    @property
    def token(self) -> str:
        return self._token.read_text()

    @property
    def address(self) -> bytes:
        """The gateway key's address: 20 bytes."""
        return address_of(self._public_key("identity"))

    @property
    def participant(self) -> Participant:
        return Participant(self.name, self._public_key("ledger"))

    def key(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.json"

    def key_section(self, name: str) -> dict[str, str]:
        return {"uri": f"keystore:{self.key(name)}", "passphrase": f"file:{self._passphrase}"}

    def chains(self, networks: Mapping[str, DevelopmentNetwork]) -> dict[str, Any]:
        """The chains of this organisation's configuration."""
        blocks: dict[str, Any] = {}
        for name, network in networks.items():
            issued = network.issued_key(self.name)
            block = dict(network.settings(self.name))
            block["key"] = {"uri": issued} if issued else self.key_section("ledger")
            blocks[name] = block
        return blocks

    def write_gateway(
        self,
        networks: Mapping[str, DevelopmentNetwork],
        ports: Ports,
        peers: Sequence[tuple[Organisation, int, bool]],
        bounds: Mapping[str, int],
        offers: Mapping[str, int],
        adjust: Callable[[dict[str, Any]], None] = lambda _chains: None,
    ) -> None:
        """Writes ``gateway.yaml``. ``peers``: each with its peer port, and whether its offers are
        accepted by policy. ``adjust`` may change the chains' blocks."""
        chains = self.chains(networks)
        adjust(chains)
        policy = _policy(networks)
        _write(
            self.configuration,
            {
                "gateway": {
                    "organisation": self.name,
                    "key": self.key_section("identity"),
                    "swap_key": self.key_section("swap"),
                },
                "journal": {"path": "journal.sqlite"},
                "bounds": dict(bounds),
                "api": {"port": ports.api, "token": f"file:{self._token}"},
                "peer_api": {
                    "port": ports.peer,
                    "tls_certificate": "tls/certificate.pem",
                    "tls_key": "tls/key.pem",
                },
                "offers": dict(offers),
                "chains": chains,
                "peers": [
                    {
                        "name": peer.name,
                        "address": "0x" + peer.address.hex(),
                        "url": f"https://localhost:{port}",
                        "tls_ca": str(peer.authority),
                        **({"policy": policy} if accepted else {}),
                    }
                    for peer, port, accepted in peers
                ],
            },
        )

    def write_watchtower(
        self, networks: Mapping[str, DevelopmentNetwork], serves: Sequence[str], port: int
    ) -> Path:
        """Writes and returns ``watchtower.yaml``: ``serves`` are CAIP-10 accounts."""
        path = self.folder / "watchtower.yaml"
        _write(
            path,
            {
                "organisation": self.name,
                "chains": self.chains(networks),
                "serves": list(serves),
                "state": "watchtower.sqlite",
                "metrics": {"port": port},
            },
        )
        return path

    @property
    def _passphrase(self) -> Path:
        return self.folder / "keys" / "passphrase"

    @property
    def _token(self) -> Path:
        return self.folder / "api.token"

    def _public_key(self, name: str) -> bytes:
        path = self.key(name)
        public_key = read_header(path.read_bytes(), path.name).public_key
        assert public_key is not None, "only swap keys have none"
        return public_key


def _policy(networks: Mapping[str, DevelopmentNetwork]) -> dict[str, Any]:
    """Any asset of one network for any of another, at any price: this is play money."""
    return {
        "rules": [
            {
                "get": str(get),
                "give": str(give),
                "price_min": f"1/{_MOST}",
                "least": "1",
                "per_swap": _MOST,
                "per_day": _MOST,
            }
            for a in networks.values()
            for b in networks.values()
            if a is not b
            for get in a.assets()
            for give in b.assets()
        ]
    }


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(_plain(content), sort_keys=False, allow_unicode=True)
    path.write_text(text)


def _plain(value: Any) -> Any:
    """What YAML can say: paths as text, tuples as lists."""
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case Path():
            return str(value)
        case _:
            return value
