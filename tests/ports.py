"""Ports for tests: each is given out once among all test processes of this machine.

A port that was merely free a moment ago may be taken before its server starts: by another worker
that asked the same question, or by the system for an outgoing connection. So ports come from below
the range that systems take for those (Linux: from 32,768 on), and each stays this process's own by
a file that it keeps locked to its end. The system frees the locks of a process that dies.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import socket
import tempfile
from io import TextIOWrapper
from pathlib import Path

FIRST, LAST = 26_000, 31_999
"""Above what the suites that choose for themselves use."""

_LOCKS = Path(tempfile.gettempdir()) / f"isthmus-test-ports-{os.getuid()}"
_held: list[TextIOWrapper] = []
# Each process begins somewhere else, so that a port is not used again at once by the next run,
# while connections of the last one linger.
_candidates = itertools.cycle(range(FIRST, LAST + 1))
for _ in range(random.randrange(LAST - FIRST)):
    next(_candidates)


def free_port() -> int:
    """A port on which nobody listens, and which no other test process is given while this one
    runs. Raises AssertionError where all are taken."""
    _LOCKS.mkdir(exist_ok=True)
    for _ in range(LAST - FIRST + 1):
        port = next(_candidates)
        file = (_LOCKS / str(port)).open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        if _listens(port):
            file.close()
            continue
        _held.append(file)
        return port
    raise AssertionError(f"no free port from {FIRST} to {LAST}")


def free_block(count: int) -> range:
    """So many ports in a row, as ``free_port`` gives each."""
    while True:
        ports = [free_port()]
        while len(ports) < count and (port := free_port()) == ports[-1] + 1:
            ports.append(port)
        if len(ports) == count:
            return range(ports[0], ports[0] + count)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
