"""The lock chaincode and a token chaincode on a channel in memory, set up and funded."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from adapters.fabric.chaincode.configuration import Consent
from adapters.fabric.chaincode.contract import Contract
from adapters.fabric.chaincode.ledger import Caller
from adapters.fabric.chaincode.refusal import Reason, Refused
from tests.adapters.fabric.memory_channel import MemoryChannel, address, person
from tests.networks.fabric_token import Token

CHAIN = hashlib.sha256(b"genesis").digest()
LOCKS = "isthmus"
TOKEN = "token"
NOW = 1_800_000_000
BOUND = 10

ISSUER = person("issuer", "Org3MSP")
ALICE = person("alice", "Org1MSP")
BOB = person("bob", "Org2MSP")
CAROL = person("carol", "Org3MSP")

PREIMAGE = bytes(range(32))
HASHLOCK = hashlib.sha256(PREIMAGE).hexdigest()


def new_channel(*, fee: int = 0, consent: Consent | None = None) -> MemoryChannel:
    """Not set up yet."""
    channel = MemoryChannel({}, NOW)
    allowed = consent or Consent(BOUND, CHAIN, frozenset({TOKEN}))
    channel.chaincodes[LOCKS] = Contract(allowed, channel.clock)
    channel.chaincodes[TOKEN] = Token(fee)
    return channel


def funded_channel(*, fee: int = 0) -> MemoryChannel:
    """gold is registered; Alice and Bob hold 1000 of it, and of the token."""
    channel = new_channel(fee=fee)
    channel.do(LOCKS, ISSUER, "configure", CHAIN.hex(), str(BOUND))
    channel.do(LOCKS, ISSUER, "adopt_token", TOKEN, "TOK", "2")
    channel.do(LOCKS, ISSUER, "register_asset", "gold", "GLD", "3")
    for caller in (ALICE, BOB):
        channel.do(LOCKS, ISSUER, "issue", "gold", address(caller), "1000")
        channel.do(TOKEN, ISSUER, "mint", address(caller), "1000")
    return channel


def balance(channel: MemoryChannel, caller: Caller, asset: str = "asset:gold") -> int:
    return int(channel.simulate(LOCKS, caller, "balance", asset, address(caller)).payload)


def chosen(channel: MemoryChannel, caller: Caller, amount: int) -> str:
    answer = channel.simulate(
        LOCKS, caller, "holdings", "gold", address(caller), str(amount), "[]"
    ).payload
    return json.dumps(json.loads(answer)["holdings"])


def lock_words(
    channel: MemoryChannel,
    sender: Caller,
    recipient: Caller,
    *,
    amount: int = 100,
    hashlock: str = HASHLOCK,
    deadline: int = NOW + 600,
    asset: str = "asset:gold",
    named: str | None = None,
    parts: int = 1,
) -> list[str]:
    if named is None:
        named = "[]" if asset.startswith("token:") else chosen(channel, sender, amount)
    terms = [address(recipient), asset, str(amount), hashlock, str(deadline)]
    return ["lock", *terms, named, str(parts)]


def lock(channel: MemoryChannel, sender: Caller, recipient: Caller, **changes: Any) -> str:
    """Locks in a block of its own; the lock id in hex."""
    answer = channel.do(LOCKS, sender, *lock_words(channel, sender, recipient, **changes))
    lock_id: str = json.loads(answer)["lock_id"]
    return lock_id


def record(channel: MemoryChannel, lock_id: str) -> Any:
    return json.loads(channel.simulate(LOCKS, ALICE, "lock_record", lock_id).payload)


def refusal(
    channel: MemoryChannel, caller: Caller, *words: str, chaincode: str = LOCKS, **how: Any
) -> Reason:
    """Why the transaction is refused; nothing is committed."""
    with pytest.raises(Refused) as caught:
        channel.simulate(chaincode, caller, *words, **how)
    assert str(caught.value).startswith(f"{caught.value.reason}: ")
    return caught.value.reason
