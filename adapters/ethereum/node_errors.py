"""How one request to one node can go wrong, and what that means to the caller.

These two never leave the driver: ``submission_error``, ``rpc`` and the adapter turn them into the
interface's own.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.codec.keccak import keccak256
from adapters.spi import RejectionReason


class NodeFailed(Exception):
    """The node did not answer, or answered what cannot be. Another node may be asked.

    ``sent``: the request may have reached it all the same. ``wait``: it asked for so many seconds
    of silence (429).
    """

    def __init__(self, message: str, *, sent: bool = True, wait: float = 0.0) -> None:
        super().__init__(message)
        self.sent = sent
        self.wait = wait


class NodeRefused(Exception):
    """The node understood, and said no (a JSON-RPC error)."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{message} (code {code})")
        self.code = code
        self.message = message
        self.revert = _revert_data(data)
        """What the contract gave as the reason of a revert; empty where there is none."""


def _revert_data(data: Any) -> bytes:
    # Nodes nest it differently: a hex string, or an object with one.
    if isinstance(data, dict):
        data = data.get("data")
    if isinstance(data, str):
        found = re.search(r"0x((?:[0-9a-fA-F]{2})*)$", data)
        if found is not None:
            return bytes.fromhex(found[1])
    return b""


def selector(signature: str) -> bytes:
    """The first four bytes of a signature's hash."""
    return keccak256(signature.encode())[:4]


_R = RejectionReason

# What contracts say when they revert.
REVERTS: dict[bytes, tuple[RejectionReason, str]] = {
    selector(signature): (reason, sentence)
    for signature, reason, sentence in (
        ("LockExists(bytes32)", _R.LOCK_EXISTS, "the lock id is open or was settled"),
        ("LockAbsent(bytes32)", _R.LOCK_ABSENT, "there is no such lock"),
        ("LockSettled(bytes32)", _R.LOCK_SETTLED, "the lock was claimed or refunded before"),
        ("DeadlinePassed(uint256,uint256)", _R.DEADLINE_PASSED, "the deadline has passed"),
        (
            "DeadlineNotReached(uint256,uint256)",
            _R.DEADLINE_NOT_REACHED,
            "the deadline has not come",
        ),
        ("AmountZero()", _R.BAD_TERMS, "the amount is zero"),
        ("HashlockRefused(bytes32)", _R.BAD_TERMS, "anybody can open this hashlock"),
        ("RecipientRefused(address)", _R.BAD_TERMS, "the recipient cannot be paid"),
        ("TokenAbsent(address)", _R.BAD_TERMS, "there is no token at the asset's address"),
        (
            "TokenAmountDiffers(address,uint256,uint256)",
            _R.BAD_TERMS,
            "the token moves another amount than is asked (it takes a fee)",
        ),
        ("GasTooLow()", _R.INSUFFICIENT_FEE, "too little gas to pay the recipient"),
        ("CreditAbsent(address)", _R.INSUFFICIENT_BALANCE, "the account has no credit"),
        ("WithdrawalFailed(address)", _R.OTHER, "the account's contract refuses coin"),
        ("ReentrancyGuardReentrantCall()", _R.BAD_TERMS, "the token calls back while it moves"),
        ("SafeERC20FailedOperation(address)", _R.BAD_TERMS, "the token refuses to move"),
        # ERC-6093, and what most tokens use.
        (
            "ERC20InsufficientBalance(address,uint256,uint256)",
            _R.INSUFFICIENT_BALANCE,
            "the sender holds too few tokens",
        ),
        (
            "ERC20InsufficientAllowance(address,uint256,uint256)",
            _R.NOT_AUTHORISED,
            "the sender has not approved the contract for this many tokens",
        ),
        ("ERC20InvalidReceiver(address)", _R.BAD_TERMS, "the token refuses the recipient"),
    )
}

# What nodes say, in words: geth, Anvil, Besu, Nethermind, Erigon. The first that fits counts.
REFUSALS: tuple[tuple[str, RejectionReason], ...] = (
    (r"insufficient funds|upfront cost exceeds|doesn't have enough", _R.INSUFFICIENT_BALANCE),
    (r"exceeds (the )?balance|insufficient balance", _R.INSUFFICIENT_BALANCE),
    (r"exceeds block gas limit|gas limit too high|intrinsic gas", _R.INSUFFICIENT_FEE),
    (r"not (authori[sz]ed|permitted|allowed)|permission", _R.NOT_AUTHORISED),
)

# The transaction stands in nobody's pool, and its nonce is free: try again.
RETRYABLE = re.compile(
    r"nonce too low|nonce too high|nonce (is )?too distant|underpriced|less than block base fee|"
    r"max fee per gas less|gas price (is )?(too low|below)|fee too low|txpool is full|"
    r"transaction pool|limit exceeded|too many requests|account .*queue|exceeds the configured cap",
    re.IGNORECASE,
)
ALREADY_KNOWN = re.compile(
    r"already known|already imported|known transaction|already in (mem)?pool|"
    r"transaction already|alreadyknown",
    re.IGNORECASE,
)
NONCE_USED = re.compile(r"nonce too low|nonce .*below|oldnonce|already used", re.IGNORECASE)
INDEXING = re.compile(r"transaction indexing is in progress", re.IGNORECASE)
"""What Geth says after a start of every transaction that it does not find (yet)."""
UNKNOWN_METHOD = -32601
"""JSON-RPC's code for a method that the node does not have."""


def rejection(refused: NodeRefused) -> tuple[RejectionReason, str] | None:
    """The reason in common words, and a sentence; None where the refusal is not a plain no."""
    known = REVERTS.get(refused.revert[:4])
    if known is not None:
        return known
    for pattern, reason in REFUSALS:
        if re.search(pattern, refused.message, re.IGNORECASE):
            return reason, refused.message
    if refused.revert or refused.code == 3 or "revert" in refused.message.lower():
        return RejectionReason.OTHER, refused.message
    return None
