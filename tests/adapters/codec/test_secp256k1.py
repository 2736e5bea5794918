"""secp256k1: recovery, and what is refused. Signatures are made by eth_keys, keys by Hypothesis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eth_keys.backends.coincurve import is_coincurve_available
from eth_keys.datatypes import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.codec.secp256k1 import ORDER, address_of, compress, decompress, recover
from adapters.model import InvalidValue

KEY = PrivateKey(bytes(31) + b"\x07")
PUBLIC = b"\x04" + KEY.public_key.to_bytes()
DIGEST = bytes(range(32))
SIGNATURE = KEY.sign_msg_hash(DIGEST).to_bytes()

BACKENDS = ["CoinCurveECCBackend"] * is_coincurve_available() + ["NativeECCBackend"]


@pytest.fixture(autouse=True, scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    """What ``eth_keys`` computes with: where libsecp256k1 has no package, it does so itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECC_BACKEND_CLASS", f"eth_keys.backends.{request.param}")
        yield


keys = st.integers(1, ORDER - 1).map(lambda number: PrivateKey(number.to_bytes(32, "big")))
digests = st.binary(min_size=32, max_size=32)


@settings(deadline=None)
@given(key=keys, digest=digests)
def test_recovers_the_key_that_signed(key: PrivateKey, digest: bytes) -> None:
    signature = key.sign_msg_hash(digest).to_bytes()
    assert recover(digest, signature) == b"\x04" + key.public_key.to_bytes()


@settings(deadline=None)
@given(key=keys, digest=digests, other=digests)
def test_another_digest_recovers_another_key(key: PrivateKey, digest: bytes, other: bytes) -> None:
    signature = key.sign_msg_hash(digest).to_bytes()
    public = b"\x04" + key.public_key.to_bytes()
    try:
        recovered = recover(other, signature)
    except InvalidValue:
        return
    assert (recovered == public) == (other == digest)


def test_the_high_twin_of_a_signature_is_refused() -> None:
    r, s, v = SIGNATURE[:32], int.from_bytes(SIGNATURE[32:64], "big"), SIGNATURE[64]
    twin = r + (ORDER - s).to_bytes(32, "big") + bytes([1 - v])
    with pytest.raises(InvalidValue, match="high s"):
        recover(DIGEST, twin)


@pytest.mark.parametrize("s", [0, ORDER // 2 + 1, ORDER - 1, ORDER, 2**256 - 1])
def test_s_outside_the_lower_half_is_refused(s: int) -> None:
    with pytest.raises(InvalidValue):
        recover(DIGEST, SIGNATURE[:32] + s.to_bytes(32, "big") + SIGNATURE[64:])


@pytest.mark.parametrize("r", [0, ORDER, 2**256 - 1])
def test_r_outside_the_field_is_refused(r: int) -> None:
    with pytest.raises(InvalidValue):
        recover(DIGEST, r.to_bytes(32, "big") + SIGNATURE[32:])


def test_the_point_at_infinity_is_nobodys_key() -> None:
    # With the curve's base point as r, a signature whose s is the digest is by the private key 0.
    base = PrivateKey((1).to_bytes(32, "big")).public_key.to_bytes()
    digest = (5).to_bytes(32, "big")
    with pytest.raises(InvalidValue, match="does not belong to any key"):
        recover(digest, base[:32] + digest + bytes([base[63] & 1]))


@pytest.mark.parametrize("recovery_id", [2, 3, 27, 28, 255])
def test_a_recovery_id_of_another_convention_is_refused(recovery_id: int) -> None:
    with pytest.raises(InvalidValue, match="recovery id of 0 or 1"):
        recover(DIGEST, SIGNATURE[:64] + bytes([recovery_id]))


@pytest.mark.parametrize("length", [0, 64, 66, 130])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidValue, match="65 bytes"):
        recover(DIGEST, (SIGNATURE * 2)[:length])


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_digest_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidValue, match="digest"):
        recover(bytes(length), SIGNATURE)


def test_the_address_of_a_known_key() -> None:
    # The first account of the mnemonic that every Ethereum development node starts with.
    key = PrivateKey(
        bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
    )
    address = address_of(b"\x04" + key.public_key.to_bytes())
    assert address.hex() == "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"


@settings(deadline=None)
@given(key=keys)
def test_compression_is_undone_by_decompression(key: PrivateKey) -> None:
    public = b"\x04" + key.public_key.to_bytes()
    assert compress(public) == key.public_key.to_compressed_bytes()
    assert decompress(compress(public)) == public


@pytest.mark.parametrize("public_key", [b"", PUBLIC[1:], b"\x05" + PUBLIC[1:], PUBLIC + b"\x00"])
def test_a_key_of_another_form_is_refused(public_key: bytes) -> None:
    with pytest.raises(InvalidValue):
        address_of(public_key)
    with pytest.raises(InvalidValue):
        compress(public_key)


@pytest.mark.parametrize(
    "compressed", [b"", PUBLIC[:33], b"\x05" + PUBLIC[1:33], b"\x02" + b"\xff" * 32, b"\x02" * 32]
)
def test_what_is_no_point_is_not_decompressed(compressed: bytes) -> None:
    with pytest.raises(InvalidValue):
        decompress(compressed)
