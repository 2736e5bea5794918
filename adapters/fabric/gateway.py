"""The Fabric Gateway service of the organisation's own peers, over gRPC.

Evaluate, Endorse, Submit, CommitStatus and ChaincodeEvents, with Fabric's own messages. Where
several peers are configured, one that cannot be reached is passed over for the next, once round;
nothing is tried twice on one peer. Evaluate names the own organisation as its target: another
organisation's peer is asked only where it is named, to compare what it has with the own ledger.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.orderer import ab_pb2
from google.protobuf.message import DecodeError

from adapters.fabric.block import validation_code_name
from adapters.fabric.errors import Failure, Step, error_of, read_details
from adapters.fabric.identity import Identity
from adapters.fabric.proposal import NotOurTransaction, Proposal, check_prepared, propose
from adapters.fabric.settings import FabricSettings, GatewayEndpoint
from adapters.spi import AdapterError, Misconfigured, NotSent, SigningFailed, Unavailable

_MAX_MESSAGE = 100 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE),
    ("grpc.max_send_message_length", _MAX_MESSAGE),
    # A peer sends as it is asked to, uncompressed: one that compresses all the same is refused
    # before its message is unfolded. Bit 0 is "identity".
    ("grpc.compression_enabled_algorithms_bitset", 1),
    # Peers refuse pings more frequent than one a minute.
    ("grpc.keepalive_time_ms", 120_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # A peer that is back is found within seconds; gRPC's own limit is two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 3_000),
)

_SILENT = frozenset({grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
"""A call's time is up: by the own clock, or by the peer's, which ends it too."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ChaincodeEvent:
    transaction: str
    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class BlockEvents:
    """The chaincode's events of one block, in the block's order."""

    block: int
    events: tuple[ChaincodeEvent, ...]


@dataclass(frozen=True, slots=True)
class _Peer:
    address: str
    channel: grpc.aio.Channel
    stub: Any


class Gateway:
    """One channel's gateway. Get one from ``connect``."""

    def __init__(
        self,
        name: str,
        settings: FabricSettings,
        reader: Identity,
        peers: Sequence[_Peer],
        clock: Callable[[], int],
    ) -> None:
        self._name = name
        self._settings = settings
        self._reader = reader
        self._peers = tuple(peers)
        self._preferred = 0
        self._clock = clock

    @property
    def addresses(self) -> Sequence[str]:
        return [peer.address for peer in self._peers]

    @property
    def preferred(self) -> str:
        """The address of the peer with which the next calls begin."""
        return self._peers[self._preferred].address

    async def evaluate(
        self,
        chaincode: str,
        *words: str | bytes,
        address: str | None = None,
        timestamp: int | None = None,
        organisation: str | None = None,
    ) -> bytes:
        """What a query answers, signed by the reading identity; at one peer, where named.

        ``timestamp``: nanoseconds since 1970; now, unless given. ``organisation``: the MSP id of
        another one, whose peer the own peer is to ask; its failures are not the own peer's.

        Raises Rejected where the chaincode refuses, Unavailable, Misconfigured.
        """
        when = self._clock() if timestamp is None else timestamp
        try:
            proposal = await propose(
                self._reader, self._settings.channel, chaincode, _bytes(words), when
            )
        except SigningFailed as error:
            raise Misconfigured(f"{self._name}: the reading key cannot sign: {error}") from error
        request = gateway_pb2.EvaluateRequest(
            transaction_id=proposal.transaction,
            channel_id=proposal.channel,
            proposed_transaction=proposal.signed,
            target_organizations=[organisation or self._settings.msp_id],
        )

        async def call(peer: _Peer) -> bytes:
            reply = await peer.stub.Evaluate(request, timeout=self._settings.request_timeout)
            payload: bytes = reply.result.payload
            return payload

        if organisation is not None:
            address = self.preferred
        return await self._round(Step.EVALUATE, call, address)

    async def endorse(
        self,
        identity: Identity,
        chaincode: str,
        words: Sequence[str],
        timestamp: int,
        organisations: Sequence[str] = (),
    ) -> tuple[Proposal, Any]:
        """A proposal and the transaction that enough endorsers have agreed to, unsigned.

        ``organisations``: MSP ids; one peer of each is asked and nobody else. None: the peer
        chooses by the policy.
        From here on what ``words`` hold is public. Raises Rejected, NotSent, Unavailable,
        Misconfigured.
        """
        try:
            proposal = await propose(
                identity, self._settings.channel, chaincode, _bytes(words), timestamp
            )
        except SigningFailed as error:
            raise NotSent(f"{self._name}: the proposal was not signed: {error}") from error
        request = gateway_pb2.EndorseRequest(
            transaction_id=proposal.transaction,
            channel_id=proposal.channel,
            proposed_transaction=proposal.signed,
            endorsing_organizations=organisations,
        )

        async def call(peer: _Peer) -> Any:
            reply = await peer.stub.Endorse(request, timeout=self._settings.request_timeout)
            return reply.prepared_transaction

        envelope = await self._round(Step.ENDORSE, call)
        try:
            check_prepared(proposal, envelope)
        except NotOurTransaction as error:
            raise Unavailable(f"{self._name}: {error}; it was not signed") from error
        return proposal, envelope

    async def submit(self, identity: Identity, proposal: Proposal, envelope: Any) -> None:
        """Signs a prepared transaction and returns when an orderer has taken it.

        One envelope sent twice is ordered once: its id is in it. Raises Rejected, NotSent,
        Unknown, Misconfigured.
        """
        try:
            envelope.signature = await identity.sign(envelope.payload)
        except SigningFailed as error:
            raise NotSent(f"{self._name}: the transaction was not signed: {error}") from error
        request = gateway_pb2.SubmitRequest(
            transaction_id=proposal.transaction,
            channel_id=proposal.channel,
            prepared_transaction=envelope,
        )

        async def call(peer: _Peer) -> None:
            await peer.stub.Submit(request, timeout=self._settings.request_timeout)

        await self._round(Step.SUBMIT, call)

    async def commit_status(
        self, transaction: str, timeout: float, address: str | None = None
    ) -> str:
        """The validation code with which a transaction was committed, awaited; at one peer, where
        named. The peer answers by its own ledger, whatever others have. Raises Unknown."""
        inner: bytes = gateway_pb2.CommitStatusRequest(
            transaction_id=transaction,
            channel_id=self._settings.channel,
            identity=self._reader.serialized,
        ).SerializeToString()
        request = gateway_pb2.SignedCommitStatusRequest(
            request=inner, signature=await self._sign_read(inner)
        )

        async def call(peer: _Peer) -> str:
            reply = await peer.stub.CommitStatus(request, timeout=timeout)
            return validation_code_name(reply.result)

        return await self._round(Step.COMMIT_STATUS, call, address)

    async def chaincode_events(
        self, address: str, block: int, after: str
    ) -> AsyncGenerator[BlockEvents, None]:
        """The chaincode's events in the ledger of the peer at an address, from a block on; in it
        only those behind transaction ``after`` (empty: all of it). Endless. Raises Unavailable,
        Misconfigured."""
        inner: bytes = gateway_pb2.ChaincodeEventsRequest(
            channel_id=self._settings.channel,
            chaincode_id=self._settings.chaincode,
            identity=self._reader.serialized,
            start_position=ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=block)),
            after_transaction_id=after,
        ).SerializeToString()
        request = gateway_pb2.SignedChaincodeEventsRequest(
            request=inner, signature=await self._sign_read(inner)
        )
        (peer,) = (one for one in self._peers if one.address == address)
        call = peer.stub.ChaincodeEvents(request)
        try:
            async for reply in call:
                yield BlockEvents(
                    reply.block_number,
                    tuple(ChaincodeEvent(e.tx_id, e.event_name, e.payload) for e in reply.events),
                )
        except grpc.aio.AioRpcError as error:
            self.pass_over(address)
            raise self._error(Step.EVENTS, error) from error
        finally:
            call.cancel()
        self.pass_over(address)
        raise Unavailable(f"{self._name}: {peer.address} ended the stream of events")

    async def _sign_read(self, message: bytes) -> bytes:
        try:
            return await self._reader.sign(message)
        except SigningFailed as error:
            raise Misconfigured(f"{self._name}: the reading key cannot sign: {error}") from error

    async def _round(
        self,
        step: Step,
        call: Callable[[_Peer], Awaitable[Result]],
        address: str | None = None,
    ) -> Result:
        """Calls the preferred peer, and the others in turn while they cannot be reached."""
        order = [*self._peers[self._preferred :], *self._peers[: self._preferred]]
        if address is not None:
            order = [peer for peer in order if peer.address == address]
        last: AdapterError | None = None
        for peer in order:
            try:
                return await call(peer)
            except grpc.aio.AioRpcError as error:
                last = self._error(step, error)
                silent = error.code() in _SILENT
                lost = error.code() is grpc.StatusCode.UNAVAILABLE
                # One that is silent has had its time; the next call begins with another.
                if address is None and (lost or (silent and step is Step.EVALUATE)):
                    self.pass_over(peer.address)
                if not lost:
                    raise last from error
            except DecodeError as error:
                raise Unavailable(f"{self._name}: {peer.address} sent garbage") from error
        assert last is not None
        raise last

    def prefer_another(self) -> None:
        """The next calls begin with the next peer: the present one answers, but is behind."""
        self._preferred = (self._preferred + 1) % len(self._peers)

    def pass_over(self, address: str) -> None:
        """The next calls do not begin with this peer, if there is another."""
        if self.preferred == address:
            self.prefer_another()

    def _error(self, step: Step, error: grpc.aio.AioRpcError) -> AdapterError:
        metadata: Any = error.trailing_metadata() or ()
        details = read_details(dict(metadata).get("grpc-status-details-bin"))
        return error_of(
            self._name, Failure(step, error.code(), error.details() or "no reason given", details)
        )


@asynccontextmanager
async def connect(
    name: str, settings: FabricSettings, reader: Identity, clock: Callable[[], int]
) -> AsyncIterator[Gateway]:
    """Opens channels to the peers; connections are made when first used. Raises Misconfigured."""
    peers = []
    try:
        for endpoint in settings.endpoints:
            channel = _channel(name, settings, endpoint)
            peers.append(_Peer(endpoint.address, channel, gateway_pb2_grpc.GatewayStub(channel)))
        yield Gateway(name, settings, reader, peers, clock)
    finally:
        for peer in peers:
            await peer.channel.close(None)


def _channel(name: str, settings: FabricSettings, endpoint: GatewayEndpoint) -> grpc.aio.Channel:
    options: list[tuple[str, Any]] = list(_OPTIONS)
    if endpoint.tls_ca is None:
        return grpc.aio.insecure_channel(endpoint.address, options=options)
    if endpoint.server_name is not None:
        options.append(("grpc.ssl_target_name_override", endpoint.server_name))
    files = (endpoint.tls_ca, settings.tls_key, settings.tls_certificate)
    try:
        ca, key, certificate = (path.read_bytes() if path else None for path in files)
    except OSError as error:
        raise Misconfigured(
            f"{name}: TLS file {error.filename} cannot be read: {error.strerror}"
        ) from error
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    return grpc.aio.secure_channel(endpoint.address, credentials, options=options)


def _bytes(words: Sequence[str | bytes]) -> list[bytes]:
    return [word.encode() if isinstance(word, str) else word for word in words]
