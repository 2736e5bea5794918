"""A small chain for tests: keys, a genesis, and an application that takes blocks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from eth_keys.datatypes import PrivateKey

from adapters.native.app.abci import (
    RequestFinalizeBlock,
    RequestInitChain,
    ResponseFinalizeBlock,
    ValidatorUpdate,
)
from adapters.native.app.application import Application
from adapters.native.app.genesis import genesis_hash
from adapters.native.app.names import account_id
from adapters.native.app.state_store import MemoryStateStore, StateStore
from adapters.native.app.timestamp import Timestamp
from adapters.native.app.transaction import Operation, Unsigned, rotation_digest
from adapters.spi import Scheme

GENESIS_TIME = Timestamp(1_800_000_000)
COIN, GOLD = "COIN", "GOLD"
FUNDS = 1_000


@dataclass(frozen=True)
class Key:
    """A secp256k1 key made from a name; it is a ``Signer`` as well."""

    name: str

    @property
    def _private(self) -> PrivateKey:
        return PrivateKey(hashlib.sha256(self.name.encode()).digest())

    @property
    def scheme(self) -> Scheme:
        return Scheme.SECP256K1

    @property
    def public_key(self) -> bytes:
        return b"\x04" + self._private.public_key.to_bytes()

    @property
    def compressed(self) -> bytes:
        return self._private.public_key.to_compressed_bytes()

    @property
    def account(self) -> bytes:
        return account_id(self.compressed)

    def sign_now(self, digest: bytes) -> bytes:
        return self._private.sign_msg_hash(digest).to_bytes()

    async def sign(self, digest: bytes) -> bytes:
        return self.sign_now(digest)


ALICE, BOB, CAROL = Key("alice"), Key("bob"), Key("carol")


def app_state(clock_bound: int = 5, keys: tuple[Key, ...] = (ALICE, BOB, CAROL)) -> bytes:
    return json.dumps(
        {
            "clock_bound": clock_bound,
            "accounts": [{"public_key": key.compressed.hex()} for key in keys],
            "assets": [
                {"symbol": symbol, "decimals": 6, "issuer": keys[0].account.hex()}
                for symbol in (COIN, GOLD)
            ],
            "balances": [
                {"asset": symbol, "account": key.account.hex(), "amount": str(FUNDS)}
                for symbol in (COIN, GOLD)
                for key in keys
            ],
        }
    ).encode()


VALIDATORS = (ValidatorUpdate(bytes(32), 10),)


def init_request(chain_id: str = "test", state: bytes | None = None) -> RequestInitChain:
    return RequestInitChain(GENESIS_TIME, chain_id, VALIDATORS, state or app_state(), 1)


def preimage(number: int) -> bytes:
    return hashlib.sha256(f"preimage {number}".encode()).digest()


def hashlock(number: int) -> bytes:
    return hashlib.sha256(preimage(number)).digest()


@dataclass
class Chain:
    """One application, block by block, at times that the test gives."""

    store: StateStore = field(default_factory=MemoryStateStore)
    chain_id: str = "test"

    def __post_init__(self) -> None:
        self.app = Application(self.store)
        self.height = self.app.info().last_block_height
        self.time = GENESIS_TIME
        if not self.height:
            self.app.init_chain(init_request(self.chain_id))
        self.genesis = genesis_hash(self.chain_id, GENESIS_TIME, 1, VALIDATORS, app_state())
        self.sequences: dict[bytes, int] = {}

    def sign(self, key: Key, operation: Operation, sequence: int | None = None) -> bytes:
        """A signed transaction; ``sequence`` None takes the key's next one, counted here."""
        if sequence is None:
            sequence = self.sequences.get(key.account, 0)
            self.sequences[key.account] = sequence + 1
        unsigned = Unsigned(self.genesis, key.account, sequence, operation)
        return unsigned.signed(key.sign_now(unsigned.digest())).encode()

    def block(self, *txs: bytes, after: int = 1) -> ResponseFinalizeBlock:
        self.height += 1
        self.time = Timestamp(self.time.seconds + after)
        response = self.app.finalize_block(RequestFinalizeBlock(txs, self.height, self.time))
        self.app.commit()
        return response

    def code(self, *txs: bytes, after: int = 1) -> int:
        """The code of the last of these transactions."""
        return self.block(*txs, after=after).tx_results[-1].code

    def possession(self, account: bytes, sequence: int, new: Key) -> bytes:
        return new.sign_now(rotation_digest(self.genesis, account, sequence, new.compressed))
