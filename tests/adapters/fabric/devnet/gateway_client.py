"""A client of the Gateway service that can also do what a proper client never does."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.msp import identities_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from adapters.fabric.errors import read_details

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class User:
    """An identity that signs as it is told to."""

    serialized: bytes
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def read(cls, msp_id: str, certificate: Path, key: Path) -> User:
        serialized = identities_pb2.SerializedIdentity(
            mspid=msp_id, id_bytes=certificate.read_bytes()
        ).SerializeToString()
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        return cls(serialized, loaded)

    def claiming(self, msp_id: str) -> User:
        """The same certificate under another organisation's name."""
        named = identities_pb2.SerializedIdentity.FromString(self.serialized)
        named.mspid = msp_id
        return User(named.SerializeToString(), self.key)

    def sign(self, data: bytes, *, high_s: bool = False) -> bytes:
        r, s = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        if (s > P256_ORDER // 2) != high_s:
            s = P256_ORDER - s
        return utils.encode_dss_signature(r, s)


@dataclass(frozen=True)
class Proposal:
    transaction: str
    signed: Any


@dataclass(frozen=True)
class Refusal:
    """How a call was refused, without what differs from run to run."""

    code: str
    message: str
    details: tuple[str, ...]
    """``MSP at <address>: message``, sorted."""


def plain(text: str) -> str:
    """Ids, addresses and the space that Go varies on purpose, taken out."""
    text = re.sub(r"[0-9a-f]{64,}", "<hex>", text.replace("\u00a0", " "))
    text = re.sub(r"proto: +", "proto: ", text)
    return re.sub(r"127\.0\.0\.1:[0-9]+", "<address>", text)


async def refusal_of(call: Awaitable[Any]) -> Refusal:
    """Awaits a call that must be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    trailer = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    details = sorted(plain(one) for one in read_details(trailer))
    return Refusal(error.code().name, plain(error.details() or ""), tuple(details))


class GatewayClient:
    """One user at one peer's gateway. It waits as long as the peer does."""

    def __init__(
        self, address: str, tls_ca: Path, user: User, channel: str, chaincode: str
    ) -> None:
        credentials = grpc.ssl_channel_credentials(tls_ca.read_bytes())
        self._channel = grpc.aio.secure_channel(
            address, credentials, options=(("grpc.use_local_subchannel_pool", 1),)
        )
        self.stub = gateway_pb2_grpc.GatewayStub(self._channel)
        self.user, self.channel, self.chaincode = user, channel, chaincode

    @property
    def msp_id(self) -> str:
        return str(identities_pb2.SerializedIdentity.FromString(self.user.serialized).mspid)

    async def close(self) -> None:
        await self._channel.close(None)

    def proposal(
        self,
        *words: str | bytes,
        user: User | None = None,
        chaincode: str | None = None,
        channel: str | None = None,
        high_s: bool = False,
        timestamp: float | None = None,
        transaction: str | None = None,
        transient: dict[str, bytes] | None = None,
    ) -> Proposal:
        user = user or self.user
        nonce = os.urandom(24)
        transaction = transaction or hashlib.sha256(nonce + user.serialized).hexdigest()
        called = chaincode_pb2.ChaincodeID(name=chaincode or self.chaincode)
        header = common_pb2.ChannelHeader(
            type=common_pb2.ENDORSER_TRANSACTION,
            channel_id=channel or self.channel,
            tx_id=transaction,
            extension=proposal_pb2.ChaincodeHeaderExtension(
                chaincode_id=called
            ).SerializeToString(),
        )
        header.timestamp.FromNanoseconds(int((timestamp or time.time()) * 10**9))
        spec = chaincode_pb2.ChaincodeInvocationSpec(
            chaincode_spec=chaincode_pb2.ChaincodeSpec(
                chaincode_id=called,
                input=chaincode_pb2.ChaincodeInput(
                    args=[word.encode() if isinstance(word, str) else word for word in words]
                ),
            )
        )
        body = proposal_pb2.Proposal(
            header=common_pb2.Header(
                channel_header=header.SerializeToString(),
                signature_header=common_pb2.SignatureHeader(
                    creator=user.serialized, nonce=nonce
                ).SerializeToString(),
            ).SerializeToString(),
            payload=proposal_pb2.ChaincodeProposalPayload(
                input=spec.SerializeToString(), TransientMap=transient or {}
            ).SerializeToString(),
        ).SerializeToString()
        signature = user.sign(body, high_s=high_s)
        signed = proposal_pb2.SignedProposal(proposal_bytes=body, signature=signature)
        return Proposal(transaction, signed)

    async def evaluate_signed(self, proposal: Proposal, orgs: Sequence[str] = ()) -> Any:
        reply = await self.stub.Evaluate(
            gateway_pb2.EvaluateRequest(
                transaction_id=proposal.transaction,
                channel_id=self.channel,
                proposed_transaction=proposal.signed,
                target_organizations=orgs,
            )
        )
        return reply.result

    async def evaluate(self, *words: str | bytes, orgs: Sequence[str] = (), **how: Any) -> bytes:
        result = await self.evaluate_signed(self.proposal(*words, **how), orgs)
        return bytes(result.payload)

    async def endorse_signed(self, proposal: Proposal, orgs: Sequence[str] = ()) -> Any:
        reply = await self.stub.Endorse(
            gateway_pb2.EndorseRequest(
                transaction_id=proposal.transaction,
                channel_id=self.channel,
                proposed_transaction=proposal.signed,
                endorsing_organizations=orgs,
            )
        )
        return reply.prepared_transaction

    async def endorse(
        self, *words: str | bytes, orgs: Sequence[str] = (), **how: Any
    ) -> tuple[str, Any]:
        """The transaction's id, and the envelope, signed."""
        proposal = self.proposal(*words, **how)
        envelope = await self.endorse_signed(proposal, orgs)
        envelope.signature = (how.get("user") or self.user).sign(envelope.payload)
        return proposal.transaction, envelope

    async def submit(self, envelope: Any, channel: str | None = None) -> None:
        request = gateway_pb2.SubmitRequest(
            channel_id=channel or self.channel, prepared_transaction=envelope
        )
        await self.stub.Submit(request)

    async def status_raw(
        self, *, high_s: bool = False, timeout: float | None = None, **fields: Any
    ) -> Any:
        inner = gateway_pb2.CommitStatusRequest(**fields).SerializeToString()
        signature = self.user.sign(inner, high_s=high_s)
        request = gateway_pb2.SignedCommitStatusRequest(request=inner, signature=signature)
        return await self.stub.CommitStatus(request, timeout=timeout)

    async def status(self, transaction: str) -> tuple[str, int]:
        """The validation code's name and the block."""
        reply = await self.status_raw(
            identity=self.user.serialized, channel_id=self.channel, transaction_id=transaction
        )
        return transaction_pb2.TxValidationCode.Name(reply.result), reply.block_number

    async def commit(self, endorsed: tuple[str, Any]) -> str:
        """Submits, and returns the name of the code with which it was committed."""
        await self.submit(endorsed[1])
        return (await self.status(endorsed[0]))[0]

    async def invoke(self, *words: str, **how: Any) -> tuple[str, int]:
        """One valid transaction: its id and its block."""
        transaction, envelope = await self.endorse(*words, **how)
        await self.submit(envelope)
        code, block = await self.status(transaction)
        assert code == "VALID"
        return transaction, block

    async def events(
        self, start: Any = None, after: str = "", chaincode: str | None = None
    ) -> AsyncIterator[tuple[int, str, str, bytes]]:
        """(block, transaction, name, payload). ``start``: a block, None, or a SeekPosition."""
        if isinstance(start, int):
            start = ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=start))
        inner = gateway_pb2.ChaincodeEventsRequest(
            channel_id=self.channel,
            chaincode_id=chaincode or self.chaincode,
            identity=self.user.serialized,
            start_position=start,
            after_transaction_id=after,
        ).SerializeToString()
        call = self.stub.ChaincodeEvents(
            gateway_pb2.SignedChaincodeEventsRequest(request=inner, signature=self.user.sign(inner))
        )
        try:
            async for reply in call:
                for event in reply.events:
                    yield reply.block_number, event.tx_id, event.event_name, event.payload
        finally:
            call.cancel()


def action_of(envelope: Any) -> tuple[Any, Any]:
    """The endorsed action of a prepared transaction, and what the chaincode did in it."""
    payload = common_pb2.Payload.FromString(envelope.payload)
    (only,) = transaction_pb2.Transaction.FromString(payload.data).actions
    action = transaction_pb2.ChaincodeActionPayload.FromString(only.payload).action
    response = proposal_response_pb2.ProposalResponsePayload.FromString(
        action.proposal_response_payload
    )
    return action, proposal_pb2.ChaincodeAction.FromString(response.extension)
