"""YAML text as a tree, with the line of every key: so that an error can say where it is.

Keys that come twice are refused. Hexadecimal numbers stay text: they are addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]


class TreeError(Exception):
    """The text is not the YAML that it must be. ``line`` counts from 1; 0 where none is known."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Tree:
    """``lines``: the line of each key's path. ``origins``: paths that an override has set, with
    the name of the override."""

    data: dict[str, Any]
    lines: Mapping[Path, int]
    origins: Mapping[Path, str]

    def where(self, path: Path) -> tuple[int, str | None]:
        """The line of the nearest key at or above a path, and the override that set it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return 0, self.origins[path[:length]]
            if path[:length] in self.lines:
                return self.lines[path[:length]], None
        return 0, None


def parse_tree(text: str) -> Tree:
    """Raises TreeError."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        lines: dict[Path, int] = {}
        data = {} if node is None else _build(loader, node, (), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark is not None else 0
        raise TreeError(line, f"not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise TreeError(0, f"not YAML: {error}") from None
    except RecursionError:
        raise TreeError(0, "not YAML that can be read: it is nested too deeply") from None
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise TreeError(1, "the file must hold sections, each with its keys")
    return Tree(data, lines, {})


def _build(loader: yaml.SafeLoader, node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    match node:
        case yaml.MappingNode():
            built: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                line = key_node.start_mark.line + 1
                if not isinstance(key_node, yaml.ScalarNode) or key_node.value == "<<":
                    raise TreeError(line, "a key must be plain text; merging is not supported")
                key = key_node.value
                if key in built:
                    raise TreeError(line, f"{_text((*path, key))} is there twice")
                lines[(*path, key)] = line
                built[key] = _build(loader, value_node, (*path, key), lines)
            return built
        case yaml.SequenceNode():
            items = []
            for index, item in enumerate(node.value):
                lines[(*path, index)] = item.start_mark.line + 1
                items.append(_build(loader, item, (*path, index), lines))
            return items
        case yaml.ScalarNode() if node.value.lower().startswith("0x"):
            return node.value
        case _:
            return loader.construct_object(node, deep=True)


def _text(path: Path) -> str:
    return ".".join(str(part) for part in path)


PREFIX = "ISTHMUS_"


def overridden(tree: Tree, environment: Mapping[str, str]) -> Tree:
    """The tree with every ``ISTHMUS_A__B`` of the environment put at ``a.b``.

    Values are read as YAML, numbers in names as places in lists. In names, letters' case does not
    matter and ``_`` also means ``-``. Raises TreeError for a place that cannot be.
    """
    data, origins = _copy(tree.data), dict(tree.origins)
    for name in sorted(environment):
        if not name.startswith(PREFIX) or "__" not in name.removeprefix(PREFIX):
            continue
        parts = name.removeprefix(PREFIX).split("__")
        place: Any = data
        path: Path = ()
        for position, part in enumerate(parts):
            key = _key(place, part)
            if key is None:
                raise TreeError(0, f"{name}: there is no place {_text((*path, part.lower()))}")
            path = (*path, key)
            if position + 1 == len(parts):
                place[key] = _scalar(name, environment[name])
                origins[path] = name
            else:
                if isinstance(place, dict) and place.get(key) is None:
                    place[key] = {}
                place = place[key]
    return Tree(data, tree.lines, origins)


def _key(place: Any, part: str) -> str | int | None:
    if isinstance(place, list):
        return int(part) if part.isdigit() and int(part) < len(place) else None
    if not isinstance(place, dict) or not part:
        return None
    for key in place:
        if str(key).upper().replace("-", "_") == part.upper():
            return str(key)
    return part.lower()


def _scalar(name: str, text: str) -> Any:
    if text.lower().startswith("0x"):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise TreeError(0, f"{name} is not a value that YAML can read") from None


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
