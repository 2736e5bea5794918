"""Where the nodes of a real network are in its folder, and what they listen on.

network.json                   what was prepared: ordering, chaincodes, participants, ports
crypto/                        keys and certificates, as cryptogen lays them out
chaincodes/orga/               the TLS key of an organisation's chaincode services
config/                        configuration that Fabric's programs read
packages/NAME.tar.gz           chaincode packages
genesis.block                  the channel's first block
data/fabric-peer-orga, ...     what each node keeps
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.fabric.devnet_assets import ORGANISATIONS, process_label

HOST = "127.0.0.1"
ORDERER_MSP = "OrdererMSP"
ORDERER_DOMAIN = "orderer.test"
ADMIN = "Admin"

_PORTS_OF_AN_ORDERER = 3
_PORTS_OF_A_PEER = 3


@dataclass(frozen=True, slots=True)
class OrdererNode:
    number: int
    organisation: Path
    data: Path
    port: int
    admin_port: int
    operations_port: int

    @property
    def process(self) -> str:
        return f"fabric-orderer-{self.number}"

    @property
    def hostname(self) -> str:
        return f"orderer{self.number}"

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def msp(self) -> Path:
        return self._crypto / "msp"

    @property
    def certificate(self) -> Path:
        return self.msp / "signcerts" / f"{self.hostname}.{ORDERER_DOMAIN}-cert.pem"

    @property
    def tls(self) -> Path:
        """Holds server.crt, server.key, ca.crt."""
        return self._crypto / "tls"

    @property
    def _crypto(self) -> Path:
        return self.organisation / "orderers" / f"{self.hostname}.{ORDERER_DOMAIN}"


@dataclass(frozen=True, slots=True)
class PeerNode:
    """An organisation's one peer, with the chaincode services beside it."""

    msp_id: str
    organisation: Path
    data: Path
    chaincode_tls: Path
    """Holds key.pem and certificate.pem of its chaincode services."""
    port: int
    chaincode_port: int
    operations_port: int
    services: Mapping[str, int]
    """Chaincode to the port of its service."""

    @property
    def label(self) -> str:
        return process_label(self.msp_id)

    @property
    def domain(self) -> str:
        return domain_of(self.msp_id)

    @property
    def process(self) -> str:
        return f"fabric-peer-{self.label}"

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def msp(self) -> Path:
        return self._crypto / "msp"

    @property
    def tls(self) -> Path:
        """Holds server.crt, server.key, ca.crt."""
        return self._crypto / "tls"

    @property
    def tls_ca(self) -> Path:
        return self.tls / "ca.crt"

    def user_msp(self, user: str) -> Path:
        return self.organisation / "users" / f"{user}@{self.domain}" / "msp"

    def certificate(self, user: str) -> Path:
        return self.user_msp(user) / "signcerts" / f"{user}@{self.domain}-cert.pem"

    def key(self, user: str) -> Path:
        return self.user_msp(user) / "keystore" / "priv_sk"

    @property
    def _crypto(self) -> Path:
        return self.organisation / "peers" / f"peer0.{self.domain}"


def domain_of(msp_id: str) -> str:
    return f"{process_label(msp_id)}.test"


class Layout:
    """A folder's nodes. ``ports``: as many as ``ports_needed`` says."""

    def __init__(
        self, folder: Path, orderers: int, chaincodes: Sequence[str], ports: Sequence[int]
    ) -> None:
        self.folder = folder
        taken = iter(ports)
        crypto = folder / "crypto"
        self.orderers: tuple[OrdererNode, ...] = tuple(
            OrdererNode(
                number,
                crypto / "ordererOrganizations" / ORDERER_DOMAIN,
                folder / "data" / f"fabric-orderer-{number}",
                *(next(taken) for _ in range(_PORTS_OF_AN_ORDERER)),
            )
            for number in range(orderers)
        )
        self.peers: tuple[PeerNode, ...] = tuple(
            PeerNode(
                msp_id,
                crypto / "peerOrganizations" / domain_of(msp_id),
                folder / "data" / f"fabric-peer-{process_label(msp_id)}",
                folder / "chaincodes" / process_label(msp_id),
                port=next(taken),
                chaincode_port=next(taken),
                operations_port=next(taken),
                services={name: next(taken) for name in chaincodes},
            )
            for msp_id in ORGANISATIONS
        )

    @staticmethod
    def ports_needed(orderers: int, chaincodes: int) -> int:
        each = _PORTS_OF_A_PEER + chaincodes
        return _PORTS_OF_AN_ORDERER * orderers + each * len(ORGANISATIONS)

    @property
    def crypto(self) -> Path:
        return self.folder / "crypto"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def genesis(self) -> Path:
        return self.folder / "genesis.block"

    def package(self, chaincode: str) -> Path:
        return self.folder / "packages" / f"{chaincode}.tar.gz"

    def peer(self, msp_id: str) -> PeerNode:
        return next(peer for peer in self.peers if peer.msp_id == msp_id)
