"""The reference that is made from the code: configuration schemas, their pages, and the HTTP API.

``python -m gateway.schema docs/reference`` writes it anew; a test holds the two together.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from adapters.registry import AdapterRegistry
from adapters.spi import ChainSettings
from gateway.api.user_app import user_app
from gateway.sections import ChainKeys, KeySection, Root, Section, TowerRoot
from gateway.services import Services
from gateway.settings import field_model
from relayers.signing.secret import Secret

ADAPTERS: Final = ("native", "ethereum", "fabric", "simulated")
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def reference() -> Mapping[str, str]:
    """File names and their content."""
    return {
        "configuration.schema.json": _json(configuration_schema(Root)),
        "watchtower.schema.json": _json(configuration_schema(TowerRoot)),
        "configuration.md": configuration_page(),
        "openapi.json": _json(api_description()),
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def api_description() -> Mapping[str, Any]:
    """OpenAPI of the user API."""
    # Describing an application calls none of its handlers, and only they use the services.
    app = user_app(cast(Services, None), Secret("none"))
    return app.openapi()


def _adapters() -> Mapping[str, type[ChainSettings]]:
    registry = AdapterRegistry()
    return {name: registry.load(name).settings for name in ADAPTERS}


# --- JSON schema ---------------------------------------------------------------------------------


def configuration_schema(root: type[Section]) -> Mapping[str, Any]:
    """JSON Schema of a configuration file, with a variant of a chain's block per adapter."""
    schema = root.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    variants = []
    for name, settings in _adapters().items():
        block = settings.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        for inner, definition in block.pop("$defs", {}).items():
            definitions[f"{name}.{inner}"] = definition
        block["properties"]["adapter"] = {
            "const": name,
            "description": settings.model_fields["adapter"].description,
        }
        keys = ChainKeys.model_json_schema()
        definitions.update(keys.get("$defs", {}))
        block["properties"] |= keys["properties"]
        block["required"] = sorted({*block.get("required", ()), *keys["required"]})
        definitions[f"chain.{name}"] = block
        variants.append({"$ref": f"#/$defs/chain.{name}"})
    chains = schema["properties"]["chains"]
    for key in ("additionalProperties", "patternProperties"):
        if key in chains:
            blocks = {"oneOf": variants}
            chains[key] = (
                dict.fromkeys(chains[key], blocks) if key == "patternProperties" else blocks
            )
    # A text alone is the key's URI.
    definitions["KeySection"] = {
        "anyOf": [definitions["KeySection"], {"type": "string"}],
        "description": KeySection.__doc__,
    }
    return {"$schema": DIALECT, **schema}


# --- a page for people ---------------------------------------------------------------------------

_INTRODUCTION: Final = """\
# Configuration

One YAML file per process. Made from the code by `python -m gateway.schema docs/reference`.

- Relative paths start in the file's own folder.
- A secret is never written into the file: `file:PATH` or `env:NAME` says where it is.
- `ISTHMUS_A__B=value` in the environment puts a value at `a.b`: `ISTHMUS_API__PORT=8081`,
  `ISTHMUS_PEERS__0__URL=https://…`. Upper and lower case are alike, and `_` also means `-`.
- Amounts are whole numbers in the asset's smallest unit; times are seconds.
"""


def configuration_page() -> str:
    """The reference of both configuration files, in Markdown."""
    parts = [_INTRODUCTION, "## A gateway\n"]
    parts += _tables(Root, "")
    parts.append("## A watchtower\n")
    parts += _tables(TowerRoot, "")
    for name, settings in _adapters().items():
        parts.append(f"## A chain's block with `adapter: {name}`\n")
        parts += _tables(settings, "", also=ChainKeys)
    return "\n".join(parts)


def _tables(
    model: type[BaseModel], prefix: str, also: type[BaseModel] | None = None
) -> Iterator[str]:
    fields = dict(model.model_fields) | (dict(also.model_fields) if also is not None else {})
    lines = ["| key | default | meaning |", "|---|---|---|"]
    below: list[tuple[str, type[BaseModel]]] = []
    for name, field in fields.items():
        inner = field_model(field.annotation)
        default = _default(field.is_required(), field.default)
        meaning = field.description or (_first_line(inner) if inner is not None else "")
        lines.append(f"| `{prefix}{name}` | {default} | {_cell(meaning)} |")
        if inner is not None and inner is not KeySection:
            many = "tuple" in str(field.annotation)
            below.append((f"{prefix}{name}{'[]' if many else ''}.", inner))
    yield "\n".join(lines) + "\n"
    for path, inner in below:
        yield from _tables(inner, path)


def _default(required: bool, default: Any) -> str:
    if required:
        return "**required**"
    if default is None or default is PydanticUndefined or isinstance(default, BaseModel):
        return ""
    if isinstance(default, tuple):
        return "none" if not default else f"`{json.dumps([str(item) for item in default])}`"
    return f"`{default}`"


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m gateway.schema FOLDER\n")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in reference().items():
        (folder / name).write_text(content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
