"""After an outage there is much to read: a stream that is broken off asks for less next time."""

from __future__ import annotations

import asyncio

import pytest

from adapters.model import Lock, Stage
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import Stream, credential, opened, terms_for
from tests.adapters.ethereum.edge import Answer, Request, edge_before

BEARS = 5
"""Blocks of which the node gives the logs, or headers that it gives one after another."""


class Slow:
    """A node that is silent where it is asked for more than it bears: ``silent`` says so."""

    def __init__(self, what: str) -> None:
        self.silent = asyncio.Event()
        self._what = what
        self._headers = 0

    def __call__(self, request: Request) -> Answer | None:
        match request["method"], request["params"]:
            case "eth_getLogs", [{"fromBlock": first, "toBlock": last}]:
                if self._what == "logs" and int(last, 16) - int(first, 16) >= BEARS:
                    return self._hang()
            case "eth_getBlockByNumber", [str(height), _]:
                self._headers = self._headers + 1 if height.startswith("0x") else 0
                if self._what == "headers" and self._headers > BEARS:
                    return self._hang()
        return None

    def _hang(self) -> Answer:
        self.silent.set()
        return Answer(hang=True)


@pytest.mark.parametrize("what", ["logs", "headers"])
async def test_a_stream_that_is_broken_off_in_a_step_gets_further_the_next_time(
    what: str, network: Network
) -> None:
    """Broken off before the driver's own time-out, as a watcher does."""
    slow = Slow(what)
    async with edge_before(network.url) as edge:
        settings = network.settings(
            # With headers to read, none of the blocks may be final.
            urls=[edge.url],
            request_timeout=300,
            poll_interval=0.05,
            final_by=0 if what == "logs" else 1_000,
        )
        sender, recipient = (credential(settings, one) for one in network.signers[:2])
        async with opened(settings) as adapter:
            locks = []
            for amount in range(1, 4):
                terms, _ = await terms_for(adapter, sender, recipient, amount=amount)
                await adapter.submit(Lock(terms), sender)
                locks.append(adapter.lock_id(terms))
                network.rpc("anvil_mine", hex(20))
            edge.rule = slow
            told: list[bytes] = []
            cursor = None
            # 2,000 blocks at a time, halved until it is five; and a little for what grows again.
            for _ in range(25):
                slow.silent.clear()
                stream = Stream(adapter, cursor)
                stage = Stage.FINAL if what == "logs" else Stage.PENDING
                reading = asyncio.create_task(stream.stage(locks[-1], stage))
                silent = asyncio.create_task(slow.silent.wait())
                done, _ = await asyncio.wait(
                    {reading, silent}, timeout=120, return_when=asyncio.FIRST_COMPLETED
                )
                assert done
                for task in (reading, silent):
                    task.cancel()
                await asyncio.gather(reading, silent, return_exceptions=True)
                await stream.close()
                told += [one.event.lock_id for one in stream.observations()]
                cursor = stream.notices[-1].cursor if stream.notices else cursor
                if reading in done:
                    break
            assert list(dict.fromkeys(told)) == locks
