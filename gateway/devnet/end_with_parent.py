"""A program: becomes the command that it is given, and ends with the process that started it.

``python end_with_parent.py PARENT_PID COMMAND...``. On Linux the kernel kills the command when its
parent ends, however that ends; elsewhere it is merely started. A program of its own, because what
is run between fork and exec (``preexec_fn``) runs in a copy of all of the parent: with its threads
gone, its locks as they were, and its libraries' fork handlers, such as gRPC's, called.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, *command = arguments
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit(f"{command[0]}: whoever started this has ended; so does this")
    try:
        os.execvp(command[0], command)  # noqa: S606 - the commands are our own
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
