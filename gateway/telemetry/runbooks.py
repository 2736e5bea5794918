"""Which page of docs/runbooks/ is for which alert."""

from __future__ import annotations

from typing import Final

from relayers.protocol.alerts import AlertKind

_KINDS: Final = frozenset(kind.value for kind in AlertKind)


def runbook(kind: AlertKind) -> str:
    """The page that says what to do, below docs/runbooks/."""
    parts = kind.value.split(":")
    # The legs share a page. A chain that takes back what was final is no matter of being slow.
    page = parts[:2] + ([] if parts[-1] != "reverted" else ["reverted"])
    return "-".join(page) + ".md"


def page_of(kind: str) -> str:
    """The same from the top level; the list of pages for a kind that this version does not know."""
    return f"docs/runbooks/{runbook(AlertKind(kind)) if kind in _KINDS else 'README.md'}"
