"""Any text within the letters that CAIP ids allow. One spelling: upper-case hex, nothing needless.

Letters, digits, "-" and "." stand for themselves; every other byte of the text's UTF-8 is "%" and
two hex digits.
"""

from __future__ import annotations

import re
import string

from adapters.model import InvalidValue

_KEPT = frozenset((string.ascii_letters + string.digits + "-.").encode())


def percent_encode(text: str) -> str:
    """Text as CAIP ids carry it: every byte of its UTF-8 but letters, digits, "-" and "."."""
    return "".join(chr(b) if b in _KEPT else f"%{b:02X}" for b in text.encode())


def percent_decode(text: str, field: str) -> str:
    """The inverse of percent_encode; refuses what that would not have written (InvalidValue)."""
    try:
        decoded = re.sub(
            rb"%([0-9A-F]{2})", lambda match: bytes([int(match[1], 16)]), text.encode()
        ).decode()
    except UnicodeError as error:
        raise InvalidValue(f"{field} is not percent-encoded UTF-8", field) from error
    if percent_encode(decoded) != text:
        raise InvalidValue(
            f"{field} must percent-encode, in upper-case hex, all but letters, digits, - and .",
            field,
        )
    return decoded
