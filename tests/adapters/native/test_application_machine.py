"""A Hypothesis state machine over the application: whatever comes in whatever order, nothing is
made or lost, every lock is settled at most once, and two instances never disagree."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from adapters.native.app.abci import RequestFinalizeBlock
from adapters.native.app.application import Application
from adapters.native.app.codes import Code
from adapters.native.app.ledger import Ledger, Overlay
from adapters.native.app.locks import identify
from adapters.native.app.records import Settlement
from adapters.native.app.state_store import MemoryStateStore
from adapters.native.app.transaction import (
    ClaimLock,
    Issue,
    OpenLock,
    Operation,
    RefundLock,
    Transfer,
)
from tests.adapters.native.chain_fixture import (
    ALICE,
    BOB,
    CAROL,
    COIN,
    GOLD,
    Chain,
    Key,
    hashlock,
    init_request,
    preimage,
)

KEYS = (ALICE, BOB, CAROL)
PEOPLE = st.sampled_from(KEYS)
SYMBOLS = st.sampled_from((COIN, GOLD))
NUMBERS = st.integers(0, 3)
AMOUNTS = st.integers(1, 600)


class ApplicationMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.store = MemoryStateStore()
        self.chain = Chain(self.store)
        self.twin = Application(MemoryStateStore())
        self.twin.init_chain(init_request())
        self.waiting: list[bytes] = []
        self.sent: list[bytes] = []
        self.locks: dict[bytes, OpenLock] = {}
        self.settled: dict[bytes, Settlement] = {}
        self.blocks: list[RequestFinalizeBlock] = []

    def add(self, key: Key, operation: Operation) -> None:
        self.waiting.append(self.chain.sign(key, operation))

    @rule(key=PEOPLE, to=PEOPLE, symbol=SYMBOLS, amount=AMOUNTS)
    def transfer(self, key: Key, to: Key, symbol: str, amount: int) -> None:
        self.add(key, Transfer(symbol, to.account, amount))

    @rule(key=PEOPLE, to=PEOPLE, symbol=SYMBOLS, amount=AMOUNTS)
    def issue(self, key: Key, to: Key, symbol: str, amount: int) -> None:
        self.add(key, Issue(symbol, to.account, amount))

    @rule(key=PEOPLE, to=PEOPLE, symbol=SYMBOLS, amount=AMOUNTS, n=NUMBERS, s=st.integers(0, 8))
    def lock(self, key: Key, to: Key, symbol: str, amount: int, n: int, s: int) -> None:
        terms = OpenLock(to.account, symbol, amount, hashlock(n), self.chain.time.seconds + s)
        if terms.deadline:
            self.locks[identify(self.chain.genesis, key.account, terms)] = terms
        self.add(key, terms)

    @rule(key=PEOPLE, data=st.data(), n=NUMBERS)
    def claim(self, key: Key, data: st.DataObject, n: int) -> None:
        if self.locks:
            identity = data.draw(st.sampled_from(sorted(self.locks)))
            self.add(key, ClaimLock(identity, preimage(n)))

    @rule(key=PEOPLE, data=st.data())
    def refund(self, key: Key, data: st.DataObject) -> None:
        if self.locks:
            self.add(key, RefundLock(data.draw(st.sampled_from(sorted(self.locks)))))

    @rule(data=st.data())
    def replay_an_old_one(self, data: st.DataObject) -> None:
        if self.sent:
            self.waiting.append(data.draw(st.sampled_from(self.sent)))

    @rule(data=st.data(), after=st.integers(1, 5))
    def block(self, data: st.DataObject, after: int) -> None:
        txs = data.draw(st.permutations(self.waiting))
        response = self.chain.block(*txs, after=after)
        request = RequestFinalizeBlock(tuple(txs), self.chain.height, self.chain.time)
        self.blocks.append(request)
        for raw in txs:
            self.twin.check_tx(raw)  # what the mempool does must not matter
        twin = self.twin.finalize_block(request)
        self.twin.commit()
        assert twin == response, "two instances gave different answers to one block"
        for raw, result in zip(txs, response.tx_results, strict=True):
            if result.code == Code.OK:
                assert self.sent.count(raw) == 0, "a transaction was good twice"
                self.sent.append(raw)
        self.waiting = []

    @rule()
    def restart(self) -> None:
        root = self.chain.app._tree.root
        if self.chain.height:
            self.chain.app = Application(self.store)
            assert self.chain.app._tree.root == root

    @invariant()
    def conserved(self) -> None:
        ledger = Ledger(Overlay(self.chain.app._tree))
        entries = {identity: ledger.lock(identity) for identity in self.locks}
        for symbol in (COIN, GOLD):
            held = sum(ledger.balance(symbol, key.account) for key in KEYS)
            locked = sum(
                entry.amount
                for entry in entries.values()
                if entry and entry.symbol == symbol and entry.settlement is Settlement.OPEN
            )
            record = ledger.asset(symbol)
            assert record is not None
            assert held + locked == record.supply

    @invariant()
    def settled_once(self) -> None:
        ledger = Ledger(Overlay(self.chain.app._tree))
        for identity in self.locks:
            entry = ledger.lock(identity)
            before = self.settled.get(identity)
            assert before is None or entry is not None, "a tombstone has vanished"
            if entry is not None and before not in (None, Settlement.OPEN):
                assert entry.settlement is before, "a settled lock was settled again"
            if entry is not None:
                self.settled[identity] = entry.settlement

    def teardown(self) -> None:
        if not getattr(self, "blocks", None):
            return
        replayed = Application(MemoryStateStore())
        replayed.init_chain(init_request())
        for request in self.blocks:
            replayed.finalize_block(request)
            replayed.commit()
        assert replayed.info() == self.chain.app.info(), "a replay gives another state"


TestApplicationMachine = ApplicationMachine.TestCase
TestApplicationMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
