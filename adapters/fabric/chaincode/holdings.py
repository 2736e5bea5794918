"""Balances without a hot key: an account's balance is the sum of its holdings.

A holding is one key, written once, by the transaction that made it, and deleted once, by the one
that spends it:

    ("holding", asset, account, "<transaction id>.<n>")  ->  amount

To receive is to write a new key, so receivers never collide: not with each other, and not with
what the account itself spends. To spend is to read and delete holdings by name; the versions in
the read set are what makes two spenders of one holding collide, and nothing else does. A spender
that names no holdings leaves the choice to the chaincode, which then reads the whole range; such a
transaction also collides with whatever the account receives or spends in the same block, so a
program should name them (query ``holdings``).

Every spender writes as much as it deletes, and only ``issue`` writes more, so the sum over all
holdings and open locks of an asset is its supply, in every block.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from adapters.fabric.chaincode import arguments
from adapters.fabric.chaincode.ledger import Ledger, key_of, parts_of, range_of
from adapters.fabric.chaincode.refusal import Reason, Refused

MAX_INPUTS = 64
"""How many holdings one transaction may spend."""

MAX_PARTS = 16
"""In how many holdings a transaction may write what is left over."""

RECEIVED = MAX_PARTS
"""Index of the holding that a transaction gives to somebody; the parts come before it."""

_KIND = "holding"


@dataclass(frozen=True, slots=True, order=True)
class Holding:
    amount: int
    id: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Holdings to spend, of so many that the account has."""

    holdings: tuple[Holding, ...]
    of: int


async def give(ledger: Ledger, asset: str, account: str, amount: int, index: int) -> None:
    """Writes a new holding. ``index`` tells apart the holdings that one transaction makes."""
    key = key_of(_KIND, asset, account, f"{ledger.transaction}.{index}")
    await ledger.put(key, str(amount).encode())


async def take(
    ledger: Ledger, asset: str, account: str, amount: int, named: Sequence[str], parts: int
) -> None:
    """Spends holdings worth the amount and writes what is left over as new ones.

    The rest comes in up to ``parts`` holdings, none smaller than the amount itself: an account
    that moves much at once spreads what it has over many, so that its own moves do not meet.
    Raises Refused where a named holding is not the account's, or all are worth less.
    """
    if named:
        spent = [await _holding(ledger, asset, account, name) for name in named]
    else:
        spent = list((await choose(ledger, asset, account, amount, ())).holdings)
    total = sum(holding.amount for holding in spent)
    if total < amount:
        raise Refused(
            Reason.INSUFFICIENT_BALANCE,
            f"the holdings are worth {total} of {asset}; {amount} is needed",
        )
    for holding in spent:
        await ledger.delete(key_of(_KIND, asset, account, holding.id))
    for index, part in enumerate(_split(total - amount, amount, parts)):
        await give(ledger, asset, account, part, index)


def _split(rest: int, least: int, parts: int) -> list[int]:
    if rest == 0:
        return []
    count = max(1, min(parts, rest // least))
    return [rest // count + (1 if index < rest % count else 0) for index in range(count)]


async def choose(
    ledger: Ledger, asset: str, account: str, amount: int, excluded: Collection[str]
) -> Choice:
    """Holdings worth the amount: the smallest single one that suffices, else the largest first.

    Raises Refused where MAX_INPUTS of them are worth less.
    """
    there = await _all(ledger, asset, account)
    free = sorted(holding for holding in there if holding.id not in excluded)
    for holding in free:
        if holding.amount >= amount:
            return Choice((holding,), len(there))
    chosen: list[Holding] = []
    total = 0
    for holding in reversed(free[-MAX_INPUTS:]):
        chosen.append(holding)
        total += holding.amount
        if total >= amount:
            return Choice(tuple(chosen), len(there))
    if len(free) > MAX_INPUTS:
        raise Refused(
            Reason.INSUFFICIENT_BALANCE,
            f"the {MAX_INPUTS} largest holdings of {asset} are worth {total}, and {amount} is "
            "needed: first merge small ones, by a transfer to the account itself",
        )
    raise Refused(
        Reason.INSUFFICIENT_BALANCE, f"the balance of {asset} is {total}; {amount} is needed"
    )


async def balance(ledger: Ledger, asset: str, account: str) -> int:
    return sum(holding.amount for holding in await _all(ledger, asset, account))


async def _holding(ledger: Ledger, asset: str, account: str, name: str) -> Holding:
    try:
        value = await ledger.get(key_of(_KIND, asset, account, name))
    except ValueError as error:
        raise arguments.bad("a holding's name holds a character that no name has") from error
    if value is None:
        # It was there when the caller chose it; another move has spent it since.
        raise Refused(
            Reason.HOLDING_SPENT,
            f"a named holding of {asset} is not there (any more): choose again",
        )
    return Holding(int(value), name)


async def _all(ledger: Ledger, asset: str, account: str) -> list[Holding]:
    found = ledger.range(*range_of(_KIND, asset, account))
    return [Holding(int(value), parts_of(key)[-1]) async for key, value in found]
