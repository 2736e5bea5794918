"""Endorsement policies: who is needed, who suffices alone, nested and by reference."""

from __future__ import annotations

from typing import Any

import pytest
from fabric_protos.common import configtx_pb2, policies_pb2
from fabric_protos.msp import identities_pb2, msp_principal_pb2
from fabric_protos.peer import policy_pb2

from adapters.fabric.policy import (
    NotResolved,
    OutOf,
    Rule,
    SignedBy,
    can_veto,
    channel_rule,
    describe,
    endorsement_rule,
    organisations,
    satisfied,
    suffices_alone,
)

A, B, C, D = (SignedBy(name) for name in "ABCD")


def out_of(count: int, *rules: Rule) -> OutOf:
    return OutOf(count, rules)


def either(*rules: Rule) -> OutOf:
    return out_of(1, *rules)


def both(*rules: Rule) -> OutOf:
    return out_of(len(rules), *rules)


@pytest.mark.parametrize(
    ("rule", "vetoes", "alone"),
    [
        (out_of(2, A, B, C), "", ""),
        (both(A, B), "AB", ""),
        (either(A, B), "", "AB"),
        (A, "A", "A"),
        (out_of(3, A, B, C), "ABC", ""),
        (out_of(2, A, A, B), "A", "A"),
        (both(A, either(B, C)), "A", ""),
        (either(A, both(B, C)), "", "A"),
        (out_of(2, both(A, B), either(C, D), A), "A", ""),
        (out_of(2, either(A, B), either(B, C), either(C, A)), "", "ABC"),
        (out_of(0), "", "ABCD"),
        (both(out_of(2, A, B, C), out_of(2, B, C, D)), "", ""),
    ],
)
def test_who_can_veto_and_who_suffices(rule: Rule, vetoes: str, alone: str) -> None:
    assert {name for name in "ABCD" if can_veto(rule, name)} == set(vetoes)
    assert {name for name in "ABCD" if suffices_alone(rule, name)} == set(alone)


def test_a_rule_is_described_in_fabrics_words() -> None:
    assert describe(both(A, either(B, C))) == "OutOf(2, 'A', OutOf(1, 'B', 'C'))"
    assert organisations(both(A, either(B, A))) == {"A", "B"}
    assert satisfied(both(A, B), {"A", "B"})


# --- as Fabric encodes them ----------------------------------------------------------------------


def role(msp_id: str) -> Any:
    named = msp_principal_pb2.MSPRole(msp_identifier=msp_id, role=msp_principal_pb2.MSPRole.PEER)
    return msp_principal_pb2.MSPPrincipal(
        principal_classification=msp_principal_pb2.MSPPrincipal.ROLE,
        principal=named.SerializeToString(),
    )


def unit(msp_id: str) -> Any:
    named = msp_principal_pb2.OrganizationUnit(
        msp_identifier=msp_id, organizational_unit_identifier="peers"
    )
    return msp_principal_pb2.MSPPrincipal(
        principal_classification=msp_principal_pb2.MSPPrincipal.ORGANIZATION_UNIT,
        principal=named.SerializeToString(),
    )


def identity(msp_id: str) -> Any:
    named = identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=b"certificate")
    return msp_principal_pb2.MSPPrincipal(
        principal_classification=msp_principal_pb2.MSPPrincipal.IDENTITY,
        principal=named.SerializeToString(),
    )


def encode(rule: Rule, names: str) -> Any:
    match rule:
        case SignedBy(name):
            return policies_pb2.SignaturePolicy(signed_by=names.index(name))
        case OutOf(count, rules):
            inner = [encode(part, names) for part in rules]
            return policies_pb2.SignaturePolicy(
                n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=count, rules=inner)
            )


def envelope(rule: Rule, principals: list[Any], names: str) -> Any:
    return policies_pb2.SignaturePolicyEnvelope(rule=encode(rule, names), identities=principals)


def parameter(policy: Any) -> bytes:
    encoded: bytes = policy_pb2.ApplicationPolicy(signature_policy=policy).SerializeToString()
    return encoded


def referring(path: str) -> bytes:
    encoded: bytes = policy_pb2.ApplicationPolicy(
        channel_config_policy_reference=path
    ).SerializeToString()
    return encoded


def test_signature_policies_are_read_with_every_kind_of_principal() -> None:
    rule = out_of(2, A, both(B, C), either(A, C))
    policy = envelope(rule, [role("A"), unit("B"), identity("C")], "ABC")
    assert endorsement_rule(parameter(policy), None) == rule


def config(meta: Any, members: dict[str, Rule | None]) -> Any:
    """A channel whose Application/Endorsement is this implicit policy over its organisations'."""
    made = configtx_pb2.Config()
    application = made.channel_group.groups["Application"]
    application.policies["Endorsement"].policy.type = policies_pb2.Policy.IMPLICIT_META
    application.policies["Endorsement"].policy.value = policies_pb2.ImplicitMetaPolicy(
        sub_policy="Endorsement", rule=meta
    ).SerializeToString()
    for name, rule in members.items():
        group = application.groups[name]
        if rule is not None:
            own = group.policies["Endorsement"].policy
            own.type = policies_pb2.Policy.SIGNATURE
            own.value = envelope(rule, [role(n) for n in "ABC"], "ABC").SerializeToString()
    return made


REFERENCE = "/Channel/Application/Endorsement"
MEMBERS: dict[str, Rule | None] = {"orgA": A, "orgB": B, "orgC": C}


@pytest.mark.parametrize(
    ("meta", "count"),
    [
        (policies_pb2.ImplicitMetaPolicy.ANY, 1),
        (policies_pb2.ImplicitMetaPolicy.ALL, 3),
        (policies_pb2.ImplicitMetaPolicy.MAJORITY, 2),
    ],
)
def test_references_into_the_channels_configuration_are_resolved(meta: Any, count: int) -> None:
    rule = endorsement_rule(referring(REFERENCE), config(meta, MEMBERS))
    assert rule == out_of(count, A, B, C)


def test_an_organisation_without_the_policy_counts_and_is_never_met() -> None:
    members: dict[str, Rule | None] = {"orgA": A, "orgB": None}
    rule = channel_rule(config(policies_pb2.ImplicitMetaPolicy.MAJORITY, members), REFERENCE)
    assert not satisfied(rule, {"A", "B"})
    members = {"orgA": A, "orgB": B, "orgC": None}
    rule = channel_rule(config(policies_pb2.ImplicitMetaPolicy.MAJORITY, members), REFERENCE)
    assert {name for name in "ABC" if can_veto(rule, name)} == {"A", "B"}


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\xff\xff",
        referring("/Channel/Application/Absent"),
        referring("/Channel/Absent/Endorsement"),
        referring("Endorsement"),
        parameter(envelope(A, [], "A")),
        parameter(
            envelope(
                A,
                [
                    msp_principal_pb2.MSPPrincipal(
                        principal_classification=msp_principal_pb2.MSPPrincipal.ANONYMITY
                    )
                ],
                "A",
            )
        ),
    ],
)
def test_what_cannot_be_judged_is_said(encoded: bytes) -> None:
    with pytest.raises(NotResolved) as caught:
        endorsement_rule(encoded, config(policies_pb2.ImplicitMetaPolicy.ANY, MEMBERS))
    assert str(caught.value)
