"""The bearer token of the user API."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.api.problems import ProblemError
from relayers.signing.secret import Secret

_SCHEME: Final = HTTPBearer(auto_error=False, description="This gateway's bearer token.")
Given = Annotated[HTTPAuthorizationCredentials | None, Security(_SCHEME)]


def bearer(token: Secret) -> Callable[[Given], None]:
    """A dependency that refuses every request without this token, in constant time."""
    expected = hashlib.sha256(token.text.encode()).digest()

    def authenticate(given: Given) -> None:
        shown = hashlib.sha256((given.credentials if given else "").encode()).digest()
        if given is None or not hmac.compare_digest(shown, expected):
            raise ProblemError(
                401, "unauthorised", "the request must carry this gateway's bearer token"
            )

    return authenticate
