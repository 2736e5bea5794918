"""The contracts: Forge's fuzzing and invariants, the artefacts rebuilt, the driver's view."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
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
HEADER = "// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.37;\n"


@pytest.fixture(scope="module")
def tools() -> Tools:
    return install(ToolSet.CONTRACTS)


@dataclass(frozen=True)
class Variant:
    """Contracts under test, in a folder of the project that is named after them. ``locks`` is the
    Solidity library that makes them for the tests."""

    name: str
    contracts: Path
    locks: str


# The contracts that are compiled with the tests.
FROM_SOURCES = """
import {HashTimeLock} from "../src/HashTimeLock.sol";
import {HashTimeLockCancun} from "../src/HashTimeLockCancun.sol";
import {HashTimeLockParis} from "../src/HashTimeLockParis.sol";

library Locks {
    function cancun() internal returns (HashTimeLock) { return new HashTimeLockCancun(); }
    function paris() internal returns (HashTimeLock) { return new HashTimeLockParis(); }
}
"""


def from_artefacts() -> str:
    """The very bytecode that the package carries: what is fuzzed is what is deployed."""
    creations = "\n".join(
        f"""    function {build.evm}() internal returns (HashTimeLock) {{
        return _create(hex"{load(build.contract).bytecode.hex()}");
    }}"""
        for build in BUILDS
        if build.contract in LOCKS
    )
    return f"""
import {{HashTimeLock}} from "../src/HashTimeLock.sol";

library Locks {{
    function _create(bytes memory code) private returns (HashTimeLock made) {{
        assembly ("memory-safe") {{ made := create(0, add(code, 0x20), mload(code)) }}
        require(address(made) != address(0));
    }}
{creations}
}}
"""


def run_forge(
    folder: Path, tools: Tools, variants: Sequence[Variant], *match: str, **settings: str
) -> dict[str, dict[str, str]]:
    """One project with all variants, compiled in one go: the outcome of each test, by variant and
    test. ``settings`` are Foundry's, by the name of their environment variable without its prefix.
    """
    for variant in variants:
        place = folder / "test" / variant.name
        shutil.copytree(variant.contracts, place / "src")
        shutil.copytree(FOUNDRY / "tests", place / "test")
        (place / "test" / "Locks.sol").write_text(f"{HEADER}{variant.locks}")
    shutil.copytree(FOUNDRY / "tokens", folder / "tokens")
    shutil.copy(FOUNDRY / "foundry.toml", folder)
    (folder / "node_modules").symlink_to(tools.modules)
    compiler = tools.write_compiler(folder / "solc")
    ran = subprocess.run(
        [str(tools.forge), "test", "--use", str(compiler), "--json", *match],
        # Forge keeps what failed in a folder of the place that it is started from.
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        env={
            **os.environ,
            "FOUNDRY_OFFLINE": "true",
            "NO_COLOR": "1",
            **{f"FOUNDRY_{name.upper()}": value for name, value in settings.items()},
        },
    )
    assert ran.stdout.startswith("{"), ran.stdout[-3000:] + ran.stderr[-3000:]
    outcomes: dict[str, dict[str, str]] = {variant.name: {} for variant in variants}
    for suite, outcome in json.loads(ran.stdout).items():
        path, _, contract = suite.rpartition(":")
        for name, result in outcome["test_results"].items():
            told = f"{result['status']}: {result.get('reason')}"
            outcomes[Path(path).parts[1]][f"{contract}.{name}"] = told
    return outcomes


def test_forge_fuzzes_the_artefacts_and_finds_nothing(tmp_path: Path, tools: Tools) -> None:
    artefacts = Variant("artefacts", CONTRACTS, from_artefacts())
    outcomes = run_forge(tmp_path, tools, [artefacts])["artefacts"]
    failed = {name: outcome for name, outcome in outcomes.items() if "Success" not in outcome}
    assert not failed, json.dumps(failed, indent=1)
    assert len(outcomes) >= 2 * 18 + 2 * 2


_LOCK = "HashTimeLock.sol"
# Deliberate faults, each of which Forge must find: a file, what it says, what it says instead.
FAULTS = {
    "the guard is left out": ("HashTimeLockCancun.sol", "        nonReentrant\n", ""),
    "claims too late": (_LOCK, "require(block.timestamp < deadline,", "require(true,"),
    "refunds too early": (_LOCK, "require(block.timestamp >= deadline,", "require(true,"),
    "settled twice": (_LOCK, "if (uint8(value) != uint8(State.Open))", "if (value == 0)"),
    "locked twice": (_LOCK, "require(record.value == 0,", "require(true,"),
    "a fee is not noticed": (_LOCK, "require(received == amount,", "require(true,"),
    "credit withdrawn twice": (_LOCK, "creditOf[msg.sender] = 0;", ""),
    "a failed refund is lost": (_LOCK, "if (!sent) _credit(sender, amount, gasBefore);", ""),
    "a refund tells no hashlock": (_LOCK, "mstore(0, calldataload(add(terms, 0x80)))", ""),
    "too little gas makes credit": (_LOCK, "require(gasBefore >", "require(1 + 0 * gasBefore >"),
}
CONTROL = "control"


@pytest.fixture(scope="module")
def outcomes_of_faults(
    tmp_path_factory: pytest.TempPathFactory, tools: Tools
) -> dict[str, dict[str, str]]:
    """By the fault's name, with spaces made underscores; and of the control, which has none."""
    variants = [Variant(CONTROL, CONTRACTS, FROM_SOURCES)]
    for fault, (name, old, new) in FAULTS.items():
        contracts = tmp_path_factory.mktemp("contracts") / "src"
        shutil.copytree(CONTRACTS, contracts)
        source = (contracts / name).read_text()
        assert source.count(old) == 1, f"{name} no longer says what {fault!r} changes"
        (contracts / name).write_text(source.replace(old, new))
        variants.append(Variant(fault.replace(" ", "_"), contracts, FROM_SOURCES))
    return run_forge(
        tmp_path_factory.mktemp("faults"),
        tools,
        variants,
        *("--match-contract", "Cancun"),
        fuzz_runs="64",
        invariant_runs="16",
        # A fault need only be found: its shortest telling is of no use.
        invariant_shrink_run_limit="0",
    )


@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_forge_finds_a_fault(
    fault: str | None, outcomes_of_faults: dict[str, dict[str, str]]
) -> None:
    """And nothing where there is none: the control."""
    outcomes = outcomes_of_faults[CONTROL if fault is None else fault.replace(" ", "_")]
    assert len(outcomes) >= 18 + 2
    failed = {name: outcome for name, outcome in outcomes.items() if "Success" not in outcome}
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
