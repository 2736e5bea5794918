"""Committing chaincode definitions: what approvals and a commit do through Fabric's lifecycle."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from adapters.fabric.devnet.configuration import ConfigurationInvalid, NetworkConfiguration
from adapters.fabric.devnet.ledger import Ledger
from adapters.fabric.devnet.lifecycle import (
    NAMESPACE,
    VERSION,
    ChaincodeDefinition,
    definition_state,
    read_definition,
)
from adapters.fabric.devnet.ordering import Orderer
from adapters.fabric.devnet.peer import Peer
from adapters.fabric.devnet.proposal import prepared_transaction, unpack
from adapters.fabric.devnet.provision import organisation_folder
from adapters.fabric.devnet.signer import SigningIdentity
from adapters.fabric.devnet.simulation import CommittedState, Simulation


def define_chaincodes(
    folder: Path,
    configuration: NetworkConfiguration,
    peers: Iterable[Peer],
    orderer: Orderer,
    ledger: Ledger,
) -> None:
    """Commits each chaincode's definition that the channel does not have yet, as a transaction
    endorsed by every organisation's peer. Raises ConfigurationInvalid."""
    first = configuration.msp_ids[0]
    admin = SigningIdentity.read(first, organisation_folder(folder, first) / "admin")
    for chaincode in configuration.chaincodes:
        wanted = chaincode.definition()
        there = read_definition(CommittedState(ledger), wanted.name)
        if there is not None and there.sequence >= wanted.sequence:
            if there != wanted:
                raise ConfigurationInvalid(
                    f"chaincode {wanted.name} is defined on the channel with sequence "
                    f"{there.sequence}, and otherwise than in the configuration; raise its sequence"
                )
            continue
        transaction, envelope = definition_transaction(
            configuration.channel, wanted, admin, list(peers), ledger
        )
        orderer.commit([envelope.SerializeToString()])
        record = ledger.transaction(transaction)
        assert record is not None, "what has been committed has a record"
        if record.code != transaction_pb2.VALID:
            code = transaction_pb2.TxValidationCode.Name(record.code)
            raise ConfigurationInvalid(f"the definition of chaincode {wanted.name} is {code}")


def definition_transaction(
    channel: str,
    definition: ChaincodeDefinition,
    admin: SigningIdentity,
    peers: list[Peer],
    ledger: Ledger,
) -> tuple[str, common_pb2.Envelope]:
    """The transaction that commits a definition, endorsed by these peers and signed by the
    administrator: its id and its envelope."""
    nonce = os.urandom(24)
    transaction = hashlib.sha256(nonce + admin.serialized).hexdigest()
    lifecycle = chaincode_pb2.ChaincodeID(name=NAMESPACE)
    channel_header = common_pb2.ChannelHeader(
        type=common_pb2.ENDORSER_TRANSACTION,
        channel_id=channel,
        tx_id=transaction,
        extension=proposal_pb2.ChaincodeHeaderExtension(chaincode_id=lifecycle).SerializeToString(),
    )
    channel_header.timestamp.GetCurrentTime()
    header = common_pb2.Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=common_pb2.SignatureHeader(
            creator=admin.serialized, nonce=nonce
        ).SerializeToString(),
    )
    arguments = [b"CommitChaincodeDefinition", definition.name.encode()]
    invocation = chaincode_pb2.ChaincodeInvocationSpec(
        chaincode_spec=chaincode_pb2.ChaincodeSpec(
            chaincode_id=lifecycle, input=chaincode_pb2.ChaincodeInput(args=arguments)
        )
    )
    proposal = unpack(
        proposal_pb2.SignedProposal(
            proposal_bytes=proposal_pb2.Proposal(
                header=header.SerializeToString(),
                payload=proposal_pb2.ChaincodeProposalPayload(
                    input=invocation.SerializeToString()
                ).SerializeToString(),
            ).SerializeToString()
        )
    )
    simulation = Simulation(ledger, transaction)
    for key, value in definition_state(definition).items():
        simulation.get_state(NAMESPACE, key)
        simulation.put_state(NAMESPACE, key, value)
    action = proposal_pb2.ChaincodeAction(
        results=simulation.result(),
        response=proposal_response_pb2.Response(status=200),
        chaincode_id=chaincode_pb2.ChaincodeID(name=NAMESPACE, version=VERSION),
    )
    payload = proposal_response_pb2.ProposalResponsePayload(
        proposal_hash=proposal.hash(), extension=action.SerializeToString()
    ).SerializeToString()
    envelope = prepared_transaction(
        proposal,
        transaction_pb2.ChaincodeEndorsedAction(
            proposal_response_payload=payload,
            endorsements=[peer.endorse(payload) for peer in peers],
        ),
    )
    envelope.signature = admin.sign(envelope.payload)
    return transaction, envelope
