"""Assets that another chaincode of the channel holds, behind functions like those of ERC-20.

What such a chaincode must do, beside ``balanceOf(account)``, ``transfer(to, amount)`` and
``transferFrom(from, to, amount)`` with amounts as decimal text and a status below 400 for done:

1. Its accounts of people are addresses as adapters/fabric/account.py computes them.
2. An account ``chaincode:<name>:<anything>`` belongs to the chaincode of that name:
   ``transferFrom`` out of it is allowed exactly when the signed proposal's own chaincode name is
   that name. (Within one transaction a called chaincode sees the identity of the original client,
   whoever called it; the name in the proposal is the one sign of a calling chaincode that a
   client cannot forge, since the endorsers ran what it names.)
3. It moves the amount asked or refuses; it takes no fee. Within one Fabric transaction reads do
   not see the transaction's own writes, so the lock chaincode cannot compare balances afterwards:
   the endorsers' operators say by ISTHMUS_TOKENS which chaincodes they have looked at, and
   ``adopt_token`` takes no others. At ``collect``, which comes in a later transaction, the escrow's
   balance is compared.

Each lock has an escrow account of its own, so parallel locks meet on no key of the token's. Where
tokens move, by ``lock`` and ``collect``, both chaincodes write and both endorsement policies must
be met; a claim or a refund touches nothing of the token's, and asks nobody of its endorsers.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.fabric.chaincode import arguments
from adapters.fabric.chaincode.configuration import Configuration, Consent
from adapters.fabric.chaincode.ledger import Ledger, key_of
from adapters.fabric.chaincode.refusal import Reason, Refused
from adapters.model import LockId


@dataclass(frozen=True, slots=True)
class AdoptedToken:
    symbol: str
    decimals: int

    def encode(self) -> bytes:
        return arguments.encode({"decimals": self.decimals, "symbol": self.symbol})


def escrow_of(settings: Configuration, lock_id: LockId) -> str:
    """The token account that holds one lock's amount, and nothing else."""
    return f"chaincode:{settings.chaincode}:{lock_id.hex()}"


async def adopt(ledger: Ledger, consent: Consent, name: str, symbol: str, decimals: str) -> bytes:
    """Lets a chaincode's tokens be locked, if this endorser's operator agreed. Raises Refused."""
    chaincode = arguments.chaincode_name(name, "token")
    record = AdoptedToken(arguments.symbol(symbol), arguments.integer(decimals, "decimals", 0, 255))
    if chaincode not in consent.tokens:
        raise Refused(
            Reason.NOT_AUTHORISED,
            f"this endorser's operator does not name {chaincode} in ISTHMUS_TOKENS",
        )
    if await ledger.get(key_of("token", chaincode)) is not None:
        raise Refused(Reason.OTHER, f"token {chaincode} is adopted already")
    await ledger.put(key_of("token", chaincode), record.encode())
    return record.encode()


async def adopted(ledger: Ledger, chaincode: str) -> AdoptedToken:
    """Raises Refused where the token was not adopted."""
    value = await ledger.get(key_of("token", chaincode))
    if value is None:
        raise arguments.bad(f"token {chaincode} has not been adopted: see adopt_token")
    fields = arguments.decode(value)
    return AdoptedToken(fields["symbol"], fields["decimals"])


async def balance(ledger: Ledger, chaincode: str, account: str) -> int:
    answer = await _call(ledger, chaincode, "balanceOf", account)
    try:
        return int(answer)
    except ValueError as error:
        raise Refused(
            Reason.OTHER, f"balanceOf of chaincode {chaincode} did not answer an integer"
        ) from error


async def deposit(
    ledger: Ledger, settings: Configuration, chaincode: str, lock_id: LockId, amount: int
) -> None:
    """Moves an amount from the caller into a lock's escrow. Raises Refused."""
    await adopted(ledger, chaincode)
    escrow = escrow_of(settings, lock_id)
    await _call(ledger, chaincode, "transfer", escrow, str(amount))


async def pay_out(
    ledger: Ledger,
    settings: Configuration,
    chaincode: str,
    lock_id: LockId,
    recipient: str,
    amount: int,
) -> None:
    """Moves a lock's amount out of its escrow. Raises Refused."""
    escrow = escrow_of(settings, lock_id)
    held = await balance(ledger, chaincode, escrow)
    if held < amount:
        raise Refused(
            Reason.INSUFFICIENT_BALANCE,
            f"chaincode {chaincode} holds {held} in the lock's escrow; {amount} was locked",
        )
    await _call(ledger, chaincode, "transferFrom", escrow, recipient, str(amount))


async def _call(ledger: Ledger, chaincode: str, function: str, *rest: str) -> bytes:
    reply = await ledger.invoke(chaincode, [word.encode() for word in (function, *rest)])
    if reply.status >= 400 or reply.payload == b"false":
        said = reply.message.splitlines()[0][:200] if reply.message else "without a reason"
        raise Refused(
            Reason.INSUFFICIENT_BALANCE if function == "transfer" else Reason.OTHER,
            f"chaincode {chaincode} refused {function}: {said}",
        )
    return reply.payload
