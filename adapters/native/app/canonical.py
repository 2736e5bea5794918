"""Canonical binary fields: fixed widths, big-endian, nothing optional, nothing left over.

A value has one encoding. ``Reader`` refuses everything else with ``Malformed``.
"""

from __future__ import annotations


class Malformed(ValueError):
    """Bytes that are not the one canonical encoding of anything. The message names the field."""


def unsigned(value: int, width: int, field: str) -> bytes:
    """``value`` in ``width`` bytes, big-endian. Raises Malformed where it does not fit."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << (8 * width):
        raise Malformed(f"{field} does not fit an unsigned integer of {8 * width} bits")
    return value.to_bytes(width, "big")


def fixed(value: bytes, width: int, field: str) -> bytes:
    """``value`` itself, if it is ``width`` bytes. Raises Malformed."""
    if not isinstance(value, bytes) or len(value) != width:
        raise Malformed(f"{field} must be {width} bytes")
    return value


def short_text(value: str, field: str) -> bytes:
    """One length byte and ASCII. Raises Malformed."""
    try:
        encoded = value.encode("ascii")
    except UnicodeEncodeError as error:
        raise Malformed(f"{field} must be ASCII") from error
    if len(encoded) > 255:
        raise Malformed(f"{field} is longer than 255 bytes")
    return bytes([len(encoded)]) + encoded


class Reader:
    """Takes fields off the front of some bytes; ``end`` refuses what is left over."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def fixed(self, width: int, field: str) -> bytes:
        end = self._at + width
        if end > len(self._data):
            raise Malformed(f"bytes end inside {field}")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def unsigned(self, width: int, field: str) -> int:
        return int.from_bytes(self.fixed(width, field), "big")

    def short_text(self, field: str) -> str:
        raw = self.fixed(self.unsigned(1, field), field)
        try:
            return raw.decode("ascii")
        except UnicodeDecodeError as error:
            raise Malformed(f"{field} must be ASCII") from error

    def end(self) -> None:
        if self._at != len(self._data):
            raise Malformed(f"{len(self._data) - self._at} bytes are left over at the end")
