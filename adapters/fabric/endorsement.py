"""Whether a lock may be put under a chaincode's endorsement policy.

An organisation that can veto an endorsement can let a claim lapse; one that suffices alone can
write what it likes. Every organisation is judged, not only those of the two accounts: who stands
behind an account cannot be seen. Only the own organisation's veto is its own affair, unless it is a
party. Either is judged for the policy of the lock chaincode, of the token chaincode where there is
one, and, for sufficing, of the lifecycle that replaces chaincodes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from fabric_protos.msp import msp_config_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2
from google.protobuf.message import DecodeError

from adapters.fabric.gateway import Gateway
from adapters.fabric.ledger import LedgerReader
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
    suffices_alone,
)
from adapters.spi import Rejected, Unavailable

_LIFECYCLE = "_lifecycle"
_LIFECYCLE_POLICY = "/Channel/Application/LifecycleEndorsement"
_PLUGINS = ("escc", "vscc")


@dataclass(frozen=True, slots=True)
class Definition:
    """A chaincode as it is committed on the channel."""

    name: str
    version: str
    sequence: int
    plugins: tuple[str, str]
    """Endorsement and validation."""
    validation_parameter: bytes


async def definition(name: str, gateway: Gateway, chaincode: str) -> Definition | None:
    """The committed definition; None where there is none. ``name`` names the chain to people."""
    arguments = lifecycle_pb2.QueryChaincodeDefinitionArgs(name=chaincode).SerializeToString()
    try:
        answer = await gateway.evaluate(_LIFECYCLE, "QueryChaincodeDefinition", arguments)
        found = lifecycle_pb2.QueryChaincodeDefinitionResult.FromString(answer)
    except Rejected:
        return None
    except DecodeError as error:
        raise Unavailable(f"{name}: the peer's answer is not a chaincode definition") from error
    return Definition(
        chaincode,
        found.version,
        found.sequence,
        (found.endorsement_plugin, found.validation_plugin),
        found.validation_parameter,
    )


async def rule_of(ledger: LedgerReader, found: Definition) -> Rule:
    """Raises NotResolved."""
    if found.plugins != _PLUGINS:
        raise NotResolved(
            f"the chaincode is endorsed by plugins of the peers' own ({', '.join(found.plugins)})"
        )
    return endorsement_rule(found.validation_parameter, await ledger.configuration())


async def rule_or_majority(
    name: str, gateway: Gateway, ledger: LedgerReader, chaincode: str
) -> Rule:
    """The chaincode's rule; most of the channel's organisations where it cannot be judged."""
    committed = await definition(name, gateway, chaincode)
    try:
        if committed is not None:
            return await rule_of(ledger, committed)
    except NotResolved:
        pass
    members = sorted(_members(await ledger.configuration()))
    return OutOf(len(members) // 2 + 1, tuple(SignedBy(member) for member in members))


async def objections(
    name: str,
    gateway: Gateway,
    ledger: LedgerReader,
    chaincodes: Sequence[str],
    parties: Collection[str],
    own: str,
) -> Sequence[str]:
    """Sentences for people. ``parties``: the MSP ids of sender and recipient; ``own``: that of
    the organisation that asks."""
    config = await ledger.configuration()
    found = []
    for chaincode in chaincodes:
        committed = await definition(name, gateway, chaincode)
        if committed is None:
            found.append(f"there is no chaincode {chaincode} on the channel")
            continue
        try:
            rule = await rule_of(ledger, committed)
        except NotResolved as error:
            found.append(f"the endorsement policy of {chaincode} cannot be judged: {error}")
            continue
        found += _judge(f"the endorsement policy of {chaincode}", rule, parties, own, vetoes=True)
    try:
        lifecycle = channel_rule(config, _LIFECYCLE_POLICY)
    except NotResolved as error:
        found.append(f"the channel's lifecycle policy cannot be judged: {error}")
    else:
        found += _judge("the channel's lifecycle policy", lifecycle, parties, own, vetoes=False)
    return found + _strangers(config, parties)


def _judge(what: str, rule: Rule, parties: Collection[str], own: str, *, vetoes: bool) -> list[str]:
    found = []
    for one in sorted(organisations(rule) | set(parties)):
        party = " is a party of the swap and" if one in parties else ""
        if suffices_alone(rule, one):
            found.append(
                f"{what}, {describe(rule)}, is satisfied by {one} alone, which{party} could write "
                "what it likes"
            )
        elif vetoes and can_veto(rule, one) and (one != own or one in parties):
            found.append(
                f"{what}, {describe(rule)}, cannot be satisfied without {one}, which{party} could "
                "veto a claim"
            )
    return found


def _strangers(config: Any, parties: Collection[str]) -> list[str]:
    strangers = sorted(set(parties) - _members(config))
    return [f"{party} is no organisation of the channel" for party in strangers]


def _members(config: Any) -> set[str]:
    application = config.channel_group.groups["Application"].groups
    return {_msp_id(group) for group in application.values()}


def _msp_id(organisation: Any) -> str:
    config = msp_config_pb2.MSPConfig.FromString(organisation.values["MSP"].value)
    return str(msp_config_pb2.FabricMSPConfig.FromString(config.config).name)
