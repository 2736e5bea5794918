"""What the chaincode is set up with, and that its endorsers agree on it.

Whoever calls ``configure`` has no power by that: each endorser compares what it is asked to write
with what its own operator put into its environment, and refuses if they differ. So the settings
take effect when the operators of a policy's worth of endorsers want them, and only then.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.fabric.chaincode import arguments
from adapters.fabric.chaincode.ledger import Ledger
from adapters.fabric.chaincode.refusal import Reason, Refused

INTERFACE = "isthmus-hash-time-lock/2"
"""The name and version of the functions and events; a driver refuses another one."""

MAX_CLOCK_BOUND = 3600
_KEY = "configuration"


@dataclass(frozen=True, slots=True)
class Consent:
    """What this endorser's operator agrees to, from the environment of its chaincode process."""

    clock_bound: int
    """Seconds, 1 to 3600."""
    chain: bytes | None
    """SHA-256 of the channel's genesis block header, where the operator pins it."""
    tokens: frozenset[str]
    """Chaincodes of the channel whose tokens may be locked."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """As all endorsers see it, from the state."""

    chain: bytes
    chaincode: str
    clock_bound: int

    def encode(self) -> bytes:
        return arguments.encode(
            {
                "chain": self.chain.hex(),
                "chaincode": self.chaincode,
                "clock_bound": self.clock_bound,
                "interface": INTERFACE,
            }
        )


async def configure(ledger: Ledger, consent: Consent, chain: str, clock_bound: str) -> bytes:
    """Sets the clock bound, and at the first call the chain and the chaincode's own name.

    The chain and the name never change afterwards: lock ids hold them. What changes nothing writes
    nothing: every lock, claim and refund reads the settings, and anybody may call this, so that a
    write in each block would have them all committed as conflicts. Raises Refused.
    """
    chain_hash = arguments.bytes32(chain, "chain")
    bound = arguments.integer(clock_bound, "clock_bound", 1, MAX_CLOCK_BOUND)
    if bound != consent.clock_bound:
        raise Refused(
            Reason.NOT_AUTHORISED,
            f"clock_bound {bound} is not the {consent.clock_bound} that this endorser's operator "
            "set in ISTHMUS_CLOCK_BOUND",
        )
    if consent.chain is not None and chain_hash != consent.chain:
        raise Refused(
            Reason.NOT_AUTHORISED,
            "chain is not the one that this endorser's operator set in ISTHMUS_CHAIN",
        )
    written = Configuration(chain_hash, ledger.called_chaincode, bound)
    before = await _read(ledger)
    if before is not None and (before.chain, before.chaincode) != (chain_hash, written.chaincode):
        raise Refused(
            Reason.OTHER,
            f"the chaincode is set up as {before.chaincode} on chain {before.chain.hex()}; neither "
            "can change",
        )
    if before != written:
        await ledger.put(_KEY, written.encode())
    return written.encode()


async def configuration(ledger: Ledger) -> Configuration:
    """The settings in force. Raises Refused before the first configure."""
    found = await _read(ledger)
    if found is None:
        raise Refused(Reason.OTHER, "the chaincode is not set up: call configure")
    return found


async def _read(ledger: Ledger) -> Configuration | None:
    value = await ledger.get(_KEY)
    if value is None:
        return None
    fields = arguments.decode(value)
    return Configuration(bytes.fromhex(fields["chain"]), fields["chaincode"], fields["clock_bound"])
