"""What stands against a claim before its preimage is let out, on both networks alike."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from adapters.fabric.devnet.configuration import NetworkConfiguration
from adapters.fabric.driver import FabricAdapter
from adapters.fabric.gateway import connect
from adapters.fabric.identity import identity_of
from adapters.fabric.ordering_proof import OrderingProof
from adapters.fabric.pem_signer import PemSigner
from adapters.fabric.settings import FabricSettings
from adapters.model import AssetId, Lock, LockId, LockState, LockTerms, Preimage
from adapters.spi import AdapterError, Credential, NotSent, Unavailable, Unknown
from tests.adapters.fabric.devnet_harness import PARTICIPANTS, DevnetHarness
from tests.adapters.fabric.real_harness import RealHarness, settings_of, until_ready

DAY = 86_400
TOUCHED = "one that changes nothing was not either"


class Network(Protocol):
    """What the tests need of a network. Participant 0 sends and 1, of another organisation,
    receives."""

    @property
    def credentials(self) -> Sequence[Credential]: ...

    @property
    def asset(self) -> AssetId: ...

    def settings(self, number: int) -> FabricSettings: ...

    async def stop_ordering(self) -> None:
        """From now on the orderers serve nobody; the peers do."""

    async def resume_ordering(self) -> None: ...


class Development(DevnetHarness):
    """Its orderer is stopped by never cutting a block."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._cutting = 0

    def settings(self, number: int) -> FabricSettings:
        return self._settings(PARTICIPANTS[number])

    @property
    def asset(self) -> AssetId:
        return self.assets[0]

    async def stop_ordering(self) -> None:
        self._cutting = await self._cut_after(3_600_000)

    async def resume_ordering(self) -> None:
        await self._cut_after(self._cutting)

    async def _cut_after(self, milliseconds: int) -> int:
        (found,) = self._folder.rglob("network.json")
        configuration = NetworkConfiguration.read(found.parent)
        batch = configuration.batch.model_copy(update={"timeout_ms": milliseconds})
        configuration.model_copy(update={"batch": batch}).write(found.parent)
        await self.restart()
        return configuration.batch.timeout_ms


class Real(RealHarness):
    """Its orderer is stopped by killing it."""

    def settings(self, number: int) -> FabricSettings:
        return settings_of(self.network, number + 1)

    @property
    def asset(self) -> AssetId:
        return self.assets[0]

    async def stop_ordering(self) -> None:
        self.network.kill(self.network.orderer())

    async def resume_ordering(self) -> None:
        self.network.resume(self.network.orderer())


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    harness = Development(tmp_path_factory.mktemp("obstacles"))
    try:
        harness.start()
        yield harness
    finally:
        harness.stop()


@pytest.fixture(params=["development", "real"])
def started(request: pytest.FixtureRequest) -> Network:
    if request.param == "development":
        development: Development = request.getfixturevalue("development")
        return development
    funded: RealHarness = request.getfixturevalue("funded")
    return Real(funded.network)


@pytest.fixture
async def network(started: Network) -> Network:
    """Of which all peers endorse."""
    if isinstance(started, Real):
        for number in (1, 2):
            await until_ready(started.network, number)
    return started


@pytest.fixture
async def claimant(network: Network) -> AsyncIterator[FabricAdapter]:
    """The recipient's driver."""
    async with _driver(network, 1) as adapter:
        yield adapter


@asynccontextmanager
async def _driver(
    network: Network, number: int, inclusion: int = 60
) -> AsyncIterator[FabricAdapter]:
    # A busy machine breaks no bound, unless one is to be broken.
    bounds = {"inclusion": inclusion, "stale_after": 600}
    settings = network.settings(number).model_copy(update=bounds)
    certificate = (settings.reader_certificate or settings.certificate).read_bytes()
    reader = identity_of(settings.msp_id, certificate, PemSigner.load(settings.reader_key))
    async with connect("fabric", settings, reader, time.time_ns) as gateway:
        adapter = FabricAdapter("fabric", settings, gateway, time.time_ns)
        await adapter.check()
        yield adapter


@pytest.fixture
async def locked(network: Network) -> LockId:
    """An open lock of which participant 1 is the recipient."""
    async with _driver(network, 0) as sender:
        terms = LockTerms(
            chain=sender.profile.chain,
            contract=sender.profile.contract,
            sender=network.credentials[0].account,
            recipient=network.credentials[1].account,
            asset=network.asset,
            amount=1,
            hashlock=Preimage(os.urandom(32)).hashlock(),
            deadline=int(time.time()) + 3600,
        )
        await sender.submit(Lock(terms), network.credentials[0])
        return sender.lock_id(terms)


async def test_nothing_stands_against_a_claim_and_one_proof_serves_for_a_while(
    network: Network, claimant: FabricAdapter, locked: LockId
) -> None:
    before = (await claimant.block()).header.height
    recipient = network.credentials[1]
    # At the same time, as the claims of several swaps: one transaction is enough for all.
    found = await asyncio.gather(*(claimant.claim_obstacles(locked, recipient) for _ in range(3)))
    assert found == [[], [], []]
    after = await claimant.block()
    assert after.header.height == before + 1
    assert (await claimant.transaction(after.transactions[-1])).succeeded
    assert (await claimant.lookup(locked)).state is LockState.OPEN


async def test_a_credential_that_cannot_act_is_named(
    network: Network, claimant: FabricAdapter, locked: LockId
) -> None:
    sender, recipient = network.credentials[:2]
    for wrong, said in (
        (Credential(recipient.account, recipient.signer, None), "no certificate"),
        (Credential(recipient.account, sender.signer, recipient.certificate), "another key"),
        (Credential(recipient.account, sender.signer, sender.certificate), "another account's"),
    ):
        (obstacle,) = await claimant.claim_obstacles(locked, wrong)
        assert said in obstacle


async def test_a_certificate_that_has_ended_is_named(
    network: Network, claimant: FabricAdapter, locked: LockId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claimant, "_clock", lambda: time.time_ns() + 36_600 * DAY * 10**9)
    (obstacle,) = await claimant.claim_obstacles(locked, network.credentials[1])
    assert "has ended: have a new one issued" in obstacle


async def test_orderers_that_serve_nobody_are_noticed_on_an_idle_channel(
    network: Network, locked: LockId
) -> None:
    """All peers answer and are level: only a transaction shows it."""
    recipient = network.credentials[1]
    async with _driver(network, 1, inclusion=2) as claimant:
        await network.stop_ordering()
        try:
            # A peer that was started again is first without its neighbours.
            while TOUCHED not in (said := "".join(await _obstacles(claimant, locked, recipient))):
                assert said
            assert await claimant._head.obstacles() == []
        finally:
            await network.resume_ordering()
        while await _obstacles(claimant, locked, recipient):
            pass


async def _obstacles(claimant: FabricAdapter, lock: LockId, credential: Credential) -> list[str]:
    try:
        return list(await claimant.claim_obstacles(lock, credential))
    except Unavailable as error:
        return [str(error)]


async def test_without_the_own_peer_there_is_an_error_and_never_silence(
    development: Development,
) -> None:
    async with _driver(development, 1) as claimant:
        await development.kill_network()
        try:
            with pytest.raises(Unavailable):
                await claimant.claim_obstacles(LockId(b"\x01" * 32), development.credentials[1])
        finally:
            await development.start_network()


# --- how long a proof holds ----------------------------------------------------------------------


class Sent:
    """Counts what is sent, which is committed at once unless there is an error."""

    def __init__(self, error: AdapterError | None = None) -> None:
        self.now = 100.0
        self.proof = OrderingProof(6, lambda: self.now)
        self.count = 0
        self._error = error

    async def __call__(self) -> None:
        self.count += 1
        if self._error is not None:
            raise self._error
        self.proof.note(self.now)


async def test_a_proof_holds_as_long_as_a_head_may_be_old() -> None:
    send = Sent()
    assert not send.proof.holds
    for passed, sent in ((0.0, 1), (6.0, 1), (0.1, 2)):
        send.now += passed
        assert await send.proof.objection(send) is None
        assert send.count == sent


@pytest.mark.parametrize("error", [Unknown("lost"), NotSent("no endorser"), Unavailable("gone")])
async def test_what_was_not_committed_proves_nothing(error: AdapterError) -> None:
    send = Sent(error)
    for count in (1, 2):
        said = await send.proof.objection(send)
        assert said is not None
        assert str(error) in said
        assert send.count == count
    assert not send.proof.holds


def test_an_older_commit_takes_nothing_back() -> None:
    proof = OrderingProof(6, lambda: 100.0)
    proof.note(99.0)
    proof.note(10.0)
    assert proof.holds
