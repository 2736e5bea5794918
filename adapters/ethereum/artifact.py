"""Compiled contracts: what the package carries, and how it is made again from the sources.

``python -m adapters.ethereum.artifact`` rebuilds every file of ``artifacts/``. The build is
reproducible: compiler, OpenZeppelin and settings are pinned, and no path enters the bytecode.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adapters.codec.keccak import keccak256
from adapters.ethereum.tooling import COMPILE_SCRIPT, Tools, ToolSet, install, node_program

_HERE = Path(__file__).resolve().parent
CONTRACTS = _HERE / "contracts"
ARTIFACTS = _HERE / "artifacts"
COMPILER = "0.8.37"


@dataclass(frozen=True, slots=True)
class Build:
    """One file of ``artifacts/``: a contract compiled for an EVM version."""

    source: str
    contract: str
    evm: str

    @property
    def file_name(self) -> str:
        return f"{self.contract}.json"


BUILDS = (
    Build("HashTimeLockParis.sol", "HashTimeLockParis", "paris"),
    Build("HashTimeLockCancun.sol", "HashTimeLockCancun", "cancun"),
    Build("DemoToken.sol", "DemoToken", "paris"),
)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract. ``deployed`` is the code that a node shows at its address, but for
    immutables (the locks have none)."""

    contract: str
    evm: str
    compiler: str
    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes
    deployed: bytes

    @property
    def code_hash(self) -> bytes:
        return keccak256(self.deployed)


@cache
def load(contract: str) -> Artifact:
    """A compiled contract that the package carries."""
    data = json.loads((ARTIFACTS / f"{contract}.json").read_text())
    return Artifact(
        contract=data["contract"],
        evm=data["evm"],
        compiler=data["compiler"],
        abi=tuple(data["abi"]),
        bytecode=bytes.fromhex(data["bytecode"]),
        deployed=bytes.fromhex(data["deployed"]),
    )


def lock_code_hashes() -> frozenset[bytes]:
    """Keccak-256 of the code of every lock contract that the package carries."""
    return frozenset(load(name).code_hash for name in ("HashTimeLockParis", "HashTimeLockCancun"))


def settings(evm: str) -> dict[str, Any]:
    """The compiler's settings. Its metadata holds no source hash, so that a comment does not
    change the code's hash."""
    return {
        "viaIR": True,
        "evmVersion": evm,
        "optimizer": {"enabled": True, "runs": 1_000_000},
        "metadata": {"bytecodeHash": "none"},
        "outputSelection": {
            "*": {"*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]}
        },
    }


_IMPORT = re.compile(r'^import\s[^;]*?"([^"]+)";', re.MULTILINE)


def _sources(entry: str, folder: Path, modules: Path) -> dict[str, dict[str, str]]:
    """The entry's file and all that it imports, under the names that the compiler knows them by."""
    found: dict[str, dict[str, str]] = {}
    wanted = [entry]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        place = modules / name if name.startswith("@") else folder / name
        content = place.read_text()
        found[name] = {"content": content}
        for imported in _IMPORT.findall(content):
            relative = imported.startswith(".")
            base = posixpath.dirname(name)
            wanted.append(
                posixpath.normpath(posixpath.join(base, imported)) if relative else imported
            )
    return found


def compile_contract(build: Build, tools: Tools, folder: Path = CONTRACTS) -> dict[str, Any]:
    """Compiles one contract; the content of its file in ``artifacts/``.

    Raises RuntimeError with the compiler's own words.
    """
    request = {
        "language": "Solidity",
        "sources": _sources(build.source, folder, tools.modules),
        "settings": settings(build.evm),
    }
    ran = subprocess.run(  # noqa: S603 - our own argument list
        [
            *("/usr/bin/env", f"NODE_PATH={tools.modules}", f"PATH={os.defpath}"),
            *(str(node_program()), str(COMPILE_SCRIPT)),
        ],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(ran.stdout)
    errors = [e["formattedMessage"] for e in answer.get("errors", ()) if e["severity"] == "error"]
    if errors:
        raise RuntimeError("\n".join(errors))
    made = answer["contracts"][build.source][build.contract]
    return {
        "contract": build.contract,
        "evm": build.evm,
        "compiler": COMPILER,
        "settings": {k: v for k, v in settings(build.evm).items() if k != "outputSelection"},
        "abi": made["abi"],
        "bytecode": made["evm"]["bytecode"]["object"],
        "deployed": made["evm"]["deployedBytecode"]["object"],
    }


def main() -> None:
    tools = install(ToolSet.CONTRACTS)
    for build in BUILDS:
        made = compile_contract(build, tools)
        (ARTIFACTS / build.file_name).write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
