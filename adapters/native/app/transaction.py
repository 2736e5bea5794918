"""Transactions: one canonical encoding, one signature.

    transaction = body ‖ signature
    body        = 0x01 ‖ chain (32) ‖ sender (32) ‖ sequence (8) ‖ kind (1) ‖ fields
    signature   = r (32) ‖ s (32, low) ‖ recovery id (1), secp256k1, by the sender's key over
                  SHA-256("isthmus/native/transaction/1" ‖ 0x00 ‖ body)

``chain`` is the whole genesis hash, so a transaction is good on one chain; ``sequence`` is used
once per account (``records.Account``), so it is good once. Integers are big-endian and of fixed
width; amounts are 32 bytes, in the asset's smallest unit; deadlines are Unix seconds in 8 bytes.
The transaction's id is SHA-256 of its bytes, as on every CometBFT chain.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import assert_never

from adapters.codec.secp256k1 import compress, decompress, recover
from adapters.model import InvalidValue
from adapters.native.app.canonical import Malformed, Reader, fixed, short_text, unsigned
from adapters.native.app.names import MAX_DECIMALS, check_symbol

VERSION = 1
MAX_TRANSACTION_BYTES = 1024
SIGNATURE_BYTES = 65
_DOMAIN = b"isthmus/native/transaction/1\x00"
_ROTATION_DOMAIN = b"isthmus/native/rotation/1\x00"


@dataclass(frozen=True, slots=True)
class CreateAccount:
    """Opens the account that this key names. Any account may open one for another."""

    public_key: bytes


@dataclass(frozen=True, slots=True)
class RotateKey:
    """Gives the sender's account a new key. The new key signs too (``rotation_digest``), so that
    no account is lost to a key that nobody holds."""

    public_key: bytes
    possession: bytes


@dataclass(frozen=True, slots=True)
class CreateAsset:
    """Registers an asset; the sender is its issuer."""

    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Issue:
    """Makes new units. Only the asset's issuer may."""

    symbol: str
    to: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Transfer:
    symbol: str
    to: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class OpenLock:
    """Locks the sender's units until the claim or, from the deadline on, the refund."""

    recipient: bytes
    symbol: str
    amount: int
    hashlock: bytes
    deadline: int


@dataclass(frozen=True, slots=True)
class ClaimLock:
    """Any account may send it; the units go to the lock's recipient."""

    lock_id: bytes
    preimage: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RefundLock:
    """Any account may send it; the units go back to the lock's sender."""

    lock_id: bytes


Operation = (
    CreateAccount | RotateKey | CreateAsset | Issue | Transfer | OpenLock | ClaimLock | RefundLock
)


@dataclass(frozen=True, slots=True)
class Unsigned:
    """What a signer signs. ``chain`` and ``sender`` are 32 bytes."""

    chain: bytes
    sender: bytes
    sequence: int
    operation: Operation

    def body(self) -> bytes:
        """Raises Malformed where a field has no canonical encoding."""
        return (
            bytes([VERSION])
            + fixed(self.chain, 32, "chain")
            + fixed(self.sender, 32, "sender")
            + unsigned(self.sequence, 8, "sequence")
            + _encode_operation(self.operation)
        )

    def digest(self) -> bytes:
        return hashlib.sha256(_DOMAIN + self.body()).digest()

    def signed(self, signature: bytes) -> Signed:
        return Signed(self, fixed(signature, SIGNATURE_BYTES, "signature"))


@dataclass(frozen=True, slots=True)
class Signed:
    unsigned: Unsigned
    signature: bytes

    def encode(self) -> bytes:
        return self.unsigned.body() + self.signature

    def signing_key(self) -> bytes:
        """The compressed public key that signed. Raises Malformed, for a high s among others."""
        try:
            return compress(recover(self.unsigned.digest(), self.signature))
        except InvalidValue as error:
            raise Malformed(str(error)) from error


def transaction_id(raw: bytes) -> str:
    """SHA-256 of the bytes in upper-case hex, as CometBFT writes it."""
    return hashlib.sha256(raw).hexdigest().upper()


def rotation_digest(chain: bytes, account: bytes, sequence: int, public_key: bytes) -> bytes:
    """What the new key signs to show that somebody holds it: this rotation, and no other."""
    return hashlib.sha256(
        _ROTATION_DOMAIN
        + fixed(chain, 32, "chain")
        + fixed(account, 32, "account")
        + unsigned(sequence, 8, "sequence")
        + fixed(public_key, 33, "public key")
    ).digest()


def decode(raw: bytes) -> Signed:
    """Reads one transaction. Raises Malformed for anything but its one canonical encoding."""
    if len(raw) > MAX_TRANSACTION_BYTES:
        raise Malformed(f"transaction is longer than {MAX_TRANSACTION_BYTES} bytes")
    reader = Reader(raw)
    version = reader.unsigned(1, "version")
    if version != VERSION:
        raise Malformed(f"transaction version is {version}; this chain reads version {VERSION}")
    chain = reader.fixed(32, "chain")
    sender = reader.fixed(32, "sender")
    sequence = reader.unsigned(8, "sequence")
    operation = _decode_operation(reader)
    signature = reader.fixed(SIGNATURE_BYTES, "signature")
    reader.end()
    transaction = Signed(Unsigned(chain, sender, sequence, operation), signature)
    if transaction.encode() != raw:
        raise Malformed("transaction is not in its canonical encoding")
    return transaction


def _encode_operation(operation: Operation) -> bytes:
    match operation:
        case CreateAccount(public_key):
            return b"\x01" + _key(public_key)
        case RotateKey(public_key, possession):
            return b"\x02" + _key(public_key) + fixed(possession, SIGNATURE_BYTES, "possession")
        case CreateAsset(symbol, decimals):
            if not 0 <= decimals <= MAX_DECIMALS:
                raise Malformed(f"decimals must be from 0 to {MAX_DECIMALS}")
            return b"\x03" + _symbol(symbol) + unsigned(decimals, 1, "decimals")
        case Issue(symbol, to, amount):
            return b"\x04" + _symbol(symbol) + fixed(to, 32, "to") + _amount(amount)
        case Transfer(symbol, to, amount):
            return b"\x05" + _symbol(symbol) + fixed(to, 32, "to") + _amount(amount)
        case OpenLock(recipient, symbol, amount, hashlock, deadline):
            return (
                b"\x06"
                + fixed(recipient, 32, "recipient")
                + _symbol(symbol)
                + _amount(amount)
                + fixed(hashlock, 32, "hashlock")
                + unsigned(deadline, 8, "deadline")
            )
        case ClaimLock(lock_id, preimage):
            return b"\x07" + fixed(lock_id, 32, "lock id") + fixed(preimage, 32, "preimage")
        case RefundLock(lock_id):
            return b"\x08" + fixed(lock_id, 32, "lock id")
        case _:
            assert_never(operation)


def _decode_operation(reader: Reader) -> Operation:
    kind = reader.unsigned(1, "kind")
    match kind:
        case 1:
            return CreateAccount(_read_key(reader))
        case 2:
            return RotateKey(_read_key(reader), reader.fixed(SIGNATURE_BYTES, "possession"))
        case 3:
            return CreateAsset(_read_symbol(reader), reader.unsigned(1, "decimals"))
        case 4:
            return Issue(_read_symbol(reader), reader.fixed(32, "to"), _read_amount(reader))
        case 5:
            return Transfer(_read_symbol(reader), reader.fixed(32, "to"), _read_amount(reader))
        case 6:
            return OpenLock(
                recipient=reader.fixed(32, "recipient"),
                symbol=_read_symbol(reader),
                amount=_read_amount(reader),
                hashlock=reader.fixed(32, "hashlock"),
                deadline=reader.unsigned(8, "deadline"),
            )
        case 7:
            return ClaimLock(reader.fixed(32, "lock id"), reader.fixed(32, "preimage"))
        case 8:
            return RefundLock(reader.fixed(32, "lock id"))
        case _:
            raise Malformed(f"transaction kind {kind} is not known")


def _key(public_key: bytes) -> bytes:
    try:
        decompress(fixed(public_key, 33, "public key"))
    except InvalidValue as error:
        raise Malformed(str(error)) from error
    return public_key


def _read_key(reader: Reader) -> bytes:
    return _key(reader.fixed(33, "public key"))


def _symbol(symbol: str) -> bytes:
    return short_text(check_symbol(symbol), "asset")


def _read_symbol(reader: Reader) -> str:
    return check_symbol(reader.short_text("asset"))


def _amount(amount: int) -> bytes:
    if amount == 0:
        raise Malformed("amount must be greater than zero")
    return unsigned(amount, 32, "amount")


def _read_amount(reader: Reader) -> int:
    amount = reader.unsigned(32, "amount")
    if amount == 0:
        raise Malformed("amount must be greater than zero")
    return amount
