"""Setting a channel up while its orderers falter: nothing is issued twice. Which answer of an
orderer gets lost cannot be chosen on a real one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.fabric.devnet_assets import ASSETS, FUNDS, ChaincodeSetUp
from adapters.spi import Rejected, Unknown

ACCOUNTS = ("one", "two", "three")


class Channel:
    """The part of a gateway that is used: a supply for each asset, and the orderer's answers.
    ``lost``: of submits, by number, those whose answer is lost though the orderer has them;
    ``dropped``: those that never come to it."""

    def __init__(self, lost: set[int], dropped: set[int]) -> None:
        self._lost, self._dropped = lost, dropped
        self._submits = self._endorsed = 0
        self._words: dict[str, tuple[str, ...]] = {}
        self._committed: set[str] = set()
        self.assets: dict[str, int] = {}
        self.funds: dict[tuple[str, str], int] = {}

    async def evaluate(self, _chaincode: str, function: str, *arguments: str) -> bytes:
        symbol = arguments[0].removeprefix("asset:") if arguments else ""
        match function:
            case "supply" if symbol in self.assets:
                return str(self.assets[symbol]).encode()
            case "asset" if symbol in self.assets:
                return b"{}"
            case "config":
                return b"{}"
            case _:
                raise Rejected("there is no such thing")

    async def endorse(
        self, _identity: Any, _chaincode: str, words: tuple[str, ...], _timestamp: int
    ) -> tuple[Any, Any]:
        self._endorsed += 1
        transaction = f"transaction {self._endorsed}"
        self._words[transaction] = words
        return SimpleNamespace(transaction=transaction), object()

    async def submit(self, _identity: Any, proposal: Any, _envelope: Any) -> None:
        self._submits += 1
        number = self._submits
        if number not in self._dropped and proposal.transaction not in self._committed:
            self._committed.add(proposal.transaction)
            self._take(*self._words[proposal.transaction])
        if number in self._lost | self._dropped:
            raise Unknown("no answer")

    async def commit_status(self, transaction: str, _timeout: float) -> str:
        if transaction not in self._committed:
            raise Unknown("not committed yet")
        return "VALID"

    def _take(self, function: str, symbol: str, *rest: str) -> None:
        if function == "register_asset":
            assert symbol not in self.assets, "registered twice"
            self.assets[symbol] = 0
        else:
            account, amount = rest[0], int(rest[1])
            self.assets[symbol] += amount
            self.funds[(symbol, account)] = self.funds.get((symbol, account), 0) + amount


@pytest.mark.parametrize(
    ("lost", "dropped"),
    [(set(), set()), ({1, 2, 3, 4, 5}, set()), (set(), {1, 3, 5}), ({2, 4}, {3, 6, 7})],
)
async def test_every_account_is_funded_once(lost: set[int], dropped: set[int]) -> None:
    channel = Channel(lost, dropped)
    give_up = asyncio.get_running_loop().time() + 60
    set_up: Any = ChaincodeSetUp
    await set_up(channel, None, give_up, "the logs").complete(bytes(32), ACCOUNTS)
    assert channel.funds == {
        (symbol, account): FUNDS * 10**decimals
        for symbol, decimals in ASSETS
        for account in ACCOUNTS
    }
