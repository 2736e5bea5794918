"""Calls of the Gateway service that are generated from a seed, to be made on two networks alike.

Each call is data: words may name accounts (``@ann``), locks (``#3``) and hex values that differ
from network to network. ``fabric_side`` makes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.networks.fabric import CHAINCODE, TOKEN

USERS = ("@ann", "@ben", "@cat")
ASSETS = ("IRON", "SALT")


@dataclass(frozen=True, slots=True)
class Evaluate:
    user: int
    chaincode: str
    words: tuple[str | bytes, ...]


@dataclass(frozen=True, slots=True)
class Invoke:
    """Endorse, Submit and CommitStatus. ``opens``: the number of the lock that it may open."""

    user: int
    chaincode: str
    words: tuple[str | bytes, ...]
    opens: int | None = None


@dataclass(frozen=True, slots=True)
class Together:
    """All are endorsed on one state; then all are submitted, one after the other."""

    invocations: tuple[Invoke, ...]


@dataclass(frozen=True, slots=True)
class AtOnce:
    """All are endorsed on one state; then all are submitted at once: which one wins is open."""

    invocations: tuple[Invoke, ...]


@dataclass(frozen=True, slots=True)
class FaultyProposal:
    """A proposal with a fault, named in ``fabric_faults.PROPOSALS``, at one or the other call."""

    user: int
    fault: str
    endorse: bool


@dataclass(frozen=True, slots=True)
class FaultyEnvelope:
    """An endorsed transaction with a fault, named in ``fabric_faults.ENVELOPES``."""

    user: int
    fault: str


@dataclass(frozen=True, slots=True)
class FaultyQuestion:
    """CommitStatus or ChaincodeEvents with a fault, named in ``fabric_faults.QUESTIONS``."""

    user: int
    fault: str
    events: bool


@dataclass(frozen=True, slots=True)
class Replay:
    """An envelope that was submitted before, again; ``back``: the how many-eth last. Or its
    proposal."""

    back: int
    proposal: bool


Call = (
    Evaluate
    | Invoke
    | Together
    | AtOnce
    | FaultyProposal
    | FaultyEnvelope
    | FaultyQuestion
    | Replay
)


def preimage(number: int) -> str:
    """Of a lock, in hex: known to both networks."""
    return hashlib.sha256(f"preimage {number}".encode()).hexdigest()


def hashlock(number: int) -> str:
    return hashlib.sha256(bytes.fromhex(preimage(number))).hexdigest()


class Generator:
    """``begun``: Unix seconds, by which deadlines are set."""

    def __init__(self, seed: int, begun: int, faults: Sequence[Sequence[str]]) -> None:
        """``faults``: the names of those of proposals, envelopes and questions."""
        self._random = Random(seed)
        self._begun = begun
        self._faults = faults
        self._locks = 0

    def calls(self, count: int) -> list[Call]:
        """Setting up first; then every fault once, among ``count`` calls of all kinds."""
        calls = [self._any() for _ in range(count)]
        proposals, envelopes, questions = self._faults
        for fault in proposals:
            calls += [FaultyProposal(self._user(), fault, endorse) for endorse in (False, True)]
        calls += [FaultyEnvelope(self._user(), fault) for fault in envelopes]
        for fault in questions:
            calls += [FaultyQuestion(self._user(), fault, events) for events in (False, True)]
        self._random.shuffle(calls)
        return [*self._set_up(), *calls]

    def _set_up(self) -> list[Call]:
        """Nothing is configured yet: what is called before is refused."""
        calls: list[Call] = [
            Evaluate(1, CHAINCODE, ("config",)),
            Invoke(1, CHAINCODE, ("register_asset", "IRON", "IRN", "2")),
            Invoke(1, CHAINCODE, ("configure", "ab" * 32, "4")),
            Invoke(1, CHAINCODE, ("configure", "ab" * 32, "3")),
            Invoke(2, CHAINCODE, ("configure", "cd" * 32, "3")),
        ]
        for number, asset in enumerate(ASSETS, 1):
            calls.append(Invoke(number, CHAINCODE, ("register_asset", asset, asset, "2")))
            calls.extend(
                Invoke(number, CHAINCODE, ("issue", asset, user, "100000")) for user in USERS
            )
        return calls

    def _user(self) -> int:
        return self._random.choice((1, 2, 3))

    def _key(self) -> str:
        return self._random.choice(("a", "b", "c", "é"))

    def _any(self) -> Call:
        kinds: list[tuple[int, Callable[[], Call]]] = [
            (8, self._probe),
            (5, self._probe_question),
            (5, self._question),
            (4, self._misuse),
            (8, self._open_lock),
            (8, self._end_lock),
            (3, self._move),
            (4, self._race),
            (2, self._crowd),
            (4, self._replay),
        ]
        weights = [weight for weight, _ in kinds]
        ((_, kind),) = self._random.choices(kinds, weights)
        return kind()

    # the probe chaincode

    def _change(self) -> tuple[str, ...]:
        pick = self._random.choice
        return pick(
            [
                ("put", self._key(), str(self._random.randrange(10))),
                ("delete", self._key()),
                ("increment", "count"),
                ("read_own_write", self._key(), "x"),
                ("count", "", "", "total"),
                ("put_many", "m", str(self._random.randrange(1, 5))),
                ("call", CHAINCODE, "config"),
                ("call", CHAINCODE, "absent"),
                ("call", "nowhere", "x"),
                ("fail", pick(["400", "499", "500"]), "asked to"),
                ("error_message", "asked to"),
                ("page_then_put", "x"),
                ("nonsense",),
            ]
        )

    def _probe(self) -> Call:
        return Invoke(self._user(), TOKEN, self._change())

    def _probe_question(self) -> Call:
        pick = self._random.choice
        words: tuple[str, ...] = pick(
            [
                ("get", self._key()),
                ("list", "", ""),
                ("list", "b", "a"),
                ("list", "m", "n"),
                ("page", "", "", "2", ""),
                ("page", "", "", "2", "m0001"),
                ("history", self._key()),
                ("history", "count"),
                ("rich_query",),
                ("private",),
                ("dead_iterator",),
                ("timestamp", "too", "many"),
                self._change(),
            ]
        )
        return Evaluate(self._user(), TOKEN, words)

    # the lock chaincode

    def _lock(self) -> str:
        return f"#{self._random.randrange(max(1, self._locks))}"

    def _question(self) -> Call:
        pick = self._random.choice
        words: tuple[str, ...] = pick(
            [
                ("config",),
                ("asset", f"asset:{pick(ASSETS)}"),
                ("asset", "asset:GOLD"),
                ("asset", "IRON"),
                ("supply", pick(ASSETS)),
                ("balance", f"asset:{pick(ASSETS)}", pick(USERS)),
                ("balance", "asset:IRON", "nobody"),
                ("balance", "token:token", "@ann"),
                ("holdings", pick(ASSETS), pick(USERS), "1", "[]"),
                ("holdings", "IRON", pick(USERS), "10000000", "[]"),
                ("lock_record", self._lock()),
                ("lock_record", "00" * 32),
                ("lock_record", "0x"),
            ]
        )
        return Evaluate(self._user(), CHAINCODE, words)

    def _misuse(self) -> Call:
        words: tuple[str | bytes, ...] = self._random.choice(
            [
                (),
                ("",),
                (b"\xff\xfe",),
                ("claim",),
                ("issue", "IRON", "@ann", "0"),
                ("issue", "IRON", "@ann", "-1"),
                ("issue", "IRON", "@ann", "01"),
                ("issue", "IRON", "@ann", str(2**256)),
                ("issue", "GOLD", "@ann", "1"),
                ("issue", "IRON", "OrgAMSP.xyz", "1"),
                ("register_asset", "IRON", "IRN", "2"),
                ("register_asset", "../x", "IRN", "2"),
                ("adopt_token", "token", "TOK", "2"),
                ("transfer", "IRON", "@ben", "1", "not json", "1"),
                ("transfer", "IRON", "@ben", "1", "[]", "1000"),
                ("transfer", "IRON", "@ben", "1", '["' + "0" * 64 + '"]', "1"),
                ("lock", "@ben", "asset:IRON", "5", "00" * 32, str(2**40), "[]", "1"),
                ("lock", "@ben", "asset:IRON", "5", "zz", str(2**40), "[]", "1"),
                ("lock", "@ben", "asset:IRON", "5", hashlock(0), "5", "[]", "1"),
                ("lock", "@ben", "asset:IRON", "5", hashlock(0), str(2**63), "[]", "1"),
                ("lock", "@ben", "token:token", "5", hashlock(0), str(2**40), "[]", "1"),
                ("lock", "@ben", "IRON", "5", hashlock(0), str(2**40), "[]", "1"),
                ("collect", self._lock()),
                ("collect", "00" * 32),
            ]
        )
        return Invoke(self._user(), CHAINCODE, words)

    def _open_lock(self) -> Call:
        """Now and then one that has been opened before, or whose deadline has passed."""
        pick = self._random.choice
        again = self._locks > 0 and self._random.random() < 0.2
        number = self._random.randrange(self._locks) if again else self._locks
        self._locks = max(self._locks, number + 1)
        own = Random(number)
        sender = own.choice((1, 2, 3))
        lasts = -5 if own.random() < 0.1 else 7200
        terms = (
            own.choice(USERS),
            f"asset:{own.choice(ASSETS)}",
            str(own.choice((1, 5, 400, 10**9))),
            hashlock(number),
            str(self._begun + lasts),
        )
        return Invoke(sender, CHAINCODE, ("lock", *terms, "[]", pick("128")), opens=number)

    def _end(self) -> Invoke:
        number = self._random.randrange(max(1, self._locks))
        right = self._random.random() < 0.8
        words = self._random.choice(
            [
                ("claim", f"#{number}", preimage(number if right else number + 1000)),
                ("claim", f"#{number}", preimage(number)),
                ("refund", f"#{number}"),
            ]
        )
        return Invoke(self._user(), CHAINCODE, words)

    def _end_lock(self) -> Call:
        return self._end()

    def _transfer(self) -> Invoke:
        user = self._user()
        amount = str(self._random.choice((1, 10, 10**7)))
        to = self._random.choice(USERS)
        words = ("transfer", self._random.choice(ASSETS), to, amount, "[]", "2")
        return Invoke(user, CHAINCODE, words)

    def _move(self) -> Call:
        return self._transfer()

    # several on one state

    def _race(self) -> Call:
        """Conflicts of versions, phantoms, spends of one holding, two ends of one lock."""
        user, key = self._user(), self._key()
        races: list[tuple[Invoke, ...]] = [
            (Invoke(1, TOKEN, ("increment", "count")), Invoke(2, TOKEN, ("increment", "count"))),
            (
                Invoke(user, TOKEN, ("put", f"z{self._random.random()}", "x")),
                Invoke(user, TOKEN, ("count", "", "", "total")),
            ),
            (
                Invoke(user, TOKEN, ("count", "", "", "total")),
                Invoke(user, TOKEN, ("put", key, "late")),
            ),
            (
                Invoke(user, TOKEN, ("delete", key)),
                Invoke(user, TOKEN, ("read_own_write", key, "y")),
            ),
            (Invoke(1, TOKEN, ("put", key, "1")), Invoke(2, TOKEN, ("put", key, "2"))),
            (
                Invoke(user, CHAINCODE, ("transfer", "SALT", "@ann", "7", "[]", "1")),
                Invoke(user, CHAINCODE, ("transfer", "SALT", "@ben", "7", "[]", "1")),
            ),
            (Invoke(2, CHAINCODE, ("issue", "SALT", "@cat", "3")),) * 2,
            (self._end(), self._end(), self._end()),
        ]
        return Together(self._random.choice(races))

    def _crowd(self) -> Call:
        return AtOnce((Invoke(self._user(), TOKEN, ("increment", "count")),) * 5)

    def _replay(self) -> Call:
        return Replay(self._random.randrange(1, 4), self._random.random() < 0.3)
