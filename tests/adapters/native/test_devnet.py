"""The development network: prepared once, the same afterwards, and clear about misuse."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from adapters.devnet import Participant
from adapters.native.app.genesis import InvalidGenesis, parse_app_state
from adapters.native.devnet import Devnet
from adapters.native.settings import NativeSettings
from tests.adapters.native.chain_fixture import ALICE, BOB, CAROL, Key, app_state


def of(*keys: Key) -> list[Participant]:
    return [Participant(key.name, key.public_key) for key in keys]


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    Devnet(tmp_path).prepare([21050], of(ALICE, BOB))
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    Devnet(tmp_path).prepare([21050], of(ALICE, BOB))
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    chain = Devnet(tmp_path).settings("alice")["chain"]
    Devnet(tmp_path).prepare([21051], of(ALICE, BOB))
    assert Devnet(tmp_path).settings("alice")["urls"] == ["http://127.0.0.1:21051"]
    assert Devnet(tmp_path).settings("alice")["chain"] == chain


def test_settings_are_what_the_plugin_takes(tmp_path: Path) -> None:
    network = Devnet(tmp_path)
    network.prepare([21050], of(ALICE, BOB))
    settings = NativeSettings.model_validate(network.settings("bob"))
    assert settings.account == BOB.account.hex()
    assert {str(asset.chain) for asset in network.assets()} == {settings.chain}
    assert settings.chain_id().namespace == "isthmus"


def test_two_networks_are_two_chains(tmp_path: Path) -> None:
    chains = set()
    for name in ("a", "b"):
        Devnet(tmp_path / name).prepare([21050], of(ALICE))
        chains.add(Devnet(tmp_path / name).settings("alice")["chain"])
    assert len(chains) == 2


def test_the_validators_key_is_its_owners_alone(tmp_path: Path) -> None:
    Devnet(tmp_path).prepare([21050], of(ALICE))
    mode = (tmp_path / "config" / "priv_validator_key.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert "priv" not in " ".join(Devnet(tmp_path).processes()[0].argv)


@pytest.mark.parametrize(
    ("participants", "said"),
    [
        ([], "at least one"),
        (of(ALICE, ALICE), "own name"),
        ([Participant("a", ALICE.public_key), Participant("b", ALICE.public_key)], "own"),
        ([Participant("A b", ALICE.public_key)], "lower-case"),
    ],
)
def test_unfit_participants_are_refused(
    tmp_path: Path, participants: list[Participant], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Devnet(tmp_path).prepare([21050], participants)
    assert not (tmp_path / "network.json").exists()


def test_other_participants_need_another_folder(tmp_path: Path) -> None:
    Devnet(tmp_path).prepare([21050], of(ALICE, BOB))
    with pytest.raises(ValueError, match="another folder"):
        Devnet(tmp_path).prepare([21050], of(ALICE, CAROL))
    with pytest.raises(ValueError, match="no participant"):
        Devnet(tmp_path).settings("carol")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"clock_bound": 5', b'"clock_bound": 0', "clock_bound"),
        (b'"clock_bound": 5', b'"clock_bound": 1.5', "whole"),
        (b'"clock_bound": 5', b'"clock_bound": true', "clock_bound"),
        (b'"clock_bound": 5', b'"clock_bound": 5, "clock_bound": 6', "twice"),
        (b'"clock_bound": 5', b'"other": 5', "fields"),
        (b'"amount": "1000"', b'"amount": 1000', "amount"),
        (b'"amount": "1000"', b'"amount": "0"', "amount"),
        (b'"amount": "1000"', b'"amount": "-1"', "amount"),
        (b'"symbol": "COIN"', b'"symbol": "C OIN"', "symbol"),
        (b'"symbol": "COIN"', b'"symbol": "GOLD"', "twice"),
        (b'"decimals": 6', b'"decimals": 99', "decimals"),
        (b'"public_key": "0', b'"public_key": "1', "public_key"),
        (b"{", b"[", "JSON"),
    ],
)
def test_an_app_state_that_cannot_be_names_the_field(old: bytes, new: bytes, said: str) -> None:
    with pytest.raises(InvalidGenesis, match=said):
        parse_app_state(app_state().replace(old, new, 1))
