"""The ordering service: takes envelopes in, cuts them into blocks, and has each block committed.

A batch is cut when it is full (in messages or bytes) or when its oldest envelope has waited for the
batch timeout. SUCCESS means that the envelope waits in memory, as it does on a Raft leader: until
its block is committed a crash can lose it, and the client must look it up.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from fabric_protos.common import common_pb2
from google.protobuf.message import DecodeError

from adapters.fabric.devnet.block import make_block, sign_block
from adapters.fabric.devnet.ledger import Ledger
from adapters.fabric.devnet.msp import InvalidIdentity, Membership, UnknownIdentity
from adapters.fabric.devnet.proposal import Malformed, parse
from adapters.fabric.devnet.signature import InvalidSignature
from adapters.fabric.devnet.signer import SigningIdentity
from adapters.fabric.devnet.validation import Validator

log = logging.getLogger(__name__)

_DENIED = (
    "implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 "
    "of the 'Writers' sub-policies to be satisfied: permission denied"
)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is cut. ``timeout`` in seconds, sizes in bytes of the envelopes."""

    timeout: float = 0.2
    messages: int = 500
    preferred_bytes: int = 2 * 1024 * 1024
    absolute_bytes: int = 10 * 1024 * 1024


_REFUSED = {
    common_pb2.CONFIG: "message is of type that cannot be processed directly",
    common_pb2.ORDERER_TRANSACTION: "message is of type that is no longer supported",
}
"""What orderers of Fabric 3 say to types of messages that they take from nobody."""


class BroadcastRefused(Exception):
    """The ordering service does not take the envelope; ``status`` is its word for why."""

    def __init__(self, status: str, info: str) -> None:
        super().__init__(info)
        self.status = status
        self.info = info


class Orderer:
    """The one orderer of the network. ``run`` must be running for blocks to be made."""

    def __init__(
        self,
        channel: str,
        membership: Membership,
        ledger: Ledger,
        validator: Validator,
        identity: SigningIdentity,
        limits: BatchLimits,
    ) -> None:
        self._channel = channel
        self._membership = membership
        self._ledger = ledger
        self._validator = validator
        self._identity = identity
        self._limits = limits
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    def broadcast(self, envelope: common_pb2.Envelope) -> None:
        """Takes an envelope in. Raises BroadcastRefused."""
        try:
            payload = parse(common_pb2.Payload, envelope.payload)
            if not payload.HasField("header"):
                raise Malformed("header not set")
            header = parse(common_pb2.ChannelHeader, payload.header.channel_header)
        except Malformed as malformed:
            raise BroadcastRefused(
                "BAD_REQUEST", f"could not determine channel ID: {malformed}"
            ) from malformed
        if header.channel_id != self._channel:
            raise BroadcastRefused("BAD_REQUEST", "channel does not exist")
        size = len(envelope.payload) + len(envelope.signature)
        if size > self._limits.absolute_bytes:
            raise BroadcastRefused(
                "BAD_REQUEST",
                f"message payload is {size} bytes and exceeds maximum allowed "
                f"{self._limits.absolute_bytes} bytes",
            )
        if header.type in _REFUSED:
            raise BroadcastRefused("BAD_REQUEST", _REFUSED[header.type])
        if header.type == common_pb2.CONFIG_UPDATE:
            raise BroadcastRefused(
                "FORBIDDEN", "the development network's channel configuration does not change"
            )
        self._authorise(envelope, payload)
        self._queue.put_nowait(envelope.SerializeToString())

    def _authorise(self, envelope: common_pb2.Envelope, payload: common_pb2.Payload) -> None:
        try:
            creator = common_pb2.SignatureHeader.FromString(payload.header.signature_header).creator
            identity = self._membership.identity(creator)
            identity.verify(envelope.payload, envelope.signature)
        except (DecodeError, UnknownIdentity, InvalidIdentity, InvalidSignature):
            raise BroadcastRefused("FORBIDDEN", _DENIED) from None
        if identity.expired(datetime.now(UTC)):
            raise BroadcastRefused("BAD_REQUEST", "broadcast client identity expired")

    async def run(self) -> None:
        """Cuts and commits for ever. An error that it cannot deal with (a full disk) ends it."""
        carried: bytes | None = None
        while True:
            batch, carried = await self._next_batch(carried)
            self.commit(batch)

    async def _next_batch(self, carried: bytes | None) -> tuple[list[bytes], bytes | None]:
        """A batch, and the envelope that no longer fitted into it."""
        first = carried if carried is not None else await self._queue.get()
        batch, size = [first], len(first)
        try:
            async with asyncio.timeout(self._limits.timeout):
                while len(batch) < self._limits.messages and size < self._limits.preferred_bytes:
                    envelope = await self._queue.get()
                    if size + len(envelope) > self._limits.preferred_bytes:
                        return batch, envelope
                    batch.append(envelope)
                    size += len(envelope)
        except TimeoutError:
            pass
        return batch, None

    def commit(self, batch: list[bytes]) -> None:
        """Makes the next block of these envelopes and commits it."""
        number = self._ledger.height
        block = make_block(number, self._ledger.last_hash, batch)
        sign_block(block, self._identity)
        verdict = self._validator.judge(number, batch)
        self._ledger.commit(block, verdict.flags, verdict.transactions, verdict.writes)
        log.info("block %d: %d transactions, flags %s", number, len(batch), verdict.flags.hex())
