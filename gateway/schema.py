"""The reference that is made from the code: configuration, the HTTP API, codes, a swap's table.

``make reference`` writes docs/reference anew; a test holds the two together.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from adapters.registry import AdapterRegistry
from adapters.spi import ChainSettings
from gateway.api.user_app import user_app
from gateway.codes_page import codes_page
from gateway.configuration_page import configuration_page
from gateway.sections import ChainKeys, KeySection, Root, Section, TowerRoot
from gateway.services import Services
from relayers.protocol.table import to_markdown
from relayers.signing.secret import Secret

ADAPTERS: Final = ("native", "ethereum", "fabric", "simulated")
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def reference() -> Mapping[str, str]:
    """File names and their content."""
    return {
        "configuration.schema.json": _json(configuration_schema(Root)),
        "watchtower.schema.json": _json(configuration_schema(TowerRoot)),
        "configuration.md": configuration_page(_adapters()),
        "openapi.json": _json(api_description()),
        "swap-transitions.md": to_markdown(),
        "codes.md": codes_page(),
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
