"""The development network on Geth: what it needs, and what preparing it again leaves as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.devnet import Participant
from adapters.ethereum.real_network import RealNetwork
from adapters.programs import Programs
from adapters.spi import Misconfigured
from gateway.settings import programs_here
from tests.adapters.ethereum.signer import LocalSigner
from tests.networks.geth import NETWORK, geth_or_skip

pytestmark = pytest.mark.shows("ethereum", NETWORK, "prepared once, in one folder")
geth_or_skip()

ONE, TWO = (Participant(name, LocalSigner(name).public_key) for name in ("one", "two"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_without_geth_it_says_where_to_get_it(tmp_path: Path) -> None:
    (said,) = RealNetwork(tmp_path, Programs([])).missing()
    assert said.startswith("there is no geth of the right version: get it with make tools")
    assert list(RealNetwork(tmp_path, programs_here()).missing()) == []


def test_preparing_again_changes_the_port_alone(tmp_path: Path) -> None:
    network = RealNetwork(tmp_path, programs_here())
    network.prepare([22_001], [ONE, TWO])
    before = contents(tmp_path)
    key = (tmp_path / "deployer.key").read_text()
    network.prepare([22_002], [ONE, TWO])
    after = contents(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} == {"devnet.json"}
    assert after.keys() == before.keys()
    (process,) = network.processes()
    assert "22002" in process.argv
    assert key not in " ".join(process.argv)
    with pytest.raises(Misconfigured, match="other participants"):
        network.prepare([22_001], [ONE])


def test_a_beginning_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "geth.part").mkdir()
    (tmp_path / "geth.part" / "rubbish").write_text("half of a chain")
    network = RealNetwork(tmp_path, programs_here())
    network.prepare([22_001], [ONE])
    assert not (tmp_path / "geth.part").exists()
    assert (tmp_path / "geth" / "geth" / "chaindata").is_dir()


def test_it_listens_on_loopback_alone(tmp_path: Path) -> None:
    network = RealNetwork(tmp_path, programs_here())
    network.prepare([22_001], [ONE])
    (process,) = network.processes()
    given = dict(zip(process.argv, process.argv[1:], strict=False))
    assert given["--http.addr"] == given["--ws.addr"] == "127.0.0.1"
    assert "--ipcdisable" in process.argv
    assert "personal" not in given["--http.api"]
