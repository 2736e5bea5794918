"""Who must endorse: policies read down to organisations, and what one organisation can do alone.

Roles, organisational units and single identities count for their MSP: an organisation issues its
own certificates, so it can bring as many signers of any role as a rule asks for. Policies of the
channel's configuration are resolved: signature policies, and implicit ones (ANY, ALL, MAJORITY of
the sub-groups' policies of a name), as Fabric evaluates them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, assert_never

from fabric_protos.common import policies_pb2
from fabric_protos.msp import identities_pb2, msp_principal_pb2
from fabric_protos.peer import policy_pb2
from google.protobuf.message import DecodeError


class NotResolved(Exception):
    """The policy is of a kind, or at a place, that cannot be judged. The message says which."""


@dataclass(frozen=True, slots=True)
class SignedBy:
    """Any identity of an organisation."""

    msp_id: str


@dataclass(frozen=True, slots=True)
class OutOf:
    """So many of these."""

    count: int
    rules: tuple[Rule, ...]


Rule = SignedBy | OutOf


def satisfied(rule: Rule, msp_ids: Collection[str]) -> bool:
    """Whether these organisations together meet the rule."""
    match rule:
        case SignedBy(msp_id):
            return msp_id in msp_ids
        case OutOf(count, rules):
            return sum(satisfied(inner, msp_ids) for inner in rules) >= count
        case _:
            assert_never(rule)


def organisations(rule: Rule) -> frozenset[str]:
    match rule:
        case SignedBy(msp_id):
            return frozenset({msp_id})
        case OutOf(_, rules):
            return frozenset().union(*(organisations(inner) for inner in rules))
        case _:
            assert_never(rule)


def endorsing_sets(rule: Rule, allowed: Collection[str]) -> Iterator[frozenset[str]]:
    """Sets of these organisations that meet the rule with one signature of each.

    Stricter than ``satisfied``: one signature counts for one place in a policy, and the Gateway
    service asks one peer of each organisation that it is told.
    """
    match rule:
        case SignedBy(msp_id):
            if msp_id in allowed:
                yield frozenset({msp_id})
        case OutOf(count, rules):
            able = [inner for inner in rules if satisfied(inner, allowed)]
            for chosen in combinations(able, max(count, 0)):
                yield from _endorsing_all(chosen, frozenset(allowed))
        case _:
            assert_never(rule)


def _endorsing_all(rules: Sequence[Rule], allowed: frozenset[str]) -> Iterator[frozenset[str]]:
    if not rules:
        yield frozenset()
        return
    for first in endorsing_sets(rules[0], allowed):
        for others in _endorsing_all(rules[1:], allowed - first):
            yield first | others


def can_veto(rule: Rule, msp_id: str) -> bool:
    """Whether nothing can be endorsed without this organisation."""
    return not satisfied(rule, organisations(rule) - {msp_id})


def suffices_alone(rule: Rule, msp_id: str) -> bool:
    """Whether this organisation needs no other to endorse whatever it likes."""
    return satisfied(rule, {msp_id})


def describe(rule: Rule) -> str:
    """The rule in the words of Fabric's policy language."""
    match rule:
        case SignedBy(msp_id):
            return f"'{msp_id}'"
        case OutOf(count, rules):
            return f"OutOf({', '.join([str(count), *map(describe, rules)])})"
        case _:
            assert_never(rule)


# --- reading -------------------------------------------------------------------------------------


def endorsement_rule(parameter: bytes, config: Any) -> Rule:
    """The rule of a chaincode definition's validation parameter (peer.ApplicationPolicy);
    ``config`` is the channel's common.Config. Raises NotResolved."""
    try:
        policy = policy_pb2.ApplicationPolicy.FromString(parameter)
        kind = policy.WhichOneof("Type")
    except DecodeError as error:
        raise NotResolved("the validation parameter is not an application policy") from error
    if kind == "signature_policy":
        return _signature_rule(policy.signature_policy)
    if kind == "channel_config_policy_reference":
        return channel_rule(config, policy.channel_config_policy_reference)
    raise NotResolved("the chaincode definition names no endorsement policy")


def channel_rule(config: Any, reference: str) -> Rule:
    """The rule of a policy in the channel's configuration, named by its path, for example
    ``/Channel/Application/Endorsement``. Raises NotResolved."""
    root, *path = reference.strip("/").split("/")
    if root != "Channel" or not path:
        raise NotResolved(f"the policy reference {reference!r} does not begin with /Channel/")
    group = config.channel_group
    for name in path[:-1]:
        if name not in group.groups:
            raise NotResolved(f"the channel has no group for the policy {reference}")
        group = group.groups[name]
    return _group_rule(group, path[-1], reference)


def _group_rule(group: Any, name: str, where: str) -> Rule:
    if name not in group.policies:
        raise NotResolved(f"the channel has no policy {where}")
    policy = group.policies[name].policy
    try:
        match policy.type:
            case policies_pb2.Policy.SIGNATURE:
                return _signature_rule(
                    policies_pb2.SignaturePolicyEnvelope.FromString(policy.value)
                )
            case policies_pb2.Policy.IMPLICIT_META:
                meta = policies_pb2.ImplicitMetaPolicy.FromString(policy.value)
                return _implicit_rule(group, meta, where)
            case _:
                raise NotResolved(f"policy {where} is of a kind that cannot be judged")
    except DecodeError as error:
        raise NotResolved(f"policy {where} cannot be decoded") from error


def _implicit_rule(group: Any, meta: Any, where: str) -> Rule:
    inner: list[Rule] = []
    for name in sorted(group.groups):
        child = group.groups[name]
        if meta.sub_policy in child.policies:
            inner.append(_group_rule(child, meta.sub_policy, f"{where} of {name}"))
        else:
            inner.append(OutOf(1, ()))  # counted, and never met
    match meta.rule:
        case policies_pb2.ImplicitMetaPolicy.ANY:
            count = 1
        case policies_pb2.ImplicitMetaPolicy.ALL:
            count = len(inner)
        case _:
            count = len(inner) // 2 + 1
    return OutOf(count if inner else 0, tuple(inner))


def _signature_rule(envelope: Any) -> Rule:
    return _rule(envelope.rule, [_msp_of(principal) for principal in envelope.identities])


def _rule(rule: Any, msp_ids: list[str]) -> Rule:
    match rule.WhichOneof("Type"):
        case "signed_by":
            if not 0 <= rule.signed_by < len(msp_ids):
                raise NotResolved("a policy names an identity that it does not list")
            return SignedBy(msp_ids[rule.signed_by])
        case "n_out_of":
            inner = tuple(_rule(part, msp_ids) for part in rule.n_out_of.rules)
            return OutOf(rule.n_out_of.n, inner)
        case _:
            raise NotResolved("a policy holds a rule of an unknown kind")


def _msp_of(principal: Any) -> str:
    kinds = msp_principal_pb2.MSPPrincipal
    try:
        match principal.principal_classification:
            case kinds.ROLE:
                role = msp_principal_pb2.MSPRole.FromString(principal.principal)
                return str(role.msp_identifier)
            case kinds.ORGANIZATION_UNIT:
                unit = msp_principal_pb2.OrganizationUnit.FromString(principal.principal)
                return str(unit.msp_identifier)
            case kinds.IDENTITY:
                identity = identities_pb2.SerializedIdentity.FromString(principal.principal)
                return str(identity.mspid)
            case _:
                raise NotResolved("a policy names a principal that belongs to no one organisation")
    except DecodeError as error:
        raise NotResolved("a policy's principal cannot be decoded") from error
