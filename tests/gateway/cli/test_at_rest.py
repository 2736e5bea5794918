"""What the command line says where no gateway runs, and what it checks of the configuration."""

from __future__ import annotations

import asyncio
import socket
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from tests.gateway.cli.command import isthmus, refused
from tests.gateway.two_gateways import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


async def test_help_names_every_command() -> None:
    shown = await isthmus("--help")
    assert shown.status == 0
    for command in ("swap", "chain", "gateway", "watchtower", "key", "config", "devnet", "doctor"):
        assert f"  {command} " in shown.out
        below = await isthmus(command, "--help")
        assert below.status == 0
        assert "--help" in below.out


async def test_the_version_is_the_packages() -> None:
    shown = await isthmus("--version")
    assert (shown.status, shown.out) == (0, f"isthmus {version('isthmus')}\n")


async def test_help_loads_nothing_heavy() -> None:
    """What makes --help slow is named here in place of a stop-watch."""
    code = (
        "import sys\n"
        "from gateway.cli.main import app\n"
        "try:\n    app(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = ['rich', 'asyncio', 'pydantic', 'httpx', 'web3', 'grpc', 'fastapi', 'yaml']\n"
        "sys.exit(', '.join(name for name in heavy if name in sys.modules) or 0)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


async def test_no_configuration(tmp_path: Path) -> None:
    message = await refused("swap", "list", cwd=tmp_path)
    assert "gateway.yaml" in message
    assert "-c FILE" in message


@pytest.mark.parametrize(
    "command",
    [
        ("swap", "list"),
        ("swap", "show", "0x" + "00" * 32),
        ("swap", "accept", "0x" + "00" * 32),
        ("swap", "watch"),
        ("chain", "list"),
        ("chain", "balance"),
    ],
    ids=" ".join,
)
async def test_no_gateway_runs(world: World, command: tuple[str, ...]) -> None:
    message = await refused(*command, "-c", world.alice.file)
    assert f"no gateway answers at http://127.0.0.1:{world.alice.api_port}" in message


async def test_doctor_checks_what_there_is_without_a_gateway(world: World) -> None:
    found = await isthmus("doctor", "-c", world.alice.file)
    assert found.status == 1
    lines = found.out.splitlines()
    assert lines[0].startswith("FAIL gateway: running: no gateway answers")
    assert f"isthmus gateway run -c {world.alice.file}" in lines[1]
    for check in (
        "gateway.key: key: it opens",
        "gateway.swap_key: key: it opens",
        "api.token: secret: it is there",
        "journal: file: there is none",
        f"api: port: {world.alice.api_port} of 127.0.0.1 is free",
        "peer_api: certificate: ",
        "chains.alpha.key: key: it opens",
    ):
        assert f"ok   {check}" in found.out, check
    assert lines[-1].startswith("1 of "), found.out


async def test_doctor_without_a_gateway_finds_what_is_wrong(world: World) -> None:
    (world.alice.folder / "token").unlink()
    (world.alice.folder / "passphrase").write_text("wrong\n")
    (world.alice.folder / "journal.db").write_bytes(b"")
    (world.alice.folder / "tls.pem").write_text("no certificate")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", world.alice.peer_port))
        taken.listen()
        found = await isthmus("doctor", "--json", "-c", world.alice.file)
    wrong = {f"{one['part']}: {one['check']}" for one in found.json["findings"] if not one["ok"]}
    assert wrong >= {
        "gateway: running",
        "gateway.key: key",
        "gateway.swap_key: key",
        "journal: file",
        "peer_api: port",
        "peer_api: certificate",
    }
    assert all(one["mend"] for one in found.json["findings"] if not one["ok"])


async def test_config_check(world: World) -> None:
    good = await isthmus("config", "check", "-c", world.alice.file)
    assert good.status == 0
    assert "chains: alpha, beta" in good.out
    told = await isthmus("config", "check", "--json", "-c", world.alice.file)
    assert told.json == {"ok": True, "chains": ["alpha", "beta"]}
    data = yaml.safe_load(world.alice.file.read_text())
    data["api"]["token"] = "a-plain-token"
    data["bounds"]["reacton"] = 1
    world.alice.file.write_text(yaml.safe_dump(data))
    bad = await isthmus("config", "check", "--json", "-c", world.alice.file)
    assert bad.status == 1
    assert len(bad.json["problems"]) == 2
    assert "a-plain-token" not in bad.out, "a secret is not repeated"
    plain = await isthmus("config", "check", "-c", world.alice.file)
    assert plain.status == 1
    assert "there is no such key; allowed here are" in plain.err


async def test_a_gateway_says_in_one_sentence_why_it_does_not_start(world: World) -> None:
    run = ("gateway", "run", "-c", world.alice.file)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", world.alice.api_port))
        taken.listen()
        assert f"port {world.alice.api_port} of 127.0.0.1 is in use" in await refused(*run)
    (world.alice.folder / "passphrase").write_text("wrong\n")
    message = await refused(*run)
    assert message.startswith("gateway.key: ")
    assert "passphrase" in message
    (world.alice.folder / "passphrase").unlink()
    assert "passphrase" in await refused(*run)
    assert not (world.alice.folder / "journal.db").exists()
