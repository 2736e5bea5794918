"""Promises about secrets: a preimage is in no error, no log line and no representation."""

from __future__ import annotations

import base64
import logging
import traceback

import pytest

from adapters.conformance.bench import bench_on, claim, new_preimage
from adapters.conformance.harness import Harness
from adapters.model import LockClaimed, Preimage
from adapters.spi import RejectionReason


def _shows(text: str, preimage: Preimage) -> bool:
    """Whether a text holds the preimage in one of the forms in which bytes are written."""
    value = preimage.value
    forms = (
        value.hex(),
        str(int.from_bytes(value, "big")),
        base64.b64encode(value).decode().rstrip("="),
        repr(value)[2:-1],
    )
    return any(form.lower() in text.lower() for form in forms)


async def test_a_refused_preimage_is_in_no_error_and_no_log(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with bench_on(harness) as bench:
        lock_id = await bench.locked(await bench.terms(new_preimage()))
        secret = new_preimage()
        error = await bench.refused(
            claim(lock_id, secret), bench.recipient, RejectionReason.WRONG_PREIMAGE
        )
        link: BaseException | None = error
        while link is not None:
            assert not _shows(f"{link} {link!r}", secret)
            link = link.__cause__ or link.__context__
        assert not _shows("".join(traceback.format_exception(error)), secret)
        assert not _shows(caplog.text, secret)


async def test_a_claim_leaves_its_preimage_in_no_log(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with bench_on(harness) as bench:
        preimage = new_preimage()
        lock_id = await bench.locked(await bench.terms(preimage))
        action = claim(lock_id, preimage)
        submission = await bench.submit(action, bench.recipient)
        seen = await bench.stream.observed(lock_id, LockClaimed)
        record = await bench.adapter.lookup(lock_id)
        for shown in (action, submission, seen, record, bench.adapter, bench.recipient):
            assert not _shows(f"{shown} {shown!r}", preimage)
        assert not _shows(caplog.text, preimage)
