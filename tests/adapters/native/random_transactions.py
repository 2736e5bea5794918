"""Transactions by the dice: good, refused, malformed, wrongly signed, replayed; by a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from adapters.native.app.codes import Code
from adapters.native.app.locks import identify
from adapters.native.app.names import account_id
from adapters.native.app.transaction import (
    MAX_TRANSACTION_BYTES,
    ClaimLock,
    CreateAccount,
    CreateAsset,
    Issue,
    OpenLock,
    Operation,
    RefundLock,
    RotateKey,
    Signed,
    Transfer,
    Unsigned,
    rotation_digest,
)
from tests.adapters.native.chain_fixture import Key, hashlock, preimage

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1's group."""


@dataclass(frozen=True)
class Drawn:
    """A transaction's bytes, and what they were meant to be."""

    kind: str
    raw: bytes = field(repr=False)
    signed: Signed | None = None
    """None where a chain could not even read it, or would not for its signature."""


@dataclass
class Lock:
    terms: OpenLock
    number: int


class RandomTransactions:
    """Draws for a chain that starts with these accounts, the first of which issues the assets.

    Whoever draws says with ``answered`` what became of it, so that the next ones make sense.
    ``deadline`` gives a lock's. ``leave_out``: kinds that are not drawn.
    """

    def __init__(
        self,
        seed: int,
        genesis: bytes,
        keys: Sequence[Key],
        assets: Sequence[str],
        deadline: Callable[[random.Random], int],
        leave_out: Collection[str] = (),
    ) -> None:
        self.dice = random.Random(seed)
        self._genesis = genesis
        self._deadline = deadline
        self._leave_out = leave_out
        self._keys = {key.account: key for key in keys}
        self._first = keys[0].account
        self._public_key = keys[0].compressed
        self._assets = list(assets)
        self._used: dict[bytes, set[int]] = {account: set() for account in self._keys}
        self._under_way: set[tuple[bytes, int]] = set()
        self._locks: dict[bytes, Lock] = {}
        self._good: list[bytes] = []
        self._count = 0
        self._hashlocks: dict[bytes, int] = {}
        self._new_keys: dict[bytes, Key] = {}
        self._kinds: dict[str, tuple[int, Callable[[], Drawn | None]]] = {
            "transfer": (20, self._transfer),
            "lock": (16, self._lock),
            "claim": (12, self._claim),
            "refund": (6, self._refund),
            "issue": (4, self._issue),
            "account": (3, self._account),
            "asset": (2, self._asset),
            "rotation": (2, self._rotation),
            "refused": (24, self._refused),
            "wrongly signed": (6, self._wrongly_signed),
            "malformed": (8, self._malformed),
            "sequence": (4, self._sequence),
            "elsewhere": (4, self._elsewhere),
            "replay": (5, self._replay),
        }

    def begin(self, account: bytes, sequence: int) -> None:
        """The account's numbers below this one are used already."""
        self._used[account] = set(range(sequence))

    def draw(self) -> Drawn:
        """The next one."""
        names = [name for name in self._kinds if name not in self._leave_out]
        weights = [self._kinds[name][0] for name in names]
        while True:
            (name,) = self.dice.choices(names, weights)
            drawn = self._kinds[name][1]()
            if drawn is not None:
                return drawn

    def answered(self, drawn: Drawn, code: int) -> None:
        """The chain's code for it."""
        if drawn.signed is None:
            return
        unsigned = drawn.signed.unsigned
        self._under_way.discard((unsigned.sender, unsigned.sequence))
        if code != Code.OK:
            return
        self._used[unsigned.sender].add(unsigned.sequence)
        self._good.append(drawn.raw)
        match unsigned.operation:
            case OpenLock() as terms:
                identity = identify(self._genesis, unsigned.sender, terms)
                self._locks[identity] = Lock(terms, self._hashlocks[terms.hashlock])
            case CreateAccount(public_key):
                account = account_id(public_key)
                self._keys[account] = self._new_keys[public_key]
                self._used[account] = set()
            case CreateAsset(symbol):
                self._assets.append(symbol)
            case RotateKey(public_key):
                self._keys[unsigned.sender] = self._new_keys[public_key]
            case _:
                pass

    # --- what succeeds, mostly -------------------------------------------------------------------

    def _transfer(self) -> Drawn:
        amount = self.dice.choice((1, 2, 7, 50, self.dice.randint(1, 400)))
        return self._by_anyone("transfer", Transfer(self._symbol(), self._someone(), amount))

    def _lock(self) -> Drawn:
        self._count += 1
        self._hashlocks[hashlock(self._count)] = self._count
        terms = OpenLock(
            recipient=self._someone(),
            symbol=self._symbol(),
            amount=self.dice.randint(1, 60),
            hashlock=hashlock(self._count),
            deadline=self._deadline(self.dice),
        )
        return self._by_anyone("lock", terms)

    def _claim(self) -> Drawn | None:
        if not self._locks:
            return None
        identity, lock = self.dice.choice(list(self._locks.items()))
        return self._by_anyone("claim", ClaimLock(identity, preimage(lock.number)))

    def _refund(self) -> Drawn | None:
        if not self._locks:
            return None
        return self._by_anyone("refund", RefundLock(self.dice.choice(list(self._locks))))

    def _issue(self) -> Drawn:
        operation = Issue(self._symbol(), self._someone(), self.dice.randint(1, 500))
        return self._signed("issue", self._first, operation)

    def _account(self) -> Drawn:
        public_key, _ = self._new_key()
        return self._by_anyone("account", CreateAccount(public_key))

    def _asset(self) -> Drawn:
        self._count += 1
        return self._signed("asset", self._first, CreateAsset(f"NEW{self._count}", 2))

    def _rotation(self) -> Drawn:
        account, (public_key, new) = self._someone(), self._new_key()
        sequence = self._next(account)
        digest = rotation_digest(self._genesis, account, sequence, public_key)
        operation = RotateKey(public_key, new.sign_now(digest))
        return self._signed("rotation", account, operation, sequence)

    # --- what does not ---------------------------------------------------------------------------

    def _refused(self) -> Drawn | None:
        """In form, and signed, but against the state."""
        someone, symbol, far = self._someone(), self._symbol(), 2**62
        choices: list[tuple[str, Operation]] = [
            ("more than there is", Transfer(symbol, someone, 2**200)),
            ("more than nothing", Transfer("NONE", someone, 1)),
            ("an asset that is not there", OpenLock(someone, "NONE", 1, hashlock(1), far)),
            ("a recipient that is not there", Transfer(symbol, bytes(32), 1)),
            ("a deadline in the past", OpenLock(someone, symbol, 1, hashlock(1), 1)),
            ("a deadline that is none", OpenLock(someone, symbol, 1, hashlock(1), 2**63)),
            ("a hashlock of zeros", OpenLock(someone, symbol, 1, bytes(32), far)),
            ("a lock that is not there", RefundLock(bytes(32))),
            ("a claim of no lock", ClaimLock(self.dice.randbytes(32), preimage(1))),
            ("an asset that is there", CreateAsset(self._assets[0], 2)),
            ("an account that is there", CreateAccount(self._public_key)),
            ("issued by another", Issue(self._assets[0], someone, 1)),
            ("too much issued", Issue(self._assets[0], someone, 2**256 - 1)),
            ("a rotation without possession", RotateKey(self._public_key, bytes(65))),
        ]
        if self._locks:
            identity, lock = self.dice.choice(list(self._locks.items()))
            choices += [
                ("a wrong preimage", ClaimLock(identity, preimage(lock.number + 1))),
                ("the same lock again", lock.terms),
            ] * 3
        kind, operation = self.dice.choice(choices)
        account = self._first if kind == "too much issued" else self._someone()
        return self._signed(kind, account, operation)

    def _wrongly_signed(self) -> Drawn:
        account = self._someone()
        unsigned = self._unsigned(account, Transfer(self._symbol(), self._someone(), 1))
        signature = self._keys[account].sign_now(unsigned.digest())
        r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
        kind, wrong = self.dice.choice(
            [
                ("signed by another", Key("nobody").sign_now(unsigned.digest())),
                ("not signed", bytes(65)),
                ("signed with a high s", r + (_ORDER - s).to_bytes(32, "big") + bytes([1 - v])),
                ("signed with an unknown recovery id", signature[:64] + b"\x1b"),
                ("signed for something else", self._keys[account].sign_now(bytes(32))),
            ]
        )
        return Drawn(kind, unsigned.signed(wrong).encode())

    def _malformed(self) -> Drawn:
        unsigned = self._unsigned(self._first, Transfer(self._symbol(), self._someone(), 1))
        raw = unsigned.signed(self._keys[self._first].sign_now(unsigned.digest())).encode()
        kind, wrong = self.dice.choice(
            [
                ("noise", self.dice.randbytes(self.dice.randint(1, 300))),
                ("nothing", b""),
                ("cut short", raw[: self.dice.randrange(1, len(raw))]),
                ("longer than it should be", raw + b"\x00"),
                ("of another version", b"\x02" + raw[1:]),
                ("of a kind that is not known", raw[:73] + b"\x63" + raw[74:]),
                ("too large", raw + bytes(MAX_TRANSACTION_BYTES)),
            ]
        )
        return Drawn(kind, wrong)

    def _sequence(self) -> Drawn | None:
        account = self._someone()
        used = self._used[account]
        far = max(used, default=0) + 10_000
        if not used:
            return None
        kind, sequence = self.dice.choice(
            [("a used sequence", min(used)), ("a sequence far ahead", far)]
        )
        unsigned = Unsigned(
            self._genesis, account, sequence, Transfer(self._symbol(), self._someone(), 1)
        )
        signature = self._keys[account].sign_now(unsigned.digest())
        return Drawn(kind, unsigned.signed(signature).encode())

    def _elsewhere(self) -> Drawn:
        transfer = Transfer(self._symbol(), self._first, 1)
        key, stranger = self._keys[self._first], Key("stranger")
        kind, key, unsigned = self.dice.choice(
            [
                ("another chain's", key, Unsigned(bytes(32), self._first, 0, transfer)),
                ("of no account", stranger, Unsigned(self._genesis, stranger.account, 0, transfer)),
            ]
        )
        return Drawn(kind, unsigned.signed(key.sign_now(unsigned.digest())).encode())

    def _replay(self) -> Drawn | None:
        return Drawn("a replay", self.dice.choice(self._good)) if self._good else None

    # --- inside ----------------------------------------------------------------------------------

    def _someone(self) -> bytes:
        return self.dice.choice(list(self._keys))

    def _symbol(self) -> str:
        return self.dice.choice(self._assets)

    def _new_key(self) -> tuple[bytes, Key]:
        """With its compressed public key in front."""
        self._count += 1
        key = Key(f"new {self._count}")
        public_key = key.compressed
        self._new_keys[public_key] = key
        return public_key, key

    def _next(self, account: bytes) -> int:
        """The account's lowest number that is neither used nor under way."""
        sequence = 0
        while sequence in self._used[account] or (account, sequence) in self._under_way:
            sequence += 1
        return sequence

    def _unsigned(self, account: bytes, operation: Operation) -> Unsigned:
        return Unsigned(self._genesis, account, self._next(account), operation)

    def _by_anyone(self, kind: str, operation: Operation) -> Drawn:
        return self._signed(kind, self._someone(), operation)

    def _signed(
        self, kind: str, account: bytes, operation: Operation, sequence: int | None = None
    ) -> Drawn:
        if sequence is None:
            sequence = self._next(account)
        self._under_way.add((account, sequence))
        unsigned = Unsigned(self._genesis, account, sequence, operation)
        signed = unsigned.signed(self._keys[account].sign_now(unsigned.digest()))
        return Drawn(kind, signed.encode(), signed)
