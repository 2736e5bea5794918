"""Locks between the model's words and the chaincode's, and the settings that name a channel."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.fabric.account import address_of
from adapters.fabric.block import chain_of
from adapters.fabric.lock_codec import Garbage, LockCodec
from adapters.fabric.settings import FabricSettings
from adapters.model import (
    AccountId,
    AssetId,
    ChainId,
    Hashlock,
    InvalidValue,
    LockClaimed,
    LockId,
    LockOpened,
    LockRecord,
    LockRefunded,
    LockState,
    LockTerms,
    Preimage,
    Stage,
)
from tests.adapters.fabric.chaincode_bench import (
    ALICE,
    BOB,
    CHAIN,
    HASHLOCK,
    LOCKS,
    NOW,
    PREIMAGE,
    funded_channel,
    lock,
    record,
)

CODEC = LockCodec(chain_of(CHAIN), CHAIN, LOCKS)


def terms(**changes: Any) -> LockTerms:
    accounts = [
        AccountId(CODEC.chain, address_of(who.msp_id, who.certificate)) for who in (ALICE, BOB)
    ]
    asset = AssetId(CODEC.chain, "asset", "gold")
    hashlock = Hashlock(bytes.fromhex(HASHLOCK))
    plain = LockTerms(CODEC.chain, LOCKS, *accounts, asset, 100, hashlock, NOW + 600)
    return replace(plain, **changes)


def test_driver_and_chaincode_give_one_lock_one_id_and_read_each_other() -> None:
    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB)
    lock_id = CODEC.lock_id(terms())
    assert lock_id.hex() == lock_hex
    opened = channel.events[-1]
    assert CODEC.read_event(opened.name, opened.payload) == (
        LockOpened(lock_id, terms()),
        Stage.FINAL,
    )
    told = json.dumps(record(channel, lock_hex)).encode()
    assert CODEC.read_record(lock_id, told) == LockRecord(
        lock_id, LockState.OPEN, final=True, terms=terms()
    )
    channel.do(LOCKS, BOB, "claim", lock_hex, PREIMAGE.hex())
    claimed = channel.events[-1]
    assert CODEC.read_event(claimed.name, claimed.payload) == (
        LockClaimed(lock_id, terms().hashlock, Preimage(PREIMAGE)),
        Stage.FINAL,
    )
    told = json.dumps(record(channel, lock_hex)).encode()
    assert CODEC.read_record(lock_id, told) == LockRecord(
        lock_id, LockState.CLAIMED, final=True, terms=terms(), preimage=Preimage(PREIMAGE)
    )
    refunded = json.dumps({"hashlock": HASHLOCK, "lock_id": lock_hex}).encode()
    assert CODEC.read_event("isthmus.lock.refunded", refunded) == (
        LockRefunded(lock_id, terms().hashlock),
        Stage.FINAL,
    )
    assert CODEC.read_event("other", b"garbage") is None
    assert CODEC.read_record(lock_id, b"null").state is LockState.ABSENT


def test_what_is_owed_is_not_final_yet() -> None:
    channel = funded_channel()
    lock_hex = lock(channel, ALICE, BOB, asset="token:token")
    lock_id = LockId(bytes.fromhex(lock_hex))
    for words, stage in ((("claim", PREIMAGE.hex()), Stage.PENDING), (("collect",), Stage.FINAL)):
        function, *rest = words
        channel.do(LOCKS, BOB, function, lock_hex, *rest)
        told = CODEC.read_event(channel.events[-1].name, channel.events[-1].payload)
        event = LockClaimed(lock_id, terms().hashlock, Preimage(PREIMAGE))
        assert told == (event, stage)
        read = CODEC.read_record(lock_id, json.dumps(record(channel, lock_hex)).encode())
        owed = stage is Stage.PENDING
        assert (read.state, read.owed, read.final) == (LockState.CLAIMED, owed, not owed)
        assert read.preimage == Preimage(PREIMAGE)


def test_a_token_chaincodes_name_is_percent_encoded() -> None:
    asset = CODEC.asset_id("token:my_erc-20")
    assert str(asset) == f"{CODEC.chain}/token:my%5Ferc-20"
    assert CODEC.asset_text(asset) == "token:my_erc-20"


def test_what_the_terms_do_not_bear_out_is_garbage_without_its_text() -> None:
    lock_id = LockId(bytes(32))
    secret = PREIMAGE.hex()
    fields = {
        "amount": "100",
        "asset": "asset:gold",
        "deadline": NOW + 600,
        "hashlock": HASHLOCK,
        "lock_id": lock_id.hex(),
        "preimage": secret,
        "recipient": terms().recipient.address,
        "sender": terms().sender.address,
        "state": "claimed",
    }
    for told in (fields, {**fields, "preimage": secret[2:]}, {"state": "claimed"}, [secret], 5):
        with pytest.raises(Garbage) as caught:
            CODEC.read_record(lock_id, json.dumps(told).encode())
        assert secret[2:] not in str(caught.value)
        assert caught.value.__cause__ is None
    for name in ("opened", "claimed"):
        with pytest.raises(Garbage):
            CODEC.read_event(f"isthmus.lock.{name}", json.dumps(fields).encode()[:-1])


@pytest.mark.parametrize(
    "changes",
    [
        {"contract": "other"},
        {"asset": AssetId(CODEC.chain, "slip44", "60")},
        {"asset": AssetId(CODEC.chain, "token", "my%5ferc")},
        {"recipient": AccountId(CODEC.chain, "0x52908400098527886E0F7030069857D2E4169EE7")},
    ],
)
def test_terms_of_another_kind_have_no_id(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        CODEC.lock_id(terms(**changes))


def test_the_id_holds_the_whole_genesis_hash() -> None:
    """Also the half that the chain's CAIP-2 id leaves out."""
    twin = LockCodec(CODEC.chain, CHAIN[:16] + hashlib.sha256(b"other").digest()[:16], LOCKS)
    assert twin.lock_id(terms()) != CODEC.lock_id(terms())
    assert CODEC.chain == ChainId("fabric", CHAIN.hex()[:32])


GOOD: dict[str, Any] = {
    "adapter": "fabric",
    "chain": str(CODEC.chain),
    "inclusion": 3,
    "finality": 0,
    "clock": 3,
    "reaction": 2,
    "endpoints": [{"address": "127.0.0.1:7051"}],
    "channel": "trade",
    "msp_id": "Org1MSP",
    "certificate": "certificate.pem",
    "reader_key": "key.pem",
}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"endpoints": []}, "endpoints"),
        ({"endpoints": [{"address": "peer:7051"}]}, "tls_ca"),
        ({"endpoints": [{"address": "https://peer:7051", "tls_ca": "ca.pem"}]}, "address"),
        ({"chaincode": "a b"}, "chaincode"),
        ({"tls_key": "key.pem"}, "tls_certificate"),
        ({"assets": ["gold"]}, "assets"),
        ({"reaction": -1}, "reaction"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_settings_that_cannot_be_name_their_field(changes: dict[str, Any], field: str) -> None:
    FabricSettings.model_validate(GOOD)
    with pytest.raises(ValidationError, match=field):
        FabricSettings.model_validate(GOOD | changes)
