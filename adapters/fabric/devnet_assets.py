"""What every development network of Fabric offers, whatever its peers are: the organisations, the
assets that the lock chaincode registers, and how participants come to hold them.

The chaincode is set up, and participants are funded, through the same Gateway service and with the
same client as any user's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from adapters.fabric.gateway import Gateway
from adapters.fabric.identity import Identity
from adapters.fabric.proposal import Proposal
from adapters.model import AssetId, ChainId
from adapters.spi import NotSent, Rejected, Unavailable, Unknown

CHANNEL = "trade"
CHAINCODE = "isthmus"
ORGANISATIONS = ("OrgAMSP", "OrgBMSP", "OrgCMSP")

ASSETS = (("EURO", 2), ("STEEL", 3))
"""Symbol and decimals of the assets that the chaincode registers."""

FUNDS = 1_000_000
"""Whole units of each asset that each participant starts with."""

CLOCK_BOUND = 3
"""Seconds by which an endorser lets a transaction's timestamp be off its own clock."""
REACTION = 2
"""R of the network's profile, in seconds: it sets how late a claim can still land."""

_VALID = "VALID"
_PAUSE = 0.2
_STATUS_WITHIN = 10.0
"""Seconds until a transaction whose fate is not known is sent once more."""


def two_of_three() -> str:
    """The endorsement policy, as Fabric writes it: no party can veto, and none suffices alone."""
    principals = ",".join(f"'{msp_id}.peer'" for msp_id in ORGANISATIONS)
    return f"OutOf(2,{principals})"


def organisation_of(position: int) -> str:
    """Participants are clients of the organisations in turn. ``position``: from 0."""
    return ORGANISATIONS[position % len(ORGANISATIONS)]


def assets_of(chain: ChainId) -> Sequence[AssetId]:
    return [AssetId(chain, "asset", symbol) for symbol, _ in ASSETS]


def process_label(msp_id: str) -> str:
    """An organisation in the names of processes and hosts: orga for OrgAMSP."""
    return msp_id.removesuffix("MSP").lower()


class ChaincodeSetUp:
    """Transactions of an administrator, each sent until it is in or refused.

    ``give_up``: on the running loop's clock. ``logs``: which logs to read where it fails.
    """

    def __init__(self, gateway: Gateway, admin: Identity, give_up: float, logs: str) -> None:
        self._gateway = gateway
        self._admin = admin
        self._give_up = give_up
        self._logs = logs

    async def complete(self, genesis_hash: bytes, accounts: Sequence[str]) -> None:
        """Sets up what is not there yet: the chaincode, the assets and the accounts' funds.

        Raises Unavailable, Rejected."""
        await self._configure(genesis_hash)
        # Issues of one asset meet on its supply; those of two assets meet on nothing.
        async with asyncio.TaskGroup() as group:
            for symbol, decimals in ASSETS:
                group.create_task(self._fund(symbol, decimals, accounts))

    async def _configure(self, genesis_hash: bytes) -> None:
        if await self._there("config") is None:
            await self._invoke("configure", genesis_hash.hex(), str(CLOCK_BOUND))

    async def _fund(self, symbol: str, decimals: int, accounts: Sequence[str]) -> None:
        """Registers an asset and gives every account its funds, once."""
        if await self._there("asset", f"asset:{symbol}") is None:
            await self._invoke("register_asset", symbol, symbol, str(decimals))
        for number, account in enumerate(accounts):
            # The supply tells how many were funded: balances move once the network is in use.
            supply = int(await self._there("supply", symbol) or b"0")
            funds = FUNDS * 10**decimals
            if supply < (number + 1) * funds:
                await self._invoke("issue", symbol, account, str(funds))

    async def _there(self, function: str, *arguments: str) -> bytes | None:
        """What a query answers; None where the chaincode says that there is no such thing."""
        try:
            return await self._gateway.evaluate(CHAINCODE, function, *arguments)
        except Rejected:
            return None

    async def _invoke(self, function: str, *arguments: str) -> None:
        """Commits one transaction, and no second one for it: what was sent and is not known to be
        committed is sent again as it is, and a channel orders one envelope once.

        Raises Unavailable, Rejected."""
        loop = asyncio.get_running_loop()
        said = "no endorsement"
        while loop.time() < self._give_up:
            try:
                proposal, envelope = await self._gateway.endorse(
                    self._admin, CHAINCODE, (function, *arguments), time.time_ns()
                )
            except NotSent as error:
                said = str(error)
                await asyncio.sleep(_PAUSE)
                continue
            said = await self._ordered(proposal, envelope)
            if said == _VALID:
                return
            # Committed as invalid, such as for what another transaction wrote meanwhile.
            await asyncio.sleep(_PAUSE)
        raise Unavailable(
            f"setting up the Fabric network: {function} was not committed ({said}); "
            f"read {self._logs}"
        )

    async def _ordered(self, proposal: Proposal, envelope: Any) -> str:
        """What the transaction was committed as; the last error where that is never known."""
        loop = asyncio.get_running_loop()
        while True:
            with suppress(NotSent, Unknown):
                await self._gateway.submit(self._admin, proposal, envelope)
            try:
                return await self._gateway.commit_status(proposal.transaction, _STATUS_WITHIN)
            except (NotSent, Unknown) as error:
                said = str(error)
            if loop.time() > self._give_up:
                return said
            await asyncio.sleep(_PAUSE)
