"""Draws docs/reference/configuration.md from the models that check the files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from adapters.spi import ChainSettings
from gateway.sections import ChainKeys, KeySection, Root, TowerRoot
from gateway.settings import field_model

_INTRODUCTION: Final = """\
# Configuration

One YAML file per process. Made from the code by `make reference`.

- Relative paths start in the file's own folder.
- A secret is never written into the file: `file:PATH` or `env:NAME` says where it is.
- `ISTHMUS_A__B=value` in the environment puts a value at `a.b`: `ISTHMUS_API__PORT=8081`,
  `ISTHMUS_PEERS__0__URL=https://…`. Upper and lower case are alike, and `_` also means `-`.
- `ISTHMUS_CONFIG=FILE` in the environment is `-c FILE` for every command.
- Amounts are whole numbers in the asset's smallest unit; times are seconds.
- `isthmus config check -c FILE` (for a watchtower's with `--watchtower`) says what is wrong with a
  file, line by line, and starts nothing.
"""
_CHAINS: Final = """\
## A chain's block

A gateway and a watchtower have the same blocks under `chains`, each under the name by which the
chain is called here. `adapter` says which of these tables holds. `inclusion`, `finality` and
`clock` are the bounds from which every deadline follows: they must be true even on the chain's bad
days.
"""
_TEST_LEDGER: Final = """\
## The test ledger

`adapter: simulated` is a ledger inside the process, for tests. Nothing on it is worth anything, and
no other process sees it.
"""


def example(role: str) -> str:
    """A whole file. ``role``: gateway or watchtower."""
    return (files("gateway") / "examples" / f"{role}.yaml").read_text(encoding="utf-8")


def configuration_page(adapters: Mapping[str, type[ChainSettings]]) -> str:
    """The reference of both configuration files, in Markdown."""
    parts = [_INTRODUCTION]
    for role, root in (("gateway", Root), ("watchtower", TowerRoot)):
        parts.append(f"## A {role}\n\n```yaml\n{example(role)}```\n")
        parts += _sections(root, "")
    parts.append(f"## A key\n\n{_words(KeySection)}\n\n{_table(KeySection, 'key.')}")
    parts.append(_CHAINS)
    for name, settings in adapters.items():
        if name == "simulated":
            parts.append(_TEST_LEDGER)
        parts.append(f"### `adapter: {name}`\n")
        parts += _sections(settings, "", "####", also=ChainKeys)
    return "\n".join(parts)


def _sections(
    model: type[BaseModel], prefix: str, mark: str = "###", also: type[BaseModel] | None = None
) -> Iterator[str]:
    """The model's table, then each section below it under a heading of its own."""
    yield _table(model, prefix, also)
    for name, field in model.model_fields.items():
        inner = field_model(field.annotation)
        if inner is not None and inner is not KeySection:
            path = f"{prefix}{name}{'[]' if 'tuple' in str(field.annotation) else ''}"
            yield f"{mark} `{path}`\n\n{_words(inner)}\n"
            yield from _sections(inner, f"{path}.", mark)


def _table(model: type[BaseModel], prefix: str, also: type[BaseModel] | None = None) -> str:
    lines = ["| key | form | default | meaning |", "|---|---|---|---|"]
    for part in (model, also):
        if part is None:
            continue
        schema = part.model_json_schema()
        for name, field in part.model_fields.items():
            inner = field_model(field.annotation)
            if inner is KeySection:
                form = "[a key](#a-key)"
            else:
                form = _form(schema["properties"][name], schema.get("$defs", {}))
            default = _default(field.is_required(), field.default)
            meaning = field.description or (_words(inner) if inner is not None else "")
            lines.append(f"| `{prefix}{name}` | {form} | {default} | {_cell(meaning)} |")
    return "\n".join(lines) + "\n"


def _form(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What may stand there, in a word or two, from a field's JSON schema."""
    if "$ref" in schema:
        return _form(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        forms = [_form(one, definitions) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(forms))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    match schema.get("type"):
        case "array":
            return f"list of: {_form(schema['items'], definitions)}"
        case "object":
            return "section" if "properties" in schema else "one section for each"
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return "`true`, `false`"
        case "string" if schema.get("format") == "path":
            return "path"
        case _:
            return "text"


def _number(schema: Mapping[str, Any]) -> str:
    kind = "whole number" if schema["type"] == "integer" else "number"
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    most = schema.get("maximum")
    if least is not None:
        kind += f" from {_plain(least)}"
    elif above is not None:
        kind += f" above {_plain(above)}"
    return kind if most is None else f"{kind} to {_plain(most)}"


def _plain(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)


def _default(required: bool, default: Any) -> str:
    if required:
        return "**required**"
    if default is None or default is PydanticUndefined or isinstance(default, BaseModel):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return "none" if not default else f"`{json.dumps([str(item) for item in default])}`"
    return f"`{default}`"


def _words(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
