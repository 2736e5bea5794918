"""Signature policies: their text, who meets them, and which peers are asked."""

from __future__ import annotations

import pytest
from fabric_protos.common import policies_pb2

from adapters.devnet_certificates import KeyPair, issue_identity, make_authority
from adapters.fabric.devnet.msp import Identity, Membership, serialize
from adapters.fabric.devnet.policy import minimal_sets, parse_policy, satisfied
from adapters.model import InvalidValue

NAMES = ("A", "B", "C")


@pytest.fixture(scope="module")
def authorities() -> dict[str, KeyPair]:
    return {name: make_authority(f"ca.{name}", name) for name in NAMES}


@pytest.fixture(scope="module")
def membership(authorities: dict[str, KeyPair]) -> Membership:
    return Membership({name: pair.certificate for name, pair in authorities.items()})


@pytest.fixture(scope="module")
def signer(authorities: dict[str, KeyPair], membership: Membership) -> dict[str, Identity]:
    """Identities by name: A.peer, A.peer2, A.client, A.admin and so on."""
    found = {}
    for name, authority in authorities.items():
        for label, role in (
            ("peer", "peer"),
            ("peer2", "peer"),
            ("client", "client"),
            ("admin", "admin"),
        ):
            pair = issue_identity(authority, label, name, role)
            found[f"{name}.{label}"] = membership.identity(serialize(name, pair.certificate_pem()))
    return found


@pytest.mark.parametrize(
    ("policy", "signers", "met"),
    [
        ("OutOf(2,'A.peer','B.peer','C.peer')", "A.peer B.peer", True),
        ("OutOf(2,'A.peer','B.peer','C.peer')", "A.peer A.peer2", False),
        ("OutOf(2,'A.peer','B.peer','C.peer')", "A.peer B.client", False),
        ("OutOf(2,'A.peer','A.peer')", "A.peer", False),
        ("OutOf(2,'A.peer','A.peer')", "A.peer A.peer2", True),
        ("AND('A.member','B.member')", "A.client B.admin", True),
        ("AND('A.member','B.member')", "A.client", False),
        ("OR('A.admin','B.client')", "B.client", True),
        ("OR('A.admin','B.client')", "A.client", False),
        ("AND('A.peer', OR('B.peer','C.peer'))", "A.peer C.peer", True),
        ("AND('A.peer', OR('B.peer','C.peer'))", "B.peer C.peer", False),
        # A branch that fails gives back the signer that it used.
        ("OutOf(1, AND('A.peer','B.peer'), 'A.peer')", "A.peer", True),
        ("OR('A.peer')", "", False),
    ],
)
def test_who_meets_a_policy(
    signer: dict[str, Identity], policy: str, signers: str, met: bool
) -> None:
    chosen = [signer[name] for name in signers.split()]
    assert satisfied(parse_policy(policy), chosen) is met


def test_a_rule_that_points_nowhere_is_met_by_nobody(signer: dict[str, Identity]) -> None:
    policy = parse_policy("OR('A.peer')")
    policy.rule.n_out_of.rules[0].signed_by = 7
    assert not satisfied(policy, [signer["A.peer"]])
    assert not satisfied(policies_pb2.SignaturePolicyEnvelope(), [signer["A.peer"]])


@pytest.mark.parametrize(
    ("policies", "sets"),
    [
        (["OutOf(2,'A.peer','B.peer','C.peer')"], ["AB", "AC", "BC"]),
        (["AND('A.peer', OR('B.peer','C.peer'))"], ["AB", "AC"]),
        (["OR('A.peer','B.peer')", "OR('B.peer','C.peer')"], ["B", "AC"]),
        (["OR('A.client')"], []),
    ],
)
def test_the_smallest_sets_of_peers(
    signer: dict[str, Identity], policies: list[str], sets: list[str]
) -> None:
    peers = {name: signer[f"{name}.peer"] for name in NAMES}
    found = minimal_sets([parse_policy(policy) for policy in policies], peers)
    assert ["".join(sorted(one)) for one in found] == sets


@pytest.mark.parametrize(
    "text",
    [
        "",
        "'A.peer",
        "A.peer",
        "OutOf('A.peer')",
        "OutOf(3,'A.peer','B.peer')",
        "OutOf(0,'A.peer')",
        "AND('A.peer'",
        "AND('A.peer') x",
        "OR('A.boss')",
        "NOT('A.peer')",
        "AND()",
    ],
)
def test_a_policy_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidValue, match="policy"):
        parse_policy(text)
