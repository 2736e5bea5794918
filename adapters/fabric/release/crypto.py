"""Keys and certificates: cryptogen's for organisations, nodes and users; one more, by the
organisation's own TLS authority, for each organisation's chaincode services."""

from __future__ import annotations

import shutil
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.devnet_certificates import KeyPair, issue_tls_server
from adapters.fabric.release.layout import (
    HOST,
    ORDERER_DOMAIN,
    Layout,
    PeerNode,
    domain_of,
)
from adapters.fabric.release.programs import Release, write_with

_HOSTS = ["localhost", HOST]


def make_crypto(release: Release, layout: Layout, users: int) -> None:
    """``users``: of each organisation, called User1, User2, …, besides its Admin. What an
    interrupted run left is made anew. Raises Misconfigured."""
    wanted = layout.config / "crypto-config.yaml"
    wanted.write_text(yaml.safe_dump(_crypto_config(layout, users)))
    shutil.rmtree(layout.crypto, ignore_errors=True)
    write_with(
        release.bin / "cryptogen",
        ["generate", "--config", str(wanted), "--output", str(layout.crypto)],
    )
    for peer in layout.peers:
        authority = _tls_authority(peer)
        name = f"chaincode.{peer.domain}"
        issue_tls_server(authority, name, peer.domain, _HOSTS).write(peer.chaincode_tls)


def _crypto_config(layout: Layout, users: int) -> dict[str, Any]:
    """The form of cryptogen's ``crypto-config.yaml``."""
    return {
        "OrdererOrgs": [
            {
                "Name": "Orderer",
                "Domain": ORDERER_DOMAIN,
                "EnableNodeOUs": True,
                "Specs": [{"Hostname": one.hostname, "SANS": _HOSTS} for one in layout.orderers],
            }
        ],
        "PeerOrgs": [
            {
                "Name": peer.msp_id.removesuffix("MSP"),
                "Domain": domain_of(peer.msp_id),
                "EnableNodeOUs": True,
                "Users": {"Count": users},
                "Template": {"Count": 1, "SANS": _HOSTS},
            }
            for peer in layout.peers
        ],
    }


def _tls_authority(peer: PeerNode) -> KeyPair:
    folder = peer.organisation / "tlsca"
    key = serialization.load_pem_private_key((folder / "priv_sk").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "cryptogen makes keys on P-256"
    certificate = (folder / f"tlsca.{peer.domain}-cert.pem").read_bytes()
    return KeyPair(key, x509.load_pem_x509_certificate(certificate))
