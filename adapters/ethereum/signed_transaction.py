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


async def sign(
    signer: Signer, chain_id: int, nonce: int, gas: int, fees: Fees, call: Call
) -> SignedTransaction:
    """Raises SigningFailed, also where the signature is not the signer's own."""
    paid = (fees.cap,) if fees.tip is None else (fees.tip, fees.cap)
    body: list[rlp.Item] = [nonce, *paid, gas, call.to, call.value, call.data]
    if fees.tip is None:
        digest = keccak256(rlp.encode([*body, chain_id, 0, 0]))
    else:
        digest = keccak256(b"\x02" + rlp.encode([chain_id, *body, []]))
    signature = await signer.sign(digest)
    try:
        own = recover(digest, signature) == signer.public_key
    except InvalidValue as error:
        raise SigningFailed(f"the signer answered no signature: {error}") from None
    if not own:
        raise SigningFailed(
            f"the signer of 0x{address_of(signer.public_key).hex()} signed with another key"
        )
    r, s, parity = (
        int.from_bytes(signature[:32], "big"),
        int.from_bytes(signature[32:64], "big"),
        signature[64],
    )
    if fees.tip is None:
        raw = rlp.encode([*body, chain_id * 2 + 35 + parity, r, s])
    else:
        raw = b"\x02" + rlp.encode([chain_id, *body, [], parity, r, s])
    return SignedTransaction("0x" + keccak256(raw).hex(), raw)
