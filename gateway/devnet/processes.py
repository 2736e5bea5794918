"""Processes of a development network: started, logged, watched, and ended to the last one.

Each process is written down (pid and time of birth, so that a pid that was given away again is
never taken for ours), and carries the folder's name in its environment, as do those that it starts
itself; so whoever comes later can end what an interrupted run left behind, also one that was killed
before it could write anything down.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from adapters.devnet import ProcessSpec

GRACE = 8.0
"""Seconds between asking a process to end and ending it."""

_MARK = "ISTHMUS_DEVNET"
"""In the environment of every process: the folder that it belongs to."""

_LAUNCHER = Path(__file__).with_name("end_with_parent.py")


@dataclass(frozen=True, slots=True)
class Running:
    name: str
    pid: int
    born: float
    needs: tuple[str, ...] = ()
    """Those that must outlive it."""

    def process(self) -> psutil.Process | None:
        """The process, if it is still that one and lives."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.born) > 0.5:
                return None
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return process


class Processes:
    """The processes of one folder: ``pids/NAME`` and ``logs/NAME.log`` below it."""

    def __init__(self, folder: Path, *, die_with_us: bool) -> None:
        self._folder = folder.resolve()
        self._pids = folder / "pids"
        self._logs = folder / "logs"
        self._die_with_us = die_with_us
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def start(self, spec: ProcessSpec) -> Running:
        """Starts a process in a session of its own, its output appended to its log."""
        for folder in (self._pids, self._logs):
            folder.mkdir(parents=True, exist_ok=True)
        environment: Mapping[str, str] = {
            **_without(spec.without),
            **spec.env,
            _MARK: str(self._folder),
        }
        with self.log(spec.name).open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - the commands are our own
                self._argv(spec),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        born = psutil.Process(child.pid).create_time()
        running = Running(spec.name, child.pid, born, spec.needs)
        record = {"pid": running.pid, "born": running.born, "needs": running.needs}
        (self._pids / spec.name).write_text(json.dumps(record))
        self._children[spec.name] = child
        return running

    def _argv(self, spec: ProcessSpec) -> tuple[str, ...]:
        if not self._die_with_us:
            return spec.argv
        # Isolated and without site-packages, which takes a tenth of the time.
        return (sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *spec.argv)

    def mark_children(self) -> None:
        """From now on what this process itself starts belongs to the folder as well, such as the
        commands that set a network up. For a process that does nothing else."""
        os.environ[_MARK] = str(self._folder)

    def find(self, name: str) -> Running | None:
        """What was written down of a process, whether it lives or not."""
        try:
            record = json.loads((self._pids / name).read_text())
            needs = tuple(map(str, record.get("needs", ())))
            return Running(name, int(record["pid"]), float(record["born"]), needs)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def names(self) -> list[str]:
        return sorted(path.name for path in self._pids.iterdir()) if self._pids.is_dir() else []

    def alive(self, name: str) -> bool:
        self._reap(name)
        running = self.find(name)
        return running is not None and running.process() is not None

    def signal(self, name: str, number: signal.Signals) -> None:
        """Sends a signal to a process and all of its session; nothing where it is gone."""
        running = self.find(name)
        if running is not None and running.process() is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, number)
        if number is signal.SIGKILL:
            self._wait([name], GRACE)

    def stop(self, names: Iterable[str] | None = None) -> list[str]:
        """Ends these processes (all, if not said): first asked, then, after GRACE, made to. One
        that needs another ends before that is asked.

        Returns the names of those that had to be made to.
        """
        which = list(names) if names is not None else self.names()
        for name in which:
            self.signal(name, signal.SIGCONT)
        forced = []
        for those in _one_after_the_other({name: self.find(name) for name in which}):
            for name in those:
                self.signal(name, signal.SIGTERM)
            late = self._wait(those, GRACE)
            for name in late:
                self.signal(name, signal.SIGKILL)
            forced += late
        for name in which:
            (self._pids / name).unlink(missing_ok=True)
        if names is None:
            self._end_strays()
        return forced

    def _end_strays(self) -> None:
        """Ends what belongs to the folder and was not written down: whoever started it was killed
        in that moment, or was itself one of ours and was killed before its own children."""
        strays = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get(_MARK) == str(self._folder):
                    process.kill()
                    strays.append(process)
            except psutil.Error:
                continue  # another user's, or gone meanwhile
        psutil.wait_procs(strays, timeout=GRACE)

    def _wait(self, names: Iterable[str], seconds: float) -> list[str]:
        """Waits for processes to end; the names of those that have not."""
        found = {name: self.find(name) for name in names}
        living = {
            name: process for name, run in found.items() if run and (process := run.process())
        }
        psutil.wait_procs(list(living.values()), timeout=seconds, callback=None)
        for name in names:
            self._reap(name)
        return [name for name, run in found.items() if run and run.process() is not None]

    def _reap(self, name: str) -> None:
        child = self._children.get(name)
        if child is not None and child.poll() is not None:
            del self._children[name]

    def last_words(self, name: str, lines: int = 5) -> str:
        """The end of a process's log, for an error."""
        try:
            text = self.log(name).read_text(errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])


def _one_after_the_other(found: Mapping[str, Running | None]) -> Iterator[list[str]]:
    """All the names, in the order in which they are to end. What is not known needs nothing."""
    left = dict(found)
    while left:
        needed = {name for running in left.values() if running for name in running.needs}
        # Where they need each other in a circle, none is the first.
        those = [name for name in left if name not in needed] or list(left)
        yield those
        for name in those:
            del left[name]


def _without(beginnings: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(beginnings)}
