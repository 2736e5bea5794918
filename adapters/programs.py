"""Programs that real networks are made of and this package does not carry: where they are.

Each is looked for in the folders that the caller names, in their order, and is asked its version
before it is used.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.spi import Misconfigured

_PATIENCE = 20.0


def tools_folder() -> Path:
    """What is installed for this checkout alone: its ``.tools``; of an installed package, a folder
    of its environment."""
    root = Path(__file__).resolve().parent.parent
    if (root / "pyproject.toml").is_file():
        return root / ".tools"
    return Path(sys.prefix) / "share" / "isthmus" / "tools"


@dataclass(frozen=True, slots=True)
class Program:
    """A program from outside. ``version`` is a pattern for what it answers to ``asks``."""

    name: str
    asks: tuple[str, ...]
    version: str
    source: str
    """Where to get it: the end of a sentence that begins with "get it"."""


class ProgramMissing(Misconfigured):
    """A program is not there, or only in another version. The message says where to get it."""


class Programs:
    """The programs of this machine. ``folders``: where they are looked for. ``fabric_home``: a
    release of Hyperledger Fabric, unpacked."""

    def __init__(self, folders: Sequence[Path], fabric_home: Path | None = None) -> None:
        self.folders = tuple(folders)
        self.fabric_home = fabric_home

    def find(self, program: Program) -> Path:
        """The first of the right version. Raises ProgramMissing."""
        others = []
        for folder in self.folders:
            path = folder / program.name
            if not path.is_file() or not os.access(path, os.X_OK):
                continue
            said = version_of(path, program)
            if re.search(program.version, said):
                return path
            others.append(f"{path} says {' '.join(said.split())[:80]!r}")
        seen = f" ({'; '.join(others)})" if others else ""
        raise ProgramMissing(
            f"there is no {program.name} of the right version{seen}: get it {program.source}"
        )

    def missing(self, programs: Sequence[Program]) -> Sequence[str]:
        """A sentence for each that is not there."""
        said = []
        for program in programs:
            try:
                self.find(program)
            except ProgramMissing as error:
                said.append(str(error))
        return said


def version_of(path: Path, program: Program) -> str:
    """What a program says of its version."""
    try:
        ran = subprocess.run(  # noqa: S603 - a program that the operator put there
            [str(path), *program.asks],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nothing ({type(error).__name__})"
    return ran.stdout + ran.stderr
