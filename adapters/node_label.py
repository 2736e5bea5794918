"""What errors call a node. The rest of its URL may hold an access key."""

from __future__ import annotations

from urllib.parse import urlsplit


def node_label(url: str) -> str:
    """Scheme, host and port, without path, query or password."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port is not None else ""
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
