"""Sentences as users read them: chains by the operator's names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from adapters.model import ChainId
from gateway.api.views import with_names
from gateway.services import Services

NAMES = {"eip155:1": "mainnet", "eip155:10": "optimism", "fabric:0a0b": "steel", "sim:a-b": "toy"}


def services() -> Services:
    """As much of a gateway as a view of a text touches."""
    chains = [SimpleNamespace(id=ChainId.parse(one), name=name) for one, name in NAMES.items()]
    return cast(Services, SimpleNamespace(dealing=SimpleNamespace(chains=chains)))


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("locked on eip155:1", "locked on mainnet"),
        ("eip155:1 is stale", "mainnet is stale"),
        ("eip155:10 is stale, eip155:1 is not", "optimism is stale, mainnet is not"),
        ("on fabric:0a0b.", "on steel."),
        ("(fabric:0a0b)", "(steel)"),
        ("chain sim:a-b: no node answers", "chain toy: no node answers"),
        ("eip155:1 eip155:1\neip155:1", "mainnet mainnet\nmainnet"),
    ],
)
def test_a_chain_is_called_by_its_name(stored: str, shown: str) -> None:
    assert with_names(services(), stored) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing of the kind",
        "eip155:100",
        "eip155:1-2",
        "xeip155:1",
        "x-eip155:1",
        "caip:eip155:1",
        "sim:a-bc",
        "sim:a",
        "fabric:0a0b0c",
        "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7",
        "eip155:1/slip44:60",
    ],
)
def test_what_goes_on_or_began_before_is_another_id_and_stays(text: str) -> None:
    assert with_names(services(), text) == text
