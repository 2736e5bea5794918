"""Endorsements are counted by signer: one signer twice is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fabric_protos.peer import transaction_pb2

from adapters.devnet_certificates import KeyPair, issue_identity, make_authority
from adapters.fabric.devnet.block import make_block
from adapters.fabric.devnet.definition import definition_transaction
from adapters.fabric.devnet.ledger import Ledger
from adapters.fabric.devnet.lifecycle import ChaincodeDefinition
from adapters.fabric.devnet.msp import Membership
from adapters.fabric.devnet.peer import Peer
from adapters.fabric.devnet.policy import parse_policy
from adapters.fabric.devnet.signer import SigningIdentity
from adapters.fabric.devnet.system_chaincodes import SystemChaincodes
from adapters.fabric.devnet.validation import Validator

_POLICY = parse_policy("OutOf(2,'A.peer','A.peer')")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger", make_block(0, b"", [b"genesis"]))
    yield opened
    opened.close()


def _judge(ledger: Ledger, authority: KeyPair, names: list[str]) -> int:
    """The code of a transaction that the peers of these names endorsed, two of A's to endorse."""
    membership = Membership({"A": authority.certificate})
    known: dict[str, Peer] = {}
    for name in names:
        identity = SigningIdentity.of("A", issue_identity(authority, name, "A", "peer"))
        system = SystemChaincodes("trade", ("A",), tuple, ledger)
        known.setdefault(name, Peer("", identity, "trade", membership, ledger, system))
    admin = SigningIdentity.of("A", issue_identity(authority, "admin", "A", "admin"))
    definition = ChaincodeDefinition("cc", "1", 1, _POLICY)
    _, envelope = definition_transaction(
        "trade", definition, admin, [known[name] for name in names], ledger
    )
    validator = Validator("trade", membership, ledger, _POLICY)
    (flag,) = validator.judge(1, [envelope.SerializeToString()]).flags
    return flag


def test_two_peers_of_one_organisation_are_two(ledger: Ledger) -> None:
    authority = make_authority("ca.A", "A")
    assert _judge(ledger, authority, ["peer0", "peer1"]) == transaction_pb2.VALID


@pytest.mark.parametrize("names", [["peer0"], ["peer0", "peer0"], ["peer0"] * 5])
def test_one_peer_more_than_once_is_one(ledger: Ledger, names: list[str]) -> None:
    authority = make_authority("ca.A", "A")
    assert _judge(ledger, authority, names) == transaction_pb2.ENDORSEMENT_POLICY_FAILURE


def test_a_stranger_under_the_organisations_name_is_nobody(ledger: Ledger) -> None:
    strangers = make_authority("ca.A", "A")
    membership = Membership({"A": make_authority("ca.A", "A").certificate})
    identity = SigningIdentity.of("A", issue_identity(strangers, "peer0", "A", "peer"))
    system = SystemChaincodes("trade", ("A",), tuple, ledger)
    peer = Peer("", identity, "trade", membership, ledger, system)
    _, envelope = definition_transaction(
        "trade", ChaincodeDefinition("cc", "1", 1, _POLICY), identity, [peer], ledger
    )
    validator = Validator("trade", membership, ledger, _POLICY)
    (flag,) = validator.judge(1, [envelope.SerializeToString()]).flags
    assert flag == transaction_pb2.BAD_CREATOR_SIGNATURE
