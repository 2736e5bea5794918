"""The head's time: borne out by other organisations' ledgers, or standing still."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from fabric_protos.common import common_pb2, configtx_pb2, ledger_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.peer import proposal_response_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

from adapters.fabric.channel_head import ChannelHead
from adapters.fabric.devnet.configuration import NetworkConfiguration
from adapters.fabric.devnet.policy import application_policy, parse_policy
from adapters.fabric.event_stream import EventStream
from adapters.fabric.gateway import Gateway
from adapters.fabric.ledger import LedgerReader
from adapters.fabric.lock_codec import LockCodec
from adapters.fabric.plugin import plugin
from adapters.model import ChainId, Head, Lock, LockTerms, Preimage
from adapters.spi import Adapter
from tests.adapters.fabric.devnet_harness import DevnetHarness
from tests.adapters.fabric.test_gateway_faults import SHORT, FakePeer, gateway_to

OWN, SECOND, THIRD = "Org1MSP", "Org2MSP", "Org3MSP"
STALE = 6
START = 1_000


@dataclass
class Ledgers:
    """What each organisation's peer has and what its clock says, as the own peer passes it on."""

    heights: dict[str, int] = field(default_factory=lambda: dict.fromkeys((OWN, SECOND, THIRD), 5))
    clocks: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((OWN, SECOND, THIRD), START)
    )
    unreachable: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    policy: str = "OutOf(2,'Org1MSP.peer','Org2MSP.peer','Org3MSP.peer')"
    asked: list[str] = field(default_factory=list)
    transaction_time: int = START

    def pass_time(self, seconds: int) -> None:
        for msp in self.clocks:
            self.clocks[msp] += seconds

    async def answer(self, request: Any, context: Any) -> Any:
        (msp,) = request.target_organizations
        self.asked.append(msp)
        if msp in self.silent:
            await asyncio.Event().wait()
        if msp in self.unreachable:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"no peer of {msp}")
        sent = request.proposed_transaction.proposal_bytes
        if b"GetChainInfo" in sent:
            payload = ledger_pb2.BlockchainInfo(
                height=self.heights[msp] + 1, currentBlockHash=bytes(32)
            ).SerializeToString()
        elif b"QueryChaincodeDefinition" in sent:
            payload = lifecycle_pb2.QueryChaincodeDefinitionResult(
                sequence=1,
                endorsement_plugin="escc",
                validation_plugin="vscc",
                validation_parameter=application_policy(parse_policy(self.policy)),
            ).SerializeToString()
        elif b"GetChannelConfig" in sent:
            payload = _configuration(list(self.heights))
        elif b"GetBlockByNumber" in sent:
            payload = self._block(self.heights[msp])
        elif b"clock" in sent:
            payload = str(self.clocks[msp]).encode()
        else:
            raise AssertionError("an unexpected query")
        response = proposal_response_pb2.Response(status=200, payload=payload)
        return gateway_pb2.EvaluateResponse(result=response)

    def _block(self, number: int) -> bytes:
        header = common_pb2.ChannelHeader(tx_id="ab" * 32)
        header.timestamp.seconds = self.transaction_time
        payload = common_pb2.Payload(
            header=common_pb2.Header(channel_header=header.SerializeToString())
        )
        envelope = common_pb2.Envelope(payload=payload.SerializeToString()).SerializeToString()
        block = common_pb2.Block()
        block.header.number = number
        block.header.data_hash = hashlib.sha256(envelope).digest()
        block.data.data.append(envelope)
        encoded: bytes = block.SerializeToString()
        return encoded


def _configuration(organisations: list[str]) -> bytes:
    config = configtx_pb2.Config()
    groups = config.channel_group.groups["Application"].groups
    for msp in organisations:
        inner = msp_config_pb2.FabricMSPConfig(name=msp).SerializeToString()
        value = msp_config_pb2.MSPConfig(config=inner).SerializeToString()
        groups[msp].values["MSP"].value = value
    return bytes(config.SerializeToString())


def channel_head(gateway: Gateway, patience: float = 30.0) -> ChannelHead:
    # every look asks the others anew
    settings = gateway._settings.model_copy(update={"poll_interval": 1e-9})
    head = ChannelHead("trade", settings, STALE, gateway)
    head._patience = patience
    return head


@asynccontextmanager
async def channel(ledgers: Ledgers) -> AsyncIterator[ChannelHead]:
    async with gateway_to(FakePeer(Evaluate=ledgers.answer)) as gateway:
        yield channel_head(gateway)


async def test_a_level_peers_time_moves_on_without_blocks() -> None:
    ledgers = Ledgers()
    async with channel(ledgers) as head:
        assert await head.newest() == Head(
            ChainId.parse("fabric:" + "0" * 32), 5, bytes(32), START, 5
        )
        ledgers.pass_time(20)
        assert (await head.newest()).time == START + 20
        assert not await head.obstacles()


async def test_a_peer_cut_off_from_the_orderers_goes_stale_when_the_others_go_on() -> None:
    ledgers = Ledgers()
    async with channel(ledgers) as head:
        await head.newest()
        ledgers.heights |= {SECOND: 6, THIRD: 6}
        for _ in range(4):
            ledgers.pass_time(5)
            found = await head.newest()
        assert (found.height, found.time) == (5, START)
        assert any("Org2MSP" in said and "block 6" in said for said in await head.obstacles())


async def test_a_peer_that_comes_level_is_as_young_as_what_it_has_caught_up_with() -> None:
    """On a busy channel the others are always a block ahead at the moment at which they are asked;
    what they had is there a moment later."""
    ledgers = Ledgers()
    async with channel(ledgers) as head:
        await head.newest()
        for _ in range(5):
            ledgers.pass_time(2)
            ledgers.heights |= {
                SECOND: ledgers.heights[SECOND] + 1,
                THIRD: 1 + ledgers.heights[THIRD],
            }
            found = await head.newest()
            ledgers.heights[OWN] += 1
        # as of the last look but one
        assert found.time == START + 8
        assert not await head.obstacles()


@pytest.mark.parametrize("how", ["unreachable", "silent"])
async def test_a_peer_that_reaches_no_other_organisation_goes_stale(how: str) -> None:
    ledgers = Ledgers()
    async with channel(ledgers) as head:
        await head.newest()
        getattr(ledgers, how).update({SECOND, THIRD})
        head._patience = SHORT
        ledgers.pass_time(STALE + 1)
        assert (await head.newest()).time == START
        (said,) = await head.obstacles()
        assert "Org2MSP" in said
        assert "Org3MSP" in said
        ledgers.silent.clear()
        ledgers.unreachable = {SECOND}
        head._patience = 30.0
        assert (await head.newest()).time == START + STALE + 1


@pytest.mark.parametrize(
    ("said", "time"),
    [
        (START - 900, START - 900),
        # Whoever made the transaction can have written anything: the head is stale by it.
        (START + 10**6, START - STALE - 1),
        (-(10**6), 1),
    ],
)
async def test_before_anybody_bore_it_out_the_time_is_that_of_the_newest_block(
    said: int, time: int
) -> None:
    ledgers = Ledgers(unreachable={SECOND, THIRD}, transaction_time=said)
    async with channel(ledgers) as head:
        found = await head.newest()
        assert (found.height, found.time) == (5, time)
        assert "too few other organisations" in (head.objection() or "")
        ledgers.pass_time(1)
        assert (await head.newest()).time == time


async def test_an_organisation_with_another_time_bears_nothing_out() -> None:
    ledgers = Ledgers(unreachable={THIRD})
    async with channel(ledgers) as head:
        await head.newest()
        ledgers.pass_time(10)
        ledgers.clocks[SECOND] += 1000  # ε is 3 s on either side
        assert (await head.newest()).time == START
        assert "clock is 1000 s off" in (await head.obstacles())[0]


async def test_an_organisation_that_is_behind_bears_nothing_out() -> None:
    """It is cut off itself, and would find nothing missing with us."""
    ledgers = Ledgers(unreachable={THIRD})
    async with channel(ledgers) as head:
        await head.newest()
        ledgers.heights[OWN] = 9
        ledgers.pass_time(1)
        assert (await head.newest()).time == START + 1
        ledgers.pass_time(STALE)
        await head.newest()
        ledgers.pass_time(STALE)
        assert (await head.newest()).time == START + 1
        assert "behind the own" in (await head.obstacles())[0]


async def test_one_organisation_can_hold_back_the_reveal_but_not_time() -> None:
    """Refunds wait for the head's time; a height without a block behind it must not stop them."""
    ledgers = Ledgers()
    async with channel(ledgers) as head:
        await head.newest()
        ledgers.heights[THIRD] = 10**9
        for _ in range(3):
            ledgers.pass_time(5)
            found = await head.newest()
        assert found.time == START + 15
        (said,) = await head.obstacles()
        assert said.startswith("Org3MSP")


async def test_one_organisation_of_three_that_are_needed_is_not_enough() -> None:
    ledgers = Ledgers(policy="OutOf(3,'Org1MSP.peer','Org2MSP.peer','Org3MSP.peer')")
    async with channel(ledgers) as head:
        await head.newest()
        ledgers.unreachable.add(THIRD)
        ledgers.pass_time(10)
        assert (await head.newest()).time == START


async def test_where_one_could_endorse_alone_another_must_still_bear_it_out() -> None:
    ledgers = Ledgers(policy="OutOf(1,'Org1MSP.peer','Org2MSP.peer','Org3MSP.peer')")
    async with channel(ledgers) as head:
        ledgers.unreachable |= {SECOND, THIRD}
        assert (await head.newest()).time == START - STALE - 1
        ledgers.unreachable.remove(SECOND)
        assert (await head.newest()).time == START


async def test_two_own_peers_of_which_one_is_behind() -> None:
    """What is level with the one that is behind is not level with the own ledger."""
    ledgers, behind = Ledgers(), Ledgers()
    ledgers.heights = dict.fromkeys(ledgers.heights, 9)
    async with gateway_to(
        FakePeer(Evaluate=ledgers.answer), FakePeer(Evaluate=behind.answer)
    ) as gateway:
        head = channel_head(gateway)
        assert (await head.newest()).height == 9
        gateway.prefer_another()
        behind.pass_time(5)
        found = await head.newest()
        assert (found.height, found.time) == (5, START)


async def test_an_own_peer_that_goes_stale_gives_way_to_another() -> None:
    """It answers everything, so nothing else would make the calls go to the other one."""
    cut_off, level = Ledgers(), Ledgers()
    async with gateway_to(
        FakePeer(Evaluate=cut_off.answer), FakePeer(Evaluate=level.answer)
    ) as gateway:
        head = channel_head(gateway)
        await head.newest()
        cut_off.unreachable |= {SECOND, THIRD}
        for ledgers in (cut_off, level):
            ledgers.pass_time(STALE + 1)
        assert (await head.newest()).time == START
        assert (await head.newest()).time == START + STALE + 1


async def test_another_organisations_silence_is_not_the_own_peers_fault() -> None:
    first, second = Ledgers(silent={SECOND, THIRD}), Ledgers()
    async with gateway_to(
        FakePeer(Evaluate=first.answer), FakePeer(Evaluate=second.answer)
    ) as gateway:
        await channel_head(gateway, SHORT).newest()
        assert second.asked == []


async def test_others_are_asked_once_in_a_poll_interval() -> None:
    ledgers = Ledgers()
    async with gateway_to(FakePeer(Evaluate=ledgers.answer)) as gateway:
        head = ChannelHead("trade", gateway._settings, 3600, gateway)
        for _ in range(5):
            await head.newest()
        assert ledgers.asked.count(SECOND) == 2


async def test_a_stream_does_not_grow_young_by_a_peer_that_is_behind() -> None:
    chain = ChainId.parse("fabric:" + "0" * 32)
    heads = [Head(chain, 9, bytes(32), START, 9), Head(chain, 5, bytes(32), START + 50, 5)]
    ledgers = Ledgers()
    async with gateway_to(FakePeer(Evaluate=ledgers.answer)) as gateway:

        async def head() -> Head:
            return heads.pop(0)

        stream = EventStream(
            "trade",
            gateway,
            LedgerReader("trade", gateway, "trade"),
            LockCodec(chain, bytes(32), "isthmus"),
            head,
            lambda: None,
            first_block=0,
            poll_interval=1,
            patience=1,
        )
        assert (await stream._head(0)).time == START
        assert (await stream._head(0)) == Head(chain, 9, bytes(32), START, 9)


# --- on the development network ------------------------------------------------------------------


class CutOffPeer(DevnetHarness):
    """Participants ann, ben and cat are of OrgAMSP, OrgBMSP and OrgCMSP."""

    def open_as(self, participant: str) -> AbstractAsyncContextManager[Adapter]:
        """Through the peer of the participant's organisation."""
        return plugin.open("fabric", self._settings(participant))

    async def cut_off(self, msp_id: str) -> None:
        """From now on its peer gets no more blocks."""
        (found,) = self._folder.rglob("network.json")
        configuration = NetworkConfiguration.read(found.parent)
        organisations = tuple(
            one.model_copy(update={"cut_off": one.msp_id == msp_id})
            for one in configuration.organisations
        )
        changed = configuration.model_copy(update={"organisations": organisations})
        changed.write(found.parent)
        await self.restart()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[CutOffPeer]:
    harness = CutOffPeer(tmp_path)
    try:
        harness.start()
        yield harness
    finally:
        harness.stop()


async def test_a_gateway_whose_peer_has_lost_the_orderers_lets_nothing_out(
    network: CutOffPeer,
) -> None:
    ann, ben, _ = network.credentials
    await network.cut_off("OrgAMSP")
    async with network.open_as("ann") as lost, network.open_as("ben") as good:
        before = await lost.head()
        assert before.time > 0
        terms = LockTerms(
            chain=good.profile.chain,
            contract=good.profile.contract,
            sender=ben.account,
            recipient=ann.account,
            asset=network.assets[0],
            amount=1,
            hashlock=Preimage(b"\x09" * 32).hashlock(),
            deadline=before.time + 3600,
        )
        await good.submit(Lock(terms), ben)
        lock_id = good.lock_id(terms)
        stood = await lost.head()
        async with asyncio.timeout(60):
            # Until it is stale it is the claim's endorsers who do not agree on the lock.
            while "too few other organisations" not in (
                said := "".join(await lost.claim_obstacles(lock_id, ann))
            ):
                assert said
        stale, fresh = await lost.head(), await good.head()
        assert (stale.height, stale.time) == (before.height, stood.time)
        assert fresh.height > stale.height
        assert fresh.time > stale.time
        assert await good.claim_obstacles(lock_id, ben) == []
        findings = {
            one: {finding.check: finding.ok for finding in await adapter.diagnose(None)}
            for one, adapter in (("lost", lost), ("good", good))
        }
        assert not findings["lost"]["own ledger against others'"]
        assert all(findings["good"].values())
