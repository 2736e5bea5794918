"""Signature policies: reading them from text, and asking whether a set of signers meets one.

The text is Fabric's policy language: ``OutOf(2, 'OrgAMSP.peer', 'OrgBMSP.peer')``, ``AND(...)``,
``OR(...)``, nested at will. Evaluation follows ``common/cauthdsl`` in Fabric: rules are tried in
order, each signer counts once, and what a failed branch used up is given back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import policy_pb2

from adapters.fabric.devnet.msp import Identity
from adapters.model import InvalidValue

_TOKEN = re.compile(r"\s*(?:([A-Za-z]+)\s*\(|'([^']*)'|\"([^\"]*)\"|([0-9]+)|([,)]))")
_PRINCIPAL = re.compile(r"([A-Za-z0-9.-]+)\.(admin|member|client|peer|orderer)")


def role_principal(msp_id: str, role: str) -> msp_principal_pb2.MSPPrincipal:
    """Anybody with this role in this organisation; ``member`` is every role."""
    named = msp_principal_pb2.MSPRole(
        msp_identifier=msp_id, role=msp_principal_pb2.MSPRole.MSPRoleType.Value(role.upper())
    )
    return msp_principal_pb2.MSPPrincipal(
        principal_classification=msp_principal_pb2.MSPPrincipal.ROLE,
        principal=named.SerializeToString(),
    )


def out_of(n: int, principals: Sequence[tuple[str, str]]) -> policies_pb2.SignaturePolicyEnvelope:
    """n of these (MSP id, role) principals."""
    return policies_pb2.SignaturePolicyEnvelope(
        rule=policies_pb2.SignaturePolicy(
            n_out_of=policies_pb2.SignaturePolicy.NOutOf(
                n=n,
                rules=[
                    policies_pb2.SignaturePolicy(signed_by=index)
                    for index in range(len(principals))
                ],
            )
        ),
        identities=[role_principal(msp_id, role) for msp_id, role in principals],
    )


def parse_policy(text: str) -> policies_pb2.SignaturePolicyEnvelope:
    """Reads a policy's text. Raises InvalidValue."""
    tokens = _tokens(text)
    principals: dict[tuple[str, str], int] = {}
    rule = _rule(next(tokens), tokens, principals, text)
    if next(tokens) != ("end", ""):
        raise InvalidValue(f"policy {text!r} goes on after its end")
    return policies_pb2.SignaturePolicyEnvelope(
        rule=rule, identities=[role_principal(msp_id, role) for msp_id, role in principals]
    )


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidValue(f"policy {text!r} cannot be read from character {position + 1} on")
        position = match.end()
        operator, single, double, number, mark = match.groups()
        if operator is not None:
            yield "operator", operator.lower()
        elif number is not None:
            yield "number", number
        elif mark is not None:
            yield mark, mark
        else:
            yield "principal", single if single is not None else double
    while True:
        yield "end", ""


def _rule(
    token: tuple[str, str],
    tokens: Iterator[tuple[str, str]],
    principals: dict[tuple[str, str], int],
    text: str,
) -> policies_pb2.SignaturePolicy:
    kind, value = token
    if kind == "principal":
        match = _PRINCIPAL.fullmatch(value)
        if match is None:
            raise InvalidValue(
                f"policy names {value!r}; write MSP.role, for example 'OrgAMSP.peer'"
            )
        index = principals.setdefault((match[1], match[2]), len(principals))
        return policies_pb2.SignaturePolicy(signed_by=index)
    if kind != "operator" or value not in ("outof", "and", "or"):
        raise InvalidValue(f"policy {text!r} must be built of OutOf, AND, OR and 'MSP.role'")
    needed = None
    if value == "outof":
        kind, number = next(tokens)
        if kind != "number" or next(tokens)[0] != ",":
            raise InvalidValue(f"policy {text!r}: OutOf begins with a number and a comma")
        needed = int(number)
    rules = [_rule(next(tokens), tokens, principals, text)]
    while (mark := next(tokens)[0]) == ",":
        rules.append(_rule(next(tokens), tokens, principals, text))
    if mark != ")":
        raise InvalidValue(f"policy {text!r}: a bracket is not closed")
    if needed is None:
        needed = len(rules) if value == "and" else 1
    if not 1 <= needed <= len(rules):
        raise InvalidValue(f"policy {text!r} asks for {needed} of {len(rules)} rules")
    return policies_pb2.SignaturePolicy(
        n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=needed, rules=rules)
    )


def application_policy(envelope: policies_pb2.SignaturePolicyEnvelope) -> bytes:
    """A chaincode's validation parameter: the policy as ``protos.ApplicationPolicy``."""
    policy = policy_pb2.ApplicationPolicy(signature_policy=envelope)
    serialized: bytes = policy.SerializeToString()
    return serialized


def satisfied(envelope: policies_pb2.SignaturePolicyEnvelope, signers: Sequence[Identity]) -> bool:
    """Whether distinct signers meet the policy. A policy that cannot be read is met by nobody."""
    used = [False] * len(signers)
    return _satisfied(envelope.rule, envelope.identities, signers, used)


def _satisfied(
    rule: policies_pb2.SignaturePolicy,
    principals: Sequence[msp_principal_pb2.MSPPrincipal],
    signers: Sequence[Identity],
    used: list[bool],
) -> bool:
    match rule.WhichOneof("Type"):
        case "signed_by":
            if not 0 <= rule.signed_by < len(principals):
                return False
            for index, signer in enumerate(signers):
                if not used[index] and signer.satisfies(principals[rule.signed_by]):
                    used[index] = True
                    return True
            return False
        case "n_out_of":
            met = 0
            for inner in rule.n_out_of.rules:
                attempt = list(used)
                if _satisfied(inner, principals, signers, attempt):
                    met += 1
                    used[:] = attempt
            return bool(met >= rule.n_out_of.n)
        case _:
            return False


def minimal_sets(
    policies: Iterable[policies_pb2.SignaturePolicyEnvelope], peers: Mapping[str, Identity]
) -> list[frozenset[str]]:
    """The smallest sets of organisations whose peers, one each, meet every policy: all sets that
    do and have no smaller one inside, in the order of size and then of ``peers``."""
    wanted = list(policies)
    found: list[frozenset[str]] = []
    for size in range(1, len(peers) + 1):
        for chosen in combinations(peers, size):
            if any(smaller <= frozenset(chosen) for smaller in found):
                continue
            if all(satisfied(policy, [peers[msp_id] for msp_id in chosen]) for policy in wanted):
                found.append(frozenset(chosen))
    return found
