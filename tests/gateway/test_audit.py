"""The audit log: what it writes, and that a disk that fails stops nobody's work."""

from __future__ import annotations

import json
import logging
import resource
from pathlib import Path

import pytest

from gateway.audit import AuditLog


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_full_disk_is_told_in_the_log_and_stops_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with AuditLog(Path("/dev/full"), lambda: 7.0) as audit, caplog.at_level(logging.ERROR):
        audit.write("policy", "accept", "left", swap="0x01", detail="too dear")
    assert "No space left on device" in caplog.text
    assert '"outcome":"left","swap":"0x01"' in caplog.text, "what was done is not lost"


def test_a_line_that_was_cut_does_not_spoil_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "audit.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with AuditLog(path, lambda: 7.0) as audit:
        audit.write("user", "offer", "done")
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
        try:
            audit.write("user", "accept", "done")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        audit.write("user", "decline", "done")
    first, cut, last = lines(path)
    assert json.loads(first)["command"] == "offer"
    assert len(cut) == 10
    assert json.loads(last)["command"] == "decline"
    assert '"command":"accept"' in caplog.text
