"""What doctor is told of an account that holds nothing of an asset."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import cast

from adapters.model import Lock, LockState, LockTerms, Notice, Preimage
from adapters.native.plugin import plugin
from tests.adapters.native.chain_fixture import ALICE, BOB
from tests.adapters.native.network import Network


async def test_who_holds_none_of_a_listed_asset_is_well(tmp_path: Path) -> None:
    """An organisation may only ever receive it."""
    network = Network(tmp_path)
    await asyncio.to_thread(network.start)
    try:
        async with plugin.open("native", network.settings()) as adapter:
            alice, asset = network.credential(ALICE), network.assets[0]
            terms = LockTerms(
                chain=adapter.profile.chain,
                contract=adapter.profile.contract,
                sender=alice.account,
                recipient=network.credential(BOB).account,
                asset=asset,
                amount=await adapter.balance(alice.account, asset),
                hashlock=Preimage(os.urandom(32)).hashlock(),
                deadline=(await adapter.head()).time + 3600,
            )
            await adapter.submit(Lock(terms), alice)
            stream = cast(AsyncGenerator[Notice, None], adapter.events(None))
            async with asyncio.timeout(60), aclosing(stream):
                async for _ in stream:
                    if (await adapter.lookup(adapter.lock_id(terms))).state is LockState.OPEN:
                        break
            assert await adapter.balance(alice.account, asset) == 0
            findings = await adapter.diagnose(alice)
    finally:
        await asyncio.to_thread(network.stop)
    assert [finding for finding in findings if not finding.ok] == []
    told = {finding.check: finding.seen for finding in findings}
    assert told[f"balance {asset.reference}"] == "0 smallest units"
