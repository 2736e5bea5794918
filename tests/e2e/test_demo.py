"""The demonstration is the whole product at work: it must come out right, and leave nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from gateway.devnet.ports import is_free
from gateway.devnet.processes import Running

pytestmark = pytest.mark.alone

DEMO = (sys.executable, "-m", "gateway.cli", "demo")
PORTS = range(27_000, 27_016)


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DEMO, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def left_behind(folder: Path) -> list[psutil.Process]:
    """Processes that still work in the demonstration's folder, by their command or by its record:
    the chaincode's command names no folder."""
    home = folder / ".isthmus"
    recorded = {
        Running(path.name, record["pid"], record["born"])
        for path in home.rglob("pids/*")
        if (record := json.loads(path.read_text() or "null"))
    }
    found = {process for running in recorded if (process := running.process())}
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(
            str(home) in part for part in command
        ):
            found.add(process)
    return list(found)


@pytest.mark.timeout(240)
def test_everything_comes_out_as_the_scenarios_say(tmp_path: Path) -> None:
    demo = started(tmp_path, "--json", "--seed", "7")
    output, errors = demo.communicate()
    answer = json.loads(output)
    wrong = [run for run in answer["scenarios"] if run["outcome"] != run["expected"]]
    assert not wrong, errors[-4000:]
    assert answer["ok"], (answer["ledgers"], errors[-4000:])
    assert demo.returncode == 0
    assert answer["seed"] == 7
    assert "fork_posix" not in errors, "gRPC was forked"
    assert len(answer["scenarios"]) == 36
    assert not left_behind(tmp_path)


@pytest.mark.timeout(240)
def test_interrupted_it_leaves_nothing_and_the_next_run_passes(tmp_path: Path) -> None:
    for number, line in (
        (signal.SIGINT, "starting native"),
        (signal.SIGTERM, "starting the gateways"),
        (signal.SIGKILL, "alpha offers"),
    ):
        demo = started(tmp_path, "--scenario", "happy", "--pair", "native:fabric")
        assert demo.stdout is not None
        for text in demo.stdout:
            if line in text:
                break
        demo.send_signal(number)
        demo.communicate()
        assert demo.returncode != 0
        psutil.wait_procs(left_behind(tmp_path), timeout=10)
        assert not left_behind(tmp_path)
        taken = [port for port in PORTS if not is_free(port)]
        assert not taken, (number, taken)
    demo = started(tmp_path, "--json", "--scenario", "happy", "--pair", "native:fabric")
    output, errors = demo.communicate()
    assert json.loads(output)["ok"], errors[-4000:]


def test_a_name_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    for arguments, words in (
        (("--scenario", "hapy"), "--scenario: 'hapy' is none of happy"),
        (("--pair", "native:native"), "--pair: 'native:native' is none of"),
    ):
        demo = started(tmp_path, *arguments)
        _, errors = demo.communicate()
        assert demo.returncode == 1
        assert words in errors
