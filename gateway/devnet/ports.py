"""Ports on 127.0.0.1 for a development network: one range, checked before anything starts."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"
LAST = 65_535


class PortsTaken(Exception):
    """A port that is needed is in use. The message names it and says what to do."""


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port that a dead connection still lingers on counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def claim(base: int, count: int, *, fixed: bool = False) -> Iterator[int]:
    """The ports base, base + 1, …; all must be free. ``fixed``: no others will do. Raises
    PortsTaken."""
    if not 1 <= base <= LAST + 1 - count:
        raise PortsTaken(f"--ports {base}: it takes {count} ports from there on, up to {LAST}")
    for port in range(base, base + count):
        if not is_free(port):
            others = (
                "; what was made for these ports cannot have others"
                if fixed
                else f", or choose another range with --ports BASE (it takes {count} ports from "
                "BASE on)"
            )
            raise PortsTaken(f"port {port} on {HOST} is in use: end what listens there{others}")
    return iter(range(base, base + count))


def find(base: int, count: int, tries: int = 50) -> Iterator[int]:
    """The first run of ``count`` free ports at base or a multiple of ``count`` above it."""
    for start in range(base, base + tries * count, count):
        if all(is_free(port) for port in range(start, start + count)):
            return iter(range(start, start + count))
    raise PortsTaken(f"no {count} free ports in a row between {base} and {base + tries * count}")
