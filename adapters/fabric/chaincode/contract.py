"""The functions of the lock chaincode, by name.

    configure(chain, clock_bound)            set up; see configuration.py
    config()                                 -> {chain, chaincode, clock_bound, interface}
    clock()                                  -> this endorser's own clock, Unix seconds (evaluate)
    register_asset(name, symbol, decimals)   the caller becomes its issuer
    issue(name, to, amount)
    transfer(name, to, amount, holdings, parts)
    adopt_token(chaincode, symbol, decimals) see tokens.py
    asset(asset)                             -> {symbol, decimals[, issuer]}
    supply(name)                             -> amount
    balance(asset, account)                  -> amount
    holdings(name, account, amount, excluded)
                                             -> {holdings, of}: names of some worth the amount,
                                                and how many the account has
    lock(recipient, asset, amount, hashlock, deadline, holdings, parts)
                                             the caller is the sender
    claim(lock_id, preimage)
    refund(lock_id)
    collect(lock_id)                         moves what an ended lock of a token still owes
    lock_record(lock_id)                     -> the record, null where there is none

``asset`` is asset:NAME or token:CHAINCODE, ``name`` a registered asset's; amounts are decimal text
in smallest units; hashes, ids and preimages 64 lower-case hex digits; holdings and excluded JSON
lists of names ([]: any); parts says in how many holdings to write the rest. Answers are JSON.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from adapters.fabric.account import address_of
from adapters.fabric.chaincode import arguments, assets, holdings, locks, tokens
from adapters.fabric.chaincode.clock import NANOSECONDS, check_timestamp
from adapters.fabric.chaincode.configuration import (
    Configuration,
    Consent,
    configuration,
    configure,
)
from adapters.fabric.chaincode.ledger import Ledger
from adapters.fabric.chaincode.refusal import Reason, Refused
from adapters.model import InvalidValue, LockId

Handler = Callable[..., Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class _Function:
    arity: int
    handler: Handler


class Contract:
    """The chaincode, apart from how it is reached. Holds no state: that is the ledger's."""

    def __init__(self, consent: Consent, clock: Callable[[], int]) -> None:
        """``clock``: this endorser's own, in nanoseconds since 1970."""
        self._consent = consent
        self._clock = clock
        self._functions = {
            "configure": _Function(2, self._configure),
            "config": _Function(0, self._config),
            "clock": _Function(0, self._own_clock),
            "register_asset": _Function(3, self._register),
            "issue": _Function(3, self._issue),
            "transfer": _Function(5, self._transfer),
            "adopt_token": _Function(3, self._adopt),
            "asset": _Function(1, self._asset),
            "supply": _Function(1, self._supply),
            "balance": _Function(2, self._balance),
            "holdings": _Function(4, self._holdings),
            "lock": _Function(7, self._lock),
            "claim": _Function(2, self._claim),
            "refund": _Function(1, self._refund),
            "collect": _Function(1, self._collect),
            "lock_record": _Function(1, self._record),
        }

    async def invoke(self, ledger: Ledger, words: Sequence[bytes]) -> bytes:
        """Runs one transaction; the answer is its payload. Raises Refused, PeerRefused."""
        try:
            name, *rest = [word.decode() for word in words] or [""]
        except UnicodeDecodeError as error:
            raise arguments.bad("arguments must be UTF-8 text") from error
        function = self._functions.get(name)
        if function is None:
            known = ", ".join(sorted(self._functions))
            raise arguments.bad(f"no such function; there are {known}")
        if len(rest) != function.arity:
            raise arguments.bad(f"{name} takes {function.arity} arguments, {len(rest)} were given")
        return await function.handler(ledger, *rest)

    # setting up, and what can be asked

    async def _configure(self, ledger: Ledger, chain: str, clock_bound: str) -> bytes:
        return await configure(ledger, self._consent, chain, clock_bound)

    async def _config(self, ledger: Ledger) -> bytes:
        return (await configuration(ledger)).encode()

    async def _own_clock(self, ledger: Ledger) -> bytes:
        return str(self._clock() // NANOSECONDS).encode()

    async def _adopt(self, ledger: Ledger, name: str, symbol: str, decimals: str) -> bytes:
        await self._directly(ledger)
        return await tokens.adopt(ledger, self._consent, name, symbol, decimals)

    async def _asset(self, ledger: Ledger, text: str) -> bytes:
        asset = locks.read_asset(text)
        if asset.kind == "asset":
            return (await assets.registered(ledger, asset.name)).encode()
        return (await tokens.adopted(ledger, asset.name)).encode()

    async def _supply(self, ledger: Ledger, name: str) -> bytes:
        return str(await assets.supply(ledger, name)).encode()

    async def _balance(self, ledger: Ledger, text: str, account: str) -> bytes:
        asset, holder = locks.read_asset(text), arguments.address(account, "account")
        if asset.kind == "asset":
            return str(await holdings.balance(ledger, asset.name, holder)).encode()
        await tokens.adopted(ledger, asset.name)
        return str(await tokens.balance(ledger, asset.name, holder)).encode()

    async def _holdings(
        self, ledger: Ledger, name: str, account: str, amount: str, excluded: str
    ) -> bytes:
        asset = arguments.asset_name(name)
        await assets.registered(ledger, asset)
        choice = await holdings.choose(
            ledger,
            asset,
            arguments.address(account, "account"),
            arguments.amount(amount),
            arguments.string_list(excluded, "excluded", 10_000),
        )
        names = [holding.id for holding in choice.holdings]
        return arguments.encode({"holdings": names, "of": choice.of})

    async def _record(self, ledger: Ledger, lock_id: str) -> bytes:
        return await locks.record_of(ledger, LockId(arguments.bytes32(lock_id, "lock_id")))

    # what moves assets

    async def _register(self, ledger: Ledger, name: str, symbol: str, decimals: str) -> bytes:
        await self._directly(ledger)
        return await assets.register(ledger, _caller(ledger), name, symbol, decimals)

    async def _issue(self, ledger: Ledger, name: str, to: str, amount: str) -> bytes:
        await self._directly(ledger)
        return await assets.issue(ledger, _caller(ledger), name, to, amount)

    async def _transfer(
        self, ledger: Ledger, name: str, to: str, amount: str, named: str, parts: str
    ) -> bytes:
        spend = assets.read_spend(named, parts)
        await self._directly(ledger)
        return await assets.transfer(ledger, _caller(ledger), name, to, amount, spend)

    async def _lock(
        self,
        ledger: Ledger,
        recipient: str,
        asset: str,
        amount: str,
        hashlock: str,
        deadline: str,
        named: str,
        parts: str,
    ) -> bytes:
        terms = locks.Terms(
            _caller(ledger),
            arguments.address(recipient, "recipient"),
            locks.read_asset(asset),
            arguments.amount(amount),
            arguments.hashlock(hashlock),
            arguments.integer(deadline, "deadline", 1, 2**63 - 1),
        )
        spend = assets.read_spend(named, parts)
        settings, now = await self._in_time(ledger)
        return await locks.open_lock(ledger, settings, now, terms, spend)

    async def _claim(self, ledger: Ledger, lock_id: str, preimage: str) -> bytes:
        lock = LockId(arguments.bytes32(lock_id, "lock_id"))
        secret = arguments.bytes32(preimage, "preimage")
        _, now = await self._in_time(ledger)
        return await locks.claim(ledger, now, lock, secret)

    async def _refund(self, ledger: Ledger, lock_id: str) -> bytes:
        lock = LockId(arguments.bytes32(lock_id, "lock_id"))
        _, now = await self._in_time(ledger)
        return await locks.refund(ledger, now, lock)

    async def _collect(self, ledger: Ledger, lock_id: str) -> bytes:
        lock = LockId(arguments.bytes32(lock_id, "lock_id"))
        return await locks.collect(ledger, await self._directly(ledger), lock)

    async def _in_time(self, ledger: Ledger) -> tuple[Configuration, int]:
        settings = await self._directly(ledger)
        return settings, check_timestamp(ledger, settings, self._clock())

    async def _directly(self, ledger: Ledger) -> Configuration:
        """Refuses what another chaincode calls, for two reasons. It could call twice in one
        transaction, whose reads do not see its own writes, and so spend a holding twice; and
        Fabric keeps the outermost chaincode's event alone, so no watcher would see the lock."""
        settings = await configuration(ledger)
        if ledger.called_chaincode != settings.chaincode:
            raise Refused(
                Reason.OTHER, f"call {settings.chaincode} itself, not through another chaincode"
            )
        return settings


def _caller(ledger: Ledger) -> str:
    try:
        return address_of(ledger.caller.msp_id, ledger.caller.certificate)
    except InvalidValue as error:
        raise Refused(Reason.NOT_AUTHORISED, str(error)) from error
