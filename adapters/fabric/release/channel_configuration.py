"""The channel's first block, and the configuration from which configtxgen makes it.

Each organisation speaks for itself by signature policies; what concerns them all is decided by a
majority of their administrators. Capabilities and values are those of Fabric 3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from adapters.fabric.devnet_assets import CHANNEL
from adapters.fabric.release.layout import HOST, ORDERER_MSP, Layout, OrdererNode
from adapters.fabric.release.ordering import Consensus
from adapters.fabric.release.programs import Release, write_with

_PROFILE = "Trade"
_FILE = "configtx.yaml"

_RAFT_OPTIONS = {
    "TickInterval": "100ms",
    "ElectionTick": 10,
    "HeartbeatTick": 1,
    "MaxInflightBlocks": 5,
    "SnapshotIntervalSize": "16 MB",
}


def make_genesis(
    release: Release, layout: Layout, consensus: Consensus, batch_timeout_ms: int
) -> None:
    """Raises Misconfigured."""
    profile = _profile(layout, consensus, f"{batch_timeout_ms}ms")
    (layout.config / _FILE).write_text(yaml.safe_dump({"Profiles": {_PROFILE: profile}}))
    write_with(
        release.bin / "configtxgen",
        [
            *("-configPath", str(layout.config), "-profile", _PROFILE),
            *("-channelID", CHANNEL, "-outputBlock", str(layout.genesis)),
        ],
    )


def _profile(layout: Layout, consensus: Consensus, batch_timeout: str) -> dict[str, Any]:
    policies = _implicit(Readers="ANY Readers", Writers="ANY Writers", Admins="MAJORITY Admins")
    majority = "MAJORITY Endorsement"
    return {
        "Capabilities": {"V3_0": True},
        "Policies": policies,
        "Orderer": {
            "OrdererType": consensus.value,
            "BatchTimeout": batch_timeout,
            "BatchSize": {
                "MaxMessageCount": 500,
                "AbsoluteMaxBytes": "10 MB",
                "PreferredMaxBytes": "2 MB",
            },
            "Organizations": [_ordering_organisation(layout)],
            "Capabilities": {"V2_0": True},
            "Policies": policies | _implicit(BlockValidation="ANY Writers"),
            **_consensus(layout, consensus, batch_timeout),
        },
        "Application": {
            "Organizations": [
                # Without anchor peers a gateway never learns of the others' endorsers.
                _organisation(peer.msp_id, peer.organisation / "msp", "peer")
                | {"AnchorPeers": [{"Host": HOST, "Port": peer.port}]}
                for peer in layout.peers
            ],
            "Capabilities": {"V2_5": True},
            "Policies": policies | _implicit(LifecycleEndorsement=majority, Endorsement=majority),
        },
    }


def _consensus(layout: Layout, consensus: Consensus, batch_timeout: str) -> dict[str, Any]:
    match consensus:
        case Consensus.RAFT:
            consenters = [_consenter(one) for one in layout.orderers]
            return {"EtcdRaft": {"Options": _RAFT_OPTIONS, "Consenters": consenters}}
        case Consensus.BFT:
            return {
                "SmartBFT": _smart_bft(batch_timeout),
                "ConsenterMapping": [
                    _consenter(one)
                    | {
                        "ID": one.number + 1,
                        "MSPID": ORDERER_MSP,
                        "Identity": str(one.certificate),
                    }
                    for one in layout.orderers
                ],
            }


def _smart_bft(batch_timeout: str) -> dict[str, Any]:
    """How long followers wait before they complain of a leader. Shorter times than Fabric's
    samples have: all orderers are on one machine, and a view change is what tests wait for."""
    return {
        "RequestBatchMaxInterval": batch_timeout,
        "RequestForwardTimeout": "2s",
        "RequestComplainTimeout": "8s",
        "RequestAutoRemoveTimeout": "3m0s",
        "ViewChangeResendInterval": "5s",
        "ViewChangeTimeout": "20s",
        "LeaderHeartbeatTimeout": "20s",
        "CollectTimeout": "1s",
        "IncomingMessageBufferSize": 200,
        "RequestPoolSize": 100_000,
        "LeaderHeartbeatCount": 10,
    }


def _consenter(orderer: OrdererNode) -> dict[str, Any]:
    certificate = str(orderer.tls / "server.crt")
    return {
        "Host": HOST,
        "Port": orderer.port,
        "ClientTLSCert": certificate,
        "ServerTLSCert": certificate,
    }


def _ordering_organisation(layout: Layout) -> dict[str, Any]:
    msp = layout.orderers[0].organisation / "msp"
    # With the capability V3_0 orderers' addresses are an organisation's own, not the channel's.
    return _organisation(ORDERER_MSP, msp, "member") | {
        "OrdererEndpoints": [one.address for one in layout.orderers]
    }


def _organisation(msp_id: str, msp: Path, endorser: str) -> dict[str, Any]:
    roles = {"Readers": "member", "Writers": "member", "Admins": "admin", "Endorsement": endorser}
    return {
        "Name": msp_id,
        "ID": msp_id,
        "MSPDir": str(msp),
        "Policies": {
            name: {"Type": "Signature", "Rule": f"OR('{msp_id}.{role}')"}
            for name, role in roles.items()
        },
    }


def _implicit(**rules: str) -> dict[str, Any]:
    return {name: {"Type": "ImplicitMeta", "Rule": rule} for name, rule in rules.items()}
