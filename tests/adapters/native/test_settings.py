"""What doctor finds, and settings that name the field that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from adapters.native.plugin import plugin
from adapters.native.settings import NativeSettings
from adapters.spi import (
    Adapter,
    Credential,
)
from tests.adapters.native.chain_fixture import ALICE, BOB, Key
from tests.adapters.native.faulty_node import FaultyNode
from tests.adapters.native.network import Network


async def test_doctor_finds_what_is_wrong(
    adapter: Adapter, faulty: FaultyNode, network: Network
) -> None:
    alice = network.credential(ALICE)
    assert all(finding.ok for finding in await adapter.diagnose(alice))
    wrong_key = await adapter.diagnose(Credential(alice.account, BOB))
    assert [f.check for f in wrong_key if not f.ok] == ["account"]
    stranger = plugin.credential(network.settings(account=None), Key("dave"))
    assert [f.check for f in await adapter.diagnose(stranger) if not f.ok] == ["account"]
    faulty.twist = lambda method, answer: b"noise"
    (finding,) = await adapter.diagnose(alice)
    assert (finding.ok, "not JSON" in finding.seen, bool(finding.mend)) == (False, True, True)
    strict = network.settings(clock=0, urls=[network.settings().urls[0]])
    async with plugin.open("native", strict) as other:
        checks = {f.check for f in await other.diagnose(None) if not f.ok}
    assert "clock bound" in checks


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("urls", []),
        ("urls", ["ftp://127.0.0.1"]),
        ("urls", ["127.0.0.1:26657"]),
        ("account", "0x12"),
        ("assets", ["1BAD"]),
        ("contract", "other"),
        ("request_timeout", 0),
        ("unknown", 1),
    ],
)
def test_settings_name_the_field_that_is_wrong(network: Network, field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        NativeSettings.model_validate(dict(network.devnet.settings("alice")) | {field: value})
