"""Logs: JSON lines on standard error, with what could be a secret taken out.

Nothing here relies on callers to be careful alone: whatever is under a name that secrets have, and
every value of a type that holds one, is replaced before it is written.

The configured level is that of our own packages. Libraries log whole requests, with the keys in
their URLs and headers, below the level of a warning: of those nothing is written at any setting,
and of a URL in a library's warning no more than where it leads.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

from adapters.model import Preimage
from gateway.sections import LogLevel
from relayers.signing.secret import Secret

HIDDEN: Final = "<hidden>"
OWN: Final = ("gateway", "relayers", "adapters")
"""The packages whose loggers have the configured level."""
_URL: Final = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?:[^\s/?#@\"']*@)?(?P<host>[^\s/?#\"'<>,;()]*)"
    r"[^\s\"'<>]*",
    re.IGNORECASE,
)
_SECRET_NAMES: Final = (
    "preimage",
    "passphrase",
    "password",
    "secret",
    "token",
    "authorization",
    "private",
    "swap_key",
    "salt",
)


def hidden(name: str, value: Any) -> Any:
    """The value as it may be logged under this name."""
    if any(secret in name.lower() for secret in _SECRET_NAMES):
        return HIDDEN
    match value:
        case Preimage() | Secret():
            return HIDDEN
        case bytes() | bytearray():
            return f"<{len(value)} bytes>"
        case Mapping():
            return {str(key): hidden(str(key), item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [hidden("", item) for item in value]
        case str() | int() | float() | bool() | None:
            return value
        case BaseException():
            return f"{type(value).__name__}: {value}"
        case _:
            return str(value)


def _redact(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {name: hidden(name, value) for name, value in event.items()}


def _without_urls(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Cuts the URLs in what libraries say down to scheme, host and port: a node's key stands in the
    path, the query or the user's part."""
    if str(event.get("logger")).partition(".")[0] in OWN:
        return event
    return {
        name: _URL.sub(r"\g<scheme>\g<host>/<hidden>", value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def set_up_logs(level: LogLevel, stream: TextIO | None = None) -> None:
    """Sends structlog's and the standard library's records to one stream (standard error where
    none is given) as JSON lines. ``level``: the least of what our own packages say."""
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Tracebacks show source lines, never the values of local names.
        structlog.processors.format_exc_info,
        _redact,
        _without_urls,
    ]
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    own = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(logging.WARNING, own))
    for package in OWN:
        logging.getLogger(package).setLevel(own)
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
