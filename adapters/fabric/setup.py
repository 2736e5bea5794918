"""What the lock chaincode says of how it was set up (query ``config``)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from adapters.fabric.gateway import Gateway
from adapters.fabric.settings import FabricSettings
from adapters.spi import Misconfigured, Rejected, Unavailable


@dataclass(frozen=True, slots=True)
class ChaincodeSetup:
    interface: str
    chain: bytes
    """SHA-256 of the genesis block's header, 32 bytes."""
    chaincode: str
    clock_bound: int
    """Seconds by which an endorser lets a timestamp be off its clock."""


async def read_setup(name: str, gateway: Gateway, settings: FabricSettings) -> ChaincodeSetup:
    """``name`` names the chain to people. Raises Misconfigured, Unavailable."""
    try:
        answer = await gateway.evaluate(settings.chaincode, "config")
    except Rejected as error:
        raise Misconfigured(
            f"{name}: chaincode {settings.chaincode} is not ready for use ({error}); is it the "
            "lock chaincode, and was configure called?"
        ) from error
    try:
        fields = json.loads(answer)
        return ChaincodeSetup(
            str(fields["interface"]),
            bytes.fromhex(fields["chain"]),
            str(fields["chaincode"]),
            int(fields["clock_bound"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"{name}: the chaincode's configuration cannot be read") from error
