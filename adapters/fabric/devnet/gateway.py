"""The Fabric Gateway service of one peer: Evaluate, Endorse, Submit, CommitStatus, ChaincodeEvents.

Status codes, messages and error details are those of Fabric 3.1 (``internal/pkg/gateway`` there);
the tests hold the two side by side. Neither proposals nor results are ever logged: they may carry
secrets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, NoReturn

import grpc
import grpc.aio
from fabric_protos.gateway import gateway_pb2

from adapters.fabric.devnet.block import valid_events
from adapters.fabric.devnet.endorsement import Collection, objection
from adapters.fabric.devnet.ledger import Ledger
from adapters.fabric.devnet.lifecycle import read_definition
from adapters.fabric.devnet.msp import Identity, InvalidIdentity, Membership, UnknownIdentity
from adapters.fabric.devnet.ordering import BroadcastRefused, Orderer
from adapters.fabric.devnet.peer import Peer
from adapters.fabric.devnet.proposal import (
    Malformed,
    ProposalFiltered,
    ProposalRefused,
    Unpacked,
    parse,
    prepared_transaction,
    unpack,
)
from adapters.fabric.devnet.rpc_refusal import RpcRefusal, detail
from adapters.fabric.devnet.signature import InvalidSignature
from adapters.fabric.devnet.simulation import CommittedState

Code = grpc.StatusCode
Context = grpc.aio.ServicerContext[Any, Any]

_NO_READER = (
    "implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 "
    "of the 'Readers' sub-policies to be satisfied"
)


async def _abort(context: Context, refusal: RpcRefusal) -> NoReturn:
    await context.abort(refusal.code, refusal.message, refusal.trailer())
    raise AssertionError("abort() does not return")


def _refusing(
    method: Callable[[Gateway, Any, Context], Awaitable[Any]],
) -> Callable[[Gateway, Any, Context], Awaitable[Any]]:
    """Ends the call with the status of a RpcRefusal."""

    @wraps(method)
    async def answered(gateway: Gateway, request: Any, context: Context) -> Any:
        try:
            return await method(gateway, request, context)
        except RpcRefusal as refusal:
            return await _abort(context, refusal)

    return answered


@dataclass(frozen=True, slots=True)
class Gateway:
    """One peer's Gateway service. ``peers`` are all peers of the channel, by MSP id."""

    channel: str
    local: Peer
    peers: Mapping[str, Peer]
    membership: Membership
    ledger: Ledger
    orderer: Orderer
    endorsement_timeout: float = 30.0
    _identities: Mapping[str, Identity] = field(init=False)

    def __post_init__(self) -> None:
        identities = {
            msp: self.membership.identity(peer.identity.serialized)
            for msp, peer in self.peers.items()
        }
        object.__setattr__(self, "_identities", identities)

    # --- Evaluate --------------------------------------------------------------------------------

    @_refusing
    async def Evaluate(
        self, request: gateway_pb2.EvaluateRequest, context: Context
    ) -> gateway_pb2.EvaluateResponse:
        proposal = self._evaluable(request.proposed_transaction)
        wanted = list(request.target_organizations)
        if not wanted and proposal.payload.TransientMap:
            wanted = [self.local.msp_id]
        chosen = [
            peer
            for msp, peer in self.peers.items()
            if (not wanted or msp in wanted) and peer.has_chaincode(proposal.chaincode)
        ]
        if not chosen:
            raise RpcRefusal(
                Code.FAILED_PRECONDITION,
                f"no peers available to evaluate chaincode {proposal.chaincode} in channel "
                f"{self.channel}",
            )
        chosen.sort(key=lambda peer: peer is not self.local)
        try:
            async with asyncio.timeout(self.endorsement_timeout):
                return await self._evaluate(proposal, chosen)
        except TimeoutError:
            raise RpcRefusal(Code.DEADLINE_EXCEEDED, "evaluate timeout expired") from None

    def _evaluable(self, signed: Any) -> Unpacked:
        try:
            if not signed.proposal_bytes:
                raise Malformed("a signed proposal is required")
            proposal = unpack(signed)
            channel = proposal.channel
            if not channel:
                raise Malformed("no channel id provided")
            if proposal.spec is None:
                raise Malformed(f"no chaincode spec is provided, channel id [{channel}]")
            if not proposal.spec.HasField("chaincode_id"):
                raise Malformed(f"no chaincode id is provided, channel id [{channel}]")
            if not proposal.chaincode:
                raise Malformed(f"no chaincode name is provided, channel id [{channel}]")
        except Malformed as malformed:
            raise RpcRefusal(
                Code.INVALID_ARGUMENT, f"failed to unpack transaction proposal: {malformed}"
            ) from malformed
        if channel != self.channel:
            raise RpcRefusal(Code.UNAVAILABLE, _no_configuration(channel))
        return proposal

    async def _evaluate(
        self, proposal: Unpacked, chosen: list[Peer]
    ) -> gateway_pb2.EvaluateResponse:
        details: list[gateway_pb2.ErrorDetail] = []
        code = Code.ABORTED
        for peer in chosen:
            try:
                answer = await peer.process(proposal)
            except ProposalRefused as refused:
                filtered = isinstance(refused, ProposalFiltered)
                if peer is self.local and not filtered:
                    why = str(refused)
                    details.append(detail(peer.address, peer.msp_id, why))
                    raise _evaluation_failed(Code.FAILED_PRECONDITION, why, details) from refused
                # No answer but a gRPC error: to the gateway the peer is lost, so it asks the next.
                code = Code.UNAVAILABLE
                prefix = "" if peer is self.local else "rpc error: code = Unknown desc = "
                message = f"{prefix}{refused}"
                details.append(detail(peer.address, peer.msp_id, message))
                continue
            why = objection(answer) or ""
            if not why:
                return gateway_pb2.EvaluateResponse(result=answer.response)
            details.append(detail(peer.address, peer.msp_id, why))
            if answer.payload is not None or answer.response.status != 500:
                raise _evaluation_failed(Code.UNKNOWN, why, details)
            code = Code.ABORTED
        raise RpcRefusal(
            code, "failed to evaluate transaction, see attached details for more info", details
        )

    # --- Endorse and Submit ----------------------------------------------------------------------

    @_refusing
    async def Endorse(
        self, request: gateway_pb2.EndorseRequest, context: Context
    ) -> gateway_pb2.EndorseResponse:
        signed = request.proposed_transaction
        if not signed.proposal_bytes:
            raise RpcRefusal(
                Code.INVALID_ARGUMENT, "the proposed transaction must contain a signed proposal"
            )
        try:
            proposal = unpack(signed)
        except Malformed as malformed:
            raise RpcRefusal(Code.INVALID_ARGUMENT, str(malformed)) from malformed
        collection = Collection(proposal, self.local, self.peers)
        try:
            async with asyncio.timeout(self.endorsement_timeout):
                if request.endorsing_organizations:
                    action = await collection.by_organisations(request.endorsing_organizations)
                else:
                    action = await collection.by_policy(self._policy_of, self._identities)
        except TimeoutError:
            raise RpcRefusal(
                Code.DEADLINE_EXCEEDED, "endorsement timeout expired while collecting endorsements"
            ) from None
        return gateway_pb2.EndorseResponse(
            prepared_transaction=prepared_transaction(proposal, action)
        )

    def _policy_of(self, chaincode: str) -> Any:
        definition = read_definition(CommittedState(self.ledger), chaincode)
        return None if definition is None else definition.policy

    @_refusing
    async def Submit(
        self, request: gateway_pb2.SubmitRequest, context: Context
    ) -> gateway_pb2.SubmitResponse:
        if not request.HasField("prepared_transaction"):
            raise RpcRefusal(Code.INVALID_ARGUMENT, "a prepared transaction is required")
        envelope = request.prepared_transaction
        if not envelope.signature:
            raise RpcRefusal(Code.INVALID_ARGUMENT, "prepared transaction must be signed")
        if request.channel_id != self.channel:
            raise RpcRefusal(Code.FAILED_PRECONDITION, _no_configuration(request.channel_id))
        try:
            self.orderer.broadcast(envelope)
        except BroadcastRefused as refused:
            raise RpcRefusal(
                Code.ABORTED,
                f"received unsuccessful response from orderer: status={refused.status}, "
                f"info={refused.info}",
            ) from refused
        return gateway_pb2.SubmitResponse()

    # --- CommitStatus and ChaincodeEvents --------------------------------------------------------

    @_refusing
    async def CommitStatus(
        self, request: gateway_pb2.SignedCommitStatusRequest, context: Context
    ) -> gateway_pb2.CommitStatusResponse:
        inner = _signed_request(gateway_pb2.CommitStatusRequest, request, "commit status", "status")
        if not inner.identity:
            raise RpcRefusal(Code.INVALID_ARGUMENT, "no identity provided")
        if not inner.channel_id:
            raise RpcRefusal(Code.INVALID_ARGUMENT, "no channel ID provided")
        if not inner.transaction_id:
            raise RpcRefusal(Code.INVALID_ARGUMENT, "transaction ID should not be empty")
        self._authorise(inner, request)
        while (record := self.ledger.transaction(inner.transaction_id)) is None:
            await self.ledger.wait_beyond(self.ledger.height)
        return gateway_pb2.CommitStatusResponse(result=record.code, block_number=record.block)

    async def ChaincodeEvents(
        self, request: gateway_pb2.SignedChaincodeEventsRequest, context: Context
    ) -> AsyncIterator[gateway_pb2.ChaincodeEventsResponse]:
        try:
            inner = _signed_request(
                gateway_pb2.ChaincodeEventsRequest, request, "chaincode events", "chaincode events"
            )
            self._authorise(inner, request)
            number = self._first_block(inner)
        except RpcRefusal as refusal:
            await _abort(context, refusal)
        passed = not inner.after_transaction_id
        while True:
            await self.ledger.wait_beyond(number)
            events = []
            for emitted in valid_events(self.ledger.block(number)):
                if not passed:
                    passed = emitted.event.tx_id == inner.after_transaction_id
                elif emitted.event.chaincode_id == inner.chaincode_id:
                    events.append(emitted.event)
            if events:
                yield gateway_pb2.ChaincodeEventsResponse(events=events, block_number=number)
            number += 1

    def _first_block(self, inner: gateway_pb2.ChaincodeEventsRequest) -> int:
        if inner.after_transaction_id:
            record = self.ledger.transaction(inner.after_transaction_id)
            if record is not None:
                return record.block
        match inner.start_position.WhichOneof("Type"):
            case None | "next_commit":
                return self.ledger.height
            case "specified":
                return int(inner.start_position.specified.number)
            case other:
                raise RpcRefusal(
                    Code.INVALID_ARGUMENT,
                    f"invalid start position type: *orderer.SeekPosition_{other.title()}",
                )

    def _authorise(self, inner: Any, request: Any) -> None:
        """Whether the signer may read the channel: any valid identity of it may."""
        if not inner.channel_id:
            raise RpcRefusal(
                Code.PERMISSION_DENIED,
                "Invalid channel ID name during check policy on signed data. Name must be "
                "different from nil.",
            )
        if inner.channel_id != self.channel:
            raise RpcRefusal(
                Code.PERMISSION_DENIED,
                f"Failed to get policy manager for channel [{inner.channel_id}]",
            )
        try:
            identity = self.membership.identity(inner.identity)
            identity.verify(request.request, request.signature)
        except (UnknownIdentity, InvalidIdentity, InvalidSignature):
            raise RpcRefusal(
                Code.PERMISSION_DENIED,
                "Failed evaluating policy on signed data during check policy on channel "
                f"[{self.channel}] with policy [/Channel/Application/Readers]: [{_NO_READER}]",
            ) from None


def _evaluation_failed(
    code: grpc.StatusCode, why: str, details: list[gateway_pb2.ErrorDetail]
) -> RpcRefusal:
    return RpcRefusal(code, f"evaluate call to endorser returned error: {why}", details)


def _no_configuration(channel: str) -> str:
    return (
        f"failed to get config for channel [{channel}]: could not get last config for channel "
        f"{channel}"
    )


def _signed_request(kind: Any, request: Any, required: str, named: str) -> Any:
    if not request.request:
        raise RpcRefusal(Code.INVALID_ARGUMENT, f"a {required} request is required")
    try:
        return parse(kind, request.request)
    except Malformed as malformed:
        unparsed = str(malformed).partition(": ")[2]
        raise RpcRefusal(
            Code.INVALID_ARGUMENT, f"invalid {named} request: {unparsed}"
        ) from malformed
