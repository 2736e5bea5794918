"""The command line as a user has it: a process, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Without what this machine's user may have set for Isthmus."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ISTHMUS_")}
    return kept | {"COLUMNS": "80"} | dict(changes or {})


async def isthmus(
    *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway.cli",
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(env),
        cwd=cwd,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode(), err.decode())


async def refused(*arguments: object, **options: Any) -> str:
    """The one sentence with which a command fails; it prints nothing else."""
    return refusal(await isthmus(*arguments, **options))


def refusal(outcome: Outcome) -> str:
    """The one sentence of a command that failed."""
    assert outcome.status != 0, outcome
    assert outcome.out == ""
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("isthmus: ")
    return lines[0].removeprefix("isthmus: ")
