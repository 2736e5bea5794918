"""What doctor adds to what an adapter finds, whatever the adapter calls its own findings."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adapters.simulated.adapter import SimulatedAdapter
from adapters.spi import Credential, Finding
from gateway.api.doctor import chain_findings
from tests.adapters.simulated.parties import new_chain, view_of


class _Names(SimulatedAdapter):
    """An adapter whose one finding has the name that it is given."""

    check = ""

    async def diagnose(self, credential: Credential | None) -> Sequence[Finding]:
        return (Finding(self.check, True, "all well", "what to do if it were not"),)


@pytest.mark.parametrize("check", ["clock", "clock of node 1", "newest block", "contract"])
async def test_an_old_head_is_found_whatever_the_adapter_says(check: str) -> None:
    plain = view_of(new_chain())
    adapter = _Names(new_chain(), bounds=plain.profile.bounds, stale_after=30)
    adapter.check = check
    now = (await adapter.head()).time
    for later, well in ((0, True), (30, True), (31, False)):
        named, newest = await chain_findings("chain x", adapter, None, now + later)
        assert (newest.check, newest.ok) == ("newest block", well)
        assert bool(newest.mend) is not well
        # What is well has nothing to be mended.
        assert (named.check, named.ok, named.mend) == (check, True, "")
