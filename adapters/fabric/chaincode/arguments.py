"""Arguments of chaincode functions: text from outside, read into values or refused by name."""

from __future__ import annotations

import json
import re
from typing import Any

from adapters.fabric.account import check_address
from adapters.fabric.chaincode.refusal import Reason, Refused
from adapters.model import MAX_AMOUNT, Hashlock, InvalidValue, check_hashlock

_ASSET_NAME = re.compile(r"[A-Za-z0-9][-.A-Za-z0-9]{0,63}")
_CHAINCODE_NAME = re.compile(r"[a-zA-Z0-9]+([-_][a-zA-Z0-9]+)*")
_HEX_32 = re.compile(r"[0-9a-f]{64}")
_INTEGER = re.compile(r"0|[1-9][0-9]{0,77}")
_SYMBOL = re.compile(r"[A-Za-z0-9.$_-]{1,16}")


def bad(sentence: str) -> Refused:
    return Refused(Reason.BAD_TERMS, sentence)


def integer(text: str, field: str, least: int, most: int) -> int:
    """A decimal integer without sign, leading zeros or spaces, within bounds."""
    if _INTEGER.fullmatch(text) is None or not least <= int(text) <= most:
        raise bad(f"{field} must be a decimal integer from {least} to {most}")
    return int(text)


def amount(text: str, field: str = "amount") -> int:
    return integer(text, field, 1, MAX_AMOUNT)


def bytes32(text: str, field: str) -> bytes:
    if _HEX_32.fullmatch(text) is None:
        raise bad(f"{field} must be 64 lower-case hex digits")
    return bytes.fromhex(text)


def hashlock(text: str) -> Hashlock:
    try:
        return check_hashlock(bytes32(text, "hashlock"))
    except InvalidValue as error:
        raise bad(str(error)) from error


def address(text: str, field: str) -> str:
    try:
        return check_address(text, field)
    except InvalidValue as error:
        raise bad(str(error)) from error


def asset_name(text: str) -> str:
    if _ASSET_NAME.fullmatch(text) is None:
        raise bad("asset must be 1 to 64 letters, digits, dots and dashes, no dot or dash first")
    return text


def chaincode_name(text: str, field: str) -> str:
    if len(text) > 64 or _CHAINCODE_NAME.fullmatch(text) is None:
        raise bad(f"{field} must be the name of a chaincode")
    return text


def symbol(text: str) -> str:
    if _SYMBOL.fullmatch(text) is None:
        raise bad("symbol must be 1 to 16 letters, digits and . $ _ -")
    return text


def string_list(text: str, field: str, most: int) -> tuple[str, ...]:
    """A JSON list of distinct strings, at most so many."""
    try:
        values: Any = json.loads(text)
    except ValueError as error:
        raise bad(f"{field} must be a JSON list of strings") from error
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise bad(f"{field} must be a JSON list of strings")
    if len(values) > most or len(set(values)) != len(values):
        raise bad(f"{field} must be at most {most} strings, each once")
    return tuple(values)


def encode(value: Any) -> bytes:
    """JSON alike on every endorser: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def decode(value: bytes) -> Any:
    return json.loads(value)
