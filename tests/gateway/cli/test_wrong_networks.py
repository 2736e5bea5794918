"""Nodes that are not of the configured chain, and contracts that are not the expected one: neither
a gateway nor a watchtower starts with them, and doctor names what is wrong."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.devnet.environment import WATCHTOWER, Environment, Plan
from tests.gateway.cli.command import Outcome
from tests.gateway.cli.forked_command import started
from tests.gateway.two_gateways import files_below
from tests.ports import free_block

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """One of each, running; and an organisation whose gateway is configured for all of them."""
    plan = Plan(organisations=("alpha",))
    environment = Environment(tmp_path_factory.mktemp("ledgers"), plan, die_with_us=True)
    try:
        environment.prepare(iter(free_block(environment.ports_needed)))
        asyncio.run(environment.up())
        yield environment
    finally:
        environment.down()


def another_id(chain: str) -> Change:
    return lambda block: block.update(chain=chain)


def token_as_contract(block: dict[str, Any]) -> None:
    """An address that has code, and other code."""
    block["contract"] = block["tokens"][0]


def no_contract(block: dict[str, Any]) -> None:
    block["contract"] = "0x" + "11" * 20


WRONG = {
    "native id": (
        "native",
        another_id("isthmus:" + "0" * 32),
        "is a node of isthmus:[0-9a-f]{32}; correct chain or urls",
    ),
    "ethereum id": (
        "ethereum",
        another_id("eip155:999999"),
        "is on chain eip155:31337, but the configuration says eip155:999999; correct chain or urls",
    ),
    "fabric id": (
        "fabric",
        another_id("fabric:" + "0" * 32),
        "channel trade is fabric:[0-9a-f]{32}, not the configured fabric:0{32}; correct chain",
    ),
    "ethereum code": (
        "ethereum",
        token_as_contract,
        "has code 0x[0-9a-f]{64}, which is not expected; correct contract",
    ),
    "ethereum no code": (
        "ethereum",
        no_contract,
        "there is no contract at 0x1{40}; correct contract",
    ),
    "fabric chaincode": (
        "fabric",
        lambda block: block.update(chaincode="barter"),
        "there is no chaincode barter on channel trade",
    ),
    "fabric version": (
        "fabric",
        lambda block: block.update(chaincode_version="0.0"),
        "chaincode isthmus is committed in version 1, not the configured 0.0",
    ),
}
"""By name: which ledger, what is wrong in its block, and what is said of it."""


@pytest.mark.parametrize(("ledger", "change", "message"), WRONG.values(), ids=WRONG.keys())
async def test_no_gateway_starts_on_a_wrong_chain(
    ledgers: Environment, tmp_path: Path, ledger: str, change: Change, message: str
) -> None:
    organisation = ledgers.organisations["alpha"]
    data = yaml.safe_load(organisation.configuration.read_text())
    change(data["chains"][ledger])
    journal = tmp_path / "journal.sqlite"
    data |= {"chains": {ledger: data["chains"][ledger]}, "journal": {"path": str(journal)}}
    file = organisation.folder / "wrong.yaml"
    file.write_text(yaml.safe_dump(data))
    before = contents(ledgers.folder)

    # What can be checked only with a node is checked before a gateway runs, and so found at rest.
    found = (await started("doctor", "--json", "-c", file)).json["findings"]
    (wrong,) = (one for one in found if not one["ok"] and one["part"] != "gateway")
    assert (wrong["part"], wrong["check"]) == (f"chain {ledger}", "configuration")
    assert re.search(message, wrong["seen"]), wrong
    assert wrong["mend"].startswith(f"correct chains.{ledger} in the configuration")

    ended = await started("gateway", "run", "-c", file)
    assert ended.status == 1
    assert closing(ended) == wrong["seen"]
    assert contents(ledgers.folder) == before
    assert journal.exists()
    with sqlite3.connect(journal) as kept:
        for table in ("facts", "snapshots", "intents", "events", "chains"):
            assert kept.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    kept.close()
    assert (tmp_path / "journal.sqlite.audit.jsonl").read_text() == ""


async def test_no_watchtower_starts_on_a_wrong_chain(ledgers: Environment) -> None:
    folder = ledgers.organisations[WATCHTOWER].folder
    data = yaml.safe_load((folder / "watchtower.yaml").read_text())
    chains = {ledger: data["chains"][ledger] for ledger in ("native", "fabric")}
    chains["native"]["chain"] = "isthmus:" + "0" * 32
    file = folder / "wrong.yaml"
    file.write_text(yaml.safe_dump(data | {"chains": chains}))
    before = contents(ledgers.folder)
    ended = await started("watchtower", "run", "-c", file)
    assert ended.status == 1
    assert re.search(WRONG["native id"][2], closing(ended))
    assert contents(ledgers.folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    """What organisations have; the ledgers' own files change with every block."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in ("alpha", WATCHTOWER)
        for path in files_below(folder / name)
    }


def closing(ended: Outcome) -> str:
    """The one sentence after the log of the start."""
    *log, last = ended.err.strip().splitlines()
    assert all(json.loads(line)["level"] for line in log), ended.err
    assert last.startswith("isthmus: "), ended.err
    return last.removeprefix("isthmus: ")
