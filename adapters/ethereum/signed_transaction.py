"""Transactions: built, hashed, signed by a Signer, encoded.

EIP-1559 (type 2): 0x02 ‖ rlp([chain id, nonce, tip, fee cap, gas, to, value, data, [], …signature])
Legacy with EIP-155: rlp([nonce, gas price, gas, to, value, data, …signature]), v = id·2 + 35 + y.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.codec.keccak import keccak256
from adapters.codec.secp256k1 import address_of, recover
from adapters.ethereum import rlp
from adapters.ethereum.lock_contract import Call
from adapters.model import InvalidValue
from adapters.spi import Signer, SigningFailed


@dataclass(frozen=True, slots=True)
class Fees:
    """What is paid for a unit of gas, in wei. ``tip`` None: a legacy gas price of ``cap``."""

    cap: int
    tip: int | None


@dataclass(frozen=True, slots=True, repr=False)
class SignedTransaction:
    """A transaction ready to be handed to a node. It does not show its content."""

    id: str
    raw: bytes

    def __repr__(self) -> str:
        return f"SignedTransaction({self.id})"


@dataclass(frozen=True, slots=True)
class _Unsigned:
    chain_id: int
    nonce: int
    gas: int
    fees: Fees
    call: Call

    def _body(self) -> list[rlp.Item]:
        paid = (self.fees.cap,) if self.fees.tip is None else (self.fees.tip, self.fees.cap)
        call = self.call
        return [self.nonce, *paid, self.gas, call.to, call.value, call.data]

    def digest(self) -> bytes:
        if self.fees.tip is None:
            return keccak256(rlp.encode([*self._body(), self.chain_id, 0, 0]))
        return keccak256(b"\x02" + rlp.encode([self.chain_id, *self._body(), []]))

    def signed(self, r: int, s: int, parity: int) -> SignedTransaction:
        if self.fees.tip is None:
            raw = rlp.encode([*self._body(), self.chain_id * 2 + 35 + parity, r, s])
        else:
            raw = b"\x02" + rlp.encode([self.chain_id, *self._body(), [], parity, r, s])
        return SignedTransaction("0x" + keccak256(raw).hex(), raw)


async def sign(
    signer: Signer, chain_id: int, nonce: int, gas: int, fees: Fees, call: Call
) -> SignedTransaction:
    """Raises SigningFailed, also where the signature is not the signer's own."""
    unsigned = _Unsigned(chain_id, nonce, gas, fees, call)
    digest = unsigned.digest()
    signature = await signer.sign(digest)
    try:
        own = recover(digest, signature) == signer.public_key
    except InvalidValue as error:
        raise SigningFailed(f"the signer answered no signature: {error}") from None
    if not own:
        raise SigningFailed(
            f"the signer of 0x{address_of(signer.public_key).hex()} signed with another key"
        )
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    return unsigned.signed(r, s, signature[64])


def signed_before(
    address: bytes,
    chain_id: int,
    nonce: int,
    gas: int,
    fees: Fees,
    call: Call,
    signature: tuple[int, int, int],
) -> SignedTransaction | None:
    """The transaction of these fields, if this signature (r, s, parity) of it is the address's;
    None where it is not, so that the address's owner need not have signed it."""
    unsigned = _Unsigned(chain_id, nonce, gas, fees, call)
    r, s, parity = signature
    if parity not in (0, 1):
        return None
    try:
        key = recover(
            unsigned.digest(), r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
        )
    except InvalidValue:
        return None
    return unsigned.signed(r, s, parity) if address_of(key) == address else None
