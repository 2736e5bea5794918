"""What is asked of a token: balances, allowances, whether it would move, symbol and decimals."""

from __future__ import annotations

from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import (
    ALLOWANCE,
    APPROVE,
    BALANCE_OF,
    DECIMALS,
    SYMBOL,
    TRANSFER,
    Call,
    encode,
)
from adapters.ethereum.node_errors import NodeRefused, rejection
from adapters.ethereum.quantities import data, to_hex
from adapters.ethereum.rpc import Node
from adapters.model import Asset, AssetId, InvalidValue

UNLIMITED = 2**256 - 1


async def _ask(node: Node, token: bytes, encoded: bytes) -> bytes:
    """The answer; empty where the token has none."""
    call = {"to": checksummed(token), "data": to_hex(encoded)}
    try:
        return data(await node.call("eth_call", call, "latest"), "a token's answer")
    except NodeRefused:
        return b""


async def balance(node: Node, token: bytes, holder: bytes, name: str) -> int:
    """Raises InvalidValue where there is no token, NodeFailed."""
    answer = await _ask(node, token, encode(BALANCE_OF, holder))
    if len(answer) < 32:
        raise InvalidValue(f"asset {name} is not there: its address holds no ERC-20 contract")
    return int.from_bytes(answer[:32], "big")


async def allowance(node: Node, token: bytes, holder: bytes, spender: bytes) -> int:
    """What the spender may take of the holder's tokens; 0 where there is no token."""
    return int.from_bytes((await _ask(node, token, encode(ALLOWANCE, holder, spender)))[:32], "big")


async def transfer_refusal(
    node: Node, token: bytes, holder: bytes, to: bytes, amount: int
) -> str | None:
    """Why the token would not move so many of the holder's to somebody now: paused, or one of the
    two shut out. None where it would. It is only tried, not done. Raises NodeFailed, NodeRefused.
    """
    call = {
        "from": checksummed(holder),
        "to": checksummed(token),
        "data": to_hex(encode(TRANSFER, to, amount)),
    }
    try:
        answer = data(await node.call("eth_call", call, "latest"), "a token's answer")
    except NodeRefused as refused:
        known = rejection(refused)
        if known is None:
            raise
        return known[1]
    # As OpenZeppelin's SafeERC20, which the contract uses: no answer, or true.
    if answer and int.from_bytes(answer[:32], "big") != 1:
        return "the token answers that it did not"
    return None


def approval(token: bytes, spender: bytes, amount: int = UNLIMITED) -> Call:
    """Lets the spender take this many of the caller's tokens; unless told, all of them."""
    return Call(token, 0, encode(APPROVE, spender, amount))


async def describe(node: Node, token: bytes, asset: AssetId) -> Asset:
    """Symbol and decimals. Raises InvalidValue where there is no token, NodeFailed."""
    await balance(node, token, token, str(asset))
    decimals = await _ask(node, token, encode(DECIMALS))
    places = int.from_bytes(decimals[:32], "big") if len(decimals) >= 32 else 0
    if places > 255:
        raise InvalidValue(f"asset {asset} claims to have {places} decimals")
    return Asset(asset, _symbol(await _ask(node, token, encode(SYMBOL))), places)


def _symbol(answer: bytes) -> str:
    """A string as the standard has it, or 32 bytes as some old tokens have it."""
    if len(answer) >= 64 and int.from_bytes(answer[:32], "big") == 32:
        length = min(int.from_bytes(answer[32:64], "big"), 64)
        text = answer[64 : 64 + length]
    else:
        text = answer[:32].rstrip(b"\0")
    shown = text.decode("utf-8", "replace").strip()
    return shown if shown and shown.isprintable() else "?"
