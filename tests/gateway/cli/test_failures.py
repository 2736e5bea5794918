"""How commands fail: one sentence on standard error, or one JSON line on standard output; and never
a traceback for what a user or a damaged file did."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.api.bodies import MAX_ASSET
from gateway.cli.failures import CODES, EXPECTED, as_object, code_of
from gateway.cli.main import main
from relayers.engine import EngineStopped
from relayers.protocol.offer import MAX_REASON, MAX_REFERENCE
from tests.gateway.cli.command import Outcome, environment, isthmus
from tests.gateway.two_gateways import TOKEN, World, make_world, write_watchtower
from tests.ports import free_port

NOWHERE = ("--url", "http://127.0.0.1:9", "--token", "env:T")
SWAP = "0x" + "12" * 32


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Outcome]:
    """The command line within this process, since starting one takes a second."""

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["isthmus", *arguments])
        monkeypatch.setenv("T", TOKEN)
        monkeypatch.setenv("ACCENT", "é")
        monkeypatch.delenv("ISTHMUS_CONFIG", raising=False)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def test_every_error_that_is_told_is_there() -> None:
    for module, names in EXPECTED.items():
        for name in names:
            assert issubclass(getattr(import_module(module), name), Exception), (module, name)


def test_every_code_of_a_command_is_listed() -> None:
    raised = {code for names in EXPECTED.values() for code in names.values() if code}
    assert set(CODES) == raised | {"usage", "aborted", "internal"}


def test_an_error_that_nobody_foresaw_keeps_its_text_to_itself() -> None:
    assert code_of(ValueError("hidden")) is None
    assert "hidden" not in json.dumps(as_object(ValueError("hidden")))
    assert code_of(EngineStopped("the engine has stopped")) == "not_running"


async def test_a_damaged_state_ends_a_watchtower_with_one_sentence(
    world: World, tmp_path: Path
) -> None:
    file = write_watchtower(world, tmp_path)
    state = tmp_path / "tower.json"
    state.write_text("{damaged")
    told = await isthmus("watchtower", "run", "--json", env={"ISTHMUS_CONFIG": str(file)})
    assert (told.status, told.json["code"]) == (1, "tower_state")
    assert told.json["detail"].startswith(f"watchtower state {state}: ")
    assert "remove it" in told.json["detail"]
    assert "Traceback" not in told.err
    assert state.read_text() == "{damaged"


@pytest.mark.parametrize(
    ("arguments", "option", "most"),
    [
        (("swap", "reject", SWAP, "--reason", "x" * 600), "--reason", MAX_REASON),
        (
            (
                *("swap", "offer", "bob", "--give", "1", "sim:a/token:x", "--get", "1"),
                *("sim:b/token:y", "--reference", "x" * 600),
            ),
            "--reference",
            MAX_REFERENCE,
        ),
        (
            ("swap", "offer", "bob", "--give", "1", "sim:a/" + "x" * 600, "--get", "1", "sim:b/y"),
            "--give: the asset",
            MAX_ASSET,
        ),
    ],
    ids=["reason", "reference", "asset"],
)
def test_what_is_too_long_is_said_of_its_option_and_not_repeated(
    command: Callable[..., Outcome], arguments: tuple[str, ...], option: str, most: int
) -> None:
    told = command(*arguments, *NOWHERE)
    assert (told.status, told.out) == (1, "")
    assert told.err.startswith(f"isthmus: {option}: ")
    assert told.err.endswith(f"characters; at most {most} are allowed\n")
    assert "xxx" not in told.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--url", "ftp://x", "--token", "env:T"), "is not a gateway's URL"),
        (("--url", "http://127.0.0.1:99999", "--token", "env:T"), "is not a gateway's URL"),
        (("--url", "http://127.0.0.1:x", "--token", "env:T"), "is not a gateway's URL"),
        (("--url", "http://127.0.0.1:9", "--token", "env:ACCENT"), "token must be printable"),
        (
            ("--url", "https://127.0.0.1:9", "--token", "env:T", "--tls-ca", "/absent.pem"),
            "/absent.pem cannot be read",
        ),
        (
            ("--url", "https://127.0.0.1:9", "--token", "env:T", "--tls-ca", __file__),
            "is not a PEM file",
        ),
        ((*NOWHERE, "--idempotency-key", "é"), "idempotency key must be"),
    ],
)
def test_what_no_request_can_be_made_of(
    command: Callable[..., Outcome], arguments: tuple[str, ...], words: str
) -> None:
    told = command("swap", "accept", SWAP, *arguments)
    assert (told.status, told.out, told.err.count("\n")) == (1, "", 1)
    assert words in told.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("key", "new", "file/key.json", "--passphrase", "env:T"), "file/key.json cannot be"),
        (("devnet", "up", "--dir", "file", "--chains", "native"), "--dir: file is not a folder"),
        (("devnet", "up", "--dir", "file/x", "--chains", "native"), "--dir: file/x cannot be"),
        (("devnet", "up", "--dir", "new", "--chains", "native", "--ports", "-5"), "--ports -5"),
        (("devnet", "up", "--dir", "new", "--chains", "native", "--ports", "65530"), "up to 65"),
        (("devnet", "status", "--dir", "file"), "no development network in file"),
        (("swap", "list", "-c", "."), "cannot be read"),
    ],
)
def test_what_no_file_or_port_can_be(
    command: Callable[..., Outcome], tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "file").write_text("a file where a folder was meant")
    told = command(*arguments)
    assert (told.status, told.out, told.err.count("\n")) == (1, "", 1)
    assert words in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("swap", "list", *NOWHERE), 1, "gateway_unreachable"),
        (("swap", "list", "-c", "absent.yaml"), 1, "failed"),
        (("chain", "show", "alpha", *NOWHERE), 1, "gateway_unreachable"),
        (("swap", "watch", *NOWHERE), 1, "gateway_unreachable"),
        (("doctor", *NOWHERE), 1, "gateway_unreachable"),
        (("config", "check", "-c", "absent.yaml"), 1, "configuration"),
        (("key", "list", "absent"), 1, "failed"),
        (("devnet", "status", "--dir", "absent"), 1, "not_prepared"),
        (("swap", "list", "--limit", "0", *NOWHERE), 2, "usage"),
        (("swap", "frobnicate"), 2, "usage"),
        (("gateway", "run"), 2, "usage"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_with_json_every_failure_is_one_line_on_standard_output(
    command: Callable[..., Outcome], arguments: tuple[str, ...], status: int, code: str
) -> None:
    told = command(*arguments, "--json")
    assert (told.status, told.err) == (status, ""), told
    assert told.out.count("\n") == 1
    assert told.json["ok"] is False
    assert told.json["code"] == code
    assert told.json["problems"] == told.json["detail"].splitlines() != []


async def test_a_configurations_problems_come_one_by_one(world: World) -> None:
    data = yaml.safe_load(world.alice.file.read_text())
    data["bounds"] = {"reaction": -1}
    world.alice.file.write_text(yaml.safe_dump(data))
    told = await isthmus("config", "check", "--json", env={"ISTHMUS_CONFIG": str(world.alice.file)})
    assert len(told.json["problems"]) == 2


async def line_of(*arguments: object, env: dict[str, str]) -> tuple[dict[str, Any], int, bytes]:
    """What a process prints once it serves, and how it ends when it is asked to."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(env),
    )
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = await process.stdout.read()
        return json.loads(line), await process.wait(), rest
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_gateway_says_in_json_where_it_serves(world: World) -> None:
    env = {"ISTHMUS_CONFIG": str(world.alice.file)}
    told, status, rest = await line_of("gateway", "run", "--json", env=env)
    assert told == {
        "ok": True,
        "organisation": "alice",
        "address": world.alice.address,
        "api": f"http://127.0.0.1:{world.alice.api_port}",
        "peer_api": f"https://127.0.0.1:{world.alice.peer_port}",
        "chains": ["alpha", "beta"],
    }
    assert (status, rest) == (0, b"")


async def test_a_watchtower_says_in_json_where_its_metrics_are(
    world: World, tmp_path: Path
) -> None:
    port = free_port()
    env = {"ISTHMUS_CONFIG": str(write_watchtower(world, tmp_path, metrics={"port": port}))}
    told, status, rest = await line_of("watchtower", "run", "--json", env=env)
    assert told == {
        "ok": True,
        "organisation": "tower",
        "metrics": f"http://127.0.0.1:{port}",
        "chains": ["alpha", "beta"],
    }
    assert (status, rest) == (0, b"")
