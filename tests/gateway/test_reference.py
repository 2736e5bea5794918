"""docs/reference is what the code generates, and the schema accepts what the code accepts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from gateway.configuration_page import example
from gateway.schema import ADAPTERS, main, reference
from gateway.sections import Root
from gateway.settings import load_gateway, load_tower

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
REFERENCE = reference()


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_the_reference_is_what_the_code_generates(name: str) -> None:
    assert (FOLDER / name).read_text() == REFERENCE[name], (
        "the code has changed: run `make reference` and commit the result"
    )


def test_the_reference_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    assert main([str(tmp_path / "new")]) == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(REFERENCE)
    assert main([]) == 2


def test_the_examples_can_be_loaded(tmp_path: Path) -> None:
    for role, load in (("gateway", load_gateway), ("watchtower", load_tower)):
        assert example(role) in REFERENCE["configuration.md"]
        file = tmp_path / f"{role}.yaml"
        file.write_text(example(role))
        assert len(load(file, {}).chains) >= 2


def test_the_example_of_a_gateway_has_every_section_and_every_real_adapter() -> None:
    data = yaml.safe_load(example("gateway"))
    optional = {"offers", "plugins", "log", "audit"}
    assert set(data) == set(Root.model_fields) - optional
    assert {chain["adapter"] for chain in data["chains"].values()} == set(ADAPTERS) - {"simulated"}


def test_each_key_of_the_configuration_has_a_meaning_under_a_heading() -> None:
    page = REFERENCE["configuration.md"]
    rows = re.findall(r"^\| `(\S+)` \| (.*?) \| (.*?) \| (.*?) \|$", page, re.M)
    assert len(rows) == sum(line.startswith("| `") for line in page.splitlines())
    for key, form, _, meaning in rows:
        assert form, key
        assert meaning, key
    assert {"key.uri", "key.passphrase", "peers[].policy.rules[].get"} <= {row[0] for row in rows}
    # A table begins under a heading or under a sentence, never under another table.
    assert not re.search(r"\|\n\n\|", page)


def test_every_reference_in_a_schema_leads_somewhere() -> None:
    for name in ("configuration.schema.json", "watchtower.schema.json"):
        text = REFERENCE[name]
        schema = json.loads(text)
        for part in text.split('"$ref": "#/$defs/')[1:]:
            assert part.partition('"')[0] in schema["$defs"]


def test_each_operation_of_the_api_needs_the_token_but_health() -> None:
    api = json.loads(REFERENCE["openapi.json"])
    free = {
        path for path, item in api["paths"].items() for op in item.values() if "security" not in op
    }
    assert free == {"/healthz", "/readyz", "/metrics"}
