"""Odd accounts of every ledger, and bytes that are no account's: a part of messages.json."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from adapters.codec.checksum_address import checksummed
from adapters.codec.interoperable_address import (
    CHAIN_TYPES,
    CHAINCODE,
    IDENTITY,
    MAX_EIP155_CHAIN,
    VERSION,
    encode,
    encode_chain,
)
from adapters.codec.percent_encoding import percent_encode
from adapters.model import AccountId, ChainId


def word(label: str) -> bytes:
    return hashlib.sha256(f"isthmus message vector: {label}".encode()).digest()


MAINNET = ChainId("eip155", "1")
NATIVE = ChainId("isthmus", word("native genesis").hex()[:32])
FABRIC = ChainId("fabric", word("fabric genesis").hex()[:32])
ODD_CHAINS = {
    "eip155, one byte of ones": ChainId("eip155", "255"),
    "eip155, two bytes": ChainId("eip155", "256"),
    "eip155, 31337": ChainId("eip155", "31337"),
    "eip155, eight bytes of ones": ChainId("eip155", str(2**64 - 1)),
    "eip155, nine bytes": ChainId("eip155", str(2**64)),
    "eip155, the largest": ChainId("eip155", str(MAX_EIP155_CHAIN)),
    "isthmus, zeros": ChainId("isthmus", "0" * 32),
    "isthmus, ones": ChainId("isthmus", "f" * 32),
    "fabric, zeros": ChainId("fabric", "0" * 32),
    "fabric, ones": ChainId("fabric", "f" * 32),
}


def identity(chain: ChainId, msp: str, digest: bytes) -> AccountId:
    return AccountId(chain, f"{percent_encode(msp)}.{digest.hex()}")


def chaincode(chain: ChainId, name: str) -> AccountId:
    return AccountId(chain, percent_encode(name))


def ordinary(chain: ChainId, label: str) -> AccountId:
    """An account with nothing odd about it."""
    match chain.namespace:
        case "eip155":
            return AccountId(chain, checksummed(word(label)[:20]))
        case "isthmus":
            return AccountId(chain, word(label).hex())
        case _:
            return identity(chain, "Org1MSP", word(label))


def gateway(chain: ChainId) -> AccountId:
    if chain.namespace == "fabric":
        return chaincode(chain, "isthmus-gateway")
    return ordinary(chain, f"gateway on {chain}")


def odd(chain: ChainId) -> dict[str, AccountId]:
    """By name: accounts of a chain that something is odd about."""
    match chain.namespace:
        case "eip155":
            found = {
                "zeros": bytes(20),
                "ones": b"\xff" * 20,
                "a precompile": (1).to_bytes(20, "big"),
                "only the first byte": b"\x80" + bytes(19),
                "no letters": bytes.fromhex("0123456789" * 4),
                "letters alone": bytes.fromhex("abcdef" * 6 + "abcd"),
            }
            return {name: AccountId(chain, checksummed(raw)) for name, raw in found.items()}
        case "isthmus":
            found = {
                "zeros": bytes(32),
                "ones": b"\xff" * 32,
                "an Ethereum address, padded": bytes(12) + word("padded")[:20],
                "only the last byte": (1).to_bytes(32, "big"),
            }
            return {name: AccountId(chain, raw.hex()) for name, raw in found.items()}
        case _:
            msps = {
                "an MSP of one letter": "A",
                "the longest MSP": "M" * 63,
                "an MSP with dots": "org1.example.com",
                "an MSP with a space": "Org 1",
                "an MSP with a percent sign": "100%MSP",
                "an MSP in Greek": "Ίσθμος",
                "an MSP in Chinese": "联盟链",
                "an MSP with an emoji": "org🚀",
                "an accent in one piece": "caf\u00e9",
                "an accent in two pieces": "cafe\u0301",
                "an MSP of a zero byte": "\0",
            }
            names = {
                "a chaincode": "pricefeed",
                "a chaincode of one letter": "a",
                "a chaincode with dashes": "price-feed_v2",
                "the longest chaincode": "c" * 128,
                "a chaincode like a hash": "ab" * 32,
            }
            return {
                "an identity of zeros": identity(chain, "Org1MSP", bytes(32)),
                "an identity of ones": identity(chain, "Org1MSP", b"\xff" * 32),
                **{name: identity(chain, msp, word(name)) for name, msp in msps.items()},
                **{name: chaincode(chain, text) for name, text in names.items()},
            }


# The first and the last code point of each length in UTF-8, and those beside the surrogates.
_CODE_POINTS = (0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF)


def accounts() -> Iterator[tuple[str, AccountId]]:
    """Names are unique; so are accounts."""
    for chain in (MAINNET, NATIVE, FABRIC):
        yield f"{chain.namespace}, ordinary", ordinary(chain, "an account")
        for name, account in odd(chain).items():
            yield f"{chain.namespace}, {name}", account
    for point in _CODE_POINTS:
        account = identity(FABRIC, f"M{chr(point)}P", word("a code point"))
        yield f"fabric, an MSP with U+{point:04X}", account
    for name, chain in ODD_CHAINS.items():
        yield f"{name}, an account", ordinary(chain, "an account")


# A continuation alone; one missing; one that is none; too long for their code points; surrogates;
# above U+10FFFF; bytes that never occur.
_NOT_UTF8 = tuple(
    bytes.fromhex(raw)
    for raw in (
        *("80", "bf", "c2", "e282", "f09f9a"),
        *("c241", "e228a1", "e28228", "f0288cbc", "f09028bc", "f0908c28", "c2c2"),
        *("c080", "c1bf", "e08080", "e09fbf", "f0808080", "f08fbfbf"),
        *("eda080", "edbfbf", "f4908080", "f5808080", "f8888080", "fe", "ff"),
    )
)


def refused() -> Iterator[tuple[str, bytes]]:
    """Bytes that name no account, or are not the one spelling of it; names are unique."""
    evm, native, fabric = (
        encode(ordinary(chain, "an account")) for chain in (MAINNET, NATIVE, FABRIC)
    )
    address, account, digest = evm[-20:], native[-32:], word("a refused account")
    eip155 = CHAIN_TYPES["eip155"]

    def made(key: bytes, reference: bytes, part: bytes, version: bytes = VERSION) -> bytes:
        return version + key + bytes([len(reference)]) + reference + bytes([len(part)]) + part

    yield "nothing", b""
    yield "one byte", b"\x00"
    yield "text instead of bytes", str(ordinary(MAINNET, "an account")).encode()
    for kind, whole in (("eip155", evm), ("isthmus", native), ("fabric", fabric)):
        key, size = CHAIN_TYPES[kind], whole[4]
        reference = whole[5 : 5 + size]
        part = whole[6 + size :]
        yield f"{kind}: no version", whole[2:]
        yield f"{kind}: version 0", made(key, reference, part, b"\x00\x00")
        yield f"{kind}: version 2", made(key, reference, part, b"\x00\x02")
        yield f"{kind}: version 256", made(key, reference, part, b"\x01\x00")
        yield f"{kind}: version with its highest bit", made(key, reference, part, b"\x80\x01")
        yield f"{kind}: version and chain type alone", whole[:4]
        yield f"{kind}: ends before the address's length", whole[: 5 + size]
        yield f"{kind}: ends within the reference", whole[:5]
        yield f"{kind}: last byte missing", whole[:-1]
        yield f"{kind}: a byte after the end", whole + b"\x00"
        yield f"{kind}: twice", whole + whole
        yield f"{kind}: no chain", made(key, b"", part)
        yield (
            f"{kind}: no account",
            encode_chain({"eip155": MAINNET, "isthmus": NATIVE, "fabric": FABRIC}[kind]),
        )
        yield f"{kind}: neither chain nor account", made(key, b"", b"")
    for other in (b"\x00\x01", b"\x00\x02", b"\x00\x03", b"\x0d\x54", b"\x47\x97", b"\xff\xff"):
        yield f"chain type 0x{other.hex()}", made(other, b"\x01", address)
    yield "eip155: chain id 0", made(eip155, b"\x00", address)
    yield "eip155: a leading zero", made(eip155, b"\x00\x01", address)
    yield "eip155: 32 bytes for chain id 1", made(eip155, (1).to_bytes(32, "big"), address)
    above = MAX_EIP155_CHAIN + 1
    yield "eip155: 33 digits", made(eip155, above.to_bytes(14, "big"), address)
    yield "eip155: a reference of 255 bytes", made(eip155, b"\x01" * 255, address)
    yield "eip155: a length of 255 and no more", VERSION + eip155 + b"\xff" + address
    yield "eip155: both parts of 255 bytes", made(eip155, b"\x01" * 255, b"\x01" * 255)
    yield "eip155: 32 bytes of ones", made(eip155, b"\xff" * 32, address)
    yield "eip155: an address of 19 bytes", made(eip155, b"\x01", address[1:])
    yield "eip155: an address of 21 bytes", made(eip155, b"\x01", address + b"\x00")
    yield "eip155: an address of 32 bytes", made(eip155, b"\x01", bytes(12) + address)
    for kind, part in (("isthmus", account), ("fabric", fabric[22:])):
        key = CHAIN_TYPES[kind]
        for size in (1, 15, 17, 32):
            yield f"{kind}: a reference of {size} bytes", made(key, digest[:1] * size, part)
        reference = digest[:16].hex().encode()
        yield f"{kind}: a reference in hex", made(key, reference, part)
    reference = bytes.fromhex(NATIVE.reference)
    for size in (20, 31, 33, 64):
        yield (
            f"isthmus: an account of {size} bytes",
            made(CHAIN_TYPES["isthmus"], reference, (account * 2)[:size]),
        )
    reference = bytes.fromhex(FABRIC.reference)
    for name, part in {
        "no kind": digest + b"Org1MSP",
        "kind 0": b"\x00" + digest + b"Org1MSP",
        "kind 3": b"\x03" + digest + b"Org1MSP",
        "an identity without a hash": IDENTITY + b"Org1MSP",
        "an identity without an MSP": IDENTITY + digest,
        "a hash of 31 bytes": IDENTITY + digest[1:],
        **{
            f"an MSP that is not UTF-8: {raw.hex()}": IDENTITY + digest + b"M" + raw
            for raw in _NOT_UTF8
        },
        "an MSP whose text is too long": IDENTITY + digest + b"M" * 64,
        "a Greek MSP whose text is too long": IDENTITY + digest + "Ίσθμος".encode() * 2,
        "a chaincode without a name": CHAINCODE,
        "a chaincode that begins with a dash": CHAINCODE + b"-feed",
        "a chaincode that ends with a dash": CHAINCODE + b"feed-",
        "a chaincode with two dashes": CHAINCODE + b"price--feed",
        "a chaincode with a dot": CHAINCODE + b"price.feed",
        **{
            f"a chaincode with {letter!r}": CHAINCODE + f"a{letter}b".encode()
            for letter in "/:@[`{^ \0"
        },
        "a chaincode that is not ASCII": CHAINCODE + "prix-é".encode(),
        "a chaincode in percent-encoding": CHAINCODE + b"price%5Ffeed",
        "a chaincode that is an identity's text": CHAINCODE + f"Org1MSP.{digest.hex()}".encode(),
        "a chaincode whose text is too long": CHAINCODE + b"c" * 129,
        "a chaincode whose text is too long by its underscores": CHAINCODE + b"c_" * 32 + b"c" * 20,
    }.items():
        yield f"fabric: {name}", made(CHAIN_TYPES["fabric"], reference, part)
