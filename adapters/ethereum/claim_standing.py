"""Whether a lock can still be claimed, as far as the newest state shows it without the preimage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from adapters.ethereum import erc20
from adapters.ethereum.identity import NO_ADDRESS, Identities
from adapters.ethereum.rpc import Node
from adapters.model import LockRecord, LockState


async def claim_standing_obstacles(
    node: Node, ids: Identities, record: LockRecord, time: int
) -> Sequence[str]:
    """What stands against a claim of this lock at a block time (Unix seconds): it is not open, its
    deadline has come, or its token would not move to the recipient. Coin always moves: what the
    recipient refuses becomes its credit. Raises NodeFailed, NodeRefused."""
    name = record.lock_id.hex()
    match record.state:
        case LockState.ABSENT:
            return [f"there is no lock {name}"]
        case LockState.CLAIMED | LockState.REFUNDED:
            return [f"lock {name} was {record.state} before"]
        case LockState.OPEN:
            terms = record.terms
            assert terms is not None
        case _:
            assert_never(record.state)
    if time >= terms.deadline:
        return [f"the newest block's time is {time}, and the deadline {terms.deadline} has come"]
    token = ids.token_of(terms.asset)
    if token == NO_ADDRESS:
        return []
    recipient = ids.address_of(terms.recipient, "recipient")
    refusal = await erc20.transfer_refusal(node, token, ids.contract, recipient, terms.amount)
    return [] if refusal is None else [f"{terms.asset} would not move to the recipient: {refusal}"]
