"""A sample of what companies have: a token chaincode with the functions of ERC-20.

It keeps the rules that adapters/fabric/chaincode/tokens.py states. One balance is one key, as in
most such chaincodes: an account's own moves meet on it, escrow accounts meet on none.

    mint(to, amount)   transfer(to, amount)   transferFrom(from, to, amount)   balanceOf(account)

``python -m tests.networks.fabric_token`` serves it as the lock chaincode is served.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from adapters.fabric.account import address_of
from adapters.fabric.chaincode.environment import read_service
from adapters.fabric.chaincode.ledger import Ledger, key_of
from adapters.fabric.chaincode.refusal import Reason, Refused
from adapters.fabric.chaincode.server import serve


class Token:
    """``fee``: what a transfer keeps for itself, to show what a dishonest token does."""

    def __init__(self, fee: int = 0) -> None:
        self._fee = fee

    async def invoke(self, ledger: Ledger, words: Sequence[bytes]) -> bytes:
        caller = address_of(ledger.caller.msp_id, ledger.caller.certificate)
        match [word.decode() for word in words]:
            case ["mint", to, amount]:
                await self._put(ledger, to, await self._of(ledger, to) + int(amount))
                return b"true"
            case ["transfer", to, amount]:
                return await self._move(ledger, caller, to, int(amount))
            case ["transferFrom", source, to, amount]:
                owner = f"chaincode:{ledger.called_chaincode}:"
                if source != caller and not source.startswith(owner):
                    raise Refused(Reason.NOT_AUTHORISED, "the caller may not move this account")
                return await self._move(ledger, source, to, int(amount))
            case ["balanceOf", account]:
                return str(await self._of(ledger, account)).encode()
            case _:
                raise Refused(Reason.BAD_TERMS, "no such function")

    async def _move(self, ledger: Ledger, source: str, to: str, amount: int) -> bytes:
        held = await self._of(ledger, source)
        if amount <= 0 or held < amount:
            raise Refused(Reason.INSUFFICIENT_BALANCE, f"{source} holds {held}")
        if source != to:
            await self._put(ledger, source, held - amount)
            await self._put(ledger, to, await self._of(ledger, to) + amount - self._fee)
        return b"true"

    async def _of(self, ledger: Ledger, account: str) -> int:
        return int(await ledger.get(key_of("balance", account)) or b"0")

    async def _put(self, ledger: Ledger, account: str, amount: int) -> None:
        await ledger.put(key_of("balance", account), str(amount).encode())


if __name__ == "__main__":
    service = read_service(os.environ)
    asyncio.run(serve(Token(), service.package, service.address, service.tls))
