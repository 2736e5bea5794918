"""Fabric's programs, as a release's archive unpacks, and running one that ends by itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.programs import Program, ProgramMissing, Programs
from adapters.spi import Misconfigured, Unavailable

_SOURCE = (
    "by unpacking a release of Hyperledger Fabric 3.1 (https://github.com/hyperledger/fabric/"
    "releases) and naming its folder, which holds bin, config and builders, in FABRIC_HOME"
)
PEER = Program("peer", ("version",), r"Version: v?3\.", _SOURCE)
_BESIDE = ("orderer", "osnadmin", "configtxgen", "cryptogen")
_PATIENCE = 60.0
"""Seconds for a program that only writes files."""


class CommandFailed(Unavailable):
    """A program of Fabric's has ended with a failure; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Release:
    """Where the programs and the sample configuration are."""

    bin: Path
    config: Path
    builder: Path
    """The external builder for chaincode as a service."""

    @classmethod
    def find(cls, programs: Programs) -> Release:
        """The release that the configuration names, else the one that the first ``peer`` of the
        right version is of. Raises ProgramMissing."""
        home = programs.fabric_home
        if home is None:
            home = programs.find(PEER).resolve().parent.parent
        release = cls(home / "bin", home / "config", home / "builders" / "ccaas")
        wanted = [release.bin / name for name in (PEER.name, *_BESIDE)]
        wanted += [release.config / "core.yaml", release.config / "orderer.yaml"]
        wanted += [release.builder / "bin" / name for name in ("detect", "build", "release")]
        absent = [str(path.relative_to(home)) for path in wanted if not path.exists()]
        if absent:
            raise ProgramMissing(f"{home} holds no {', no '.join(absent)}: get it {_SOURCE}")
        if programs.fabric_home is not None:
            Programs([release.bin]).find(PEER)
        return release


OTHER_WAYS = ("CORE_", "ORDERER_", "FABRIC_")
"""How the environment would overrule the files of Fabric's programs."""


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's own, with more; without proxies, since all is on this machine, and without
    what an operator may have set for Fabric's programs."""
    own = {
        name: value
        for name, value in os.environ.items()
        if "proxy" not in name.lower() and not name.startswith(OTHER_WAYS)
    }
    return own | {"FABRIC_LOGGING_SPEC": "error"} | dict(more)


def write_with(program: Path, words: Sequence[str]) -> None:
    """Runs a program that writes files. Raises Misconfigured."""
    try:
        done = subprocess.run(  # noqa: S603 - a program of the release
            [str(program), *words],
            env=environment({}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Misconfigured(f"{program} cannot be run: {type(error).__name__}") from error
    if done.returncode != 0:
        raise Misconfigured(f"{program} {words[0]} failed: {_last_words(done.stderr)}")


async def ask(program: Path, words: Sequence[str], more: Mapping[str, str]) -> str:
    """Runs a program that asks nodes; what it writes to standard output. Raises CommandFailed."""
    process = await asyncio.create_subprocess_exec(
        str(program),
        *words,
        env=environment(more),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            answer, complaint = await process.communicate()
    except TimeoutError:
        raise CommandFailed(
            f"{program.name} {' '.join(words[:3])}: no answer within {_PATIENCE:.0f} seconds"
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        said = _last_words((complaint or answer).decode(errors="replace"))
        raise CommandFailed(f"{program.name} {' '.join(words[:3])}: {said}")
    return answer.decode(errors="replace")


def _last_words(text: str) -> str:
    return " ".join(text.split())[-600:]
