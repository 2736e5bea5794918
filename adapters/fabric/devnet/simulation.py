"""One transaction's simulation: reads of committed state, collected with what would be written.

Reads see the state as of the height at which the simulation began, and never its own writes, as in
Fabric. The result is a ``TxReadWriteSet``, byte for byte as a Fabric peer builds it from the same
calls (``core/ledger/kvledger/txmgmt/rwsetutil`` there), so endorsements can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2

from adapters.fabric.devnet.ledger import KeyedValue, Ledger, Modification
from adapters.fabric.devnet.range_reads import RangeReads, read_message


class SimulationRefused(Exception):
    """A call that this transaction may not make; the message goes to the chaincode."""


@dataclass(slots=True)
class RangeScan:
    """One range query under way; what has been taken from it is in the read set."""

    namespace: str
    start: str
    end: str
    limit: int
    """The page size; 0 is unlimited."""
    _source: Iterator[KeyedValue]
    _reads: RangeReads = field(default_factory=RangeReads)
    _last: str = ""
    _exhausted: bool = False
    _taken: int = 0

    def take(self) -> KeyedValue | None:
        """The next result; None at the end of the range or of the page."""
        found = None if 0 < self.limit <= self._taken else next(self._source, None)
        if found is None:
            self._exhausted, self._last = True, self.end
            return None
        self._taken += 1
        self._last = found.key
        self._reads.add(found.key, found.version)
        return found

    def bookmark(self) -> str:
        """Where the next page begins; empty at the end. Reads ahead without leaving a trace."""
        following = next(self._source, None)
        return "" if following is None else following.key

    def record(self) -> kv_rwset_pb2.RangeQueryInfo:
        query = kv_rwset_pb2.RangeQueryInfo(
            start_key=self.start, end_key=self._last, itr_exhausted=self._exhausted
        )
        self._reads.put_into(query)
        return query


@dataclass(slots=True)
class _NamespaceSets:
    reads: dict[str, kv_rwset_pb2.KVRead] = field(default_factory=dict)
    writes: dict[str, bytes] = field(default_factory=dict)
    queries: dict[tuple[str, str, bool], kv_rwset_pb2.RangeQueryInfo] = field(default_factory=dict)


class Simulation:
    """The read and write sets of one transaction on one peer."""

    def __init__(self, ledger: Ledger, transaction: str) -> None:
        self._ledger = ledger
        self._height = ledger.height
        self._transaction = transaction
        self._sets: dict[str, _NamespaceSets] = {}
        self._scans: list[RangeScan] = []
        self._wrote = False
        self._paged = False

    def _namespace(self, namespace: str) -> _NamespaceSets:
        return self._sets.setdefault(namespace, _NamespaceSets())

    def get_state(self, namespace: str, key: str) -> bytes | None:
        """The committed value; None where there is none."""
        found = self._ledger.get(namespace, key, self._height)
        version = None if found is None else found.version
        self._namespace(namespace).reads[key] = read_message(key, version)
        return None if found is None else found.value

    def put_state(self, namespace: str, key: str, value: bytes) -> None:
        """An empty value deletes, as in Fabric. Raises SimulationRefused."""
        if self._paged:
            raise SimulationRefused(
                f"txid [{self._transaction}]: unsuppored transaction. Transaction has already "
                "performed a paginated query. Writes are not allowed"
            )
        self._wrote = True
        self._namespace(namespace).writes[key] = value

    def scan(self, namespace: str, start: str, end: str, page: int | None = None) -> RangeScan:
        """Keys from start (with it) to end (without it; empty: all). With a page size the
        transaction may not write. Raises SimulationRefused."""
        if page is not None:
            if self._wrote:
                raise SimulationRefused(
                    f"txid [{self._transaction}]: unsuppored transaction. Paginated queries are "
                    "supported only in a read-only transaction"
                )
            self._paged = True
        source = self._ledger.scan(namespace, start, end, self._height)
        scan = RangeScan(namespace, start, end, page or 0, source)
        self._scans.append(scan)
        return scan

    def history(self, namespace: str, key: str) -> list[Modification]:
        """Newest first. Leaves no trace in the read set, as in Fabric."""
        return self._ledger.history(namespace, key, self._height)

    def namespaces(self) -> tuple[str, ...]:
        """All that were read or written, in order."""
        return tuple(sorted({*self._sets, *(scan.namespace for scan in self._scans)}))

    def result(self) -> bytes:
        """The serialized ``rwset.TxReadWriteSet``."""
        for scan in self._scans:
            query = scan.record()
            queries = self._namespace(scan.namespace).queries
            queries.setdefault((query.start_key, query.end_key, query.itr_exhausted), query)
        whole = rwset_pb2.TxReadWriteSet(data_model=rwset_pb2.TxReadWriteSet.KV)
        for namespace in sorted(self._sets, key=str.encode):
            sets = self._sets[namespace]
            public = kv_rwset_pb2.KVRWSet(
                reads=[sets.reads[key] for key in sorted(sets.reads, key=str.encode)],
                range_queries_info=sets.queries.values(),
                writes=[
                    kv_rwset_pb2.KVWrite(
                        key=key, is_delete=not sets.writes[key], value=sets.writes[key]
                    )
                    for key in sorted(sets.writes, key=str.encode)
                ],
            )
            whole.ns_rwset.add(namespace=namespace, rwset=public.SerializeToString())
        serialized: bytes = whole.SerializeToString()
        return serialized


class CommittedState:
    """Committed state as of now, read outside any transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get_state(self, namespace: str, key: str) -> bytes | None:
        found = self._ledger.get(namespace, key, self._ledger.height)
        return None if found is None else found.value
