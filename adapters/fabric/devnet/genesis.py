"""The genesis block: the channel's configuration, as ``configtxgen`` lays it out.

It names the organisations with their CA certificates, the policies, and the batch limits. Addresses
are left out on purpose: the chain's identity is the hash of this block's header, and a network that
is started on other ports is the same chain.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence

from fabric_protos.common import (
    common_pb2,
    configtx_pb2,
    configuration_pb2,
    policies_pb2,
)
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_configuration_pb2
from google.protobuf.message import Message

from adapters.fabric.devnet.block import COMMIT_HASH, SIGNATURES, make_block
from adapters.fabric.devnet.configuration import BatchConfiguration
from adapters.fabric.devnet.policy import out_of

ORDERER_MSP = "OrdererMSP"
_ADMINS = "Admins"


def make_genesis(
    channel: str,
    authorities: Mapping[str, tuple[bytes, bytes]],
    orderer: tuple[bytes, bytes],
    batch: BatchConfiguration,
) -> common_pb2.Block:
    """``authorities`` maps each organisation's MSP id to its CA and TLS CA certificates in PEM;
    ``orderer`` has those of the ordering service."""
    application = _group(_implicit_policies(lifecycle=True))
    _set(application, "Capabilities", _capabilities("V2_5"))
    for msp_id, (ca, tls_ca) in authorities.items():
        application.groups[msp_id].CopyFrom(_organisation(msp_id, ca, tls_ca, "peer"))
    ordering = _group(_implicit_policies(lifecycle=False))
    _set(ordering, "Capabilities", _capabilities("V2_0"))
    _set(ordering, "ConsensusType", orderer_configuration_pb2.ConsensusType(type="solo"))
    _set(
        ordering,
        "BatchTimeout",
        orderer_configuration_pb2.BatchTimeout(timeout=f"{batch.timeout_ms}ms"),
    )
    _set(
        ordering,
        "BatchSize",
        orderer_configuration_pb2.BatchSize(
            max_message_count=batch.messages,
            absolute_max_bytes=batch.absolute_bytes,
            preferred_max_bytes=batch.preferred_bytes,
        ),
    )
    ordering.groups[ORDERER_MSP].CopyFrom(_organisation(ORDERER_MSP, *orderer, "member"))
    root = _group(_implicit_policies(lifecycle=False, validation=False))
    _set(root, "Capabilities", _capabilities("V3_0"))
    _set(root, "HashingAlgorithm", configuration_pb2.HashingAlgorithm(name="SHA256"))
    _set(
        root,
        "BlockDataHashingStructure",
        configuration_pb2.BlockDataHashingStructure(width=2**32 - 1),
    )
    root.groups["Application"].CopyFrom(application)
    root.groups["Orderer"].CopyFrom(ordering)
    config = configtx_pb2.ConfigEnvelope(config=configtx_pb2.Config(channel_group=root))
    return _block(channel, config)


def _block(channel: str, config: configtx_pb2.ConfigEnvelope) -> common_pb2.Block:
    nonce = os.urandom(24)
    header = common_pb2.ChannelHeader(
        type=common_pb2.CONFIG,
        version=1,
        channel_id=channel,
        tx_id=hashlib.sha256(nonce).hexdigest(),
    )
    header.timestamp.seconds = int(time.time())
    payload = common_pb2.Payload(
        header=common_pb2.Header(
            channel_header=_deterministic(header),
            signature_header=common_pb2.SignatureHeader(nonce=nonce).SerializeToString(),
        ),
        data=_deterministic(config),
    )
    envelope = common_pb2.Envelope(payload=_deterministic(payload))
    block = make_block(0, b"", [_deterministic(envelope)])
    block.metadata.metadata[SIGNATURES] = common_pb2.Metadata(
        value=common_pb2.OrdererBlockMetadata(
            last_config=common_pb2.LastConfig(index=0)
        ).SerializeToString()
    ).SerializeToString()
    block.metadata.metadata[COMMIT_HASH] = b""
    return block


def _deterministic(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _group(policies: Mapping[str, policies_pb2.Policy]) -> configtx_pb2.ConfigGroup:
    group = configtx_pb2.ConfigGroup(mod_policy=_ADMINS)
    for name, policy in policies.items():
        group.policies[name].CopyFrom(configtx_pb2.ConfigPolicy(policy=policy, mod_policy=_ADMINS))
    return group


def _set(group: configtx_pb2.ConfigGroup, name: str, value: Message) -> None:
    group.values[name].CopyFrom(
        configtx_pb2.ConfigValue(value=_deterministic(value), mod_policy=_ADMINS)
    )


def _capabilities(name: str) -> configuration_pb2.Capabilities:
    return configuration_pb2.Capabilities(capabilities={name: configuration_pb2.Capability()})


def _implicit(sub_policy: str, rule: int) -> policies_pb2.Policy:
    meta = policies_pb2.ImplicitMetaPolicy(sub_policy=sub_policy, rule=rule)
    return policies_pb2.Policy(
        type=policies_pb2.Policy.IMPLICIT_META, value=meta.SerializeToString()
    )


def _implicit_policies(
    *, lifecycle: bool, validation: bool = True
) -> dict[str, policies_pb2.Policy]:
    any_of = policies_pb2.ImplicitMetaPolicy.ANY
    majority = policies_pb2.ImplicitMetaPolicy.MAJORITY
    policies = {
        "Readers": _implicit("Readers", any_of),
        "Writers": _implicit("Writers", any_of),
        "Admins": _implicit("Admins", majority),
    }
    if lifecycle:
        policies["Endorsement"] = _implicit("Endorsement", majority)
        policies["LifecycleEndorsement"] = _implicit("Endorsement", majority)
    elif validation:
        policies["BlockValidation"] = _implicit("Writers", any_of)
    return policies


def _organisation(msp_id: str, ca: bytes, tls_ca: bytes, endorser: str) -> configtx_pb2.ConfigGroup:
    roles = {"Readers": "member", "Writers": "member", "Admins": "admin", "Endorsement": endorser}
    group = _group({name: _signature(msp_id, role) for name, role in roles.items()})
    _set(group, "MSP", _msp(msp_id, ca, tls_ca))
    return group


def _signature(msp_id: str, role: str) -> policies_pb2.Policy:
    return policies_pb2.Policy(
        type=policies_pb2.Policy.SIGNATURE,
        value=out_of(1, [(msp_id, role)]).SerializeToString(),
    )


def _msp(msp_id: str, ca: bytes, tls_ca: bytes) -> msp_config_pb2.MSPConfig:
    units = {
        f"{role}_ou_identifier": _unit(role, ca) for role in ("client", "peer", "admin", "orderer")
    }
    config = msp_config_pb2.FabricMSPConfig(
        name=msp_id,
        root_certs=[ca],
        tls_root_certs=[tls_ca],
        crypto_config=msp_config_pb2.FabricCryptoConfig(
            signature_hash_family="SHA2", identity_identifier_hash_function="SHA256"
        ),
        fabric_node_ous=msp_config_pb2.FabricNodeOUs(enable=True, **units),
    )
    return msp_config_pb2.MSPConfig(type=0, config=config.SerializeToString())


def _unit(role: str, ca: bytes) -> msp_config_pb2.FabricOUIdentifier:
    return msp_config_pb2.FabricOUIdentifier(certificate=ca, organizational_unit_identifier=role)


def majority_of(msp_ids: Sequence[str]) -> policies_pb2.SignaturePolicyEnvelope:
    """More than half of the organisations' peers: what LifecycleEndorsement comes to."""
    return out_of(len(msp_ids) // 2 + 1, [(msp_id, "peer") for msp_id in msp_ids])
