"""Queries under way: results go to the chaincode in batches of 100, or as one page.

As in Fabric (``core/chaincode/query_response_generator.go``) the result after a full batch has
already been taken when the batch is sent, so it is in the read set even if it is never asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.peer import chaincode_shim_pb2

from adapters.fabric.devnet.simulation import RangeScan

BATCH = 100
TOTAL = 100_000
"""Fabric's ledger.state.totalQueryLimit."""


@dataclass(slots=True)
class Query:
    """One iterator of a chaincode."""

    take: Callable[[], bytes | None]
    """The next result, serialized; None at the end."""
    limit: int = TOTAL
    bookmark: Callable[[], str] | None = None
    """For a page: where the next one begins."""
    _pending: list[bytes] = field(default_factory=list)
    _count: int = 0

    def next_batch(self, identifier: str) -> chaincode_shim_pb2.QueryResponse:
        """The next results; ``has_more`` says whether the iterator lives on."""
        while self._count < self.limit:
            result = self.take()
            if result is None:
                break
            self._count += 1
            full = self.bookmark is None and len(self._pending) == BATCH
            batch = self._pending
            if full:
                self._pending = [result]
                return self._response(identifier, batch, more=True)
            batch.append(result)
        batch, self._pending = self._pending, []
        response = self._response(identifier, batch, more=False)
        if self.bookmark is not None:
            response.metadata = chaincode_shim_pb2.QueryResponseMetadata(
                fetched_records_count=self._count, bookmark=self.bookmark()
            ).SerializeToString()
        return response

    @staticmethod
    def _response(
        identifier: str, batch: list[bytes], *, more: bool
    ) -> chaincode_shim_pb2.QueryResponse:
        return chaincode_shim_pb2.QueryResponse(
            results=[chaincode_shim_pb2.QueryResultBytes(resultBytes=result) for result in batch],
            has_more=more,
            id=identifier,
        )


def _take_from(scan: RangeScan) -> Callable[[], bytes | None]:
    def take() -> bytes | None:
        found = scan.take()
        if found is None:
            return None
        result = kv_query_result_pb2.KV(namespace=scan.namespace, key=found.key, value=found.value)
        serialized: bytes = result.SerializeToString()
        return serialized

    return take


def range_query(scan: RangeScan) -> Query:
    return Query(_take_from(scan))


def page_query(scan: RangeScan, size: int) -> Query:
    return Query(_take_from(scan), size if 0 < size < TOTAL else TOTAL, scan.bookmark)


def history_query(modifications: Iterator[bytes]) -> Query:
    return Query(lambda: next(modifications, None))
