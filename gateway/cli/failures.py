"""How a command's failure is told: one sentence on standard error, or, with ``--json``, one JSON
object on one line of standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer

EXPECTED: Final[Mapping[str, Mapping[str, str]]] = {
    "adapters.model": {"InvalidValue": "invalid_value"},
    "adapters.spi": {
        "Misconfigured": "misconfigured",
        "Unavailable": "chain_unavailable",
        "SigningFailed": "signing_failed",
        "AdapterError": "chain_error",
    },
    "gateway.cli.answers": {"Failed": "failed"},
    "gateway.client": {"ApiError": "", "GatewayUnreachable": "gateway_unreachable"},
    "gateway.devnet.environment": {"NotPrepared": "not_prepared"},
    "gateway.devnet.ports": {"PortsTaken": "ports_taken"},
    "gateway.settings": {"ConfigurationError": "configuration"},
    "relayers.engine": {"EngineStopped": "not_running"},
    "relayers.journal.port": {"JournalError": "journal"},
    "relayers.signing.keystore": {"KeyFileError": "key_file"},
    "relayers.signing.secret": {"SecretMissing": "secret_missing"},
    "relayers.tower_state": {"TowerStateError": "tower_state"},
}
"""Errors whose message is written for people, by module, with the code that programs are told; the
first that fits. They are named, not imported: what was raised is of a module that is loaded, and
the others are not needed to tell so. A gateway's refusal has a code of its own."""

CODES: Final[Mapping[str, str]] = {
    "usage": "The command line was not understood.",
    "failed": "The command cannot be done as it was asked; `detail` says why.",
    "invalid_value": "A value does not have the form it must have.",
    "configuration": "The configuration file cannot be used; `problems` has a line for each.",
    "gateway_unreachable": "No gateway answers there.",
    "misconfigured": "What the configuration leads to cannot be used: a port, a key, a chain.",
    "chain_unavailable": "A chain's nodes do not answer.",
    "chain_error": "A chain refused, or answered what cannot be.",
    "signing_failed": "A key could not sign now.",
    "key_file": "A key file cannot be used.",
    "secret_missing": "A passphrase or token is not where the reference says.",
    "journal": "The journal cannot be used.",
    "tower_state": "The watchtower's state file cannot be used.",
    "not_running": "The gateway's engine has stopped.",
    "not_prepared": "There is no development network in the folder.",
    "ports_taken": "No ports are free for the development network.",
    "aborted": "Nothing more was typed where something was asked for.",
    "internal": "A fault of the command itself; standard error has more.",
}
"""What a program is told besides a gateway's own codes."""

# The base of what the parser raises; it exports no name for it.
_USAGE: Final[type[Any]] = typer.BadParameter.__bases__[0]


def json_wanted(arguments: Sequence[str]) -> bool:
    """Read before the parser does, since what it refuses is to be told in the same way."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in before


def code_of(error: BaseException) -> str | None:
    """None for what nobody foresaw."""
    if isinstance(error, _USAGE):
        return "usage"
    if isinstance(error, typer.Abort):
        return "aborted"
    for module, names in EXPECTED.items():
        for name, code in names.items():
            if module in sys.modules and isinstance(error, getattr(sys.modules[module], name)):
                return code or _problem(error).code
    return None


def as_object(error: BaseException) -> Mapping[str, Any]:
    """``ok`` (false), ``code``, ``detail``, ``problems`` (a line each), and ``field`` where the
    gateway blames one."""
    code = code_of(error)
    if isinstance(error, _USAGE):
        detail = str(error.format_message())
    elif isinstance(error, typer.Abort):
        detail = "nothing more was typed"
    elif code is None:
        detail = "a fault of the command itself; standard error has more"
    else:
        detail = str(error)
    told = {"ok": False, "code": code or "internal", "detail": detail}
    field = _problem(error).field if _problem(error) is not None else None
    if field is not None:
        told["field"] = field
    return told | {"problems": detail.splitlines()}


def tell(error: BaseException, *, as_json: bool) -> None:
    """Prints a failure. Without ``as_json``: only of those that have a code."""
    if as_json:
        sys.stdout.write(json.dumps(as_object(error), ensure_ascii=False) + "\n")
        return
    for line in str(error).splitlines():
        sys.stderr.write(f"isthmus: {line}\n")


def _problem(error: BaseException) -> Any:
    return getattr(error, "problem", None)
