"""What doctor is told of an Ethereum chain, besides the conformance suite."""

from __future__ import annotations

import pytest

from adapters.node_label import node_label
from adapters.spi import Finding
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import credential, opened

ENOUGH = 10**12


async def _price(network: Network, cap: int | None) -> Finding:
    settings = network.settings(max_fee_per_gas=cap)
    async with opened(settings) as adapter:
        findings = await adapter.diagnose(credential(settings, network.signers[0]))
    (found,) = (finding for finding in findings if finding.check == "gas price")
    return found


async def test_what_a_unit_of_gas_may_cost_is_told(network: Network) -> None:
    free = await _price(network, None)
    assert free.ok
    assert "there is no max_fee_per_gas" in free.seen
    bound = await _price(network, ENOUGH)
    assert bound.ok
    assert "max_fee_per_gas" not in bound.seen
    tight = await _price(network, 1)
    assert not tight.ok
    assert "max_fee_per_gas" in tight.mend


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("https://user:secret@node.example/key?token=1", "https://node.example"),
        ("ws://[::1]:8546/key", "ws://[::1]:8546"),
    ],
)
def test_a_node_is_called_by_its_host_and_port_alone(url: str, label: str) -> None:
    assert node_label(url) == label
