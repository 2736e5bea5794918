"""Where an event stream stands, as text: what was told, and which blocks it was told of.

    {"v": 1, "final": height, "trail": [[height, hash], …], "pending": [log, …]}, deflated, base64

The trail is thinned out: near the end every block, further back ever fewer. Resuming compares it
with the chain, from the end on, and goes back to the newest block that is still there. Pending
events are kept whole, so that one which vanished in the meantime can be retracted.

Anybody can open locks, so their number has no limit, and a cursor is stored with every fact. Of
more than MOST_PENDING only the oldest are kept, and with them the trail ends before the first that
is not: whoever resumes reads the blocks from there on again, and tells what they hold as pending
once more. Only what was left out and vanished in the meantime is not retracted; whoever resumes
asks for that with ``lookup``.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.ethereum.identity import Identities, checksummed
from adapters.ethereum.lock_contract import LockLog
from adapters.model import (
    AccountId,
    AssetId,
    Cursor,
    Hashlock,
    InvalidValue,
    LockClaimed,
    LockId,
    LockOpened,
    LockRefunded,
    LockTerms,
    Preimage,
)

MOST_PENDING = 500
_LONGEST = 1_000_000

Checkpoint = tuple[int, bytes]
"""A block that was seen: its height and its hash."""


@dataclass(frozen=True, slots=True)
class Mark:
    """``final``: the height up to which events were told as final; ``trail``: blocks seen, by
    height; ``pending``: events told and not yet final, in the chain's order. There are never more
    of them than the chain has room for between its final block and its newest."""

    final: int
    trail: tuple[Checkpoint, ...] = ()
    pending: tuple[LockLog, ...] = ()


def thinned(trail: Sequence[Checkpoint], every: int) -> tuple[Checkpoint, ...]:
    """The newest ``every`` checkpoints, and of the older ones about two for each doubling of the
    distance from the end. Ascending in, ascending out."""
    kept: list[Checkpoint] = []
    for place, checkpoint in enumerate(reversed(trail)):
        distance = trail[-1][0] - checkpoint[0]
        if place < every or kept[-1][0] - checkpoint[0] >= distance // 3:
            kept.append(checkpoint)
    return tuple(reversed(kept))


def write(mark: Mark) -> Cursor:
    trail = mark.trail
    if len(mark.pending) > MOST_PENDING:
        # Before it is thinned out: what is thinned may have nothing left so far back.
        left_out = mark.pending[MOST_PENDING].height
        trail = tuple(point for point in trail if point[0] < left_out)
    packed = {
        "v": 1,
        "final": mark.final,
        "trail": [[height, block.hex()] for height, block in thinned(trail, 8)],
        "pending": [_pack(log) for log in mark.pending[:MOST_PENDING]],
    }
    text = json.dumps(packed, separators=(",", ":")).encode()
    return Cursor(base64.urlsafe_b64encode(zlib.compress(text)).decode())


def read(cursor: Cursor, ids: Identities) -> Mark:
    """Raises InvalidValue for what this adapter has not written for this chain."""
    try:
        inflater = zlib.decompressobj()
        raw = inflater.decompress(base64.urlsafe_b64decode(cursor.text.encode()), _LONGEST)
        packed = json.loads(raw)
        if packed["v"] != 1:
            raise InvalidValue("cursor is of another version of the ethereum adapter")
        return Mark(
            final=int(packed["final"]),
            trail=tuple((int(height), bytes.fromhex(block)) for height, block in packed["trail"]),
            pending=tuple(_unpack(log, ids) for log in packed["pending"]),
        )
    except (ValueError, KeyError, TypeError, zlib.error, binascii.Error) as error:
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue("cursor is not one of the ethereum adapter") from None


def _pack(log: LockLog) -> list[Any]:
    place = [log.height, log.block_hash.hex(), log.index, log.transaction]
    match log.event:
        case LockOpened(lock_id, terms):
            told = [
                *(terms.sender.address, terms.recipient.address, str(terms.asset)),
                *(str(terms.amount), terms.hashlock.hex(), terms.deadline),
            ]
            return ["opened", *place, lock_id.hex(), *told]
        case LockClaimed(lock_id, hashlock, preimage):
            return ["claimed", *place, lock_id.hex(), hashlock.hex(), preimage.value.hex()]
        case LockRefunded(lock_id, hashlock):
            return ["refunded", *place, lock_id.hex(), hashlock.hex()]


def _unpack(packed: list[Any], ids: Identities) -> LockLog:
    kind, height, block, index, transaction, lock, *told = packed
    lock_id = LockId(bytes.fromhex(lock))
    event: LockOpened | LockClaimed | LockRefunded
    match kind:
        case "opened":
            sender, recipient, asset, amount, hashlock, deadline = told
            terms = LockTerms(
                chain=ids.chain,
                contract=checksummed(ids.contract),
                sender=AccountId(ids.chain, sender),
                recipient=AccountId(ids.chain, recipient),
                asset=AssetId.parse(asset),
                amount=int(amount),
                hashlock=Hashlock(bytes.fromhex(hashlock)),
                deadline=int(deadline),
            )
            event = LockOpened(lock_id, terms)
        case "claimed":
            hashlock, preimage = (bytes.fromhex(text) for text in told)
            event = LockClaimed(lock_id, Hashlock(hashlock), Preimage(preimage))
        case "refunded":
            event = LockRefunded(lock_id, Hashlock(bytes.fromhex(told[0])))
        case _:
            raise InvalidValue("cursor is not one of the ethereum adapter")
    return LockLog(event, int(height), bytes.fromhex(block), int(index), str(transaction))
