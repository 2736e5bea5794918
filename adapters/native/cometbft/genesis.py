"""CometBFT's genesis document and validator key file, as both kinds of node read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.native.app.abci import RequestInitChain, ValidatorUpdate
from adapters.native.app.genesis import InvalidGenesis, genesis_hash
from adapters.native.app.names import APPLICATION_VERSION
from adapters.native.app.timestamp import Timestamp
from adapters.native.cometbft.block import base64_bytes, base64_text, int64, upper_hex
from adapters.native.cometbft.block import validator_address as address_of

_KEY_TYPE = "tendermint/PubKeyEd25519"
_PRIVATE_KEY_TYPE = "tendermint/PrivKeyEd25519"
MAX_BLOCK_BYTES = 4 * 1024 * 1024
MAX_CHAIN_ID = 50


@dataclass(frozen=True, slots=True)
class GenesisDocument:
    """The fields that a chain starts from. ``max_bytes`` bounds a block; gas is not used."""

    genesis_time: Timestamp
    chain_id: str
    initial_height: int
    validators: tuple[ValidatorUpdate, ...]
    app_state: Mapping[str, Any]
    max_bytes: int = MAX_BLOCK_BYTES
    max_gas: int = -1

    def app_state_bytes(self) -> bytes:
        return json.dumps(self.app_state).encode()

    def init_chain(self) -> RequestInitChain:
        return RequestInitChain(
            self.genesis_time,
            self.chain_id,
            self.validators,
            self.app_state_bytes(),
            self.initial_height,
        )

    def hash(self) -> bytes:
        """The application's genesis hash (``app/genesis.py``). Raises InvalidGenesis."""
        return genesis_hash(
            self.chain_id,
            self.genesis_time,
            self.initial_height,
            self.validators,
            self.app_state_bytes(),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "genesis_time": str(self.genesis_time),
            "chain_id": self.chain_id,
            "initial_height": str(self.initial_height),
            "consensus_params": {
                "block": {"max_bytes": str(self.max_bytes), "max_gas": str(self.max_gas)},
                "evidence": {
                    "max_age_num_blocks": "100000",
                    "max_age_duration": "172800000000000",
                    "max_bytes": "1048576",
                },
                "validator": {"pub_key_types": ["ed25519"]},
                "version": {"app": str(APPLICATION_VERSION)},
                "abci": {"vote_extensions_enable_height": "0"},
            },
            "validators": [
                {
                    "address": upper_hex(address_of(validator.public_key)),
                    "pub_key": public_key_json(validator.public_key),
                    "power": str(validator.power),
                    "name": "",
                }
                for validator in self.validators
            ],
            "app_hash": "",
            "app_state": self.app_state,
        }

    @classmethod
    def from_json(cls, value: Any) -> GenesisDocument:
        """Raises InvalidGenesis."""
        try:
            block = value["consensus_params"]["block"]
            document = cls(
                genesis_time=Timestamp.parse(value["genesis_time"]),
                chain_id=value["chain_id"],
                initial_height=int64(value["initial_height"]) or 1,
                validators=tuple(
                    ValidatorUpdate(base64_bytes(entry["pub_key"]["value"]), int64(entry["power"]))
                    for entry in value["validators"]
                ),
                app_state=value["app_state"],
                max_bytes=int64(block["max_bytes"]),
                max_gas=int64(block["max_gas"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidGenesis(f"the genesis document cannot be read: {error!r}") from error
        if not 0 < len(document.chain_id) <= MAX_CHAIN_ID:
            raise InvalidGenesis(f"chain_id must have 1 to {MAX_CHAIN_ID} characters")
        return document


def public_key_json(public_key: bytes) -> dict[str, str]:
    return {"type": _KEY_TYPE, "value": base64_text(public_key)}


@dataclass(frozen=True, slots=True)
class ValidatorKey:
    """A validator's Ed25519 key. It never shows its private half."""

    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> ValidatorKey:
        return cls(Ed25519PrivateKey.generate())

    @property
    def public_key(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def address(self) -> bytes:
        return address_of(self.public_key)

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)

    def to_json(self) -> dict[str, Any]:
        """The form of CometBFT's ``priv_validator_key.json``: seed and public key together."""
        both = self.private.private_bytes_raw() + self.public_key
        return {
            "address": upper_hex(self.address),
            "pub_key": public_key_json(self.public_key),
            "priv_key": {"type": _PRIVATE_KEY_TYPE, "value": base64_text(both)},
        }

    @classmethod
    def from_json(cls, value: Any) -> ValidatorKey:
        """Raises ValueError without showing what was read."""
        try:
            raw = base64_bytes(value["priv_key"]["value"])
            key = cls(Ed25519PrivateKey.from_private_bytes(raw[:32]))
        except (KeyError, TypeError, ValueError):
            raise ValueError("the validator key file is not CometBFT's form") from None
        if raw[32:] != key.public_key:
            raise ValueError("the validator key file's two halves do not belong together")
        return key
