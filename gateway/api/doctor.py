"""What doctor checks: each chain, the journal, the clock, each peer; and how to mend it."""

from __future__ import annotations

import asyncio

from adapters.model import Hashlock
from adapters.spi import Adapter, AdapterError, Credential, Rejected
from gateway.api.bodies import DoctorView, FindingView
from gateway.services import Services
from relayers.journal.port import JournalError
from relayers.offers.chains import TradedChain
from relayers.offers.peers import Peer
from relayers.offers.wire import from_hex
from relayers.protocol.offer import PROTOCOL_VERSIONS

WAIT = 20.0
"""Seconds for each part."""

QUARANTINE_SHOWN = 20
"""Swaps in quarantine; isthmus quarantine list has them all."""


async def diagnosed(services: Services) -> DoctorView:
    """All findings. Raises nothing for what it finds wrong."""
    dealing = services.dealing
    parts = await asyncio.gather(
        _journal(services),
        *(_chain(services, chain) for chain in dealing.chains),
        *(_peer(services, peer) for peer in dealing.peers),
    )
    troubles = services.trouble()
    closed = [
        refuted(
            f"chain {name}",
            "open",
            troubles[name].problem if name in troubles else "its node was not reached yet",
            "see to the node, or to the chain's block in the configuration; it is tried again",
        )
        for name in dealing.chains.awaited()
    ]
    findings = (*closed, *(finding for part in parts for finding in part))
    return DoctorView(ok=all(finding.ok for finding in findings), findings=findings)


async def _chain(services: Services, chain: TradedChain) -> list[FindingView]:
    part = f"chain {chain.name}"
    found = await chain_findings(part, chain.adapter, chain.credential, int(services.clock()))
    view = services.engine.views().get(chain.id)
    if view is not None and view.frozen is not None:
        mend = f"find out why, then: isthmus chain resume {chain.name}"
        found.append(refuted(part, "frozen", view.frozen, mend))
    trouble = services.trouble().get(chain.name)
    if trouble is not None:
        found.append(refuted(part, "event stream", trouble.problem, "see to the node"))
    return found


async def chain_findings(
    part: str, adapter: Adapter, credential: Credential | None, now: int
) -> list[FindingView]:
    """What the adapter itself finds, and whether the newest block is of now (Unix seconds)."""
    found: list[FindingView] = []
    try:
        async with asyncio.timeout(WAIT):
            for finding in await adapter.diagnose(credential):
                found.append(
                    FindingView(
                        part=part,
                        check=finding.check,
                        ok=finding.ok,
                        seen=finding.seen,
                        mend="" if finding.ok else finding.mend,
                    )
                )
            head = await adapter.head()
    except TimeoutError:
        return [*found, refuted(part, "answer", f"none within {WAIT:g} s", "see to the node")]
    except AdapterError as error:
        return [*found, refuted(part, "head", str(error), "see to the node")]
    profile = adapter.profile
    behind = now - head.time
    well = -profile.bounds.clock <= behind <= profile.stale_after
    mend = "set this machine's clock by NTP; if it is right, the node is wrong: see to it"
    found.append(
        FindingView(
            part=part,
            check="newest block",
            ok=well,
            seen=f"{abs(behind)} s {'behind' if behind >= 0 else 'ahead of'} this machine's clock",
            mend="" if well else mend,
        )
    )
    return found


async def _journal(services: Services) -> list[FindingView]:
    try:
        await services.journal.history(Hashlock(bytes(32)))
    except JournalError as error:
        return [refuted("journal", "readable", str(error), "see to the disk, then restart")]
    found = [FindingView(part="journal", check="readable", ok=True, seen="it answers")]
    for key, held in list(services.engine.quarantined().items())[:QUARANTINE_SHOWN]:
        swap = "0x" + key.hex()
        mend = f"isthmus quarantine show {swap[:12]}; docs/runbooks/quarantine.md says what then"
        found.append(refuted("journal", "quarantine", f"swap {swap}: {held.reason}", mend))
    return found


async def _peer(services: Services, peer: Peer) -> list[FindingView]:
    part = f"peer {peer.name}"
    try:
        hello = await services.greeter.hello(peer)
    except Rejected as error:
        return [refuted(part, "reachability", str(error), f"correct the url of peer {peer.name}")]
    except AdapterError as error:
        mend = f"see whether {peer.url} is right, and ask {peer.name} whether its gateway runs"
        return [refuted(part, "reachability", str(error), mend)]
    found = [FindingView(part=part, check="reachability", ok=True, seen=peer.url)]
    if from_hex(hello.address) == peer.address:
        found.append(FindingView(part=part, check="key", ok=True, seen=hello.address))
    else:
        mend = f"ask {peer.name} for its gateway's address, over another way than this"
        found.append(refuted(part, "key", f"it says {hello.address}; another is pinned", mend))
    both = [version for version in PROTOCOL_VERSIONS if version in hello.versions]
    seen = f"it speaks {list(hello.versions)}, this gateway {list(PROTOCOL_VERSIONS)}"
    found.append(
        FindingView(
            part=part,
            check="protocol version",
            ok=bool(both),
            seen=seen,
            mend="" if both else "update the older of the two gateways",
        )
    )
    return found


def refuted(part: str, check: str, seen: str, mend: str) -> FindingView:
    """A check that failed."""
    return FindingView(part=part, check=check, ok=False, seen=seen, mend=mend)
