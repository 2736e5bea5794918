"""What the processes import, which is most of the time that they take to start: a client command
needs neither a server nor a driver, and a gateway only the drivers that its configuration names."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.gateway.cli.command import environment
from tests.gateway.two_gateways import TOKEN, make_world, write_watchtower

SERVER = {"fastapi", "starlette", "uvicorn", "structlog", "prometheus_client", "gateway.compose"}
WORK = {"relayers.engine", "relayers.executor", "relayers.watcher", "relayers.journal", "sqlite3"}
KEYS = {"eth_keys", "eth_account", "cryptography", "Crypto", "coincurve"}
DRIVERS = {
    "adapters.native": {"adapters.native", "websockets"},
    "adapters.ethereum": {"adapters.ethereum", "web3", "aiohttp"},
    "adapters.fabric": {"adapters.fabric", "grpc", "fabric_protos"},
    "adapters.simulated": {"adapters.simulated"},
}
ALL_DRIVERS = frozenset().union(*DRIVERS.values())

_AT_ITS_END = """
import json, sys
from gateway.cli.main import main
try:
    main()
finally:
    sys.stdout.write("\\n" + json.dumps(sorted(sys.modules)))
"""


async def imported(*arguments: object, env: dict[str, str] | None = None) -> frozenset[str]:
    """The modules that a command has loaded when it ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _AT_ITS_END, *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(env),
    )
    out, _ = await process.communicate()
    return frozenset(json.loads(out.splitlines()[-1]))


def found(names: Iterable[str], modules: frozenset[str]) -> set[str]:
    return {name for name in names if name in modules}


@pytest.mark.parametrize(
    "command",
    [
        ("swap", "list"),
        ("swap", "offer", "bob", "--give", "1", "sim:a/t:x", "--get", "1", "sim:b/t:y"),
        ("chain", "list"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
@pytest.mark.parametrize("by_url", [False, True], ids=["by file", "by url"])
async def test_a_client_command_loads_neither_server_nor_driver(
    tmp_path: Path, command: tuple[str, ...], by_url: bool
) -> None:
    """Nobody answers, so it has come as far as its request."""
    if by_url:
        where: tuple[object, ...] = ("--url", "http://127.0.0.1:9", "--token", "env:T")
    else:
        where = ("-c", make_world(tmp_path).alice.file)
    modules = await imported(*command, *where, env={"T": TOKEN})
    assert {"gateway.client", "httpx"} <= modules
    assert found(SERVER | WORK | KEYS | ALL_DRIVERS, modules) == set()


@pytest.mark.parametrize("tower", [False, True], ids=["gateway", "watchtower"])
async def test_a_process_loads_the_drivers_that_its_configuration_names(
    tmp_path: Path, tower: bool
) -> None:
    """It comes as far as its keys: a wrong passphrase is found when all is imported."""
    world = make_world(tmp_path)
    if tower:
        file = write_watchtower(world, tmp_path)
        change = {"ISTHMUS_CHAINS__ALPHA__KEY__PASSPHRASE": "file:tower.yaml"}
        command = "watchtower"
    else:
        file, command = world.alice.file, "gateway"
        change = {"ISTHMUS_GATEWAY__KEY__PASSPHRASE": "file:token"}
    modules = await imported(command, "run", "-c", file, env=change)
    assert {"gateway.compose", "adapters.simulated"} <= modules
    others = ALL_DRIVERS - DRIVERS["adapters.simulated"]
    assert found(others, modules) == set()
