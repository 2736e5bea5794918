"""Swaps that were recorded by earlier code go the same way under this code."""

from __future__ import annotations

import pytest

from relayers.protocol.state import ENDS
from tests.golden.histories import RECORDINGS, History, path_of


@pytest.mark.parametrize("name", [recording.name for recording in RECORDINGS])
def test_a_recorded_history_leads_to_the_same_states(name: str) -> None:
    history = History.from_json(path_of(name).read_text(encoding="utf-8"))
    states = list(history.replay())
    assert tuple(state.phase.value for state in states) == history.phases
    assert states[-1] == history.snapshot
    assert history.snapshot.phase in ENDS


@pytest.mark.parametrize("name", [recording.name for recording in RECORDINGS])
def test_a_history_is_read_as_it_was_written(name: str) -> None:
    text = path_of(name).read_text(encoding="utf-8")
    assert History.from_json(text).to_json() == text
