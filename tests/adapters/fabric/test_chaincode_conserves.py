"""Any history of blocks: nothing is made or lost, and a lock ends once.

Transactions are simulated against the same state and put into one block together, in any order, so
that they race as they would on a channel; timestamps move, and each endorsed transaction may be
held back and committed much later.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from adapters.fabric.chaincode.ledger import Caller
from adapters.fabric.chaincode.refusal import Refused
from tests.adapters.fabric.chaincode_bench import (
    ALICE,
    BOB,
    CAROL,
    ISSUER,
    LOCKS,
    TOKEN,
    balance,
    funded_channel,
    record,
)
from tests.adapters.fabric.memory_channel import Simulated, address

PEOPLE = (ALICE, BOB, CAROL)
ASSETS = ("asset:gold", "token:token")
PREIMAGES = tuple(bytes([number]) * 32 for number in range(1, 4))

people = st.sampled_from(PEOPLE)
assets = st.sampled_from(ASSETS)
amounts = st.integers(1, 1200)


class Channel(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.channel = funded_channel()
        self.supply = dict.fromkeys(ASSETS, 2000)
        self.endorsed: list[tuple[Simulated, int]] = []
        self.preimages: dict[str, bytes] = {}
        self.ended: dict[str, Any] = {}

    def endorse(self, caller: Caller, *words: str, chaincode: str = LOCKS, issues: int = 0) -> None:
        try:
            simulated = self.channel.simulate(chaincode, caller, *words)
        except Refused:
            return
        self.endorsed.append((simulated, issues))

    @rule(to=people, amount=amounts)
    def issue(self, to: Caller, amount: int) -> None:
        self.endorse(ISSUER, "issue", "gold", address(to), str(amount), issues=amount)

    @rule(source=people, to=people, amount=amounts, parts=st.integers(1, 16), by_name=st.booleans())
    def transfer(self, source: Caller, to: Caller, amount: int, parts: int, by_name: bool) -> None:
        named = self._named(source, amount) if by_name else "[]"
        self.endorse(source, "transfer", "gold", address(to), str(amount), named, str(parts))

    @rule(
        source=people,
        to=people,
        asset=assets,
        amount=amounts,
        preimage=st.sampled_from(PREIMAGES),
        seconds=st.integers(1, 8),
        parts=st.integers(1, 16),
    )
    def lock(
        self,
        source: Caller,
        to: Caller,
        asset: str,
        amount: int,
        preimage: bytes,
        seconds: int,
        parts: int,
    ) -> None:
        hashlock = hashlib.sha256(preimage).hexdigest()
        self.preimages[hashlock] = preimage
        named = self._named(source, amount) if asset == "asset:gold" else "[]"
        deadline = str(self.channel.now + seconds)
        words = ("lock", address(to), asset, str(amount), hashlock, deadline, named, str(parts))
        self.endorse(source, *words)

    @precondition(lambda self: self._locks())
    @rule(caller=people, data=st.data())
    def claim(self, caller: Caller, data: st.DataObject) -> None:
        lock_id, fields = data.draw(st.sampled_from(sorted(self._locks().items(), key=str)))
        self.endorse(caller, "claim", lock_id, self.preimages[fields["hashlock"]].hex())

    @precondition(lambda self: self._locks())
    @rule(caller=people, data=st.data())
    def refund(self, caller: Caller, data: st.DataObject) -> None:
        lock_id = data.draw(st.sampled_from(sorted(self._locks())))
        self.endorse(caller, "refund", lock_id)

    @precondition(lambda self: self._locks())
    @rule(caller=people, data=st.data())
    def collect(self, caller: Caller, data: st.DataObject) -> None:
        lock_id = data.draw(st.sampled_from(sorted(self._locks())))
        self.endorse(caller, "collect", lock_id)

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        self.channel.now += seconds

    @precondition(lambda self: self.endorsed)
    @rule(data=st.data())
    def block(self, data: st.DataObject) -> None:
        """Some of what is endorsed, in any order; the rest is held back."""
        block = data.draw(st.permutations(self.endorsed))
        block = block[: data.draw(st.integers(1, len(block)))]
        verdicts = self.channel.commit(*(simulated for simulated, _ in block))
        for (simulated, issues), valid in zip(block, verdicts, strict=True):
            self.endorsed.remove((simulated, issues))
            self.supply["asset:gold"] += issues if valid else 0

    def _named(self, source: Caller, amount: int) -> str:
        try:
            answer = self.channel.simulate(
                LOCKS, source, "holdings", "gold", address(source), str(amount), "[]"
            ).payload
        except Refused:
            return "[]"
        return json.dumps(json.loads(answer)["holdings"])

    def _locks(self) -> dict[str, Any]:
        prefix = "\x00lock\x00"
        return {
            key.split("\x00")[2]: json.loads(value)
            for (chaincode, key), (value, _) in self.channel.state.items()
            if chaincode == LOCKS and key.startswith(prefix)
        }

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        if not hasattr(self, "channel"):
            return
        for asset in ASSETS:
            held = sum(balance(self.channel, who, asset) for who in PEOPLE)
            locked = sum(
                int(fields["amount"])
                for fields in self._locks().values()
                if fields["asset"] == asset and _holds(fields)
            )
            assert held + locked == self.supply[asset], asset
            told = self.channel.simulate(LOCKS, ALICE, "supply", "gold").payload
            assert int(told) == self.supply["asset:gold"]

    @invariant()
    def an_escrow_holds_what_its_lock_owes_and_nothing_else(self) -> None:
        if not hasattr(self, "channel"):
            return
        for lock_id, fields in self._locks().items():
            if fields["asset"] == "token:token":
                escrow = f"chaincode:{LOCKS}:{lock_id}"
                held = self.channel.simulate(TOKEN, ALICE, "balanceOf", escrow).payload
                assert int(held) == (int(fields["amount"]) if _holds(fields) else 0)
            else:
                assert "owed" not in fields

    @invariant()
    def a_lock_ends_once(self) -> None:
        if not hasattr(self, "channel"):
            return
        for lock_id, ended in self.ended.items():
            now = record(self.channel, lock_id)
            assert {**ended, "owed": None} == {**now, "owed": None}
            assert "owed" in ended or "owed" not in now
        for lock_id, fields in self._locks().items():
            assert ("preimage" in fields) == (fields["state"] == "claimed")
            if fields["state"] != "open":
                self.ended[lock_id] = fields

    @invariant()
    def every_end_was_told_once(self) -> None:
        if not hasattr(self, "channel"):
            return
        events = [(event.name, json.loads(event.payload)) for event in self.channel.events]
        told = [(name, fields["lock_id"], "owed" in fields) for name, fields in events]
        assert len(set(told)) == len(told)
        ends = {(lock_id, owed) for name, lock_id, owed in told if not name.endswith("opened")}
        assert {lock_id for lock_id, _ in ends} == set(self.ended)
        for lock_id, fields in self.ended.items():
            of_token = fields["asset"] == "token:token"
            assert ((lock_id, True) in ends) == of_token
            assert ((lock_id, False) in ends) == ("owed" not in fields)
        opened = {lock_id for name, lock_id, _ in told if name.endswith("opened")}
        assert opened == set(self._locks())


def _holds(fields: dict[str, Any]) -> bool:
    return fields["state"] == "open" or "owed" in fields


TestChannel = Channel.TestCase
TestChannel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
