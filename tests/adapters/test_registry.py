"""Finding, allowing, loading and checking adapter plugins."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from pathlib import Path

import pytest

from adapters.registry import AdapterRegistry
from adapters.spi import ENTRY_POINT_GROUP, Misconfigured

GOOD_PLUGIN = """
    from adapters.spi import ChainSettings

    class Plugin:
        name = "lunar"
        interface = 1
        settings = ChainSettings
        def open(self, name, settings): ...
        def credential(self, settings, signer): ...

    plugin = Plugin()
"""

Install = Callable[..., AdapterRegistry]


def _installed(folder: Path, package: str, module: str, code: str, name: str) -> Distribution:
    """Puts a distribution with one plugin into a folder, as pip would."""
    (folder / f"{module}.py").write_text(textwrap.dedent(code))
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{name} = {module}:plugin\n")
    return next(iter(distributions(name=package, path=[str(folder)])))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    monkeypatch.syspath_prepend(str(tmp_path))
    made = 0

    def install(
        code: str = GOOD_PLUGIN,
        *,
        package: str = "lunar-adapter",
        name: str = "lunar",
        allowed: tuple[str, ...] = ("lunar",),
        beside: tuple[EntryPoint, ...] = (),
    ) -> AdapterRegistry:
        nonlocal made
        made += 1
        module = f"plugin_{tmp_path.name.replace('-', '_')}_{made}"
        distribution = _installed(tmp_path, package, module, code, name)
        return AdapterRegistry(allowed, [*beside, *distribution.entry_points])

    return install


def test_the_built_in_adapters_are_found_as_entry_points() -> None:
    registry = AdapterRegistry()
    assert {"ethereum", "fabric", "native", "simulated"} <= set(registry.names())
    assert {"ethereum", "fabric", "native", "simulated"} <= set(registry.loadable())


def test_a_built_in_adapter_is_loaded_without_being_allowed() -> None:
    plugin = AdapterRegistry(allowed=()).load("simulated")
    assert plugin.name == "simulated"
    assert AdapterRegistry().load("simulated") is plugin


def test_listing_names_imports_no_adapter() -> None:
    code = """
import sys
from adapters.registry import AdapterRegistry

AdapterRegistry().names()
parts = ("adapters.native", "adapters.ethereum", "adapters.fabric", "adapters.simulated", "web3")
print([module for module in sys.modules if module.startswith(parts)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_foreign_adapter_is_found_in_a_real_installation(
    install: Install, tmp_path: Path
) -> None:
    install()
    code = (
        "from adapters.registry import AdapterRegistry as R;"
        "print('lunar' in R().names(), 'lunar' in R().loadable(), R(['lunar']).load('lunar').name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "False", "lunar"]


def test_an_unknown_name_is_told_what_is_there(install: Install) -> None:
    registry = install()
    with pytest.raises(Misconfigured, match="no adapter 'solar'; installed are: lunar"):
        registry.load("solar")


def test_a_foreign_adapter_that_is_not_allowed_is_not_even_imported(install: Install) -> None:
    registry = install("raise SystemExit('imported')", allowed=())
    assert registry.names() == ("lunar",)
    assert registry.loadable() == ()
    with pytest.raises(Misconfigured, match=r"comes from lunar-adapter.*allowed adapters"):
        registry.load("lunar")


def test_a_foreign_adapter_that_is_allowed_is_loaded(install: Install) -> None:
    assert install().load("lunar").name == "lunar"


def test_an_import_that_fails_names_the_plugin_and_the_reason(install: Install) -> None:
    registry = install("import a_library_that_is_not_there")
    with pytest.raises(
        Misconfigured,
        match=r"adapter lunar .* cannot be imported: ModuleNotFoundError: .*not_there",
    ):
        registry.load("lunar")


def test_an_attribute_that_is_missing_is_an_import_that_fails(install: Install) -> None:
    with pytest.raises(Misconfigured, match="cannot be imported: AttributeError"):
        install("plug = 1").load("lunar")


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("interface = 1", "interface = 2", "written for interface version 2, this .* version 1"),
        ("interface = 1", "interface = True", "written for interface version True"),
        ("interface = 1", 'interface = "1"', "written for interface version '1'"),
        ("interface = 1", "", "has no interface version"),
        ('name = "lunar"', 'name = "solar"', "calls itself 'solar'"),
        ("settings = ChainSettings", "settings = dict", "no settings model"),
        ("settings = ChainSettings", "settings = ChainSettings.model_fields", "no settings model"),
        ("def open", "def close", "has no method open"),
        ("def credential", "def account", "has no method credential"),
    ],
)
def test_a_plugin_of_another_shape_is_refused(
    install: Install, good: str, bad: str, said: str
) -> None:
    assert good in GOOD_PLUGIN
    registry = install(GOOD_PLUGIN.replace(good, bad))
    with pytest.raises(Misconfigured, match=said):
        registry.load("lunar")


def _entries(folder: Path, package: str = "lunar-adapter") -> tuple[EntryPoint, ...]:
    [distribution] = distributions(name=package, path=[str(folder)])
    return tuple(distribution.entry_points)


def test_one_name_from_two_packages_is_refused(install: Install, tmp_path: Path) -> None:
    install()
    with pytest.raises(
        Misconfigured, match=r"offered by lunar-adapter .* and by other-adapter .*uninstall"
    ):
        install(package="other-adapter", beside=_entries(tmp_path))


def test_a_foreign_package_cannot_take_a_built_in_name(install: Install) -> None:
    built_in = tuple(entry_points(group=ENTRY_POINT_GROUP, name="native"))
    assert built_in
    with pytest.raises(Misconfigured, match="adapter native is offered by isthmus"):
        install(name="native", allowed=("native",), beside=built_in)


def test_one_package_listed_twice_is_one(install: Install, tmp_path: Path) -> None:
    assert install(beside=()).load("lunar").name == "lunar"
    twice = (*_entries(tmp_path), *_entries(tmp_path))
    assert AdapterRegistry(["lunar"], twice).names() == ("lunar",)
