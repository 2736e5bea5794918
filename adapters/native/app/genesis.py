"""The genesis of a native chain: what its first state holds, and the hash that names the chain.

``app_state`` of the genesis document is a JSON object:

    {"clock_bound": 5,
     "accounts": [{"public_key": "<66 hex>"}],
     "assets":   [{"symbol": "COIN", "decimals": 6, "issuer": "<64 hex>"}],
     "balances": [{"asset": "COIN", "account": "<64 hex>", "amount": "1000000"}]}

An account's id follows from its first key (``names.account_id``). Assets that have balances here
count these as issued. ``clock_bound`` is ε of the timelock arithmetic, in seconds.

    genesis hash = SHA-256("isthmus/native/genesis/1" ‖ 0x00 ‖ length (1) and chain_id
                           ‖ genesis time: seconds (8), nanoseconds (4) ‖ initial height (8)
                           ‖ count (4) ‖ validators, sorted: key (32), power (8)
                           ‖ SHA-256(app_state as JSON, keys sorted, no white space, ASCII))

Its first 32 hex digits are the reference of the CAIP-2 id ``isthmus:…``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from adapters.codec.secp256k1 import decompress
from adapters.model import MAX_AMOUNT, InvalidValue
from adapters.native.app.abci import RequestInitChain, ValidatorUpdate
from adapters.native.app.canonical import Malformed, fixed, short_text, unsigned
from adapters.native.app.ledger import Ledger, Overlay
from adapters.native.app.merkle import Tree
from adapters.native.app.names import MAX_DECIMALS, account_id, check_symbol
from adapters.native.app.records import (
    CLOCK_BOUND_KEY,
    GENESIS_KEY,
    Account,
    AssetRecord,
    HeadRecord,
)
from adapters.native.app.timestamp import Timestamp

_DOMAIN = b"isthmus/native/genesis/1\x00"
NAMESPACE = "isthmus"


class InvalidGenesis(ValueError):
    """The genesis document cannot start a chain. The message names the field."""


@dataclass(frozen=True, slots=True)
class GenesisAsset:
    symbol: str
    decimals: int
    issuer: bytes


@dataclass(frozen=True, slots=True)
class GenesisBalance:
    symbol: str
    account: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class AppState:
    """The parsed ``app_state``. ``accounts`` are compressed public keys."""

    clock_bound: int
    accounts: tuple[bytes, ...]
    assets: tuple[GenesisAsset, ...]
    balances: tuple[GenesisBalance, ...]


def genesis_hash(
    chain_id: str,
    time: Timestamp,
    initial_height: int,
    validators: Sequence[ValidatorUpdate],
    app_state_bytes: bytes,
) -> bytes:
    """32 bytes. Raises InvalidGenesis where a field has no encoding."""
    try:
        listed = sorted(
            fixed(v.public_key, 32, "validator key") + unsigned(v.power, 8, "power")
            for v in validators
        )
        state = json.dumps(
            _load(app_state_bytes), sort_keys=True, separators=(",", ":"), ensure_ascii=True
        )
        return hashlib.sha256(
            _DOMAIN
            + short_text(chain_id, "chain_id")
            + unsigned(time.seconds, 8, "genesis_time")
            + unsigned(time.nanos, 4, "genesis_time")
            + unsigned(initial_height, 8, "initial_height")
            + unsigned(len(listed), 4, "validators")
            + b"".join(listed)
            + hashlib.sha256(state.encode("ascii")).digest()
        ).digest()
    except Malformed as error:
        raise InvalidGenesis(f"genesis: {error}") from error


def chain_reference(genesis: bytes) -> str:
    """The reference part of the CAIP-2 id: the first 32 hex digits of the genesis hash."""
    return genesis.hex()[:32]


def genesis_state(request: RequestInitChain) -> Tree:
    """The state before the first block. Raises InvalidGenesis."""
    state = parse_app_state(request.app_state_bytes)
    overlay = Overlay(Tree())
    ledger = Ledger(overlay)
    overlay.put(
        GENESIS_KEY,
        genesis_hash(
            request.chain_id,
            request.time,
            request.initial_height,
            request.validators,
            request.app_state_bytes,
        ),
    )
    overlay.put(CLOCK_BOUND_KEY, unsigned(state.clock_bound, 4, "clock_bound"))
    ledger.put_head(HeadRecord(request.initial_height - 1, request.time))
    for public_key in state.accounts:
        ledger.put_account(account_id(public_key), Account(public_key))
    for asset in state.assets:
        ledger.put_asset(asset.symbol, AssetRecord(asset.issuer, asset.decimals))
    for index, balance in enumerate(state.balances):
        record = ledger.asset(balance.symbol)
        if record is None or ledger.account(balance.account) is None:
            raise InvalidGenesis(f"balances[{index}] names an asset or account that is not there")
        if record.supply + balance.amount > MAX_AMOUNT:
            raise InvalidGenesis(f"balances[{index}] takes the supply past 2^256 - 1")
        supply = replace(record, supply=record.supply + balance.amount)
        ledger.put_asset(balance.symbol, supply)
        ledger.credit(balance.symbol, balance.account, balance.amount)
    return Tree().update(overlay.changes())


def parse_app_state(raw: bytes) -> AppState:
    """Reads ``app_state``. Raises InvalidGenesis naming the field."""
    document = _load(raw)
    _only(document, "app_state", "clock_bound", "accounts", "assets", "balances")
    clock_bound = document["clock_bound"]
    if isinstance(clock_bound, bool) or not isinstance(clock_bound, int):
        raise InvalidGenesis("clock_bound must be a whole number of seconds")
    if not 1 <= clock_bound < 2**32:
        raise InvalidGenesis("clock_bound must be at least one second")
    accounts = tuple(
        _public_key(entry, f"accounts[{i}]") for i, entry in enumerate(_list(document, "accounts"))
    )
    if len(set(accounts)) != len(accounts):
        raise InvalidGenesis("accounts lists a public key twice")
    ids = {account_id(key) for key in accounts}
    assets = tuple(
        _asset(entry, f"assets[{i}]", ids) for i, entry in enumerate(_list(document, "assets"))
    )
    if len({asset.symbol for asset in assets}) != len(assets):
        raise InvalidGenesis("assets lists a symbol twice")
    balances = tuple(
        _balance(entry, f"balances[{i}]") for i, entry in enumerate(_list(document, "balances"))
    )
    if len({(b.symbol, b.account) for b in balances}) != len(balances):
        raise InvalidGenesis("balances lists an asset of an account twice")
    return AppState(clock_bound, accounts, assets, balances)


def _load(raw: bytes) -> dict[str, Any]:
    def no_float(text: str) -> NoReturn:
        raise InvalidGenesis(f"app_state holds {text[:40]}; numbers must be whole")

    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise InvalidGenesis("app_state names a field twice")
        return dict(pairs)

    try:
        document = json.loads(
            raw, parse_float=no_float, parse_constant=no_float, object_pairs_hook=no_repeats
        )
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidGenesis("app_state is not JSON") from error
    if not isinstance(document, dict):
        raise InvalidGenesis("app_state must be a JSON object")
    return document


def _list(document: Mapping[str, Any], field: str) -> list[Any]:
    entries = document[field]
    if not isinstance(entries, list):
        raise InvalidGenesis(f"{field} must be a list")
    return entries


def _only(entry: object, where: str, *fields: str) -> None:
    if not isinstance(entry, dict) or set(entry) != set(fields):
        raise InvalidGenesis(f"{where} must have the fields {', '.join(fields)} and no other")


def _hex(entry: Mapping[str, Any], field: str, width: int, where: str) -> bytes:
    text = entry[field]
    try:
        raw = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        raw = b""
    if len(raw) != width or raw.hex() != text:
        raise InvalidGenesis(f"{where}.{field} must be {2 * width} lower-case hex digits")
    return raw


def _public_key(entry: Any, where: str) -> bytes:
    _only(entry, where, "public_key")
    key = _hex(entry, "public_key", 33, where)
    try:
        decompress(key)
    except InvalidValue as error:
        raise InvalidGenesis(f"{where}.public_key: {error}") from error
    return key


def _symbol(entry: Mapping[str, Any], field: str, where: str) -> str:
    text = entry[field]
    try:
        return check_symbol(text if isinstance(text, str) else "", f"{where}.{field}")
    except Malformed as error:
        raise InvalidGenesis(str(error)) from error


def _asset(entry: Any, where: str, accounts: set[bytes]) -> GenesisAsset:
    _only(entry, where, "symbol", "decimals", "issuer")
    decimals = entry["decimals"]
    if isinstance(decimals, bool) or not isinstance(decimals, int):
        raise InvalidGenesis(f"{where}.decimals must be a whole number")
    if not 0 <= decimals <= MAX_DECIMALS:
        raise InvalidGenesis(f"{where}.decimals must be from 0 to {MAX_DECIMALS}")
    issuer = _hex(entry, "issuer", 32, where)
    if issuer not in accounts:
        raise InvalidGenesis(f"{where}.issuer is none of the accounts")
    return GenesisAsset(_symbol(entry, "symbol", where), decimals, issuer)


def _balance(entry: Any, where: str) -> GenesisBalance:
    _only(entry, where, "asset", "account", "amount")
    text = entry["amount"]
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 78:
        raise InvalidGenesis(f"{where}.amount must be a string of decimal digits")
    amount = int(text)
    if not 0 < amount <= MAX_AMOUNT:
        raise InvalidGenesis(f"{where}.amount must be from 1 to 2^256 - 1")
    return GenesisBalance(_symbol(entry, "asset", where), _hex(entry, "account", 32, where), amount)
