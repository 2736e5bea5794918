"""Ethereum's key file format, version 3 ("Web3 Secret Storage"): 32 bytes under a passphrase.

scrypt makes a key of the passphrase, AES-128-CTR encrypts, and keccak256(key[16:32] ‖ ciphertext)
is the check. Written with scrypt only; PBKDF2 files of other programs are read too. What the 32
bytes are for stands in a field of our own beside it, ``isthmus``; without it they are a secp256k1
key, as in any other program's file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from Crypto.Protocol.KDF import scrypt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from adapters.codec.keccak import keccak256
from adapters.codec.secp256k1 import address_of
from relayers.signing.secret import Secret

SCRYPT_COST = 2**18
"""N, with r = 8 and p = 1: what Ethereum's own programs use; about 256 MB and one second."""

_MOST_MEMORY = 2**30
"""A file may not ask for more: it comes from outside."""


class KeyFileError(Exception):
    """A key file cannot be used. The message names the file and what to do; never key material."""


class KeyKind(StrEnum):
    """What the 32 bytes are."""

    SECP256K1 = "secp256k1"
    P256 = "p256"
    SWAP_KEY = "swap_key"
    """The HMAC key from which preimages are derived."""


@dataclass(frozen=True, slots=True)
class KeyFileHeader:
    """What a key file says without its passphrase."""

    kind: KeyKind
    public_key: bytes | None
    """65 bytes; None for a swap key, and for files of other programs."""
    address: str | None
    """0x and 40 hexadecimal digits, of a secp256k1 key."""


@dataclass(frozen=True, slots=True, repr=False)
class KeyMaterial:
    """An opened key file. It never shows itself."""

    header: KeyFileHeader
    secret: bytes

    def __repr__(self) -> str:
        return f"KeyMaterial({self.header.kind}, <hidden>)"


def encrypt(
    secret: bytes,
    kind: KeyKind,
    public_key: bytes | None,
    passphrase: Secret,
    *,
    salt: bytes,
    iv: bytes,
    cost: int = SCRYPT_COST,
) -> bytes:
    """A key file's content. ``secret`` is 32 bytes; ``salt`` is 32 random bytes, ``iv`` 16."""
    if len(secret) != 32:
        raise KeyFileError(f"a key file holds 32 bytes, and these are {len(secret)}")
    derived = _scrypt(passphrase, salt, cost, 8, 1, 32)
    ciphertext = _aes(derived, iv, secret)
    file: dict[str, Any] = {
        "version": 3,
        # From the salt, so that nothing here draws chance of its own.
        "id": str(uuid.UUID(bytes=hashlib.sha256(b"id" + salt).digest()[:16], version=4)),
        "isthmus": {"kind": kind.value},
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": iv.hex()},
            "ciphertext": ciphertext.hex(),
            "kdf": "scrypt",
            "kdfparams": {"dklen": 32, "n": cost, "r": 8, "p": 1, "salt": salt.hex()},
            "mac": keccak256(derived[16:32] + ciphertext).hex(),
        },
    }
    if public_key is not None:
        file["isthmus"]["public_key"] = public_key.hex()
        if kind is KeyKind.SECP256K1:
            file["address"] = address_of(public_key).hex()
    return json.dumps(file, indent=2).encode() + b"\n"


def read_header(content: bytes, name: str) -> KeyFileHeader:
    """What the file says of itself. Raises KeyFileError."""
    return _header(_parse(content, name), name)


def decrypt(content: bytes, passphrase: Secret, name: str) -> KeyMaterial:
    """Opens a key file; ``name`` is how errors call it. Raises KeyFileError."""
    file = _parse(content, name)
    header = _header(file, name)
    try:
        crypto = file["crypto"]
        cipher, kdf, parameters = crypto["cipher"], crypto["kdf"], crypto["kdfparams"]
        iv = bytes.fromhex(crypto["cipherparams"]["iv"])
        ciphertext = bytes.fromhex(crypto["ciphertext"])
        mac = bytes.fromhex(crypto["mac"])
        salt = bytes.fromhex(parameters["salt"])
        length = parameters["dklen"]
        if cipher != "aes-128-ctr" or length != 32 or len(iv) != 16:
            raise KeyFileError(f"key file {name} uses a cipher that is not of the v3 format")
        match kdf:
            case "scrypt":
                n, r, p = (_count(parameters[letter]) for letter in "nrp")
                derived = _scrypt(passphrase, salt, n, r, p, length)
            case "pbkdf2" if parameters["prf"] == "hmac-sha256":
                rounds = min(_count(parameters["c"]), 10_000_000)
                derived = hashlib.pbkdf2_hmac(
                    "sha256", passphrase.text.encode(), salt, rounds, length
                )
            case _:
                raise KeyFileError(f"key file {name} uses a key derivation that is not known here")
    except (KeyError, TypeError, ValueError):
        raise KeyFileError(f"key file {name} is damaged: a field is missing or not valid") from None
    if not hmac.compare_digest(keccak256(derived[16:32] + ciphertext), mac):
        raise KeyFileError(f"key file {name}: the passphrase is wrong")
    secret = _aes(derived, iv, ciphertext)
    if len(secret) != 32:
        raise KeyFileError(f"key file {name} holds {len(secret)} bytes; it must be 32")
    return KeyMaterial(header, secret)


def _parse(content: bytes, name: str) -> dict[str, Any]:
    try:
        file = json.loads(content)
    except ValueError:
        file = None
    if not isinstance(file, dict) or file.get("version") != 3 or "crypto" not in file:
        raise KeyFileError(f"{name} is not a key file of the Ethereum v3 format")
    return file


def _header(file: dict[str, Any], name: str) -> KeyFileHeader:
    try:
        own = file.get("isthmus", {"kind": KeyKind.SECP256K1.value})
        kind = KeyKind(own["kind"])
        public_key = bytes.fromhex(own["public_key"]) if "public_key" in own else None
        address = f"0x{str(file['address']).removeprefix('0x')}" if "address" in file else None
    except (KeyError, TypeError, ValueError):
        raise KeyFileError(f"key file {name} is damaged: what it is for cannot be read") from None
    return KeyFileHeader(kind, public_key, address)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("not a count")
    return value


def _scrypt(passphrase: Secret, salt: bytes, n: int, r: int, p: int, length: int) -> bytes:
    if 128 * n * r * p > _MOST_MEMORY:
        raise ValueError("asks for more than a key file may")
    # Not OpenSSL's: it refuses r = 1 with a large N, which the format's own example has.
    derived = scrypt(passphrase.text.encode(), salt, length, n, r, p)  # type: ignore[arg-type]
    assert isinstance(derived, bytes)
    return derived


def _aes(derived: bytes, iv: bytes, data: bytes) -> bytes:
    stream = Cipher(algorithms.AES(derived[:16]), modes.CTR(iv)).encryptor()
    return stream.update(data) + stream.finalize()
