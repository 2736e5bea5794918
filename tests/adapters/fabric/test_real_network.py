"""What the real network's development network does before any of its programs runs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.devnet import Participant
from adapters.fabric.real_network import RealNetwork
from adapters.fabric.release.layout import Layout
from adapters.fabric.release.ordering import BFT_OF_FOUR, RAFT, RAFT_OF_THREE, Ordering
from adapters.fabric.release.package import make_package, package_id
from adapters.fabric.release.programs import environment
from adapters.programs import ProgramMissing, Programs
from adapters.spi import Misconfigured


def participants(names: Sequence[str] = ("ann", "ben")) -> list[Participant]:
    return [Participant(name, b"") for name in names]


def release_without(folder: Path, absent: str) -> Path:
    """A release whose ``peer`` says that it is of version 3.1, and that lacks one file."""
    names = ["peer", "orderer", "osnadmin", "configtxgen", "cryptogen"]
    files = [f"bin/{name}" for name in names] + ["config/core.yaml", "config/orderer.yaml"]
    files += [f"builders/ccaas/bin/{name}" for name in ("detect", "build", "release")]
    for name in files:
        if name != absent:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("#!/bin/sh\necho Version: v3.1.5\n")
            path.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    "absent", ["bin/peer", "bin/cryptogen", "config/core.yaml", "builders/ccaas/bin/build"]
)
def test_what_a_release_lacks_is_named_with_where_to_get_it(tmp_path: Path, absent: str) -> None:
    home = release_without(tmp_path / "release", absent)
    network = RealNetwork(tmp_path / "network", Programs([home / "bin"], home))
    (said,) = network.missing()
    assert f"holds no {absent}: get it" in said
    assert "FABRIC_HOME" in said
    with pytest.raises(ProgramMissing):
        network.prepare(range(1000, 1000 + network.ports_needed), participants())
    assert not (tmp_path / "network").exists()


def test_a_release_of_another_version_is_none(tmp_path: Path) -> None:
    home = release_without(tmp_path, "")
    (home / "bin/peer").write_text("#!/bin/sh\necho Version: v2.5.9\n")
    (said,) = RealNetwork(tmp_path, Programs([], home)).missing()
    assert "v2.5.9" in said


def test_a_whole_release_is_found_by_the_path_alone(tmp_path: Path) -> None:
    home = release_without(tmp_path, "")
    assert RealNetwork(tmp_path, Programs([home / "bin"])).missing() == []
    (said,) = RealNetwork(tmp_path, Programs([tmp_path])).missing()
    assert "FABRIC_HOME" in said


@pytest.mark.parametrize(
    ("ordering", "needed"), [(RAFT, 15), (RAFT_OF_THREE, 21), (BFT_OF_FOUR, 24)]
)
def test_each_node_has_ports_of_its_own(tmp_path: Path, ordering: Ordering, needed: int) -> None:
    assert RealNetwork(tmp_path, Programs([]), ordering).ports_needed == needed
    layout = Layout(tmp_path, ordering.orderers, ["isthmus"], range(needed))
    taken = [
        port for one in layout.orderers for port in (one.port, one.admin_port, one.operations_port)
    ]
    for peer in layout.peers:
        taken += [peer.port, peer.chaincode_port, peer.operations_port, *peer.services.values()]
    assert sorted(taken) == list(range(needed))


def _record(folder: Path, **changes: object) -> None:
    """What a prepared folder says of itself."""
    record = {
        "consensus": "etcdraft",
        "orderers": 1,
        "chaincodes": ["isthmus"],
        "participants": ["ann", "ben"],
        "ports": list(range(1000, 1015)),
    }
    (folder / "network.json").write_text(json.dumps(record | changes))


@pytest.mark.parametrize(
    ("changes", "error", "why"),
    [
        ({"participants": ["zoe"]}, ValueError, "other participants"),
        ({"ports": list(range(2000, 2015))}, Misconfigured, "from 2000 on"),
        ({"consensus": "BFT"}, Misconfigured, "consensus BFT"),
        ({"orderers": 3}, Misconfigured, "orderers 3"),
        ({"chaincodes": ["isthmus", "token"]}, Misconfigured, "token"),
    ],
)
def test_a_folder_of_another_network_is_left_alone(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], why: str
) -> None:
    home = release_without(tmp_path / "release", "")
    _record(tmp_path, **changes)
    before = (tmp_path / "network.json").read_bytes()
    with pytest.raises(error, match=why):
        RealNetwork(tmp_path, Programs([], home)).prepare(range(1000, 1015), participants())
    assert (tmp_path / "network.json").read_bytes() == before
    assert not (tmp_path / "config").exists()


def test_a_program_that_fails_says_so_and_leaves_no_record(tmp_path: Path) -> None:
    home = release_without(tmp_path / "release", "")
    (home / "config/core.yaml").write_text("vm: {}\nchaincode: {}\n")
    (home / "bin/cryptogen").write_text("#!/bin/sh\necho no room on the disk >&2\nexit 1\n")
    network = RealNetwork(tmp_path / "network", Programs([], home))
    with pytest.raises(Misconfigured, match="cryptogen generate failed: no room on the disk"):
        network.prepare(range(1000, 1015), participants())
    assert not (tmp_path / "network/network.json").exists()


def test_a_package_is_the_same_each_time_and_named_by_its_bytes() -> None:
    assert make_package("isthmus") == make_package("isthmus")
    first, other = (package_id(name, make_package(name)) for name in ("isthmus", "token"))
    assert first.startswith("isthmus_1:")
    assert first.partition(":")[2] != other.partition(":")[2]


def test_an_operators_own_settings_of_fabric_do_not_reach_its_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CORE_PEER_ADDRESS", "peer0.production:7051")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    own = environment({"CORE_PEER_ID": "peer0"})
    assert "CORE_PEER_ADDRESS" not in own
    assert "HTTPS_PROXY" not in own
    assert own["CORE_PEER_ID"] == "peer0"
    assert own["PATH"] == os.environ["PATH"]
