"""The driver on a real Fabric network: races, clocks, policies, failing parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from fabric_protos.gateway import gateway_pb2

from adapters.fabric.driver import FabricAdapter
from adapters.fabric.gateway import Gateway, connect
from adapters.fabric.identity import Identity, identity_of
from adapters.fabric.pem_signer import PemSigner
from adapters.fabric.plugin import plugin
from adapters.fabric.proposal import propose
from adapters.model import (
    AccountId,
    AssetId,
    Claim,
    Collect,
    Cursor,
    Lock,
    LockClaimed,
    LockEvent,
    LockOpened,
    LockState,
    LockTerms,
    Notice,
    Preimage,
    Stage,
    Withdraw,
)
from adapters.spi import (
    Adapter,
    Credential,
    Misconfigured,
    NotSent,
    Rejected,
    RejectionReason,
    Unavailable,
    Unknown,
)
from tests.adapters.fabric.real_harness import (
    RealHarness,
    credential_of,
    settings_of,
    until_ready,
)
from tests.networks.fabric import CHAINCODE, FabricNetwork
from tests.ports import free_port

SECOND = 10**9
LONG = 120
"""Seconds of a bound that is not to be broken, however busy the machine."""


@pytest.fixture
async def network(funded: RealHarness) -> FabricNetwork:
    for number in (1, 2):
        await until_ready(funded.network, number)
    return funded.network


def reader_of(network: FabricNetwork, number: int) -> Identity:
    user = network.user(number, "User2")
    return identity_of(user.msp_id, user.certificate.read_bytes(), PemSigner.load(user.key))


@asynccontextmanager
async def driver(
    network: FabricNetwork, number: int = 1, off: float = 0.0, **changes: Any
) -> AsyncIterator[FabricAdapter]:
    """A driver whose own clock is so many seconds off."""

    def clock() -> int:
        return time.time_ns() + int(off * SECOND)

    settings = settings_of(network, number, **{"inclusion": LONG} | changes)
    async with connect("fabric", settings, reader_of(network, number), time.time_ns) as gateway:
        adapter = FabricAdapter("fabric", settings, gateway, clock)
        await adapter.check()
        yield adapter


async def terms_for(
    adapter: Adapter, harness: RealHarness, preimage: Preimage, **changes: Any
) -> LockTerms:
    fields: dict[str, Any] = {
        "chain": adapter.profile.chain,
        "contract": adapter.profile.contract,
        "sender": harness.credentials[0].account,
        "recipient": harness.credentials[1].account,
        "asset": harness.assets[0],
        "amount": 5,
        "hashlock": preimage.hashlock(),
        "deadline": (await adapter.head()).time + 3600,
    }
    return LockTerms(**(fields | changes))


def new_preimage() -> Preimage:
    return Preimage(time.time_ns().to_bytes(32, "big"))


async def _told(
    adapter: Adapter,
    event: LockEvent,
    notices: AsyncIterator[Notice] | None = None,
    stage: Stage = Stage.FINAL,
) -> None:
    """Returns when the stream (a new one, unless given) tells an event, as final unless said."""
    async for notice in notices or adapter.events(None):
        told = [seen.event for seen in notice.observations if seen.stage is stage]
        if event in told:
            return


# --- opening -------------------------------------------------------------------------------------


async def test_the_profile_is_what_the_settings_say(network: FabricNetwork) -> None:
    async with plugin.open("trade", settings_of(network, 1)) as adapter:
        profile = adapter.profile
        assert profile.contract == CHAINCODE
        # L = R + I: an endorsement does not expire.
        assert profile.bounds.late == 5 + profile.bounds.inclusion
        assert profile.fee_asset is None
        assert (await adapter.header(0)).hash == network.genesis_hash


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chain": "fabric:" + "0" * 32}, "not the configured"),
        ({"chaincode": "absent"}, "there is no chaincode absent"),
        ({"chaincode": "token"}, "not ready for use"),
        ({"chaincode_version": "2"}, "version 1, not the configured 2"),
        ({"clock": 1}, r"raise it to 3"),
    ],
)
async def test_what_does_not_fit_is_misconfigured(
    network: FabricNetwork, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Misconfigured, match=said):
        async with plugin.open("trade", settings_of(network, 1, **changes)):
            pass


async def test_an_absent_channel_is_an_error_that_names_it(network: FabricNetwork) -> None:
    with pytest.raises((Misconfigured, Unavailable), match="absent"):
        async with plugin.open("trade", settings_of(network, 1, channel="absent")):
            pass


async def test_a_key_of_another_certificate_is_misconfigured(network: FabricNetwork) -> None:
    other = network.user(1, "User3").key
    with pytest.raises(Misconfigured, match="another key"):
        async with plugin.open("trade", settings_of(network, 1, reader_key=other)):
            pass
    with pytest.raises(Misconfigured, match="another key"):
        plugin.credential(settings_of(network, 1), PemSigner.load(other))


async def test_an_identity_of_another_organisation_is_misconfigured(
    network: FabricNetwork,
) -> None:
    """Organisation 2's certificate under organisation 1's name."""
    user = network.user(2)
    changes = {
        "certificate": user.certificate,
        "reader_certificate": user.certificate,
        "reader_key": user.key,
    }
    with pytest.raises(Misconfigured, match="certificate"):
        async with plugin.open("trade", settings_of(network, 1, **changes)):
            pass


# --- clocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [-30.0, 30.0])
async def test_a_clock_beyond_the_bound_is_refused_by_the_endorsers(
    network: FabricNetwork, funded: RealHarness, off: float
) -> None:
    preimage = new_preimage()
    async with driver(network) as good, driver(network, off=off) as bad:
        terms = await terms_for(good, funded, preimage)
        with pytest.raises(NotSent, match="clock"):
            await bad.submit(Lock(terms), funded.credentials[0])
        assert (await good.lookup(good.lock_id(terms))).state is LockState.ABSENT
        findings = {finding.check: finding for finding in await bad.diagnose(None)}
        assert not findings["endorser's clock"].ok
        assert findings["clock bound"].ok


# --- races ---------------------------------------------------------------------------------------


async def test_of_two_who_spend_one_holding_one_is_not_sent(
    network: FabricNetwork, funded: RealHarness
) -> None:
    """Two gateways act for one account and know nothing of each other."""
    await network.invoke(CHAINCODE, "register_asset", "single", "ONE", "0")
    sender = funded.credentials[0]
    await network.invoke(CHAINCODE, "issue", "single", sender.account.address, "10")
    asset = AssetId(funded.assets[0].chain, "asset", "single")
    async with AsyncExitStack() as stack:
        drivers = [await stack.enter_async_context(driver(network)) for _ in range(2)]
        all_terms = [
            await terms_for(one, funded, new_preimage(), asset=asset, amount=4) for one in drivers
        ]
        outcomes = await asyncio.gather(
            *(
                one.submit(Lock(terms), sender)
                for one, terms in zip(drivers, all_terms, strict=True)
            ),
            return_exceptions=True,
        )
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert [type(error) for error in failed] == [NotSent], outcomes
        assert await drivers[0].balance(sender.account, asset) == 6


async def test_an_endorsement_of_one_organisation_alone_changes_nothing(
    network: FabricNetwork, funded: RealHarness
) -> None:
    """The policy is two of three: the ledger itself refuses what one has endorsed."""
    settings = settings_of(network, 1)
    user = network.user(1)
    me = identity_of(user.msp_id, user.certificate.read_bytes(), PemSigner.load(user.key))
    words = [b"transfer", b"gold", funded.credentials[1].account.address.encode()]
    async with connect("fabric", settings, me, time.time_ns) as gateway, driver(network) as one:
        before = await one.balance(funded.credentials[0].account, funded.assets[0])
        proposal = await propose(
            me, settings.channel, CHAINCODE, [*words, b"5", b"[]", b"1"], time.time_ns()
        )
        reply = await gateway._peers[0].stub.Endorse(
            gateway_pb2.EndorseRequest(
                transaction_id=proposal.transaction,
                channel_id=proposal.channel,
                proposed_transaction=proposal.signed,
                endorsing_organizations=["OrgAMSP"],
            )
        )
        await gateway.submit(me, proposal, reply.prepared_transaction)
        code = await gateway.commit_status(proposal.transaction, LONG)
        assert code == "ENDORSEMENT_POLICY_FAILURE"
        told = await one.transaction(proposal.transaction)
        assert (told.succeeded, told.status) == (False, "ENDORSEMENT_POLICY_FAILURE")
        assert await one.balance(funded.credentials[0].account, funded.assets[0]) == before


# --- policies ------------------------------------------------------------------------------------


async def test_strangers_and_wrong_terms_meet_objections(
    network: FabricNetwork, funded: RealHarness
) -> None:
    async with driver(network) as one:
        preimage = new_preimage()
        for asset in funded.assets:
            good = await terms_for(one, funded, preimage, asset=asset)
            assert list(await one.objections(good)) == []
        account = good.recipient
        stranger = AccountId(account.chain, "Org9MSP." + account.address.rpartition(".")[2])
        terms = await terms_for(one, funded, preimage, recipient=stranger)
        assert any("Org9MSP is no organisation" in said for said in await one.objections(terms))
        terms = await terms_for(one, funded, preimage, contract="other")
        assert any("'other'" in said for said in await one.objections(terms))


async def test_a_policy_that_a_party_can_veto_or_satisfy_meets_objections(
    fabric_two: FabricNetwork,
) -> None:
    """AND(Org1, OR(Org2, Org3)): Org1 can veto. OR(Org1, Org2): either suffices."""
    network = fabric_two
    sender, recipient = (credential_of(network, number) for number in (1, 2))
    harness = RealHarness(network)
    await network.invoke(CHAINCODE, "register_asset", "gold", "GLD", "3")
    await until_ready(network, 1)
    async with driver(network) as one:
        terms = await terms_for(
            one, harness, new_preimage(), sender=sender.account, recipient=recipient.account
        )
        await network.redefine("AND('OrgAMSP.peer',OR('OrgBMSP.peer','OrgCMSP.peer'))", 2)
        await _until_policy_says(one, terms, "without OrgAMSP")
        await network.redefine("OR('OrgAMSP.peer','OrgBMSP.peer')", 3)
        said = await _until_policy_says(one, terms, "satisfied by OrgAMSP alone")
        assert any("satisfied by OrgBMSP alone" in sentence for sentence in said)
        await network.redefine(None, 4)  # the channel's own: a majority of its organisations
        assert await _until_policy_says(one, terms, None) == []


async def _until_policy_says(one: Adapter, terms: LockTerms, text: str | None) -> list[str]:
    """The peer commits the new definition on its own time."""
    while True:
        said = list(await one.objections(terms))
        if text is None and not said:
            return said
        if text is not None and any(text in sentence for sentence in said):
            return said
        await asyncio.sleep(0.1)


# --- failing parts -------------------------------------------------------------------------------


async def test_a_dead_peer_is_passed_over(network: FabricNetwork, funded: RealHarness) -> None:
    ca = network.tls_ca(1)
    dead = {"address": f"127.0.0.1:{free_port()}", "tls_ca": ca}
    endpoints = [dead, {"address": network.peer_address(1), "tls_ca": ca}]
    async with driver(network, endpoints=endpoints) as one:
        terms = await terms_for(one, funded, new_preimage())
        await one.submit(Lock(terms), funded.credentials[0])
        assert (await one.lookup(one.lock_id(terms))).state is LockState.OPEN
        findings = {finding.check: finding.ok for finding in await one.diagnose(None)}
        assert findings[f"peer {dead['address']}"] is False
        assert findings[f"peer {network.peer_address(1)}"] is True
    with pytest.raises(Unavailable):
        async with driver(network, endpoints=[dead]):
            pass


async def test_a_peer_with_another_certificate_is_not_spoken_to(network: FabricNetwork) -> None:
    endpoints = [{"address": network.peer_address(1), "tls_ca": network.tls_ca(2)}]
    with pytest.raises(Unavailable):
        async with driver(network, endpoints=endpoints):
            pass


async def test_without_an_orderer_a_submission_is_unknown(
    network: FabricNetwork, funded: RealHarness
) -> None:
    async with driver(network) as one:
        terms = await terms_for(one, funded, new_preimage())
        network.kill(network.orderer())
        try:
            with pytest.raises(Unknown):
                await one.submit(Lock(terms), funded.credentials[0])
        finally:
            network.resume(network.orderer())
        assert (await one.lookup(one.lock_id(terms))).state is LockState.ABSENT
        while True:
            try:
                await one.submit(Lock(terms), funded.credentials[0])
                break
            except (NotSent, Unknown):
                await asyncio.sleep(0.2)
            except Rejected as error:
                if error.reason is not RejectionReason.LOCK_EXISTS:
                    raise
                break
        assert (await one.lookup(one.lock_id(terms))).state is LockState.OPEN


async def test_a_commit_that_is_not_seen_within_the_bound_is_unknown(
    network: FabricNetwork, funded: RealHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block is real; only the time that the driver gives the peer is cut to nothing."""
    awaited = Gateway.commit_status

    async def impatient(
        self: Gateway, transaction: str, timeout: float, address: str | None = None
    ) -> str:
        # The stream asks its own peer, to see that it holds a head.
        return await awaited(self, transaction, timeout if address else 0.001, address)

    monkeypatch.setattr(Gateway, "commit_status", impatient)
    async with driver(network) as one:
        terms = await terms_for(one, funded, new_preimage())
        with pytest.raises(Unknown, match="was ordered"):
            await one.submit(Lock(terms), funded.credentials[0])
        await _told(one, LockOpened(one.lock_id(terms), terms))
        assert (await one.lookup(one.lock_id(terms))).state is LockState.OPEN


# --- events --------------------------------------------------------------------------------------


async def test_a_cursor_of_another_ledger_is_a_violation_and_starts_anew(
    network: FabricNetwork, funded: RealHarness
) -> None:
    async with driver(network) as one:
        terms = await terms_for(one, funded, new_preimage())
        submission = await one.submit(Lock(terms), funded.credentials[0])
        place = await one.transaction(submission.transaction)
        foreign = Cursor(f"{place.height}:{'ab' * 32}:{submission.transaction}")
        notices = one.events(foreign)
        first = await anext(notices)
        assert first.violation is not None
        assert first.violation.seen == place.block_hash
        await _told(one, LockOpened(one.lock_id(terms), terms), notices)
        ahead = Cursor(f"{place.height + 10**6}:{'ab' * 32}:{submission.transaction}")
        with pytest.raises(Unavailable, match="behind"):
            await anext(one.events(ahead))


async def test_the_other_organisations_gateway_sees_the_claim(
    network: FabricNetwork, funded: RealHarness
) -> None:
    preimage = new_preimage()
    async with driver(network, 1) as one, driver(network, 2) as other:
        terms = await terms_for(one, funded, preimage, asset=funded.assets[1])
        lock_id = one.lock_id(terms)
        await one.submit(Lock(terms), funded.credentials[0])
        before = await other.balance(terms.recipient, terms.asset)
        await _told(other, LockOpened(lock_id, terms))
        await one.submit(Claim(lock_id, preimage), credential_of(network, 3, "User3"))
        claimed = LockClaimed(lock_id, terms.hashlock, preimage)
        await _told(other, claimed, stage=Stage.PENDING)
        await one.submit(Collect(lock_id), credential_of(network, 3, "User3"))
        await _told(other, claimed)
        assert await other.balance(terms.recipient, terms.asset) == before + terms.amount


async def test_there_is_no_credit_to_withdraw(network: FabricNetwork, funded: RealHarness) -> None:
    async with driver(network) as one:
        with pytest.raises(Rejected):
            await one.submit(Withdraw(funded.assets[0]), funded.credentials[0])


async def test_a_credential_without_its_certificate_is_misconfigured(
    network: FabricNetwork, funded: RealHarness
) -> None:
    mine, other = funded.credentials[:2]
    async with driver(network) as one:
        terms = await terms_for(one, funded, new_preimage())
        for wrong in (
            Credential(mine.account, mine.signer, None),
            Credential(mine.account, other.signer, mine.certificate),
            Credential(mine.account, other.signer, other.certificate),
        ):
            with pytest.raises(Misconfigured):
                await one.submit(Lock(terms), wrong)
