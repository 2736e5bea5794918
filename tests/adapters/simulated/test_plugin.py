"""The simulated plugin as a gateway's configuration uses it: real time, one chain per id."""

from __future__ import annotations

import asyncio
import selectors
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.conformance.bench import bench_on, claim, new_preimage
from adapters.conformance.harness import Harness
from adapters.model import AssetId, ChainId, InvalidValue, LockClaimed
from adapters.registry import AdapterRegistry
from adapters.simulated.plugin import SimulatedPlugin, SimulatedSettings
from adapters.spi import Misconfigured, Scheme
from tests.adapters.simulated.parties import ANN, BOB, CEM, CHAIN, COIN


def _settings(**ledger: Any) -> SimulatedSettings:
    return SimulatedSettings.model_validate(
        {
            "adapter": "simulated",
            "chain": str(CHAIN),
            "inclusion": 5,
            "finality": 5,
            "clock": 2,
            "ledger": {
                "block_interval": 0.01,
                "coin": {"id": str(COIN.id), "symbol": "SIM", "decimals": 9},
                "funds": [
                    {"account": str(party.account), "asset": str(COIN.id), "amount": 100_000}
                    for party in (ANN, BOB, CEM)
                ],
                **ledger,
            },
        }
    )


class _PluginHarness(Harness):
    credentials = (ANN, BOB, CEM)
    assets = (COIN.id,)
    absent_asset = AssetId(CHAIN, "token", "none")

    def __init__(self) -> None:
        self._plugin = SimulatedPlugin()

    def open(self) -> Any:
        return self._plugin.open("alpha", _settings())


async def test_a_lock_is_claimed_between_two_openings_in_real_time() -> None:
    harness = _PluginHarness()
    async with bench_on(harness) as first, bench_on(harness) as second:
        preimage = new_preimage()
        before = await first.holdings(COIN.id)
        lock_id = await first.locked(await first.terms(preimage))
        await second.submit(claim(lock_id, preimage), second.recipient)
        await first.stream.observed(lock_id, LockClaimed)
        await first.moved(before, sender=-7, recipient=7)


async def test_blocks_go_on_while_one_adapter_is_open_and_stop_with_the_last() -> None:
    plugin = SimulatedPlugin()
    before = asyncio.all_tasks()
    async with plugin.open("one", _settings()):
        async with plugin.open("two", _settings()) as two:
            stream = two.events(None)
            await anext(stream)
        height = plugin.chain(CHAIN).newest.height
        async with asyncio.timeout(30):
            async for notice in stream:
                if notice.head.height > height + 2:
                    break
    assert asyncio.all_tasks() == before


class _VirtualTime(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer whenever there is nothing else to do."""

    def __init__(self) -> None:
        self._now = 0.0
        select = selectors.SelectSelector()
        super().__init__(select)
        waiting = select.select

        def jump(timeout: float | None = None) -> Any:
            self._now += timeout or 0.0
            return waiting(0)

        select.select = jump  # type: ignore[method-assign]

    def time(self) -> float:
        return self._now


@pytest.mark.parametrize("adapters", [1, 3])
def test_however_many_adapters_are_open_there_is_one_block_an_interval(adapters: int) -> None:
    """And a loop with virtual time drives it, an hour in no time."""

    async def an_hour() -> int:
        loop = asyncio.get_running_loop()
        plugin = SimulatedPlugin(clock=loop.time)
        async with AsyncExitStack() as stack:
            for number in range(adapters):
                opening = plugin.open(f"view {number}", _settings(block_interval=10.0))
                await stack.enter_async_context(opening)
            await asyncio.sleep(3_600)
        return plugin.chain(CHAIN).newest.height

    with asyncio.Runner(loop_factory=_VirtualTime) as runner:
        # The last block may or may not come before the hour's own timer.
        assert runner.run(an_hour()) in (359, 360)


async def test_the_chain_outlives_its_adapters() -> None:
    plugin = SimulatedPlugin()
    async with plugin.open("one", _settings()) as adapter:
        async with asyncio.timeout(30):
            async for notice in adapter.events(None):
                if notice.head.height >= 2:
                    break
    async with plugin.open("one", _settings()) as adapter:
        assert (await adapter.head()).height >= 2


async def test_one_chain_id_with_two_ledgers_is_misconfigured() -> None:
    plugin = SimulatedPlugin()
    async with plugin.open("one", _settings()):
        with pytest.raises(Misconfigured, match="chain two: ledger differs"):
            async with plugin.open("two", _settings(depth=5)):
                pass


@pytest.mark.parametrize(
    "ledger",
    [
        {"coin": {"id": "sim:other/coin:native", "symbol": "S", "decimals": 1}},
        {"coin": {"id": "nonsense", "symbol": "S", "decimals": 1}},
        {"funds": [{"account": "sim:other:0x00", "asset": str(COIN.id), "amount": 1}]},
        {"funds": [{"account": str(ANN.account), "asset": "sim:alpha/token:none", "amount": 1}]},
        {"funds": [{"account": str(ANN.account), "asset": str(COIN.id), "amount": 2**256}]},
    ],
)
async def test_a_ledger_that_cannot_be_is_misconfigured(ledger: dict[str, Any]) -> None:
    plugin = SimulatedPlugin()
    with pytest.raises(Misconfigured, match="chain one: "):
        async with plugin.open("one", _settings(**ledger)):
            pass
    with pytest.raises(InvalidValue):
        plugin.chain(CHAIN)


@pytest.mark.parametrize(
    "ledger", [{"depth": -1}, {"block_interval": 0}, {"fee": -1}, {"unknown": 1}, {"coin": None}]
)
def test_settings_that_are_refused(ledger: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _settings(**ledger)


async def test_on_a_late_chain_the_profile_says_how_late() -> None:
    plugin = SimulatedPlugin()
    async with plugin.open("one", _settings(late=True, depth=0)) as adapter:
        assert adapter.profile.bounds.late == 5


def test_a_key_gives_its_account() -> None:
    plugin = AdapterRegistry().load("simulated")
    assert plugin.credential(_settings(), ANN.signer) == ANN


def test_a_key_of_another_curve_is_misconfigured() -> None:
    class P256:
        scheme = Scheme.P256
        public_key = b"\x04" + bytes(64)

        async def sign(self, digest: bytes) -> bytes:
            return bytes(65)

    with pytest.raises(Misconfigured, match="the key is p256"):
        SimulatedPlugin().credential(_settings(), P256())


def test_a_chain_that_was_never_opened_is_not_there() -> None:
    with pytest.raises(InvalidValue, match="no simulated chain sim:beta"):
        SimulatedPlugin().chain(ChainId("sim", "beta"))
