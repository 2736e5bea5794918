"""Idempotency-Key: the same command twice is carried out once, across crashes too.

The key is written to the journal before anything is done, with a fingerprint of the request and,
for an offer, the salt that it will have. The hashlock follows from the salt, so that a second try
finds the swap of the first, if there is one, and can never make another.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from gateway.api.problems import ProblemError
from gateway.services import Services
from relayers.journal.port import Answer

_KEY = re.compile(r"[\x21-\x7e]{1,128}")


class Idempotency:
    """One per API. Requests under one key wait for each other."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def reserved(self, key: str | None, command: str, body: str) -> AsyncIterator[bytes]:
        """The salt of this request: 32 bytes, the same for each try under one key.

        Raises ProblemError where the key was used for another request.
        """
        fresh = self._services.chance(32)
        if key is None:
            yield fresh
            return
        if _KEY.fullmatch(key) is None:
            raise ProblemError(
                422,
                "invalid_value",
                "Idempotency-Key must be 1 to 128 printable ASCII characters without spaces",
                "Idempotency-Key",
            )
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            fingerprint = hashlib.sha256(f"{command}\n{body}".encode()).hexdigest()
            known = await self._services.journal.answer(key)
            if known is None:
                known = Answer(key, fingerprint, fresh.hex())
                await self._services.journal.append((), answer=known)
            if known.fingerprint != fingerprint:
                raise ProblemError(
                    422,
                    "idempotency_key_reused",
                    "this Idempotency-Key was used for another request; make a new key",
                    "Idempotency-Key",
                )
            yield bytes.fromhex(known.text)
