"""The promises of the adapter interface, as tests that run unchanged against every ledger.

The author of an adapter writes one test module::

    import pytest
    from adapters.conformance.harness import Harness
    from adapters.conformance.suite import *  # noqa: F403


    class MyLedger(Harness):
        ...  # open, credentials, assets, absent_asset; advance_time, restart, reorg if it can


    @pytest.fixture(scope="module")
    def harness():
        ledger = start_my_ledger()  # processes, not tasks: each test has its own event loop
        yield MyLedger(ledger)
        ledger.stop()

and runs it with pytest and pytest-asyncio (the extra ``conformance`` of this distribution) in auto
mode (``asyncio_mode = auto``). Tests open their adapters themselves and compare balances before and
after, so one ledger may serve all of them and need not be fresh. What waits, waits for the stream
of notices, up to the profile's bounds plus the harness's ``margin``. A test that needs a hook or a
capability which is not there skips and says so.
"""

import pytest

pytest.register_assert_rewrite(
    "adapters.conformance.abandonment",
    "adapters.conformance.bench",
    "adapters.conformance.identity",
    "adapters.conformance.ledger",
    "adapters.conformance.refusals",
    "adapters.conformance.robustness",
    "adapters.conformance.secrecy",
    "adapters.conformance.settlement",
    "adapters.conformance.streams",
    "adapters.conformance.submission_errors",
)
