"""Collecting endorsements: which peers are asked, and when there are enough of the same result.

The gateway first asks a peer of its own organisation; what that simulation touched decides which
policies must be met; then it asks the peers of one smallest set of organisations that meets them,
and of another set where one fails (``internal/pkg/gateway/endorse.go`` and ``endorsement.go``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import grpc
from fabric_protos.common import policies_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import proposal_response_pb2, transaction_pb2

from adapters.fabric.devnet.msp import Identity
from adapters.fabric.devnet.peer import Answer, Peer
from adapters.fabric.devnet.policy import minimal_sets
from adapters.fabric.devnet.proposal import ProposalRefused, Unpacked
from adapters.fabric.devnet.rpc_refusal import RpcRefusal, detail

NOT_ENOUGH = "failed to collect enough transaction endorsements, see attached details for more info"
FIRST_FAILED = "failed to endorse transaction, see attached details for more info"
UNPLANNED = "no combination of peers can be derived which satisfy the endorsement policy"

PolicyOf = Callable[[str], policies_pb2.SignaturePolicyEnvelope | None]


def objection(answer: Answer) -> str | None:
    """Why an answer is no endorsement; None where it is one."""
    response = answer.response
    if 200 <= response.status < 400:
        return None
    if answer.payload is None and response.status == 500:
        return str(response.message)
    return f"chaincode response {response.status}, {response.message}"


class Collection:
    """Endorsements of one proposal, at one gateway."""

    def __init__(self, proposal: Unpacked, local: Peer, peers: Mapping[str, Peer]) -> None:
        self._proposal = proposal
        self._local = local
        self._peers = peers
        self._payload: bytes | None = None
        self._endorsements: dict[str, proposal_response_pb2.Endorsement] = {}
        self._failed: set[str] = set()
        self._details: list[gateway_pb2.ErrorDetail] = []

    async def by_organisations(
        self, organisations: Sequence[str]
    ) -> transaction_pb2.ChaincodeEndorsedAction:
        """One endorsement of each, as the client demands. Raises RpcRefusal."""
        name = self._proposal.chaincode
        known = (
            {msp for msp, peer in self._peers.items() if peer.has_chaincode(name)}
            if self._proposal.channel == self._local.channel
            else set()
        )
        missing = [msp for msp in organisations if msp not in known]
        if missing:
            raise RpcRefusal(
                grpc.StatusCode.UNAVAILABLE,
                f"failed to find any endorsing peers for org(s): {', '.join(missing)}",
            )
        return await self._collect([frozenset(organisations)])

    async def by_policy(
        self, policy_of: PolicyOf, identities: Mapping[str, Identity]
    ) -> transaction_pb2.ChaincodeEndorsedAction:
        """As many as the policies of all chaincodes touched ask for. Raises RpcRefusal."""
        name = self._proposal.chaincode
        if self._proposal.channel != self._local.channel or not self._local.has_chaincode(name):
            raise self._unplanned(name)
        answer = await self._ask(self._local)
        if answer is None:
            raise RpcRefusal(grpc.StatusCode.ABORTED, FIRST_FAILED, self._details)
        policies = []
        for namespace in answer.namespaces:
            policy = policy_of(namespace)
            if policy is None:
                raise self._unplanned(namespace)
            policies.append(policy)
        self._accept(self._local, answer)
        layouts = minimal_sets(policies, identities)
        # Sets with the organisation that has already endorsed come first.
        layouts.sort(key=lambda layout: self._local.msp_id not in layout)
        return await self._collect(layouts)

    def _unplanned(self, name: str) -> RpcRefusal:
        return RpcRefusal(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"{UNPLANNED}: No metadata was found for chaincode {name} in channel "
            f"{self._proposal.channel}",
        )

    async def _collect(
        self, layouts: Sequence[frozenset[str]]
    ) -> transaction_pb2.ChaincodeEndorsedAction:
        for layout in layouts:
            if layout & self._failed:
                continue
            missing = [
                self._peers[msp] for msp in self._peers if msp in layout - set(self._endorsements)
            ]
            async with asyncio.TaskGroup() as group:
                for peer in missing:
                    group.create_task(self._ask_and_accept(peer))
            if layout <= set(self._endorsements):
                return transaction_pb2.ChaincodeEndorsedAction(
                    proposal_response_payload=self._payload,
                    endorsements=[
                        endorsement
                        for msp, endorsement in self._endorsements.items()
                        if msp in layout
                    ],
                )
        raise RpcRefusal(grpc.StatusCode.ABORTED, NOT_ENOUGH, self._details)

    async def _ask_and_accept(self, peer: Peer) -> None:
        answer = await self._ask(peer)
        if answer is not None:
            self._accept(peer, answer)

    async def _ask(self, peer: Peer) -> Answer | None:
        try:
            answer = await peer.process(self._proposal)
        except ProposalRefused as refused:
            # A client's fault comes back from another organisation's peer through gRPC.
            prefix = "" if peer is self._local else "rpc error: code = Unknown desc = "
            self._fail(peer, f"{prefix}{refused}")
            return None
        why = objection(answer)
        if why is not None:
            self._fail(peer, why)
            return None
        return answer

    def _accept(self, peer: Peer, answer: Answer) -> None:
        if self._payload is None:
            self._payload = answer.payload
        elif self._payload != answer.payload:
            self._fail(peer, "ProposalResponsePayloads do not match")
            return
        self._endorsements[peer.msp_id] = answer.endorsement

    def _fail(self, peer: Peer, why: str) -> None:
        self._failed.add(peer.msp_id)
        self._details.append(detail(peer.address, peer.msp_id, why))
