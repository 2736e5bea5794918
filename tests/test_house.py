"""The rules of the house that programs can check: style, types, floors, and the pure protocol."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.ethereum.real_network import GETH
from adapters.native.real_network import COMETBFT
from adapters.programs import Program

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports",)],
    ids=" ".join,
)
def test_static_checks_pass(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


IMPURE = {
    "asyncio",
    "time",
    "random",
    "secrets",
    "os",
    "io",
    "socket",
    "sqlite3",
    "threading",
    "subprocess",
    "pathlib",
    "logging",
    "uuid",
    "datetime",
}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "relayers" / "protocol").glob("*.py")), ids=lambda path: path.name
)
def test_the_protocol_imports_no_clock_no_chance_and_no_io(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names):
                modules = [name.name for name in names]
            case ast.ImportFrom(module=str(module)):
                modules = [module]
            case _:
                continue
        for module in modules:
            assert module.partition(".")[0] not in IMPURE, f"{path.name} imports {module}"
    names = {
        node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)
    }
    assert not names & {"open", "print", "input", "eval", "exec"}


def test_no_file_is_a_drawer() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    drawer = re.compile(r"(^|/)(utils?|helpers?|common|misc|manager)(\.py|/)")
    assert not [name for name in listed if drawer.search(name)]


def test_make_knows_where_the_tests_are_that_run_alone() -> None:
    (folders,) = re.findall(r"^ALONE := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    marked = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if "pytest.mark.alone" in path.read_text() and path != Path(__file__)
    ]
    assert marked
    assert not [path for path in marked if not path.startswith(tuple(folders.split()))]


@pytest.mark.parametrize("program", [COMETBFT, GETH], ids=lambda program: str(program.name))
def test_make_builds_the_version_that_is_told(program: Program) -> None:
    told = program.source.rpartition("@v")[2]
    assert f"/.{program.name}-{told}\n" in (ROOT / "Makefile").read_text()


def test_no_lock_file_names_a_host() -> None:
    for name in ("requirements.lock", "adapters/ethereum/tools/package-lock.json"):
        text = (ROOT / name).read_text()
        assert '"resolved": "http' not in text
        assert not re.search(r"https?://[^\s\"]*(pypi|npmjs|index-url)", text)
