"""Whom a settlement asks to endorse: not who gains if it fails, and others after a failure."""

from __future__ import annotations

import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import grpc
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import transaction_pb2

from adapters.fabric.account import account_of
from adapters.fabric.driver import FabricAdapter
from adapters.fabric.endorsers import PEERS_CHOICE, combinations_of
from adapters.fabric.plugin import plugin
from adapters.fabric.policy import OutOf, SignedBy, endorsing_sets
from adapters.model import Claim, Lock, LockId, LockState, LockTerms, Preimage, Refund
from adapters.spi import Adapter, Credential, NotSent, Rejected, RejectionReason
from tests.adapters.fabric.devnet_harness import PARTICIPANTS, DevnetHarness
from tests.adapters.fabric.test_gateway_faults import (
    Answer,
    FakePeer,
    failing,
    gateway_to,
    saying,
)

A, B, C, D = (SignedBy(name) for name in "ABCD")
TWO_OF_THREE = OutOf(2, (A, B, C))


# --- combinations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "own", "avoided", "wanted"),
    [
        ([TWO_OF_THREE], "A", "B", ["AC", "AB", "BC"]),
        ([TWO_OF_THREE], "C", "A", ["BC", "AC", "AB"]),
        ([TWO_OF_THREE], "A", "A", ["AB", "AC", "BC"]),
        # the counterparty is in every combination: nothing else is left
        ([OutOf(2, (A, B))], "A", "B", ["AB"]),
        # a token's chaincode has to be satisfied as well
        ([TWO_OF_THREE, OutOf(1, (B, D))], "A", "B", ["ACD", "AB", "BC", "ABD", "ABC"]),
        # one signature counts once
        ([OutOf(2, (A, A, C))], "A", "B", ["AC"]),
        ([OutOf(1, (A, A, A))], "A", "B", ["A"]),
        ([OutOf(0, ())], "A", "B", []),
    ],
)
def test_the_counterparty_comes_last(
    rules: list[OutOf], own: str, avoided: str, wanted: list[str]
) -> None:
    found = ["".join(one) for one in combinations_of(rules, own, avoided)]
    assert found[-1] == "".join(PEERS_CHOICE)
    without = [one for one in found[:-1] if avoided == own or avoided not in one]
    assert found[: len(without)] == without
    assert found[0] == ([*wanted, ""])[0]
    assert set(wanted) <= set(found)


def test_a_channel_of_many_organisations_is_not_enumerated() -> None:
    many = OutOf(20, tuple(SignedBy(f"Org{number:02}") for number in range(40)))
    found = combinations_of([many], "Org00", "Org01")
    assert "Org00" in found[0]
    assert "Org01" not in found[0]
    assert len(found) < 100
    assert len(next(endorsing_sets(many, [f"Org{number:02}" for number in range(20)]))) == 20


# --- on the development network ------------------------------------------------------------------


class ThreeOrganisations(DevnetHarness):
    """Participants ann, ben and cat are of OrgAMSP, OrgBMSP and OrgCMSP."""

    def open_as(self, participant: str) -> AbstractAsyncContextManager[Adapter]:
        """Through the peer of the participant's organisation."""
        return plugin.open("fabric", self._settings(participant))

    def credential(self, participant: str) -> Credential:
        return self.credentials[PARTICIPANTS.index(participant)]

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """While one of the network's processes is down."""
        (spec,) = (spec for spec in self._devnet.processes() if spec.name == name)
        self._processes[name].kill()
        self._processes[name].wait()
        try:
            yield
        finally:
            self._start(spec)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreeOrganisations]:
    harness = ThreeOrganisations(tmp_path_factory.mktemp("fabric-endorsers"))
    try:
        harness.start()
        yield harness
    finally:
        harness.stop()


async def locked(
    adapter: Adapter, harness: ThreeOrganisations, ends_in: int
) -> tuple[LockId, Preimage]:
    """A lock of ann's for ben."""
    preimage = Preimage(time.time_ns().to_bytes(32, "big"))
    ann, ben, _ = harness.credentials
    terms = LockTerms(
        chain=adapter.profile.chain,
        contract=adapter.profile.contract,
        sender=ann.account,
        recipient=ben.account,
        asset=harness.assets[0],
        amount=1,
        hashlock=preimage.hashlock(),
        deadline=(await adapter.head()).time + ends_in,
    )
    await adapter.submit(Lock(terms), ann)
    return adapter.lock_id(terms), preimage


async def endorsers_of(adapter: Adapter, transaction: str) -> set[str]:
    envelope = common_pb2.Envelope.FromString((await adapter.transaction(transaction)).raw)
    payload = common_pb2.Payload.FromString(envelope.payload)
    (action,) = transaction_pb2.Transaction.FromString(payload.data).actions
    signed = transaction_pb2.ChaincodeActionPayload.FromString(action.payload)
    return {
        identities_pb2.SerializedIdentity.FromString(one.endorser).mspid
        for one in signed.action.endorsements
    }


@pytest.mark.parametrize(
    ("participant", "wanted"),
    [("ben", {"OrgBMSP", "OrgCMSP"}), ("cat", {"OrgBMSP", "OrgCMSP"})],
)
async def test_a_claim_is_endorsed_without_the_senders_organisation(
    harness: ThreeOrganisations, participant: str, wanted: set[str]
) -> None:
    async with harness.open_as(participant) as adapter:
        lock_id, preimage = await locked(adapter, harness, 3600)
        credential = harness.credential(participant)
        done = await adapter.submit(Claim(lock_id, preimage), credential)
        assert await endorsers_of(adapter, done.transaction) == wanted


async def test_a_refund_is_endorsed_without_the_recipients_organisation(
    harness: ThreeOrganisations,
) -> None:
    async with harness.open_as("ann") as adapter:
        lock_id, _ = await locked(adapter, harness, 2)
        while True:
            try:
                done = await adapter.submit(Refund(lock_id), harness.credential("ann"))
                break
            except Rejected as error:
                if error.reason is not RejectionReason.DEADLINE_NOT_REACHED:
                    raise
        assert await endorsers_of(adapter, done.transaction) == {"OrgAMSP", "OrgCMSP"}


async def test_after_a_failure_others_are_asked(harness: ThreeOrganisations) -> None:
    """The third organisation's chaincode is gone: what is left is the sender's organisation."""
    async with harness.open_as("ben") as adapter:
        lock_id, preimage = await locked(adapter, harness, 3600)
        with harness.without("fabric-chaincode-orgc"):
            with pytest.raises(NotSent):
                await adapter.submit(Claim(lock_id, preimage), harness.credential("ben"))
            done = await adapter.submit(Claim(lock_id, preimage), harness.credential("ben"))
        assert await endorsers_of(adapter, done.transaction) == {"OrgAMSP", "OrgBMSP"}
        assert (await adapter.lookup(lock_id)).state is LockState.CLAIMED


# --- refusals that are another organisation's own ------------------------------------------------


@asynccontextmanager
async def adapter_to(
    peer: FakePeer, ann: Credential
) -> AsyncIterator[tuple[FabricAdapter, Credential]]:
    assert ann.certificate is not None
    async with gateway_to(peer) as gateway:
        settings = gateway._settings
        adapter = FabricAdapter("trade", settings, gateway, time.time_ns)
        account = account_of(settings.chain_id(), "OrgAMSP", ann.certificate)
        yield adapter, Credential(account, ann.signer, ann.certificate)


def by_function(**answers: Answer) -> Answer:
    async def answer(request: Any, context: Any) -> Any:
        sent = request.proposed_transaction.proposal_bytes
        for function, reply in answers.items():
            if function.encode() in sent:
                return await reply(request, context)
        raise AssertionError("an unexpected query")

    return answer


REFUSAL = f"chaincode response 400, wrong_preimage: no, {'07' * 32}"


@pytest.mark.parametrize(
    ("own", "kind"),
    [(saying(b""), NotSent), (failing(grpc.StatusCode.UNKNOWN, REFUSAL), Rejected)],
)
async def test_only_what_the_own_peer_refuses_as_well_is_refused(
    harness: ThreeOrganisations, own: Answer, kind: Any
) -> None:
    peer = FakePeer(
        Endorse=failing(grpc.StatusCode.ABORTED, REFUSAL),
        Evaluate=by_function(lock_record=saying(b"null"), claim=own),
    )
    async with adapter_to(peer, harness.credential("ann")) as (adapter, credential):
        with pytest.raises(kind) as caught:
            await adapter.submit(Claim(LockId(bytes(32)), Preimage(b"\x07" * 32)), credential)
    assert peer.asked[-1] == "Evaluate"
    # the refusal quotes the preimage
    assert "0707" not in "".join(traceback.format_exception(caught.value))
