"""Reads the body of an HTTP answer that another party sends, as it comes off the wire.

A compressed answer of some kilobytes can unfold to gigabytes, several layers deep, and an HTTP
client unfolds it before anybody can count (RFC 9110, section 8.4, allows any number of codings). So
no coding is asked for, none is undone, and an answer that has one all the same is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from typing import Final

PLAIN: Final = {"accept-encoding": "identity"}
"""Request headers: the answer is wanted as it is."""


class UnreadableBody(Exception):
    """The body is encoded or too long. The message reads on after the name of who answered."""


def check_plain(headers: Mapping[str, str]) -> None:
    """Raises UnreadableBody for an answer with a content coding. Names in ``headers`` are found
    whatever their case."""
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        shown = "".join(c for c in coding if c.isprintable())[:40]
        raise UnreadableBody(
            f"answers with the content-encoding {shown!r}, which was not asked for and is not "
            "undone; let it, or the proxy before it, answer uncompressed"
        )


async def read_body(headers: Mapping[str, str], parts: AsyncIterable[bytes], most: int) -> bytes:
    """The whole body of an answer, of at most ``most`` bytes. ``parts``: the body as it comes, with
    no coding undone. Raises UnreadableBody, and what ``parts`` raises."""
    check_plain(headers)
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > most:
            raise too_long(most)
    return bytes(body)


def too_long(most: int) -> UnreadableBody:
    return UnreadableBody(f"answers with more than {most} bytes")
