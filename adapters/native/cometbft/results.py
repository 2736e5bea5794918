"""The application's answers as CometBFT's RPC prints them in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.native.app.abci import Event, ExecTxResult, ResponseCheckTx, ResponseQuery
from adapters.native.cometbft.block import base64_text


def _bytes(raw: bytes) -> str | None:
    return base64_text(raw) if raw else None


def events_json(events: Sequence[Event]) -> list[dict[str, Any]]:
    return [
        {
            "type": event.type,
            "attributes": [
                {"key": entry.key, "value": entry.value, "index": entry.index}
                for entry in event.attributes
            ],
        }
        for event in events
    ]


def result_json(result: ExecTxResult | ResponseCheckTx) -> dict[str, Any]:
    return {
        "code": int(result.code),
        "data": _bytes(result.data),
        "log": result.log,
        "info": result.info,
        "gas_wanted": str(result.gas_wanted),
        "gas_used": str(result.gas_used),
        "events": events_json(result.events),
        "codespace": result.codespace,
    }


def query_json(response: ResponseQuery) -> dict[str, Any]:
    ops = [
        {"type": op.type, "key": _bytes(op.key), "data": _bytes(op.data)}
        for op in response.proof_ops
    ]
    return {
        "code": int(response.code),
        "log": response.log,
        "info": response.info,
        "index": str(response.index),
        "key": _bytes(response.key),
        "value": _bytes(response.value),
        "proofOps": {"ops": ops} if ops else None,
        "height": str(response.height),
        "codespace": response.codespace,
    }


def results_fields(results: Sequence[Mapping[str, Any]]) -> list[tuple[int, bytes, int, int]]:
    """What of stored results enters a header's last_results_hash."""
    return [(entry["code"], b"", 0, 0) for entry in results]
