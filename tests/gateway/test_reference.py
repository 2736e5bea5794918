"""docs/reference is what the code generates, and the schema accepts what the code accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.schema import main, reference

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", sorted(reference()))
def test_the_reference_is_what_the_code_generates(name: str) -> None:
    assert (FOLDER / name).read_text() == reference()[name], (
        "the code has changed: run `python -m gateway.schema docs/reference` and commit the result"
    )


def test_the_reference_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    assert main([str(tmp_path / "new")]) == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(reference())
    assert main([]) == 2


def test_every_reference_in_a_schema_leads_somewhere() -> None:
    for name in ("configuration.schema.json", "watchtower.schema.json"):
        text = reference()[name]
        schema = json.loads(text)
        for part in text.split('"$ref": "#/$defs/')[1:]:
            assert part.partition('"')[0] in schema["$defs"]


def test_each_operation_of_the_api_needs_the_token_but_health() -> None:
    api = json.loads(reference()["openapi.json"])
    free = {
        path for path, item in api["paths"].items() for op in item.values() if "security" not in op
    }
    assert free == {"/healthz", "/readyz", "/metrics"}
