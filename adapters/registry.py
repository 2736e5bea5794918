"""Finds adapter plugins by the entry point group ``isthmus.adapters``, and loads them by name.

The adapters that come with Isthmus are found the same way as foreign ones. A foreign plugin shares
the process with the keys, so it is only loaded if the operator's configuration allows it by name.
Listing names imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from adapters.spi import (
    ENTRY_POINT_GROUP,
    INTERFACE_VERSION,
    AdapterPlugin,
    ChainSettings,
    Misconfigured,
)

OWN_DISTRIBUTION = "isthmus"


class AdapterRegistry:
    """The plugins of this installation. ``allowed`` names the foreign ones that may be loaded.

    ``found`` replaces what is installed, for tests. Raises Misconfigured where two distributions
    offer one name: which of them gets the keys must not depend on the order of a path.
    """

    def __init__(
        self, allowed: Iterable[str] = (), found: Iterable[EntryPoint] | None = None
    ) -> None:
        self._allowed = frozenset(allowed)
        self._found: dict[str, EntryPoint] = {}
        for entry in entry_points(group=ENTRY_POINT_GROUP) if found is None else found:
            other = self._found.setdefault(entry.name, entry)
            # One distribution can be listed twice, by an editable install beside a path.
            if (_distribution(other), other.value) != (_distribution(entry), entry.value):
                raise Misconfigured(
                    f"adapter {entry.name} is offered by {_distribution(other)} "
                    f"({other.value}) and by {_distribution(entry)} ({entry.value}); "
                    "uninstall one of them"
                )

    def names(self) -> tuple[str, ...]:
        """All installed plugins' names, sorted, foreign ones that are not allowed included."""
        return tuple(sorted(self._found))

    def loadable(self) -> tuple[str, ...]:
        """The names that ``load`` does not refuse: our own, and the foreign ones allowed."""
        return tuple(name for name in self.names() if self._may_load(self._found[name]))

    def _may_load(self, entry: EntryPoint) -> bool:
        return _distribution(entry) == OWN_DISTRIBUTION or entry.name in self._allowed

    def load(self, name: str) -> AdapterPlugin:
        """Imports the plugin and checks it. Raises Misconfigured, with what to do."""
        entry = self._found.get(name)
        if entry is None:
            there = ", ".join(self.names()) or "none"
            raise Misconfigured(
                f"there is no adapter {name!r}; installed are: {there}. Correct the name, or "
                f"install the package that has it"
            )
        if not self._may_load(entry):
            raise Misconfigured(
                f"adapter {name} comes from {_distribution(entry)}, which is not part of Isthmus "
                "and would share the process with your keys; if you trust it, add it to the "
                "allowed adapters"
            )
        try:
            loaded = entry.load()
        # Whatever a plugin's import raises, the operator is told which plugin it was.
        except Exception as error:
            raise Misconfigured(
                f"adapter {name} ({entry.value} of {_distribution(entry)}) cannot be imported: "
                f"{type(error).__name__}: {error}; reinstall the package"
            ) from error
        return _checked(name, entry, loaded)


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown package"


def _checked(name: str, entry: EntryPoint, loaded: object) -> AdapterPlugin:
    """The plugin, if it has the shape and version that this Isthmus can use."""
    where = f"adapter {name} ({entry.value} of {_distribution(entry)})"
    version = getattr(loaded, "interface", None)
    if version is None:
        raise Misconfigured(f"{where} is not an adapter plugin: it has no interface version")
    if isinstance(version, bool) or version != INTERFACE_VERSION:
        raise Misconfigured(
            f"{where} was written for interface version {version!r}, this Isthmus has version "
            f"{INTERFACE_VERSION}; install a version of the package that fits"
        )
    if getattr(loaded, "name", None) != name:
        raise Misconfigured(
            f"{where} calls itself {getattr(loaded, 'name', None)!r}; its entry point and its "
            "name must be the same"
        )
    settings = getattr(loaded, "settings", None)
    if not (isinstance(settings, type) and issubclass(settings, ChainSettings)):
        raise Misconfigured(f"{where} has no settings model that derives from ChainSettings")
    for method in ("open", "credential"):
        if not callable(getattr(loaded, method, None)):
            raise Misconfigured(f"{where} has no method {method}")
    plugin: AdapterPlugin = loaded  # type: ignore[assignment]  # checked, member by member, above
    return plugin
