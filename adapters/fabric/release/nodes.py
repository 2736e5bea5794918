"""What orderers and peers are told: files in ``config/``, and each node's environment.

Fabric's programs read the release's sample configuration; the environment overrides what differs
(CORE_PEER_ID for ``peer.id``), but for lists.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping

import yaml

from adapters.fabric.release.layout import HOST, ORDERER_MSP, Layout, OrdererNode, PeerNode
from adapters.fabric.release.programs import Release

_BUILDER_CONFIG = "CHAINCODE_AS_A_SERVICE_BUILDER_CONFIG"

# With the samples' intervals (25 s, 4 s) a gateway finds no endorsers for up to half a minute.
_GOSSIP_INTERVALS = {
    f"CORE_PEER_GOSSIP_{name}": "1s"
    for name in (
        "RECONNECTINTERVAL",
        "ALIVETIMEINTERVAL",
        "PUBLISHSTATEINFOINTERVAL",
        "REQUESTSTATEINFOINTERVAL",
    )
}


def write_node_configuration(release: Release, layout: Layout) -> None:
    core = yaml.safe_load((release.config / "core.yaml").read_text())
    # No chaincode is built in a container: every one is a service.
    core["vm"]["endpoint"] = ""
    core["chaincode"]["externalBuilders"] = [
        {
            "name": "ccaas_builder",
            "path": str(release.builder),
            "propagateEnvironment": [_BUILDER_CONFIG],
        }
    ]
    (layout.config / "core.yaml").write_text(yaml.safe_dump(core))
    shutil.copy(release.config / "orderer.yaml", layout.config / "orderer.yaml")


def orderer_environment(layout: Layout, node: OrdererNode) -> Mapping[str, str]:
    certificate, key = str(node.tls / "server.crt"), str(node.tls / "server.key")
    authorities = f"[{node.tls / 'ca.crt'}]"
    return {
        **_any_node(layout),
        "ORDERER_GENERAL_LISTENADDRESS": HOST,
        "ORDERER_GENERAL_LISTENPORT": str(node.port),
        "ORDERER_GENERAL_LOCALMSPID": ORDERER_MSP,
        "ORDERER_GENERAL_LOCALMSPDIR": str(node.msp),
        "ORDERER_GENERAL_TLS_ENABLED": "true",
        "ORDERER_GENERAL_TLS_PRIVATEKEY": key,
        "ORDERER_GENERAL_TLS_CERTIFICATE": certificate,
        "ORDERER_GENERAL_TLS_ROOTCAS": authorities,
        "ORDERER_GENERAL_CLUSTER_CLIENTCERTIFICATE": certificate,
        "ORDERER_GENERAL_CLUSTER_CLIENTPRIVATEKEY": key,
        "ORDERER_ADMIN_LISTENADDRESS": f"{HOST}:{node.admin_port}",
        "ORDERER_ADMIN_TLS_ENABLED": "true",
        "ORDERER_ADMIN_TLS_CERTIFICATE": certificate,
        "ORDERER_ADMIN_TLS_PRIVATEKEY": key,
        "ORDERER_ADMIN_TLS_CLIENTROOTCAS": authorities,
        "ORDERER_OPERATIONS_LISTENADDRESS": f"{HOST}:{node.operations_port}",
        "ORDERER_OPERATIONS_TLS_ENABLED": "true",
        "ORDERER_OPERATIONS_TLS_CERTIFICATE": certificate,
        "ORDERER_OPERATIONS_TLS_PRIVATEKEY": key,
        "ORDERER_OPERATIONS_TLS_CLIENTROOTCAS": authorities,
        "ORDERER_FILELEDGER_LOCATION": str(node.data),
        "ORDERER_CONSENSUS_WALDIR": str(node.data / "wal"),
        "ORDERER_CONSENSUS_SNAPDIR": str(node.data / "snapshots"),
    }


def peer_environment(layout: Layout, node: PeerNode) -> Mapping[str, str]:
    certificate, key = str(node.tls / "server.crt"), str(node.tls / "server.key")
    return {
        **_any_node(layout),
        **_GOSSIP_INTERVALS,
        "CORE_PEER_ID": f"peer0.{node.domain}",
        "CORE_PEER_LOCALMSPID": node.msp_id,
        "CORE_PEER_MSPCONFIGPATH": str(node.msp),
        "CORE_PEER_LISTENADDRESS": node.address,
        "CORE_PEER_ADDRESS": node.address,
        "CORE_PEER_CHAINCODELISTENADDRESS": f"{HOST}:{node.chaincode_port}",
        "CORE_PEER_GOSSIP_BOOTSTRAP": node.address,
        "CORE_PEER_GOSSIP_EXTERNALENDPOINT": node.address,
        "CORE_PEER_TLS_ENABLED": "true",
        "CORE_PEER_TLS_CERT_FILE": certificate,
        "CORE_PEER_TLS_KEY_FILE": key,
        "CORE_PEER_TLS_ROOTCERT_FILE": str(node.tls_ca),
        "CORE_PEER_FILESYSTEMPATH": str(node.data),
        "CORE_LEDGER_SNAPSHOTS_ROOTDIR": str(node.data / "snapshots"),
        "CORE_OPERATIONS_LISTENADDRESS": f"{HOST}:{node.operations_port}",
        "CORE_OPERATIONS_TLS_ENABLED": "true",
        "CORE_OPERATIONS_TLS_CERT_FILE": certificate,
        "CORE_OPERATIONS_TLS_KEY_FILE": key,
        "CORE_OPERATIONS_TLS_CLIENTROOTCAS_FILES": str(node.tls_ca),
        _BUILDER_CONFIG: json.dumps(_builder_configuration(node)),
    }


def administrator_environment(layout: Layout, node: PeerNode, admin: str) -> Mapping[str, str]:
    """For the command ``peer``: a user of the organisation at its own peer."""
    return {
        "FABRIC_CFG_PATH": str(layout.config),
        "CORE_PEER_LOCALMSPID": node.msp_id,
        "CORE_PEER_MSPCONFIGPATH": str(node.user_msp(admin)),
        "CORE_PEER_ADDRESS": node.address,
        "CORE_PEER_TLS_ENABLED": "true",
        "CORE_PEER_TLS_ROOTCERT_FILE": str(node.tls_ca),
    }


def _any_node(layout: Layout) -> Mapping[str, str]:
    return {"FABRIC_CFG_PATH": str(layout.config), "FABRIC_LOGGING_SPEC": "info"}


def _builder_configuration(node: PeerNode) -> Mapping[str, str]:
    """What the builder fills into the packages' ``connection.json``: see package.py."""
    addresses = {f"{name}_address": f"{HOST}:{port}" for name, port in node.services.items()}
    return addresses | {"root_certificate": node.tls_ca.read_text()}
