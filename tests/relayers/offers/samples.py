"""Signers and values that the tests of offers share."""

from __future__ import annotations

from eth_keys.datatypes import PrivateKey

from adapters.model import AccountId, AssetId, ChainId, Preimage
from adapters.spi import Scheme
from relayers.offers.typed_data import gateway_address
from relayers.protocol.offer import Offer, OfferedLeg


class MemorySigner:
    """A secp256k1 key in memory. Its repr shows nothing."""

    scheme = Scheme.SECP256K1

    def __init__(self, secret: bytes) -> None:
        self._key = PrivateKey(secret)
        self.public_key = b"\x04" + self._key.public_key.to_bytes()

    async def sign(self, digest: bytes) -> bytes:
        return self._key.sign_msg_hash(digest).to_bytes()

    def __repr__(self) -> str:
        return "MemorySigner(<hidden>)"


ALICE = MemorySigner(b"\x01" * 32)
BOB = MemorySigner(b"\x02" * 32)
EVE = MemorySigner(b"\x03" * 32)

CHAIN_A = ChainId.parse("sim:alpha")
CHAIN_B = ChainId.parse("sim:beta")
PREIMAGE = Preimage(b"\x07" * 32)


def leg(chain: ChainId, amount: int, deadline: int) -> OfferedLeg:
    return OfferedLeg(
        chain=chain,
        contract="locks",
        asset=AssetId(chain, "slip44", "60"),
        amount=amount,
        account=AccountId(chain, "0x" + "ab" * 20),
        deadline=deadline,
    )


def sample_offer() -> Offer:
    return Offer(
        version=1,
        initiator=gateway_address(ALICE),
        responder=gateway_address(BOB),
        salt=b"\x05" * 32,
        hashlock=PREIMAGE.hashlock(),
        a=leg(CHAIN_A, 10**18, 2_000),
        b=leg(CHAIN_B, 5, 1_000),
        valid_until=500,
        reference="order 7 – café",
    )


def address(signer: MemorySigner) -> bytes:
    return gateway_address(signer)
