"""What a look-up of a lock tells that the swap does not know yet.

The chain is asked by a lock's id before anything is done about it, and its answer may be ahead of
the stream of events, or show what a stream never does. So it is taken in as a fact, as if it had
been seen. What would change nothing is no news and is not written.
"""

from __future__ import annotations

from adapters.model import ChainId, Hashlock, LockRecord
from relayers.engine import Engine
from relayers.protocol.facts import Fact, LookedUp
from relayers.protocol.swap import step


def lock_news(engine: Engine, key: Hashlock, chain: ChainId, record: LockRecord) -> LookedUp | None:
    """The fact to be told to this swap, if it is one. Raises Quarantined."""
    swap = engine.swap(key)
    body = LookedUp(chain, record.lock_id, record.state, record.final, record.preimage)
    if swap is None or step(swap, Fact(body, engine.moment())).state == swap:
        return None
    return body
