"""Locks between two languages: the model's and the chaincode's words, records and events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from adapters.codec.percent_encoding import percent_decode, percent_encode
from adapters.fabric.account import check_address
from adapters.fabric.chaincode import locks
from adapters.model import (
    MAX_AMOUNT,
    AccountId,
    AssetId,
    ChainId,
    Hashlock,
    InvalidValue,
    LockClaimed,
    LockEvent,
    LockId,
    LockOpened,
    LockRecord,
    LockRefunded,
    LockState,
    LockTerms,
    Preimage,
    Stage,
    check_hashlock,
)

ASSET = "asset"
"""CAIP-19 namespace of what the lock chaincode registers."""
TOKEN = "token"  # noqa: S105
"""CAIP-19 namespace of what another chaincode holds; the reference is that chaincode's name."""


class Garbage(ValueError):
    """The chaincode's answer is not one that it gives."""


@dataclass(frozen=True, slots=True)
class LockCodec:
    """For one lock chaincode on one channel."""

    chain: ChainId
    genesis_hash: bytes
    chaincode: str

    # identifiers

    def address(self, account: AccountId, field: str = "account") -> str:
        """As the chaincode writes an account. Raises InvalidValue."""
        if account.chain != self.chain:
            raise InvalidValue(f"{field} is on {account.chain}, not on {self.chain}")
        return check_address(account.address, field)

    def asset_text(self, asset: AssetId) -> str:
        """As the chaincode writes an asset. Raises InvalidValue."""
        if asset.chain != self.chain:
            raise InvalidValue(f"asset is on {asset.chain}, not on {self.chain}")
        if asset.namespace not in (ASSET, TOKEN):
            raise InvalidValue(f"asset {asset} must be asset:NAME or token:CHAINCODE on Fabric")
        return f"{asset.namespace}:{percent_decode(asset.reference, 'asset')}"

    def asset_id(self, text: str) -> AssetId:
        namespace, _, name = text.partition(":")
        return AssetId(self.chain, namespace, percent_encode(name))

    # locks

    def lock_id(self, terms: LockTerms) -> LockId:
        """Raises InvalidValue where the terms are not for this chaincode on this channel."""
        if terms.chain != self.chain:
            raise InvalidValue(f"the lock is on {terms.chain}, not on {self.chain}")
        if terms.contract != self.chaincode:
            raise InvalidValue(
                f"the lock names chaincode {terms.contract!r}; here it is {self.chaincode!r}"
            )
        if not 0 < terms.amount <= MAX_AMOUNT:
            raise InvalidValue("amount must be from 1 to 2^256 - 1")
        return locks.id_of(
            self.genesis_hash,
            self.chaincode,
            self.address(terms.sender, "sender"),
            self.address(terms.recipient, "recipient"),
            self.asset_text(terms.asset),
            terms.amount,
            check_hashlock(terms.hashlock),
            terms.deadline,
        )

    def read_record(self, lock_id: LockId, answer: bytes) -> LockRecord:
        """What ``lock_record`` answers. Fabric's state is final, but for what is owed. Raises
        Garbage."""
        try:
            fields = json.loads(answer)
            if fields is None:
                return LockRecord(lock_id, LockState.ABSENT, final=True)
            state = LockState(fields["state"])
            preimage = None
            if state is LockState.CLAIMED:
                preimage = Preimage(bytes.fromhex(fields["preimage"]))
            owed = locks.OWED in fields
            terms = self._terms(lock_id, fields)
            return LockRecord(lock_id, state, not owed, terms, preimage, owed)
        except (ValueError, KeyError, TypeError) as error:
            # The cause is left out: its text may hold the record, and that the preimage.
            kind = type(error).__name__
            raise Garbage(f"the record of lock {lock_id.hex()} cannot be read ({kind})") from None

    def read_event(self, name: str, payload: bytes) -> tuple[LockEvent, Stage] | None:
        """An event of the chaincode; None where it is not about locks. Raises Garbage."""
        if name not in (locks.OPENED, locks.CLAIMED, locks.REFUNDED):
            return None
        try:
            fields = json.loads(payload)
            stage = Stage.PENDING if locks.OWED in fields else Stage.FINAL
            match name:
                case locks.OPENED:
                    lock_id = LockId(bytes.fromhex(fields["lock_id"]))
                    return LockOpened(lock_id, self._terms(lock_id, fields)), stage
                case locks.CLAIMED:
                    preimage = Preimage(bytes.fromhex(fields["preimage"]))
                    return LockClaimed(*_settled(fields), preimage), stage
                case _:
                    return LockRefunded(*_settled(fields)), stage
        except (ValueError, KeyError, TypeError) as error:
            raise Garbage(f"an event {name} cannot be read ({type(error).__name__})") from None

    def _terms(self, lock_id: LockId, fields: dict[str, Any]) -> LockTerms:
        terms = LockTerms(
            self.chain,
            self.chaincode,
            AccountId(self.chain, fields["sender"]),
            AccountId(self.chain, fields["recipient"]),
            self.asset_id(fields["asset"]),
            int(fields["amount"]),
            Hashlock(bytes.fromhex(fields["hashlock"])),
            fields["deadline"],
        )
        if self.lock_id(terms) != lock_id:
            raise ValueError("the terms do not give the lock id")
        return terms


def _settled(fields: dict[str, Any]) -> tuple[LockId, Hashlock]:
    return (
        LockId(bytes.fromhex(fields["lock_id"])),
        Hashlock(bytes.fromhex(fields["hashlock"])),
    )
