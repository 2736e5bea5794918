"""What waits for a block in the embedded node, and what the application remembers of it."""

from __future__ import annotations

from adapters.native.app.application import MAX_CACHED
from adapters.native.node.mempool import MAX_TRANSACTIONS


def test_the_application_remembers_every_signature_of_a_full_mempool_and_its_last_blocks() -> None:
    """First in, first out: one more than fits, and each is recovered anew at every step."""
    assert MAX_CACHED >= 2 * MAX_TRANSACTIONS
