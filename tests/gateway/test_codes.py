"""What is listed as stable for programs is what the code can say: nothing less, nothing more."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.model import Stage
from gateway.api import problems
from gateway.api.codes import EVENTS, PROBLEMS
from gateway.api.description import EVENT_STREAM
from gateway.api.problems import MEDIA_TYPE
from gateway.schema import api_description
from relayers.offers.refusal import Refusal
from relayers.protocol.alerts import AlertKind
from relayers.protocol.state import Level, Phase

ROOT = Path(__file__).parents[2]
API = api_description()


def calls(folder: Path, *names: str) -> Iterator[ast.Call]:
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else None
                name = called.id if isinstance(called, ast.Name) else name
                if name in names:
                    yield node


def text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def test_every_code_of_the_api_is_listed() -> None:
    found = {refusal.value for refusal in Refusal} | {*problems._BY_STATUS.values(), "error"}
    for call in calls(ROOT / "gateway", "ProblemError", "_problem"):
        if len(call.args) > 1 and (code := text(call.args[1])) is not None:
            found.add(code)
    for call in calls(ROOT / "gateway", "Problem"):
        found |= {text(word.value) or "" for word in call.keywords if word.arg == "code"} - {""}
    assert found == set(PROBLEMS)


def test_every_kind_of_event_is_listed() -> None:
    locks = {f"{w}_{s}_{t}" for w in ("lock", "claim", "refund") for s in "ab" for t in Stage}
    found = set(locks)
    for call in calls(ROOT / "relayers", "inform", "UserEvent"):
        if call.args and (kind := text(call.args[0])) is not None:
            found.add(kind)
    assert found == set(EVENTS)
    assert not set(EVENTS) & set(AlertKind)


def test_the_description_has_the_closed_sets() -> None:
    schemas = API["components"]["schemas"]
    assert schemas["Problem"]["properties"]["code"]["enum"] == sorted(PROBLEMS)
    assert schemas["Phase"]["enum"] == [phase.value for phase in Phase]
    assert schemas["Level"]["enum"] == [level.value for level in Level]
    for view in ("SwapView", "SwapDetail"):
        assert schemas[view]["properties"]["phase"]["$ref"].endswith("/Phase")
        assert schemas[view]["properties"]["alerts"]["items"]["enum"] == [*AlertKind]
    assert schemas["EventView"]["properties"]["kind"]["enum"] == [*EVENTS, *AlertKind]


@pytest.mark.parametrize("path", sorted(API["paths"]))
def test_the_description_names_the_media_types_that_are_sent(path: str) -> None:
    for operation in API["paths"][path].values():
        for status, response in operation["responses"].items():
            wanted = {"application/json"}
            if status in ("4XX", "5XX"):
                wanted = {MEDIA_TYPE}
            elif path.endswith("/events"):
                wanted = {EVENT_STREAM}
            elif path == "/metrics":
                wanted = {"text/plain"}
            assert set(response["content"]) == wanted, (path, status)
            schema = response["content"][wanted.pop()]["schema"]
            if status in ("4XX", "5XX"):
                assert schema == {"$ref": "#/components/schemas/Problem"}


def test_every_reference_in_the_description_leads_somewhere() -> None:
    api = API
    names = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(api))
    assert set(names) == set(api["components"]["schemas"])
