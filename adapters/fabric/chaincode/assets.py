"""Fungible assets that this chaincode registers itself: issuer, decimals, supply, transfers."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.fabric.chaincode import arguments, holdings
from adapters.fabric.chaincode.ledger import Ledger, key_of
from adapters.fabric.chaincode.refusal import Reason, Refused
from adapters.model import MAX_AMOUNT

MAX_DECIMALS = 36


@dataclass(frozen=True, slots=True)
class RegisteredAsset:
    issuer: str
    """The address of the only account that may issue more of it."""
    symbol: str
    decimals: int

    def encode(self) -> bytes:
        return arguments.encode(
            {"decimals": self.decimals, "issuer": self.issuer, "symbol": self.symbol}
        )


@dataclass(frozen=True, slots=True)
class Spend:
    """Which holdings to spend (none named: any), and in how many parts to write the rest."""

    named: tuple[str, ...]
    parts: int


def read_spend(named: str, parts: str) -> Spend:
    """``named``: a JSON list of holdings. Raises Refused."""
    return Spend(
        arguments.string_list(named, "holdings", holdings.MAX_INPUTS),
        arguments.integer(parts, "parts", 1, holdings.MAX_PARTS),
    )


async def register(ledger: Ledger, caller: str, name: str, symbol: str, decimals: str) -> bytes:
    """Registers an asset whose issuer is the caller. A name is given once. Raises Refused."""
    asset = arguments.asset_name(name)
    record = RegisteredAsset(
        caller,
        arguments.symbol(symbol),
        arguments.integer(decimals, "decimals", 0, MAX_DECIMALS),
    )
    if await ledger.get(key_of("asset", asset)) is not None:
        raise Refused(Reason.OTHER, f"asset {asset} is registered already")
    await ledger.put(key_of("asset", asset), record.encode())
    await ledger.put(key_of("supply", asset), b"0")
    return record.encode()


async def issue(ledger: Ledger, caller: str, name: str, to: str, amount: str) -> bytes:
    """Makes more of an asset; the supply stays within 2^256 - 1. Raises Refused."""
    asset = arguments.asset_name(name)
    recipient = arguments.address(to, "to")
    more = arguments.amount(amount)
    record = await registered(ledger, asset)
    if caller != record.issuer:
        raise Refused(Reason.NOT_AUTHORISED, f"only its issuer may issue asset {asset}")
    # One key for the supply: only the issuer's own issues meet on it.
    total = int(await ledger.get(key_of("supply", asset)) or b"0") + more
    if total > MAX_AMOUNT:
        raise arguments.bad(f"amount would bring the supply of asset {asset} above 2^256 - 1")
    await ledger.put(key_of("supply", asset), str(total).encode())
    await holdings.give(ledger, asset, recipient, more, holdings.RECEIVED)
    return str(total).encode()


async def transfer(
    ledger: Ledger, caller: str, name: str, to: str, amount: str, spend: Spend
) -> bytes:
    """Moves an amount from the caller. Raises Refused."""
    asset = arguments.asset_name(name)
    recipient = arguments.address(to, "to")
    moved = arguments.amount(amount)
    await holdings.take(ledger, asset, caller, moved, spend.named, spend.parts)
    await holdings.give(ledger, asset, recipient, moved, holdings.RECEIVED)
    return b"true"


async def registered(ledger: Ledger, asset: str) -> RegisteredAsset:
    """Raises Refused where no asset has the name."""
    value = await ledger.get(key_of("asset", asset))
    if value is None:
        raise arguments.bad(f"no asset is registered as {asset}")
    fields = arguments.decode(value)
    return RegisteredAsset(fields["issuer"], fields["symbol"], fields["decimals"])


async def supply(ledger: Ledger, name: str) -> int:
    asset = arguments.asset_name(name)
    await registered(ledger, asset)
    return int(await ledger.get(key_of("supply", asset)) or b"0")
