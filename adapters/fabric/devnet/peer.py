"""One organisation's peer: it simulates proposals with its own chaincode connection and endorses
the results with its own key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    chaincode_shim_pb2,
    proposal_pb2,
    proposal_response_pb2,
)
from fabric_protos.peer.proposal_response_pb2 import Response
from google.protobuf.message import DecodeError

from adapters.fabric.devnet.chaincode_service import (
    ChaincodeCall,
    ChaincodeFailed,
    ChaincodeService,
)
from adapters.fabric.devnet.ledger import Ledger
from adapters.fabric.devnet.lifecycle import (
    NAMESPACE,
    VERSION,
    ChaincodeDefinition,
    field_key,
    read_definition,
)
from adapters.fabric.devnet.msp import Membership
from adapters.fabric.devnet.proposal import ProposalRefused, Unpacked, check
from adapters.fabric.devnet.signer import SigningIdentity
from adapters.fabric.devnet.simulation import CommittedState, Simulation
from adapters.fabric.devnet.system_chaincodes import NAMES, SystemChaincodes

_ERROR_THRESHOLD = 400


@dataclass(frozen=True, slots=True)
class Answer:
    """A peer's answer to a proposal. ``payload`` is there where the chaincode answered (else the
    peer itself failed), ``endorsement`` where it answered with success."""

    response: Response
    payload: bytes | None = None
    endorsement: proposal_response_pb2.Endorsement | None = None
    namespaces: tuple[str, ...] = ()
    """The chaincodes whose policies the transaction must meet."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer of the network."""

    address: str
    identity: SigningIdentity
    channel: str
    membership: Membership
    ledger: Ledger
    system: SystemChaincodes
    chaincodes: Mapping[str, ChaincodeService] = field(default_factory=dict)

    @property
    def msp_id(self) -> str:
        return self.identity.msp_id

    def has_chaincode(self, name: str) -> bool:
        return name in NAMES or name in self.chaincodes

    async def process(self, proposal: Unpacked) -> Answer:
        """Simulates and endorses. Raises ProposalRefused where the client is at fault."""
        name = check(proposal, self.membership)
        if proposal.channel != self.channel:
            return _failure(f"channel '{proposal.channel}' not found")
        if self.ledger.transaction(proposal.transaction) is not None:
            creator = common_pb2.SignatureHeader.FromString(
                proposal.header.signature_header
            ).creator
            raise ProposalRefused(
                f"duplicate transaction found [{proposal.transaction}]. Creator [{creator.hex()}]"
            )
        definition = self._definition(name)
        if definition is None and name not in NAMES:
            return _failure(
                f"make sure the chaincode {name} has been successfully defined on channel "
                f"{self.channel} and try again: chaincode {name} not found"
            )
        simulation = Simulation(self.ledger, proposal.transaction)
        assert proposal.spec is not None, "check() has refused a proposal without one"
        try:
            message = await self._invoke(name, proposal.spec.input, proposal, simulation)
        except ChaincodeFailed as failure:
            return _failure(
                f"error in simulation: failed to execute transaction {proposal.transaction}: "
                f"{failure}"
            )
        try:
            response, event = _outcome(message, name, proposal.transaction)
        except ChaincodeFailed as failure:
            return _failure(f"error in simulation: {failure}")
        version = VERSION if definition is None else definition.version
        return self._endorsed(proposal, (name, version), response, event, simulation)

    def _endorsed(
        self,
        proposal: Unpacked,
        chaincode: tuple[str, str],
        response: Response,
        event: bytes,
        simulation: Simulation,
    ) -> Answer:
        name, version = chaincode
        action = proposal_pb2.ChaincodeAction(
            results=simulation.result() if name not in ("qscc", "cscc") else b"",
            events=event,
            response=response,
            chaincode_id=chaincode_pb2.ChaincodeID(name=name, version=version),
        )
        payload = proposal_response_pb2.ProposalResponsePayload(
            proposal_hash=proposal.hash(), extension=action.SerializeToString()
        ).SerializeToString()
        if response.status >= _ERROR_THRESHOLD:
            return Answer(response, payload)
        endorsement = self.endorse(payload)
        namespaces = tuple(space for space in simulation.namespaces() if space not in NAMES)
        return Answer(response, payload, endorsement, namespaces or (name,))

    def endorse(self, payload: bytes) -> proposal_response_pb2.Endorsement:
        """This peer's signature under a proposal response payload."""
        return proposal_response_pb2.Endorsement(
            endorser=self.identity.serialized,
            signature=self.identity.sign(payload + self.identity.serialized),
        )

    def _definition(self, name: str) -> ChaincodeDefinition | None:
        return read_definition(CommittedState(self.ledger), name)

    async def _invoke(
        self,
        name: str,
        arguments: chaincode_pb2.ChaincodeInput,
        proposal: Unpacked,
        simulation: Simulation,
        *,
        nested: bool = False,
    ) -> Any:
        """Runs one chaincode and returns its COMPLETED or ERROR message. Raises ChaincodeFailed."""
        if name in NAMES:
            return _completed(self._system(name, arguments.args, simulation, nested=nested))
        # Read through the simulation: the transaction depends on the definition it ran under.
        defined = simulation.get_state(NAMESPACE, field_key(name, "Sequence"))
        service = self.chaincodes.get(name)
        if defined is None or service is None:
            raise ChaincodeFailed(
                f"invalid invocation: [channel {self.channel}] failed to get chaincode container "
                f"info for {name}: chaincode {name} not found"
            )
        if arguments.is_init:
            raise ChaincodeFailed(
                f"invalid invocation: chaincode '{name}' does not require initialization but "
                "called as init"
            )

        async def invoke(_: ChaincodeCall, other: str, inner: Any) -> Any:
            return await self._invoke(other, inner, proposal, simulation, nested=True)

        return await service.execute(
            ChaincodeCall(
                channel=self.channel,
                transaction=proposal.transaction,
                namespace=name,
                input=arguments,
                proposal=proposal.signed,
                simulation=simulation,
                invoke=invoke,
            )
        )

    def _system(
        self, name: str, arguments: Sequence[bytes], simulation: Simulation, *, nested: bool
    ) -> Response:
        return self.system.invoke(name, arguments, simulation, nested=nested)


def _failure(message: str) -> Answer:
    return Answer(Response(status=500, message=message))


def _completed(response: Response) -> chaincode_shim_pb2.ChaincodeMessage:
    return chaincode_shim_pb2.ChaincodeMessage(
        type=chaincode_shim_pb2.ChaincodeMessage.COMPLETED, payload=response.SerializeToString()
    )


def _outcome(message: Any, name: str, transaction: str) -> tuple[Response, bytes]:
    """The chaincode's response, and its event as it goes into the transaction."""
    if message.type == chaincode_shim_pb2.ChaincodeMessage.ERROR:
        text = message.payload.decode(errors="replace")
        raise ChaincodeFailed(f"transaction returned with failure: {text}")
    try:
        response = Response.FromString(message.payload)
    except DecodeError:
        raise ChaincodeFailed(
            f"failed to unmarshal response for transaction {transaction}"
        ) from None
    if response.status >= _ERROR_THRESHOLD or not message.HasField("chaincode_event"):
        return response, b""
    event = chaincode_event_pb2.ChaincodeEvent(
        chaincode_id=name,
        tx_id=transaction,
        event_name=message.chaincode_event.event_name,
        payload=message.chaincode_event.payload,
    )
    return response, event.SerializeToString()
