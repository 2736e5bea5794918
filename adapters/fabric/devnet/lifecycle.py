"""Chaincode definitions, kept in the ledger where Fabric keeps them: namespace ``_lifecycle``.

    namespaces/metadata/NAME          the type of the definition and its fields
    namespaces/fields/NAME/FIELD      Sequence, EndorsementInfo, ValidationInfo, Collections

Every endorsed transaction reads its chaincode's Sequence, so a transaction that was endorsed under
one definition is invalid once another has been committed, as in Fabric.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from fabric_protos.common import policies_pb2
from fabric_protos.peer import collection_pb2, policy_pb2
from fabric_protos.peer.lifecycle import chaincode_definition_pb2, db_pb2
from google.protobuf.message import DecodeError

from adapters.fabric.devnet.policy import application_policy

NAMESPACE = "_lifecycle"
VERSION = "syscc"
"""What Fabric gives as the version of its system chaincodes."""
ENDORSEMENT_PLUGIN = "escc"
VALIDATION_PLUGIN = "vscc"
_FIELDS = ("Sequence", "EndorsementInfo", "ValidationInfo", "Collections")


class StateReader(Protocol):
    """Reads committed state; a simulation also writes down what was read."""

    def get_state(self, namespace: str, key: str) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class ChaincodeDefinition:
    """What the channel agreed on for a chaincode."""

    name: str
    version: str
    sequence: int
    policy: policies_pb2.SignaturePolicyEnvelope

    @property
    def package_id(self) -> str:
        """What the chaincode process must register as (CHAINCODE_ID): label, colon, hash."""
        label = f"{self.name}_{self.version}"
        return f"{label}:{hashlib.sha256(label.encode()).hexdigest()}"


def field_key(name: str, field: str) -> str:
    return f"namespaces/fields/{name}/{field}"


def definition_state(definition: ChaincodeDefinition) -> dict[str, bytes]:
    """The keys and values of the namespace ``_lifecycle`` that make up a definition."""
    name = definition.name
    endorsement = chaincode_definition_pb2.ChaincodeEndorsementInfo(
        version=definition.version, endorsement_plugin=ENDORSEMENT_PLUGIN
    )
    validation = chaincode_definition_pb2.ChaincodeValidationInfo(
        validation_plugin=VALIDATION_PLUGIN,
        validation_parameter=application_policy(definition.policy),
    )
    collections = collection_pb2.CollectionConfigPackage()
    return {
        f"namespaces/metadata/{name}": db_pb2.StateMetadata(
            datatype="ChaincodeDefinition", fields=_FIELDS
        ).SerializeToString(),
        field_key(name, "Sequence"): db_pb2.StateData(
            Int64=definition.sequence
        ).SerializeToString(),
        field_key(name, "EndorsementInfo"): _data(endorsement.SerializeToString()),
        field_key(name, "ValidationInfo"): _data(validation.SerializeToString()),
        field_key(name, "Collections"): _data(collections.SerializeToString()),
    }


def _data(value: bytes) -> bytes:
    serialized: bytes = db_pb2.StateData(Bytes=value).SerializeToString()
    return serialized


def read_definition(state: StateReader, name: str) -> ChaincodeDefinition | None:
    """The committed definition; None where there is none. Raises ValueError if it is damaged."""
    sequence = state.get_state(NAMESPACE, field_key(name, "Sequence"))
    if sequence is None:
        return None
    endorsement = state.get_state(NAMESPACE, field_key(name, "EndorsementInfo"))
    validation = state.get_state(NAMESPACE, field_key(name, "ValidationInfo"))
    if endorsement is None or validation is None:
        raise ValueError(f"the definition of chaincode {name} is not whole")
    try:
        number = db_pb2.StateData.FromString(sequence).Int64
        info = chaincode_definition_pb2.ChaincodeEndorsementInfo.FromString(
            db_pb2.StateData.FromString(endorsement).Bytes
        )
        parameter = chaincode_definition_pb2.ChaincodeValidationInfo.FromString(
            db_pb2.StateData.FromString(validation).Bytes
        ).validation_parameter
        policy = policy_pb2.ApplicationPolicy.FromString(parameter).signature_policy
    except DecodeError as error:
        raise ValueError(f"the definition of chaincode {name} cannot be read") from error
    return ChaincodeDefinition(name, info.version, number, policy)
