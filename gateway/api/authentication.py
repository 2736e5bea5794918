"""The bearer token of the user API."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from fastapi import Request

from gateway.api.problems import ProblemError
from relayers.signing.secret import Secret


def bearer(token: Secret) -> Callable[[Request], None]:
    """A dependency that refuses every request without this token, in constant time."""
    expected = hashlib.sha256(token.text.encode()).digest()

    def authenticate(request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        shown = hashlib.sha256(given.strip().encode()).digest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(shown, expected):
            raise ProblemError(
                401, "unauthorised", "the request must carry this gateway's bearer token"
            )

    return authenticate
