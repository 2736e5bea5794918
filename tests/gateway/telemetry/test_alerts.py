"""Alerts reach the log and the metrics: each at least once, over restarts, and no old ones anew."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from adapters.model import ChainId, Hashlock
from gateway.sections import LogLevel
from gateway.telemetry.alerts import FRESH, OTHER, AlertTeller
from gateway.telemetry.logs import set_up_logs
from relayers.engine import Engine
from relayers.journal.memory import MemoryJournal, MemoryStore
from relayers.journal.port import StoredEvent
from relayers.protocol.state import Level, UserEvent
from tests.gateway.two_gateways import (
    Running,
    both_running,
    make_world,
    offer_body,
    running,
)

NOW = 1_800_000_000
KEY = Hashlock(bytes(range(32)))


def put(store: MemoryStore, kind: str, level: Level = Level.ALERT, at: int = NOW) -> None:
    number = store.events[-1].number + 1 if store.events else 1
    store.events.append(StoredEvent(number, KEY, at, UserEvent(kind, level, f"text of {kind}")))


class Teller:
    """One start of the worker over a store; what it told and counted."""

    def __init__(self, store: MemoryStore, place: Path, now: float = NOW) -> None:
        self.store = store
        self.place = place
        self.now = now
        self.counted: list[str] = []

    async def told(self) -> list[MutableMapping[str, Any]]:
        """Runs until all that is stored was gone through; its log lines."""
        passed = asyncio.Event()
        store, last = self.store, self.store.events[-1].number if self.store.events else 0

        async def stored(after: int, limit: int) -> tuple[StoredEvent, ...]:
            return await journal.events(after, limit)

        async def follow(after: int) -> Any:
            if after >= last:
                passed.set()
            async for event in engine.follow(after):
                yield event
                if event.number >= last:
                    passed.set()

        journal = MemoryJournal(store)
        engine = await Engine.open(journal, lambda: self.now)
        teller = AlertTeller(follow, stored, self.place, lambda: self.now, self.counted.append)
        with capture_logs() as lines:
            task = asyncio.create_task(teller.run())
            waiting = asyncio.create_task(passed.wait())
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
            await asyncio.gather(task, waiting, return_exceptions=True)
        await journal.close()
        return lines


async def test_levels_are_logged_as_what_they_are(tmp_path: Path) -> None:
    store = MemoryStore()
    put(store, "locked", Level.INFO)
    put(store, "failed", Level.WARNING)
    put(store, "deadline:claim:a", Level.ALERT)
    teller = Teller(store, tmp_path / "place")
    warning, alert = await teller.told()
    assert (warning["log_level"], warning["event"], warning["kind"]) == (
        "warning",
        "warning",
        "failed",
    )
    assert alert == {
        "log_level": "error",
        "event": "alert",
        "kind": "deadline:claim:a",
        "swap": "0x" + KEY.hex(),
        "text": "text of deadline:claim:a",
        "at": NOW,
        "number": 3,
        "runbook": "docs/runbooks/deadline-claim.md",
    }
    assert teller.counted == ["deadline:claim:a"]


async def test_after_a_restart_what_was_told_is_not_told_and_the_rest_is(tmp_path: Path) -> None:
    store, place = MemoryStore(), tmp_path / "place"
    put(store, "lost")
    assert len(await Teller(store, place).told()) == 1
    put(store, "held:claim")
    # However long it was down.
    (line,) = await Teller(store, place, NOW + 100 * FRESH).told()
    assert line["kind"] == "held:claim"
    assert await Teller(store, place, NOW + 100 * FRESH).told() == []


async def test_where_the_place_is_lost_only_what_is_fresh_is_told(tmp_path: Path) -> None:
    store, place = MemoryStore(), tmp_path / "place"
    put(store, "lost", at=NOW - 365 * FRESH)
    put(store, "held:claim", at=NOW - FRESH)
    (line,) = await Teller(store, place).told()
    assert line["kind"] == "held:claim"
    for damage in (b"", b"[]", b'{"number":"1","at":1,"swap":"","kind":""}', b"\xff"):
        place.write_bytes(damage)
        unreadable, line = await Teller(store, place).told()
        assert unreadable["log_level"] == "warning"
        assert line["kind"] == "held:claim"


async def test_a_place_of_another_journal_is_not_believed(tmp_path: Path) -> None:
    """An older copy of the journal goes on with numbers that were told of other events."""
    store, place = MemoryStore(), tmp_path / "place"
    for kind in ("lost", "held:claim", "refused:claim"):
        put(store, kind)
    await Teller(store, place).told()
    del store.events[1:]
    shorter = await Teller(store, place).told()
    assert [line.get("kind") for line in shorter] == [None, "lost"]
    put(store, "deadline:claim:a")
    put(store, "deadline:claim:b")
    assert [line["kind"] for line in await Teller(store, place).told()] == [
        "deadline:claim:a",
        "deadline:claim:b",
    ]
    store.events[-1] = StoredEvent(3, KEY, NOW, UserEvent("lost", Level.ALERT, ""))
    other = await Teller(store, place).told()
    assert [line.get("kind") for line in other] == [None, "lost", "deadline:claim:a", "lost"]


async def test_a_disk_that_takes_no_place_stops_nothing(tmp_path: Path) -> None:
    store = MemoryStore()
    put(store, "lost")
    put(store, "held:claim")
    lines = await Teller(store, tmp_path / "no such folder" / "place").told()
    assert [line["event"] for line in lines] == ["alert", "cannot be written", "alert"]


async def test_a_kind_of_another_version_is_told_and_counted_as_other(tmp_path: Path) -> None:
    store = MemoryStore()
    put(store, "of:tomorrow")
    teller = Teller(store, tmp_path / "place")
    (line,) = await teller.told()
    assert line["runbook"] == "docs/runbooks/README.md"
    assert teller.counted == [OTHER]


# --- in a running gateway ------------------------------------------------------------------------


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    set_up_logs(LogLevel.INFO, stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def alerts_in(stream: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "alert"]


async def counted(gateway: Running, kind: str) -> float:
    text = (await gateway.http.get("/metrics")).text
    name = f'isthmus_alerts_total{{kind="{kind}"}} '
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return float(line.removeprefix(name))


async def freeze(gateway: Running, chain: ChainId, kind: str) -> None:
    """Makes the chain one that broke its finality rule; returns once that was counted."""
    engine = gateway.gateway.services.engine
    await engine.freeze(engine.views()[chain].head, "a test's own reason")
    async with asyncio.timeout(20):
        while True:
            if await counted(gateway, kind):
                return
            await asyncio.sleep(0.02)


async def test_a_breach_in_a_running_gateway_is_in_the_log_and_the_metrics(
    tmp_path: Path, logs: io.StringIO
) -> None:
    world = make_world(tmp_path, offers={"valid_for": 300, "slack": 2})
    async with both_running(world) as (gateway, bob):
        assert await counted(gateway, "bound:frozen:a") == 0
        answer = await gateway.http.post(
            "/v1/swaps", json=offer_body(world), headers={"idempotency-key": "one"}
        )
        assert answer.status_code == 201, answer.text
        await freeze(gateway, world.chain_a, "bound:frozen:a")
        (alert,) = alerts_in(logs)
        # Bob's has the swap too, and its own view of the chain.
        assert await counted(bob, "bound:frozen:a") == 0
        await gateway.gateway.services.engine.unfreeze(world.chain_a)
    assert (alert["level"], alert["logger"]) == ("error", "gateway.alerts")
    assert alert["kind"] == "bound:frozen:a"
    assert alert["swap"] == answer.json()["id"]
    assert "a test's own reason" in alert["text"]
    assert alert["runbook"] == "docs/runbooks/bound-frozen.md"
    async with running(world.alice) as gateway:
        await freeze(gateway, world.chain_b, "bound:frozen:b")
        # The first was told before the restart.
        assert await counted(gateway, "bound:frozen:a") == 0
    assert [alert["kind"] for alert in alerts_in(logs)] == ["bound:frozen:a", "bound:frozen:b"]
