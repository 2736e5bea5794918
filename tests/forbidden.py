"""Secrets that are looked for in what gateways write, in the forms in which they could be there."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Forbidden:
    """A secret. ``name`` is for a failure's message."""

    name: str
    value: bytes

    def found_in(self, content: bytes) -> bool:
        forms = (
            self.value,
            self.value.hex().encode(),
            self.value.hex().upper().encode(),
            base64.b64encode(self.value).rstrip(b"="),
            base64.urlsafe_b64encode(self.value).rstrip(b"="),
            repr(self.value)[2:-1].encode(),
            str(int.from_bytes(self.value, "big")).encode(),
        )
        return any(form in content for form in forms)


def assert_absent(secrets: Iterable[Forbidden], where: str, content: bytes) -> None:
    for secret in secrets:
        assert not secret.found_in(content), f"the {secret.name} is in {where}"
