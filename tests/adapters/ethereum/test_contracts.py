"""The contracts: Forge's fuzzing and invariants, the artefacts rebuilt, the driver's view."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from adapters.codec.keccak import keccak256
from adapters.ethereum import lock_contract
from adapters.ethereum.artifact import (
    ARTIFACTS,
    BUILDS,
    CONTRACTS,
    Build,
    compile_contract,
    load,
)
from adapters.ethereum.node_errors import REVERTS, selector
from adapters.ethereum.tooling import PACKAGE_FILES, Tools, ToolSet, install

FOUNDRY = Path(__file__).parent / "foundry"
LOCKS = ("HashTimeLockParis", "HashTimeLockCancun")


@pytest.fixture(scope="module")
def tools() -> Tools:
    return install(ToolSet.CONTRACTS)


def forge_project(folder: Path, tools: Tools, contracts: Path = CONTRACTS) -> list[str]:
    """Lays a project out, and gives the command that tests it."""
    shutil.copytree(contracts, folder / "src")
    shutil.copytree(FOUNDRY / "tokens", folder / "tokens")
    (folder / "test").mkdir()
    for source in FOUNDRY.glob("*.sol"):
        shutil.copy(source, folder / "test")
    shutil.copy(FOUNDRY / "foundry.toml", folder)
    (folder / "node_modules").symlink_to(tools.modules)
    compiler = tools.write_compiler(folder / "solc")
    return [str(tools.forge), "test", "--root", str(folder), "--use", str(compiler), "--json"]


def run_forge(command: list[str], *more: str, quick: bool = False) -> dict[str, str]:
    """The outcome of each test, by its name. ``quick``: compiled without the slower optimizer."""
    fast = {"FOUNDRY_VIA_IR": "false", "FOUNDRY_FUZZ_RUNS": "64", "FOUNDRY_INVARIANT_RUNS": "16"}
    ran = subprocess.run(
        [*command, *more],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "FOUNDRY_OFFLINE": "true", "NO_COLOR": "1", **(fast if quick else {})},
    )
    assert ran.stdout.startswith("{"), ran.stdout[-3000:] + ran.stderr[-3000:]
    suites = json.loads(ran.stdout)
    return {
        f"{suite.split(':')[-1]}.{name}": result["status"] + (f": {result.get('reason')}")
        for suite, outcome in suites.items()
        for name, result in outcome["test_results"].items()
    }


def test_forge_fuzzes_the_contracts_and_finds_nothing(tmp_path: Path, tools: Tools) -> None:
    outcomes = run_forge(forge_project(tmp_path, tools))
    failed = {name: outcome for name, outcome in outcomes.items() if "Success" not in outcome}
    assert not failed, json.dumps(failed, indent=1)
    assert len(outcomes) >= 2 * 15 + 2


_LOCK = "HashTimeLock.sol"
# Deliberate faults, each of which Forge must find: a file, what it says, what it says instead.
FAULTS = {
    "the guard is left out": ("HashTimeLockCancun.sol", "        nonReentrant\n", ""),
    "claims too late": (_LOCK, "require(block.timestamp < deadline,", "require(true,"),
    "refunds too early": (_LOCK, "require(block.timestamp >= deadline,", "require(true,"),
    "settled twice": (_LOCK, "require(uint8(value) == uint8(State.Open),", "require(true,"),
    "locked twice": (_LOCK, "require(record.value == 0,", "require(true,"),
    "a fee is not noticed": (_LOCK, "require(received == amount,", "require(true,"),
    "credit withdrawn twice": (_LOCK, "creditOf[msg.sender] = 0;", ""),
    "too little gas makes credit": (_LOCK, "require(gasBefore >", "require(1 + 0 * gasBefore >"),
}


@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_forge_finds_a_fault(fault: str | None, tmp_path: Path, tools: Tools) -> None:
    """And nothing where there is none: the control."""
    contracts = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, contracts)
    if fault is not None:
        name, old, new = FAULTS[fault]
        source = (contracts / name).read_text()
        assert source.count(old) == 1
        (contracts / name).write_text(source.replace(old, new))
    project = tmp_path / "project"
    project.mkdir()
    outcomes = run_forge(
        # Compiled the quick way: the faults are in what the source says.
        *(forge_project(project, tools, contracts), "--match-contract", "CancunTest|SolvencyTest"),
        quick=True,
    )
    failed = {name: outcome for name, outcome in outcomes.items() if "Failure" in outcome}
    assert bool(failed) == (fault is not None), json.dumps(failed, indent=1)


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.contract)
def test_artefacts_are_what_the_sources_compile_to(build: Build, tools: Tools) -> None:
    made = json.dumps(compile_contract(build, tools), indent=1) + "\n"
    assert made == (ARTIFACTS / build.file_name).read_text(), (
        "the artefacts are not of these sources: run python -m adapters.ethereum.artifact"
    )


def test_the_driver_encodes_what_the_contract_has() -> None:
    for name in LOCKS:
        abi = load(name).abi
        functions = {selector(signature(item)) for item in abi if item["type"] == "function"}
        own = {
            lock_contract.LOCK_COIN,
            lock_contract.LOCK_TOKEN,
            lock_contract.CLAIM,
            lock_contract.REFUND,
            lock_contract.WITHDRAW_CREDIT,
            lock_contract.LOOKUP,
            lock_contract.CREDIT_OF,
        }
        assert own <= functions
        assert functions - own == {selector(f"idOf({lock_contract._TERMS})")}
        events = {keccak256(signature(item).encode()) for item in abi if item["type"] == "event"}
        assert {lock_contract.OPENED, lock_contract.CLAIMED, lock_contract.REFUNDED} <= events
        errors = {selector(signature(item)) for item in abi if item["type"] == "error"}
        assert errors <= set(REVERTS), "each of the contract's errors has a reason in the table"


def signature(item: dict[str, object]) -> str:
    return f"{item['name']}({','.join(map(_type, item['inputs']))})"  # type: ignore[call-overload]


def _type(argument: dict[str, object]) -> str:
    if argument["type"] == "tuple":
        return f"({','.join(map(_type, argument['components']))})"  # type: ignore[call-overload]
    return str(argument["type"])


def test_lock_file_names_no_registry() -> None:
    lock = json.loads((PACKAGE_FILES / "package-lock.json").read_text())
    for package in lock["packages"].values():
        assert "resolved" not in package
