"""The lock chaincode of an organisation that withholds its endorsement of claims.

``python -m tests.networks.fabric_withholding`` is run in the place of its chaincode service.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

from adapters.fabric.chaincode.contract import Contract
from adapters.fabric.chaincode.environment import read_consent, read_service
from adapters.fabric.chaincode.ledger import Ledger
from adapters.fabric.chaincode.refusal import Reason, Refused
from adapters.fabric.chaincode.server import serve


class Withholding(Contract):
    async def invoke(self, ledger: Ledger, words: Sequence[bytes]) -> bytes:
        if words[:1] == [b"claim"]:
            raise Refused(Reason.OTHER, "this organisation endorses no claim today")
        return await super().invoke(ledger, words)


if __name__ == "__main__":
    service = read_service(os.environ)
    contract = Withholding(read_consent(os.environ), time.time_ns)
    asyncio.run(serve(contract, service.package, service.address, service.tls))
