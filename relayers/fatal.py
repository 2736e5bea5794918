"""What ends a process's work, whichever part of it meets it."""

from __future__ import annotations


class Fatal(Exception):
    """This process's own record cannot be written or read any more, or its engine has ended: what
    works on it ends with it. Never the fault of a chain or of a peer, which are asked again."""
