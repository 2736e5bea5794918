"""Processes end: asked or made to, alone or with their parent, and no stranger is ever hit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from adapters.devnet import ProcessSpec
from gateway.devnet.processes import Processes

SLEEPER = (sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\n"
    "while True: signal.pause()",
)


def spec(name: str, argv: tuple[str, ...] = SLEEPER) -> ProcessSpec:
    return ProcessSpec(name, argv, {})


def wait_for_log(processes: Processes, name: str) -> None:
    while "up" not in processes.last_words(name):
        assert processes.alive(name)


def test_stop_ends_what_was_started(tmp_path: Path) -> None:
    processes = Processes(tmp_path, die_with_us=False)
    running = processes.start(spec("one"))
    assert processes.alive("one")
    assert processes.stop() == []
    assert not processes.alive("one")
    assert running.process() is None
    assert processes.names() == []


def test_the_environment_does_not_configure_a_program_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGERD_DATABASE", "elsewhere")
    monkeypatch.setenv("OTHER", "kept")
    processes = Processes(tmp_path, die_with_us=False)
    running = processes.start(
        ProcessSpec("one", SLEEPER, {"LEDGERD_HOME": "here"}, without=("LEDGERD_",))
    )
    wait_for_log(processes, "one")
    environ = psutil.Process(running.pid).environ()
    processes.stop()
    assert "LEDGERD_DATABASE" not in environ
    assert (environ["LEDGERD_HOME"], environ["OTHER"]) == ("here", "kept")


def test_a_process_that_will_not_end_is_made_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.devnet.processes.GRACE", 0.2)
    processes = Processes(tmp_path, die_with_us=False)
    processes.start(spec("stubborn", STUBBORN))
    wait_for_log(processes, "stubborn")
    assert processes.stop() == ["stubborn"]
    assert not processes.alive("stubborn")


OUTLIVED = """
import pathlib, signal, sys
def end(*_):
    there = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    print("it still lived" if there else "it was gone", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
pid = sys.argv[1]
print("up", flush=True)
while True: signal.pause()
"""


@pytest.mark.parametrize("later", [False, True], ids=["by its starter", "by a later run"])
def test_what_needs_another_ends_before_that_is_asked(tmp_path: Path, later: bool) -> None:
    processes = Processes(tmp_path, die_with_us=False)
    needed = processes.start(spec("a needed one"))
    needing = (sys.executable, "-c", OUTLIVED, str(needed.pid))
    processes.start(ProcessSpec("needing", needing, {}, needs=("a needed one", "no such")))
    wait_for_log(processes, "needing")
    last = Processes(tmp_path, die_with_us=False) if later else processes
    assert last.stop() == []
    assert processes.last_words("needing").endswith("it still lived")
    assert not processes.alive("a needed one")


def test_those_that_need_each_other_end_together(tmp_path: Path) -> None:
    processes = Processes(tmp_path, die_with_us=False)
    for name, other in (("one", "two"), ("two", "one")):
        processes.start(ProcessSpec(name, SLEEPER, {}, needs=(other,)))
    assert processes.stop() == []
    assert not processes.alive("one")
    assert not processes.alive("two")


def test_a_later_run_ends_what_an_earlier_one_left(tmp_path: Path) -> None:
    earlier = Processes(tmp_path, die_with_us=False)
    running = earlier.start(spec("left"))
    later = Processes(tmp_path, die_with_us=False)
    assert later.names() == ["left"]
    later.stop()
    earlier.alive("left")  # reaps the child, as init would
    assert running.process() is None


def test_a_pid_that_was_given_away_again_is_not_ours(tmp_path: Path) -> None:
    processes = Processes(tmp_path, die_with_us=False)
    stranger = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL)
    try:
        (tmp_path / "pids").mkdir()
        born = psutil.Process(stranger.pid).create_time() - 100
        (tmp_path / "pids" / "old").write_text(json.dumps({"pid": stranger.pid, "born": born}))
        assert not processes.alive("old")
        processes.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_was_never_written_down_is_ended_too_and_another_folder_s_is_not(
    tmp_path: Path,
) -> None:
    """As where whoever started it is killed between the start and the record."""
    unrecorded, other = tmp_path / "unrecorded", tmp_path / "other"
    left = Processes(unrecorded, die_with_us=False).start(spec("left"))
    (unrecorded / "pids" / "left").unlink()
    elsewhere = Processes(other, die_with_us=False)
    elsewhere.start(spec("elsewhere"))
    later = Processes(unrecorded, die_with_us=False)
    assert later.names() == []
    later.stop()
    assert left.process() is None
    assert elsewhere.alive("elsewhere")
    elsewhere.stop()


def test_a_stopped_process_is_ended_too(tmp_path: Path) -> None:
    processes = Processes(tmp_path, die_with_us=False)
    processes.start(spec("paused"))
    processes.signal("paused", signal.SIGSTOP)
    processes.stop()
    assert not processes.alive("paused")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's PR_SET_PDEATHSIG")
def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, sys, pathlib\n"
            "from adapters.devnet import ProcessSpec\n"
            "from gateway.devnet.processes import Processes\n"
            f"p = Processes(pathlib.Path({str(tmp_path)!r}), die_with_us=True)\n"
            f"run = p.start(ProcessSpec('child', {SLEEPER!r}, {{}}))\n"
            "print(run.pid, flush=True)\n"
            "signal.pause()\n",
        ],
        stdout=subprocess.PIPE,
        env={**os.environ},
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive or alive[0].status() == psutil.STATUS_ZOMBIE


def test_nothing_of_this_process_runs_in_the_child_before_its_program(tmp_path: Path) -> None:
    """gRPC's fork handlers, for one, write to standard error where a thread speaks gRPC."""
    called: list[str] = []
    os.register_at_fork(before=lambda: called.append("before"))
    processes = Processes(tmp_path, die_with_us=True)
    processes.start(spec("child"))
    wait_for_log(processes, "child")
    processes.stop()
    assert not called


def test_a_command_that_is_not_there_says_so_in_its_log(tmp_path: Path) -> None:
    processes = Processes(tmp_path, die_with_us=True)
    running = processes.start(spec("absent", ("/nowhere/at-all",)))
    while running.process() is not None:
        pass
    assert processes.last_words("absent") == (
        "/nowhere/at-all cannot be started: No such file or directory"
    )
