"""``Devnet`` as whoever starts it uses it: with the lock chaincode, and through the driver."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from adapters.devnet import DevelopmentNetwork, Participant
from adapters.fabric.devnet import Devnet
from adapters.fabric.devnet_assets import ASSETS, FUNDS, ORGANISATIONS
from adapters.fabric.pem_signer import PemSigner
from adapters.fabric.plugin import plugin
from adapters.spi import Unavailable
from tests.ports import free_block

_PORTS = free_block(6)
_OTHER_PORTS = free_block(6)
_NAMES = ("buyer", "seller", "watchtower", "other")


def participants(names: Sequence[str] = _NAMES) -> list[Participant]:
    return [Participant(name, b"\x04" + bytes(64)) for name in names]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevelopmentNetwork]:
    network: DevelopmentNetwork = Devnet(tmp_path_factory.mktemp("devnet"), batch_timeout_ms=50)
    network.prepare(_PORTS, participants())
    processes = [
        subprocess.Popen(spec.argv, env={**os.environ, **spec.env}, stderr=subprocess.DEVNULL)
        for spec in network.processes()
    ]
    try:
        yield network
    finally:
        for process in processes:
            process.terminate()
        assert [process.wait(timeout=30) for process in processes] == [0] * 4


async def test_every_participant_is_funded_once_and_found_well(
    running: DevelopmentNetwork,
) -> None:
    await running.ready()
    await running.ready()
    for number, name in enumerate(_NAMES):
        settings = plugin.settings.model_validate(running.settings(name))
        assert settings.msp_id == ORGANISATIONS[number % 3]  # type: ignore[attr-defined]
        credential = plugin.credential(settings, PemSigner.load(settings.reader_key))  # type: ignore[attr-defined]
        async with plugin.open("fabric", settings) as adapter:
            for asset, (symbol, decimals) in zip(running.assets(), ASSETS, strict=True):
                known = await adapter.asset(asset)
                assert (known.symbol, known.decimals) == (symbol, decimals)
                assert await adapter.balance(credential.account, asset) == FUNDS * 10**decimals
            assert [found for found in await adapter.diagnose(credential) if not found.ok] == []


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    network = Devnet(tmp_path)
    network.prepare(_PORTS, participants())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    network.prepare(_PORTS, participants())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_other_ports_are_the_same_chain(tmp_path: Path) -> None:
    network = Devnet(tmp_path)
    network.prepare(_PORTS, participants())
    before = network.settings("buyer")
    network.prepare(_OTHER_PORTS, participants())
    after = network.settings("buyer")
    assert before["chain"] == after["chain"]
    assert after["endpoints"][0]["address"] == f"127.0.0.1:{_OTHER_PORTS[0]}"


def test_two_networks_are_two_chains(tmp_path: Path) -> None:
    chains = set()
    for name in ("one", "two"):
        network = Devnet(tmp_path / name)
        network.prepare(_PORTS, participants())
        chains.add(network.settings("buyer")["chain"])
    assert len(chains) == 2


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    Devnet(tmp_path).prepare(_PORTS, participants())
    keys = list(tmp_path.rglob("key.pem"))
    assert keys
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}


@pytest.mark.parametrize(
    ("ports", "names", "why"),
    [
        (_PORTS[:5], ("a",), "6 different ports"),
        ([_PORTS[0]] * 6, ("a",), "6 different ports"),
        (_PORTS, (), "at least one"),
        (_PORTS, ("a", "a"), "each with its own name"),
        (_PORTS, ("A",), "lower-case"),
        (_PORTS, ("../a",), "lower-case"),
    ],
)
def test_what_cannot_be_prepared(
    tmp_path: Path, ports: Sequence[int], names: Sequence[str], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Devnet(tmp_path / "new").prepare(ports, participants(names))
    assert not (tmp_path / "new").exists()


def test_a_folder_of_others_is_left_alone(tmp_path: Path) -> None:
    network = Devnet(tmp_path)
    network.prepare(_PORTS, participants())
    with pytest.raises(ValueError, match="prepared for other participants"):
        network.prepare(_PORTS, participants(("somebody",)))
    with pytest.raises(ValueError, match="no participant"):
        network.settings("somebody")


async def test_a_network_that_is_not_there_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.fabric.devnet.development_network._READY_WITHIN", 0.2)
    network = Devnet(tmp_path)
    network.prepare(_OTHER_PORTS, participants())
    with pytest.raises(Unavailable, match="fabric-network"):
        await network.ready()
