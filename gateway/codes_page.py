"""Draws docs/reference/codes.md: all that programs and alert rules may rely on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.api.codes import EVENTS, PROBLEMS
from gateway.cli.failures import CODES
from gateway.telemetry.runbooks import runbook
from relayers.protocol.alerts import AlertKind

_BEGINNING: Final = """\
# Codes and kinds

What is listed here is stable: programs and alert rules may rely on it. The sentences beside it, in
answers and logs, are for people and may change. Made from the code by `make reference`.

## Errors of the API

An error is `application/problem+json` (RFC 9457): `status`, `code`, `title`, `detail` (one
sentence) and, where an input is to blame, `field`.
"""
_COMMANDS: Final = """\
## Failures of a command

A command that fails says so in one sentence on standard error, with exit status 1, or 2 where it
was not understood. With `--json` it prints one JSON object on one line of standard output instead,
after whatever it printed before: `ok` (false), `code`, `detail`, `problems` (a sentence each) and,
where the gateway blames one, `field`. A gateway's refusal has its code of the list above. What
`isthmus doctor` and `isthmus devnet status` find wrong is no failure but their answer, with exit
status 1.

`isthmus gateway run --json` and `isthmus watchtower run --json` print one line of JSON once they
serve, with `ok` (true), who they are and where, and then nothing more but such a failure.
"""
_EVENTS: Final = """\
## Events of a swap

`kind` of what `isthmus swap watch --json`, `GET /v1/events` and `GET /v1/swaps/{id}/events` tell. A
is the initiator's lock, B the responder's. Alerts are events too.
"""
_ALERTS: Final = """\
## Alerts

`kind` of an event of level `alert`, of the log's line `alert`, and of `isthmus_alerts_total`; the
`alerts` of a swap. `a` and `b` are the two locks.
"""


def codes_page() -> str:
    alerts = {kind.value: f"[{runbook(kind)}](../runbooks/{runbook(kind)})" for kind in AlertKind}
    parts = (
        (_BEGINNING, ("code", "meaning"), dict(sorted(PROBLEMS.items()))),
        (_COMMANDS, ("code", "meaning"), CODES),
        (_EVENTS, ("kind", "meaning"), EVENTS),
        (_ALERTS, ("kind", "runbook"), alerts),
    )
    return "\n".join(f"{words}\n{''.join(_table(head, rows))}" for words, head, rows in parts)


def _table(headings: tuple[str, str], rows: Mapping[str, str]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |\n|---|---|\n"
    for name, meaning in rows.items():
        yield f"| `{name}` | {meaning} |\n"
