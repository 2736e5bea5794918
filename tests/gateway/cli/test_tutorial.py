"""The tutorial's commands, in its order, as they stand. Only its folder is another one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.gateway.cli.command import environment, isthmus

ROOT = Path(__file__).parents[3]
TUTORIAL = ROOT / "docs" / "tutorials" / "first-swap.md"
FOLDER = "/tmp/first-swap"


def commands() -> str:
    text = TUTORIAL.read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 8
    assert FOLDER in text
    return "".join(blocks)


@pytest.mark.timeout(300)
async def test_the_tutorial_works_line_by_line(tmp_path: Path) -> None:
    # Where the tests run there may be no .venv in the checkout; their own Python has the command.
    script = "set -eu\n" + commands().replace(FOLDER, str(tmp_path / "first-swap")).replace(
        '"$PWD/.venv/bin:$PATH"', f'"{Path(sys.executable).parent}:$PATH"'
    )
    folder = tmp_path / "first-swap"
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env=environment(),
    )
    try:
        out, _ = await process.communicate()
        said = out.decode()
        assert process.returncode == 0, said
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        for name in ("alpha", "beta"):
            pid = folder / f"{name}.pid"
            if pid.exists():
                try:
                    os.kill(int(pid.read_text()), signal.SIGTERM)
                except ProcessLookupError:
                    continue
        await isthmus("devnet", "down", cwd=folder)
    for sentence in (
        "up: native, ethereum, fabric.",
        "all is well",
        "We have made an offer. Nothing is locked.",
        "Then we lock on ethereum",
        "the swap is complete",
        "Done: we are paid on ethereum, and beta on fabric.",
        "999995 EURO",
        "1000001 DUSD",
        "1000005 EURO",
        "too dear",
        "down: ",
    ):
        assert sentence in said, f"{sentence!r} is not in:\n{said}"
