"""Signers and swap keys by URI: right kinds, deterministic low-s signatures, hidden secrets."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from adapters.codec.secp256k1 import ORDER, recover
from adapters.p256_signer import P256_ORDER
from adapters.spi import Scheme, Signer, SigningFailed
from relayers.signing.key_files import keep, make
from relayers.signing.keyring import Keyring
from relayers.signing.keystore import KeyFileError, KeyKind
from relayers.signing.local_signers import LocalP256Signer, LocalSecp256k1Signer
from relayers.signing.swap_key import LocalSwapKey
from tests.relayers.signing.keys import COST, PASSPHRASE, counted_bytes

SECRET = hashlib.sha256(b"a key").digest()
DIGESTS = st.binary(min_size=32, max_size=32)


@given(DIGESTS)
async def test_secp256k1_signatures_are_low_deterministic_and_recoverable(digest: bytes) -> None:
    signer = LocalSecp256k1Signer(SECRET)
    signature = await signer.sign(digest)
    assert signature == await signer.sign(digest)
    assert int.from_bytes(signature[32:64]) <= ORDER // 2
    assert recover(digest, signature) == signer.public_key


@given(DIGESTS)
async def test_p256_signatures_are_low_deterministic_and_valid(digest: bytes) -> None:
    signer = LocalP256Signer.from_secret(SECRET)
    signature = await signer.sign(digest)
    assert signature == await signer.sign(digest)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    assert s <= P256_ORDER // 2
    assert signature[64:] == b"\x00"
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), signer.public_key)
    public.verify(
        utils.encode_dss_signature(r, s), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))
    )


async def test_rfc_6979_p256_vector() -> None:
    """RFC 6979, A.2.5: SHA-256, message "sample"."""
    secret = bytes.fromhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
    signature = await LocalP256Signer.from_secret(secret).sign(hashlib.sha256(b"sample").digest())
    s = int("F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8", 16)
    assert signature[:32].hex() == (
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    )
    assert int.from_bytes(signature[32:64]) == P256_ORDER - s


@pytest.mark.parametrize(
    "signer", [LocalSecp256k1Signer(SECRET), LocalP256Signer.from_secret(SECRET)]
)
async def test_only_digests_are_signed_and_the_key_is_hidden(signer: Signer) -> None:
    with pytest.raises(SigningFailed, match="32 bytes"):
        await signer.sign(b"short")
    assert isinstance(signer, Signer)
    assert SECRET.hex() not in repr(signer)


async def test_keys_open_by_uri(tmp_path: Path) -> None:
    ring = Keyring(tmp_path)
    for kind, scheme in (
        (KeyKind.SECP256K1, Scheme.SECP256K1),
        (KeyKind.P256, Scheme.P256),
    ):
        made = make(tmp_path / f"{kind}.json", kind, PASSPHRASE, counted_bytes(kind), cost=COST)
        for uri in (f"keystore:{kind}.json", f"keystore:{made.path}", f"keystore://{made.path}"):
            signer = await ring.signer(uri, lambda: PASSPHRASE)
            assert (signer.scheme, signer.public_key) == (scheme, made.header.public_key)


async def test_swap_keys_derive_preimages_by_hmac(tmp_path: Path) -> None:
    keep(tmp_path / "s.json", KeyKind.SWAP_KEY, SECRET, PASSPHRASE, counted_bytes(), cost=COST)
    swap_key = await Keyring(tmp_path).swap_key("keystore:s.json", lambda: PASSPHRASE)
    salt = bytes(range(32))
    expected = hmac.new(SECRET, b"isthmus/swap/preimage/v1" + salt, hashlib.sha256).digest()
    assert (await swap_key.preimage(salt)).value == expected
    assert SECRET.hex() not in repr(swap_key)
    with pytest.raises(SigningFailed, match="32 bytes"):
        await LocalSwapKey(SECRET).preimage(b"short")


async def test_a_key_is_used_for_nothing_but_its_kind(tmp_path: Path) -> None:
    make(tmp_path / "s.json", KeyKind.SWAP_KEY, PASSPHRASE, counted_bytes(), cost=COST)
    make(tmp_path / "k.json", KeyKind.SECP256K1, PASSPHRASE, counted_bytes("k"), cost=COST)
    ring = Keyring(tmp_path)
    with pytest.raises(KeyFileError, match="swap key; it cannot sign"):
        await ring.signer("keystore:s.json", lambda: PASSPHRASE)
    with pytest.raises(KeyFileError, match="a swap key must be one of its own"):
        await ring.swap_key("keystore:k.json", lambda: PASSPHRASE)


async def test_an_altered_kind_is_noticed(tmp_path: Path) -> None:
    made = make(tmp_path / "k.json", KeyKind.SECP256K1, PASSPHRASE, counted_bytes(), cost=COST)
    file = json.loads(made.path.read_text())
    file["isthmus"]["kind"] = "p256"
    made.path.write_text(json.dumps(file))
    with pytest.raises(KeyFileError, match="was altered"):
        await Keyring(tmp_path).signer("keystore:k.json", lambda: PASSPHRASE)


@pytest.mark.parametrize(
    ("encryption", "passphrase", "words"),
    [
        (NoEncryption(), None, None),
        (BestAvailableEncryption(PASSPHRASE.text.encode()), PASSPHRASE, None),
        (BestAvailableEncryption(PASSPHRASE.text.encode()), None, "needs a passphrase"),
        (BestAvailableEncryption(b"another"), PASSPHRASE, "the passphrase is wrong"),
        (NoEncryption(), PASSPHRASE, "has no passphrase"),
    ],
)
async def test_pem_files_of_fabric(
    encryption: KeySerializationEncryption,
    passphrase: object,
    words: str | None,
    tmp_path: Path,
) -> None:
    key = ec.derive_private_key(int.from_bytes(SECRET), ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    (tmp_path / "k.pem").write_bytes(pem)
    opener = (lambda: PASSPHRASE) if passphrase is not None else None
    if words is None:
        signer = await Keyring(tmp_path).signer("pem:k.pem", opener)
        assert signer.public_key == LocalP256Signer.from_secret(SECRET).public_key
    else:
        with pytest.raises(KeyFileError, match=words):
            await Keyring(tmp_path).signer("pem:k.pem", opener)


async def test_a_pem_key_of_another_curve_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "k.pem").write_bytes(pem)
    with pytest.raises(KeyFileError, match="not a P-256 key"):
        await Keyring(tmp_path).signer("pem:k.pem")


async def test_remote_signers_have_a_seam(tmp_path: Path) -> None:
    async def vault(uri: str) -> Signer:
        assert uri == "vault:transit/alice"
        return LocalSecp256k1Signer(SECRET)

    ring = Keyring(tmp_path, signers={"vault": vault})
    assert (await ring.signer("vault:transit/alice")).scheme is Scheme.SECP256K1
    with pytest.raises(KeyFileError, match="one of: keystore, pem, vault"):
        await ring.signer("hsm:1")
    with pytest.raises(KeyFileError, match="cannot be read"):
        await ring.signer("keystore:none.json", lambda: PASSPHRASE)
    (tmp_path / "k.json").write_text("{}")
    with pytest.raises(KeyFileError, match="needs its passphrase"):
        await ring.signer("keystore:k.json")
