"""The HTTP session that web3's provider asks a node through: answers are read plain and counted.

Apart from ``transport.py`` because importing aiohttp takes long.
"""

from __future__ import annotations

from aiohttp import ClientResponse, ClientSession, TCPConnector

from adapters.ethereum.node_errors import NodeFailed
from adapters.ethereum.transport import MAX_ANSWER
from adapters.http_body import PLAIN, UnreadableBody, read_body


class BoundedResponse(ClientResponse):
    async def read(self) -> bytes:
        """The body, once. Raises NodeFailed where it is encoded or too long, and what aiohttp
        raises while it reads."""
        try:
            return await read_body(self.headers, self.content.iter_any(), MAX_ANSWER)
        except UnreadableBody as error:
            self.close()
            raise NodeFailed(str(error)) from None


def open_session(*, keep: bool) -> ClientSession:
    """``keep``: connections stay open for the next request. Each status that is not a success is
    raised."""
    return ClientSession(
        headers=PLAIN,
        auto_decompress=False,
        raise_for_status=True,
        response_class=BoundedResponse,
        connector=TCPConnector() if keep else TCPConnector(limit=0, force_close=True),
    )
