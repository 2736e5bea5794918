"""The identity words of lock ids on simulated chains: each is the SHA-256 of the CAIP text."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from adapters.codec.lock_id import IdentityWords, lock_id
from adapters.model import LockId, LockTerms


@lru_cache(maxsize=4096)
def _word(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@lru_cache(maxsize=4096)
def lock_id_of(terms: LockTerms) -> LockId:
    """The id of a lock on a simulated chain. Pure."""
    words = IdentityWords(
        chain=_word(str(terms.chain)),
        contract=_word(terms.contract),
        sender=_word(str(terms.sender)),
        recipient=_word(str(terms.recipient)),
        asset=_word(str(terms.asset)),
    )
    return lock_id(words, terms.amount, terms.hashlock, terms.deadline)
