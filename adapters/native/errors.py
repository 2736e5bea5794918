"""What the chain's refusals mean to a caller: one table from result codes to the error tree."""

from __future__ import annotations

from adapters.native.app.codes import CODESPACE, Code
from adapters.native.rpc_client import RpcFailure
from adapters.spi import AdapterError, NotSent, Rejected, RejectionReason, Unknown

REASONS = {
    Code.MALFORMED: RejectionReason.BAD_TERMS,
    Code.WRONG_CHAIN: RejectionReason.OTHER,
    Code.UNKNOWN_ACCOUNT: RejectionReason.NOT_AUTHORISED,
    Code.BAD_SIGNATURE: RejectionReason.NOT_AUTHORISED,
    Code.INSUFFICIENT_BALANCE: RejectionReason.INSUFFICIENT_BALANCE,
    Code.NOT_ISSUER: RejectionReason.NOT_AUTHORISED,
    Code.ACCOUNT_EXISTS: RejectionReason.OTHER,
    Code.ASSET_EXISTS: RejectionReason.OTHER,
    Code.UNKNOWN_ASSET: RejectionReason.BAD_TERMS,
    Code.UNKNOWN_RECIPIENT: RejectionReason.BAD_TERMS,
    Code.BAD_TERMS: RejectionReason.BAD_TERMS,
    Code.SUPPLY_OVERFLOW: RejectionReason.OTHER,
    Code.LOCK_EXISTS: RejectionReason.LOCK_EXISTS,
    Code.LOCK_ABSENT: RejectionReason.LOCK_ABSENT,
    Code.LOCK_SETTLED: RejectionReason.LOCK_SETTLED,
    Code.WRONG_PREIMAGE: RejectionReason.WRONG_PREIMAGE,
    Code.DEADLINE_PASSED: RejectionReason.DEADLINE_PASSED,
    Code.DEADLINE_NOT_REACHED: RejectionReason.DEADLINE_NOT_REACHED,
}
"""Every code but OK, and BAD_SEQUENCE, which is no refusal of what was asked (NotSent)."""

ALREADY_KNOWN = "tx already exists in cache"
"""CometBFT's words for bytes that its mempool has or had: the transaction was sent before."""

_NOT_TAKEN = ("mempool is full", "Tx too large", "pre-check")


def refusal(label: str, code: int, codespace: str, log: str) -> AdapterError:
    """The error for a CheckTx code other than 0."""
    if codespace == CODESPACE and code == Code.BAD_SEQUENCE:
        return NotSent(f"{label}: the account's sequence has moved on: {log[:300]}")
    known = codespace == CODESPACE and code in set(Code)
    reason = REASONS.get(Code(code)) if known else None
    return Rejected(f"{label} refuses: {log[:300] or f'code {code}'}", reason)


def broadcast_failure(label: str, failure: RpcFailure) -> AdapterError:
    """The error for a node's own failure to take a transaction (ALREADY_KNOWN aside)."""
    if failure.code in (-32600, -32601, -32602) or failure.data.startswith(_NOT_TAKEN):
        return NotSent(f"{label}: {failure}")
    return Unknown(f"{label}: a transaction may have been taken: {failure}")
