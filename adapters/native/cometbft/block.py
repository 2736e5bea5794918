"""Blocks as CometBFT 0.38 hashes, signs and prints them.

``to_json`` and ``from_json`` are the RPC's form: 64-bit integers as strings, hashes in upper-case
hex, transactions and signatures in base64. ``from_json`` raises ValueError, KeyError or TypeError
for what is not that form. Source: CometBFT 0.38, ``types/block.go``, ``types/canonical.go``.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.native.app.timestamp import Timestamp
from adapters.native.cometbft import protobuf as pb
from adapters.native.cometbft.merkle import merkle_root

BLOCK_PROTOCOL = 11
PART_BYTES = 65536
_PRECOMMIT = 2
_FLAG_COMMIT = 2


def upper_hex(raw: bytes) -> str:
    return raw.hex().upper()


def base64_text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def base64_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def int64(text: Any) -> int:
    """A 64-bit integer of the RPC: a string of decimal digits. Raises ValueError."""
    if not isinstance(text, str) or not text.lstrip("-").isdecimal() or len(text) > 20:
        raise ValueError(f"{str(text)[:40]!r} is not an integer in a string")
    return int(text)


def _hash(text: Any) -> bytes:
    raw = bytes.fromhex(text)
    if raw and len(raw) not in (20, 32):
        raise ValueError("a hash has a length that no hash has")
    return raw


@dataclass(frozen=True, slots=True)
class BlockId:
    """The header's hash, and the root and number of the parts that the block is sent in."""

    hash: bytes = b""
    parts_total: int = 0
    parts_hash: bytes = b""

    def encode(self) -> bytes:
        parts = pb.integer(1, self.parts_total) + pb.octets(2, self.parts_hash)
        return pb.octets(1, self.hash) + pb.message(2, parts)

    def to_json(self) -> dict[str, Any]:
        return {
            "hash": upper_hex(self.hash),
            "parts": {"total": self.parts_total, "hash": upper_hex(self.parts_hash)},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BlockId:
        parts = value["parts"]
        return cls(_hash(value["hash"]), int(parts["total"]), _hash(parts["hash"]))


@dataclass(frozen=True, slots=True)
class Header:
    app_version: int
    chain_id: str
    height: int
    time: Timestamp
    last_block_id: BlockId
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes
    proposer_address: bytes
    block_version: int = BLOCK_PROTOCOL

    def _fields(self) -> tuple[bytes, ...]:
        return (
            self.last_commit_hash,
            self.data_hash,
            self.validators_hash,
            self.next_validators_hash,
            self.consensus_hash,
            self.app_hash,
            self.last_results_hash,
            self.evidence_hash,
            self.proposer_address,
        )

    def _version(self) -> bytes:
        return pb.integer(1, self.block_version) + pb.integer(2, self.app_version)

    def hash(self) -> bytes:
        """The block's hash: a Merkle root over the header's fields, each in protobuf."""
        return merkle_root(
            [
                self._version(),
                pb.text(1, self.chain_id),
                pb.integer(1, self.height),
                pb.timestamp(self.time),
                self.last_block_id.encode(),
                *(pb.octets(1, value) for value in self._fields()),
            ]
        )

    def encode(self) -> bytes:
        return (
            pb.message(1, self._version())
            + pb.text(2, self.chain_id)
            + pb.integer(3, self.height)
            + pb.message(4, pb.timestamp(self.time))
            + pb.message(5, self.last_block_id.encode())
            + b"".join(pb.octets(6 + i, value) for i, value in enumerate(self._fields()))
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "version": {"block": str(self.block_version), "app": str(self.app_version)},
            "chain_id": self.chain_id,
            "height": str(self.height),
            "time": str(self.time),
            "last_block_id": self.last_block_id.to_json(),
            "last_commit_hash": upper_hex(self.last_commit_hash),
            "data_hash": upper_hex(self.data_hash),
            "validators_hash": upper_hex(self.validators_hash),
            "next_validators_hash": upper_hex(self.next_validators_hash),
            "consensus_hash": upper_hex(self.consensus_hash),
            "app_hash": upper_hex(self.app_hash),
            "last_results_hash": upper_hex(self.last_results_hash),
            "evidence_hash": upper_hex(self.evidence_hash),
            "proposer_address": upper_hex(self.proposer_address),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Header:
        version = value["version"]
        return cls(
            app_version=int64(version.get("app", "0")),
            chain_id=value["chain_id"],
            height=int64(value["height"]),
            time=Timestamp.parse(value["time"]),
            last_block_id=BlockId.from_json(value["last_block_id"]),
            last_commit_hash=_hash(value["last_commit_hash"]),
            data_hash=_hash(value["data_hash"]),
            validators_hash=_hash(value["validators_hash"]),
            next_validators_hash=_hash(value["next_validators_hash"]),
            consensus_hash=_hash(value["consensus_hash"]),
            app_hash=bytes.fromhex(value["app_hash"]),
            last_results_hash=_hash(value["last_results_hash"]),
            evidence_hash=_hash(value["evidence_hash"]),
            proposer_address=_hash(value["proposer_address"]),
            block_version=int64(version["block"]),
        )


@dataclass(frozen=True, slots=True)
class CommitSignature:
    """One validator's precommit for a block. ``signature`` is Ed25519, 64 bytes."""

    validator_address: bytes
    timestamp: Timestamp
    signature: bytes
    flag: int = _FLAG_COMMIT

    def encode(self) -> bytes:
        return (
            pb.integer(1, self.flag)
            + pb.octets(2, self.validator_address)
            + pb.message(3, pb.timestamp(self.timestamp))
            + pb.octets(4, self.signature)
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "block_id_flag": self.flag,
            "validator_address": upper_hex(self.validator_address),
            "timestamp": str(self.timestamp),
            "signature": base64_text(self.signature) if self.signature else None,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CommitSignature:
        signature = value["signature"]
        return cls(
            _hash(value["validator_address"]),
            Timestamp.parse(value["timestamp"]),
            base64_bytes(signature) if signature else b"",
            int(value["block_id_flag"]),
        )


@dataclass(frozen=True, slots=True)
class Commit:
    """The signatures that made a block final; the empty one stands in the first block."""

    height: int = 0
    round: int = 0
    block_id: BlockId = BlockId()
    signatures: tuple[CommitSignature, ...] = ()

    def hash(self) -> bytes:
        return merkle_root([signature.encode() for signature in self.signatures])

    def encode(self) -> bytes:
        return (
            pb.integer(1, self.height)
            + pb.integer(2, self.round)
            + pb.message(3, self.block_id.encode())
            + b"".join(pb.message(4, signature.encode()) for signature in self.signatures)
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "height": str(self.height),
            "round": self.round,
            "block_id": self.block_id.to_json(),
            "signatures": [signature.to_json() for signature in self.signatures],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Commit:
        return cls(
            int64(value["height"]),
            int(value["round"]),
            BlockId.from_json(value["block_id"]),
            tuple(CommitSignature.from_json(entry) for entry in value["signatures"]),
        )


@dataclass(frozen=True, slots=True)
class Block:
    """A block without evidence of misbehaviour, which a chain of one validator never has."""

    header: Header
    txs: tuple[bytes, ...]
    last_commit: Commit

    def block_id(self) -> BlockId:
        """The parts cover the block's whole protobuf encoding."""
        raw = self.encode()
        parts = [raw[at : at + PART_BYTES] for at in range(0, len(raw), PART_BYTES)]
        return BlockId(self.header.hash(), len(parts), merkle_root(parts))

    def encode(self) -> bytes:
        return (
            pb.message(1, self.header.encode())
            + pb.message(2, b"".join(pb.message(1, tx) for tx in self.txs))
            + pb.message(3, b"")
            + pb.message(4, self.last_commit.encode())
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "header": self.header.to_json(),
            "data": {"txs": [base64_text(tx) for tx in self.txs]},
            "evidence": {"evidence": []},
            "last_commit": self.last_commit.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Block:
        return cls(
            Header.from_json(value["header"]),
            tuple(base64_bytes(tx) for tx in value["data"]["txs"] or ()),
            Commit.from_json(value["last_commit"]),
        )


def data_hash(txs: Sequence[bytes]) -> bytes:
    return merkle_root([hashlib.sha256(tx).digest() for tx in txs])


def results_hash(results: Sequence[tuple[int, bytes, int, int]]) -> bytes:
    """Over (code, data, gas wanted, gas used) of each transaction, in the block's order."""
    return merkle_root(
        [
            pb.integer(1, code)
            + pb.octets(2, data)
            + pb.integer(5, gas_wanted)
            + pb.integer(6, gas_used)
            for code, data, gas_wanted, gas_used in results
        ]
    )


def validators_hash(validators: Sequence[tuple[bytes, int]]) -> bytes:
    """Over (Ed25519 key, power), in the validator set's order."""
    return merkle_root(
        [pb.message(1, pb.octets(1, key)) + pb.integer(2, power) for key, power in validators]
    )


def consensus_hash(max_bytes: int, max_gas: int) -> bytes:
    return hashlib.sha256(pb.integer(1, max_bytes) + pb.integer(2, max_gas)).digest()


def validator_address(public_key: bytes) -> bytes:
    """20 bytes: the front of SHA-256 of the raw Ed25519 key."""
    return hashlib.sha256(public_key).digest()[:20]


def precommit_sign_bytes(
    chain_id: str, height: int, round_: int, block: BlockId, timestamp: Timestamp
) -> bytes:
    """What a validator signs for a block: the canonical vote, with its length in front."""
    parts = pb.integer(1, block.parts_total) + pb.octets(2, block.parts_hash)
    canonical = pb.octets(1, block.hash) + pb.message(2, parts)
    vote = (
        pb.integer(1, _PRECOMMIT)
        + pb.fixed64(2, height)
        + pb.fixed64(3, round_)
        + pb.message(4, canonical)
        + pb.message(5, pb.timestamp(timestamp))
        + pb.text(6, chain_id)
    )
    return pb.varint(len(vote)) + vote
