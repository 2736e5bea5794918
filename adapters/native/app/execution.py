"""Carries out one transaction on a ledger, wholly or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from adapters.codec.secp256k1 import compress, recover
from adapters.model import MAX_AMOUNT, InvalidValue
from adapters.native.app.abci import Event, event
from adapters.native.app.codes import Code, Refused
from adapters.native.app.ledger import Ledger, Overlay
from adapters.native.app.locks import claim_lock, open_lock, refund_lock
from adapters.native.app.names import account_id
from adapters.native.app.records import Account, AssetRecord
from adapters.native.app.timestamp import Timestamp
from adapters.native.app.transaction import (
    ClaimLock,
    CreateAccount,
    CreateAsset,
    Issue,
    OpenLock,
    RefundLock,
    RotateKey,
    Transfer,
    Unsigned,
    rotation_digest,
)


def execute(
    below: Overlay, transaction: Unsigned, signing_key: bytes, time: Timestamp
) -> tuple[Event, ...]:
    """Applies the transaction to ``below`` as of a block time, and returns its events.

    ``signing_key`` is the compressed key that its signature shows. Raises Refused, and then
    ``below`` is as it was.
    """
    overlay = Overlay(below)
    ledger = Ledger(overlay)
    if transaction.chain != ledger.genesis_hash():
        raise Refused(Code.WRONG_CHAIN, "the transaction is for another chain")
    account = ledger.account(transaction.sender)
    if account is None:
        raise Refused(Code.UNKNOWN_ACCOUNT, f"sender {transaction.sender.hex()} is not an account")
    if signing_key != account.public_key:
        raise Refused(Code.BAD_SIGNATURE, "the signature is not by the account's key")
    if not account.can_use(transaction.sequence):
        raise Refused(
            Code.BAD_SEQUENCE,
            f"sequence {transaction.sequence} is used or too far ahead; "
            f"the first unused is {account.sequence}",
        )
    ledger.put_account(transaction.sender, account.use(transaction.sequence))
    events = _operate(ledger, transaction, time)
    below.absorb(overlay)
    return events


def _operate(ledger: Ledger, transaction: Unsigned, time: Timestamp) -> tuple[Event, ...]:
    sender = transaction.sender
    match transaction.operation:
        case CreateAccount(public_key):
            identity = account_id(public_key)
            if ledger.account(identity) is not None:
                raise Refused(Code.ACCOUNT_EXISTS, f"account {identity.hex()} exists")
            ledger.put_account(identity, Account(public_key))
            return (event("isthmus.account.created", account=identity.hex()),)
        case RotateKey(public_key, possession):
            return (_rotate(ledger, transaction, public_key, possession),)
        case CreateAsset(symbol, decimals):
            if ledger.asset(symbol) is not None:
                raise Refused(Code.ASSET_EXISTS, f"asset {symbol} is registered already")
            ledger.put_asset(symbol, AssetRecord(sender, decimals))
            return (event("isthmus.asset.created", asset=symbol, issuer=sender.hex()),)
        case Issue(symbol, to, amount):
            return (_issue(ledger, sender, symbol, to, amount),)
        case Transfer(symbol, to, amount):
            _require_account(ledger, to)
            ledger.debit(symbol, sender, amount)
            ledger.credit(symbol, to, amount)
            return (
                event(
                    "isthmus.asset.transferred",
                    asset=symbol,
                    sender=sender.hex(),
                    recipient=to.hex(),
                    amount=str(amount),
                ),
            )
        case OpenLock() as terms:
            return (open_lock(ledger, sender, terms, time),)
        case ClaimLock() as claim:
            return (claim_lock(ledger, claim, time),)
        case RefundLock() as refund:
            return (refund_lock(ledger, refund, time),)
        case _:
            assert_never(transaction.operation)


def _rotate(ledger: Ledger, transaction: Unsigned, public_key: bytes, possession: bytes) -> Event:
    digest = rotation_digest(
        transaction.chain, transaction.sender, transaction.sequence, public_key
    )
    try:
        holder = compress(recover(digest, possession))
    except InvalidValue as error:
        raise Refused(Code.BAD_SIGNATURE, f"possession of the new key: {error}") from error
    if holder != public_key:
        raise Refused(Code.BAD_SIGNATURE, "possession of the new key is signed by another key")
    account = ledger.account(transaction.sender)
    assert account is not None, "execute has read it"
    ledger.put_account(transaction.sender, replace(account, public_key=public_key))
    return event("isthmus.account.rotated", account=transaction.sender.hex())


def _issue(ledger: Ledger, sender: bytes, symbol: str, to: bytes, amount: int) -> Event:
    asset = ledger.asset(symbol)
    if asset is None:
        raise Refused(Code.UNKNOWN_ASSET, f"asset {symbol} is not registered")
    if asset.issuer != sender:
        raise Refused(Code.NOT_ISSUER, f"only the issuer of {symbol} may issue it")
    _require_account(ledger, to)
    if asset.supply + amount > MAX_AMOUNT:
        raise Refused(Code.SUPPLY_OVERFLOW, f"the supply of {symbol} would pass 2^256 - 1")
    ledger.put_asset(symbol, replace(asset, supply=asset.supply + amount))
    ledger.credit(symbol, to, amount)
    return event("isthmus.asset.issued", asset=symbol, recipient=to.hex(), amount=str(amount))


def _require_account(ledger: Ledger, account: bytes) -> None:
    if ledger.account(account) is None:
        raise Refused(Code.UNKNOWN_RECIPIENT, f"recipient {account.hex()} is not an account")
