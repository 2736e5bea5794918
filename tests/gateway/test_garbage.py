"""How often a gateway's process stops to look for cycles. The collector is the process's own, so
each test gives it back as it was."""

from __future__ import annotations

import gc
import os
import signal
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import garbage
from gateway.cli.main import app
from gateway.process import until_signalled


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.parametrize("command", ["gateway", "watchtower"])
def test_a_process_imports_with_a_large_young_generation(command: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, [command, "run", "-c", str(tmp_path / "none.yaml")])
    assert "none.yaml: cannot be read" in str(ended.exception)
    assert gc.get_threshold() == garbage.THRESHOLDS


async def test_what_a_start_made_is_not_looked_through_again_while_it_runs() -> None:
    frozen = 0

    class Process:
        async def run(self) -> None:
            nonlocal frozen
            frozen = gc.get_freeze_count()
            assert gc.isenabled()
            os.kill(os.getpid(), signal.SIGTERM)

        def stop(self) -> None: ...

    @asynccontextmanager
    async def opened() -> AsyncIterator[Process]:
        assert gc.get_freeze_count() == 0
        yield Process()

    await until_signalled(opened, lambda _: None)
    assert frozen > 10_000, "all that is imported, at the least"
    assert gc.get_threshold() == garbage.THRESHOLDS


def test_cycles_of_the_start_and_later_ones_are_freed() -> None:
    before = weakref.ref(Cycle())
    garbage.settle()
    assert before() is None, "it was not frozen as what must stay"
    after = weakref.ref(Cycle())
    gc.collect()
    assert after() is None
