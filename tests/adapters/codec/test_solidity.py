"""The codec in Solidity, held to the vectors by Forge."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapters.codec.vectors import messages
from adapters.ethereum.artifact import CONTRACTS
from adapters.ethereum.tooling import Tools, ToolSet, install

FOUNDRY = Path(__file__).parent / "foundry"
SOURCES = CONTRACTS / "messages"
_CODEC, _ADDRESSES = "MessageCodec.sol", "InteroperableAddresses.sol"

# Deliberate faults, each of which Forge must find: a file, what it says, what it says instead.
FAULTS = {
    "a member left out of the id": (_CODEC, "message.gasLimit\n", "message.expiry\n"),
    "an underscore counted once": (_ADDRESSES, 'one == "_" ? 3 : 1', "1"),
    "surrogates": (_ADDRESSES, "first == 0xed ? 0x9f", "first == 0xed ? 0xbf"),
    "a length that overflows": (_ADDRESSES, "uint256(uint8(data[4]))", "uint8(data[4])"),
    "bytes after the end": (
        _ADDRESSES,
        "data.length != chainEnd",
        "data.length < chainEnd",
    ),
    "leading zeros": (_ADDRESSES, "|| chainReference[0] == 0)", ")"),
    "leaves hashed once": (
        _CODEC,
        "keccak256(bytes.concat(keccak256(abi.encode(id))))",
        "keccak256(abi.encode(id))",
    ),
    "too long a payload": (_CODEC, "MAX_PAYLOAD = 65_536", "MAX_PAYLOAD = 65_537"),
}


def run_forge(
    folder: Path, tools: Tools, variants: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """One project with all variants of the sources, compiled in one go: the outcome of each test,
    by variant and test."""
    for variant, sources in variants.items():
        place = folder / "test" / variant
        (place / "src").mkdir(parents=True)
        for name, text in sources.items():
            (place / "src" / name).write_text(text)
        (place / "test").mkdir()
        shutil.copy(FOUNDRY / "MessageVectors.t.sol", place / "test")
    shutil.copy(FOUNDRY / "foundry.toml", folder)
    shutil.copy(messages.PATH, folder)
    (folder / "node_modules").symlink_to(tools.modules)
    compiler = tools.write_compiler(folder / "solc")
    ran = subprocess.run(
        [str(tools.forge), "test", "--use", str(compiler), "--json"],
        # Forge keeps what failed in a folder of the place that it is started from.
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "FOUNDRY_OFFLINE": "true", "NO_COLOR": "1"},
    )
    assert ran.stdout.startswith("{"), ran.stdout[-3000:] + ran.stderr[-3000:]
    outcomes: dict[str, dict[str, str]] = {variant: {} for variant in variants}
    for suite, outcome in json.loads(ran.stdout).items():
        for name, result in outcome["test_results"].items():
            told = f"{result['status']}: {result.get('reason')}"
            outcomes[Path(suite).parts[1]][name] = told
    return outcomes


CONTROL = "control"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """By the fault's name, with spaces made underscores; and of the control, which has none."""
    sources = {path.name: path.read_text() for path in SOURCES.glob("*.sol")}
    variants = {CONTROL: sources}
    for fault, (name, old, new) in FAULTS.items():
        assert sources[name].count(old) == 1, f"{name} no longer says what {fault!r} changes"
        changed = sources | {name: sources[name].replace(old, new)}
        variants[fault.replace(" ", "_")] = changed
    return run_forge(tmp_path_factory.mktemp("forge"), install(ToolSet.CONTRACTS), variants)


def failed(outcomes: Mapping[str, str]) -> dict[str, str]:
    return {name: outcome for name, outcome in outcomes.items() if "Success" not in outcome}


def test_solidity_agrees_with_the_vectors(outcomes: dict[str, dict[str, str]]) -> None:
    assert not failed(outcomes[CONTROL]), json.dumps(failed(outcomes[CONTROL]), indent=1)
    assert len(outcomes[CONTROL]) == 10


@pytest.mark.parametrize("fault", FAULTS)
def test_the_vectors_find_a_fault(fault: str, outcomes: dict[str, dict[str, str]]) -> None:
    assert failed(outcomes[fault.replace(" ", "_")])
