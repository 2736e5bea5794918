"""A running gateway whose node stops answering, answers garbage, or goes back in time.

What its API, ``/readyz``, ``chain show`` and ``doctor`` say; and that it is well again when the
node is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from adapters.native.devnet import Devnet
from gateway.devnet.environment import Environment, Plan
from tests.adapters.native.faulty_node import DROP, HANG, FaultyNode, Twist, faulty_node, honest
from tests.gateway.cli.command import refusal
from tests.gateway.cli.forked_command import ForkedCommand, started
from tests.ports import free_block, free_port


def back_in_time(method: str, answer: Any) -> Any:
    """As of the first block, though the driver has seen later ones of this node."""
    if method == "abci_info":
        answer["result"]["response"]["last_block_height"] = "1"
    if method == "abci_query":
        answer["result"]["response"]["height"] = "1"
    return answer


FAULTS: dict[str, tuple[Twist, str]] = {
    "silence": (lambda method, answer: HANG, "has not answered within 3 seconds"),
    "broken off": (lambda method, answer: DROP, "broke off"),
    "garbage": (lambda method, answer: b"<html>bad gateway</html>", "answers what is not JSON"),
    "back in time": (back_in_time, "behind height [0-9]+ that was seen before"),
}
"""What the node does, and how it is told."""


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Environment]:
    plan = Plan(ledgers=("native",), organisations=("alpha",))
    environment = Environment(tmp_path / "devnet", plan, die_with_us=True)
    environment.ledgers.networks = {"native": Devnet(environment.folder / "native", 0.2)}
    try:
        environment.prepare(iter(free_block(environment.ports_needed)))
        asyncio.run(environment.up())
        yield environment
    finally:
        environment.down()


async def answered(http: httpx.AsyncClient, path: str, enough: Callable[[Any], bool]) -> Any:
    """What is answered there, once it is so."""
    async with asyncio.timeout(90):
        while True:
            answer = (await http.get(path)).json()
            if enough(answer):
                return answer
            await asyncio.sleep(0.2)


@asynccontextmanager
async def gateway_before(
    native: Environment, folder: Path, node: FaultyNode, patience: int
) -> AsyncIterator[tuple[Path, httpx.AsyncClient]]:
    """A gateway's process whose only chain is reached through this node; its configuration file,
    and a client of its API. ``patience``: seconds that it gives the node. It must still run at the
    end."""
    organisation = native.organisations["alpha"]
    data = yaml.safe_load(organisation.configuration.read_text())
    port = free_port()
    data["api"]["port"], data["peer_api"]["port"] = port, free_port()
    data["journal"]["path"] = str(folder / "journal.sqlite")
    data["chains"]["native"] |= {
        "urls": [node.url],
        "request_timeout": patience,
        "poll_interval": 0.5,
        "stale_after": 8,
    }
    folder.mkdir()  # noqa: ASYNC240 - a test waits for its disk
    file = organisation.folder / f"{folder.name}.yaml"
    file.write_text(yaml.safe_dump(data))
    gateway = ForkedCommand("gateway", "run", "-c", file)
    headers = {"authorization": f"Bearer {organisation.token}"}
    url = f"http://127.0.0.1:{port}"
    try:
        await gateway.logged('"event": "running"')
        async with httpx.AsyncClient(
            base_url=url, headers=headers, trust_env=False, timeout=90
        ) as http:
            yield file, http
        assert gateway.lives
        assert "Traceback" not in gateway.err()
    finally:
        gateway.end()


async def meets(native: Environment, folder: Path, twist: Twist, told: str) -> None:
    # Silence is waited for; whatever else comes, comes when the machine gets to it.
    patience = 3 if "within 3 seconds" in told else 20
    block = native.networks["native"].settings("alpha")
    async with (
        faulty_node(block["urls"][0]) as node,
        gateway_before(native, folder, node, patience) as (file, http),
    ):
        await answered(http, "/readyz", lambda ready: ready["ok"])
        node.twist = twist
        # What was seen last stays, with what is wrong and since when.
        (chain,) = await answered(http, "/v1/chains", lambda chains: chains[0]["problem"])
        assert re.search(told, chain["problem"]), chain
        assert chain["since"] > 0
        assert chain["height"] > 1
        ready = await answered(http, "/readyz", lambda ready: not ready["ok"])
        assert ready["reasons"] == ["chain native shows only an old block"]
        assert (await http.get("/v1/chains")).json()[0]["stale"]
        assert (await http.get("/healthz")).status_code == 200
        # At once, since a silent node makes each of them wait.
        detail, balances, shown, doctor = await asyncio.gather(
            http.get("/v1/chains/native"),
            http.get("/v1/chains/native/balances"),
            started("chain", "show", "native", "-c", file),
            started("doctor", "--json", "-c", file),
        )
        for refused in (detail.json(), balances.json()):
            assert refused["code"] == "chain_unavailable"
            assert re.search(told, refused["detail"]), refused
        assert re.search(told, refusal(shown)), shown
        assert doctor.status == 1
        wrong = {one["check"]: one for one in doctor.json["findings"] if not one["ok"]}
        for check in ("head", "event stream"):
            assert wrong[check]["part"] == "chain native"
            assert wrong[check]["mend"] == "see to the node"
            assert re.search(told, wrong[check]["seen"]), wrong
        node.twist = honest
        await answered(http, "/readyz", lambda ready: ready["ok"])
        await answered(
            http, "/v1/chains", lambda chains: not (chains[0]["problem"] or chains[0]["stale"])
        )


async def test_what_is_told_of_a_faulty_node(native: Environment, tmp_path: Path) -> None:
    """All at once: most of the time goes by until the last block that was seen is old."""
    async with asyncio.TaskGroup() as faults:
        for name, (twist, told) in FAULTS.items():
            faults.create_task(meets(native, tmp_path / name.replace(" ", "-"), twist, told))
