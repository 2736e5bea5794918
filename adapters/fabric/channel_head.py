"""The newest head of a channel, with a time that other organisations' ledgers bear out.

A block of Fabric carries no time, and an idle channel makes none, so a peer that is cut off from
the orderers answers like one on a quiet channel. What can be had is this: at time T, by the own
endorser's clock, another organisation's peer held blocks up to h; if the own peer holds h too, then
as of T it lacked nothing that the other one had. The head's time is the latest T of which that is
known of so many organisations that they and the own one together meet the lock chaincode's
endorsement policy. While no newer T is known the time stands still, and the head goes stale by the
ordinary rule. Before there was any it is that of the newest block, by its transactions' own word,
and too old in any case.

An organisation counts only while its own clock is at most 2 ε off the own endorser's and its peer
is not itself behind the own one. No organisation that cannot meet the policy with the own one is
enough to make a head look fresh, and none that they can do without can hold its time back: refunds
wait for that time. One that is ahead is named by ``obstacles``, which only the reveal heeds.

Not covered: if the orderers serve nobody, or all peers that are asked are cut off from them alike,
all are level and nothing can be committed: see ``ordering_proof``. Nor is a block's signature of
the orderers checked: the own peer has done that, and what the others say is only compared with it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.fabric import endorsement
from adapters.fabric.gateway import Gateway
from adapters.fabric.ledger import LedgerReader
from adapters.fabric.policy import Rule, organisations, satisfied
from adapters.fabric.settings import FabricSettings
from adapters.model import Head
from adapters.spi import AdapterError, Unavailable

_log = logging.getLogger(__name__)

_RULE_HOLDS = 60.0
"""Seconds after which the policy is read again: a definition is replaced by people."""
_PENDING = 64
"""So many answers of one organisation are kept that the own peer has yet to come level with."""


@dataclass(slots=True)
class _Witness:
    """What is known of one other organisation."""

    pending: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_PENDING))
    """(T, block): its peer held the block at T; the own one did not yet."""
    level: int = 0
    """The latest T as of which the own peer is known to hold all that this one's held."""
    objection: str | None = None
    """Why its last answer does not count."""


@dataclass(frozen=True, slots=True)
class _Answer:
    height: int
    clock: int


class ChannelHead:
    """One channel's head, as the own organisation's peers have it and others confirm it."""

    def __init__(
        self, name: str, settings: FabricSettings, stale_after: int, gateway: Gateway
    ) -> None:
        """``name`` names the chain to people; ``stale_after``: seconds, that of the profile."""
        self._name = name
        self._settings = settings
        self._stale_after = stale_after
        self._gateway = gateway
        self._ledger = LedgerReader(name, gateway, settings.channel)
        self._patience = min(settings.request_timeout, max(1.0, stale_after / 3))
        # A stream that polls must find each of its own polls due, hence the tenth.
        self._pause = 0.9 * min(settings.poll_interval, stale_after / 4)
        self._rule: Rule | None = None
        self._rule_read = 0.0
        self._asked = -math.inf
        self._witnesses: dict[str, _Witness] = {}
        self._own: deque[tuple[int, int]] = deque()
        """(T, block) of the own peer, from ``stale_after`` ago on, and the last one before."""
        self._highest = 0
        self._time = 0
        self._clock = 0
        self._told_behind = False
        self._moved_on = 0

    @property
    def patience(self) -> float:
        """Seconds in which a peer must answer or come level, so that a head is not stale by it."""
        return self._patience

    async def newest(self) -> Head:
        """Others are asked once in ``poll_interval``, or four times in ``stale_after`` where that
        is more often, and given a third of ``stale_after`` to answer.

        Raises Unavailable, Misconfigured for what the own peer does not answer."""
        started = time.monotonic()
        if started - self._asked >= self._pause:
            await self._ask_others()
            self._asked = started
        height, block_hash = await self._ledger.newest()
        self._take(height)
        if not self._time:
            self._time = await self._time_of(height)
        chain = self._settings.chain_id()
        return Head(chain, height, block_hash, self._time, height)

    async def own_clock(self) -> int:
        """Of the own organisation's endorser, in seconds since 1970."""
        return await self._clock_of(None)

    async def obstacles(self) -> Sequence[str]:
        """Why nothing should be revealed by this head: sentences for people. Unlike the head's
        time, an obstacle can be made by one organisation's word alone."""
        head = await self.newest()
        found = [
            f"{one}'s peer has shown block {witness.pending[-1][1]} and the own peer, at block "
            f"{head.height}, has not come level with it for {self._clock - witness.level} s"
            for one, witness in sorted(self._witnesses.items())
            if witness.objection is None
            and witness.pending
            and self._clock - witness.level > self._stale_after
        ]
        objection = self.objection()
        return [*found, objection] if objection is not None else found

    # --- asking ------------------------------------------------------------------------------

    async def _ask_others(self) -> None:
        rule = await self._policy()
        self._clock = await self.own_clock()
        others = organisations(rule) - {self._settings.msp_id}
        self._witnesses = {one: self._witnesses.get(one) or _Witness() for one in sorted(others)}
        started = time.monotonic()
        answers = await self._answers(others)
        elapsed = math.ceil(time.monotonic() - started)
        least = self._least()
        for one, witness in self._witnesses.items():
            answer = answers[one]
            if isinstance(answer, str):
                witness.objection = answer
            elif abs(answer.clock - self._clock) > 2 * self._settings.clock + elapsed:
                witness.objection = f"its clock is {answer.clock - self._clock} s off the own one"
            elif answer.height < least:
                witness.objection = f"its peer is at block {answer.height} only, behind the own"
            else:
                witness.objection = None
                witness.pending.append((self._clock, answer.height))

    def _least(self) -> int:
        """The own peer's newest block as of ``stale_after`` ago; who lacks that is behind."""
        long_ago = self._clock - self._stale_after
        while len(self._own) > 1 and self._own[1][0] <= long_ago:
            self._own.popleft()
        return self._own[0][1] if self._own and self._own[0][0] <= long_ago else 0

    async def _policy(self) -> Rule:
        now = time.monotonic()
        if self._rule is None or now - self._rule_read > _RULE_HOLDS:
            self._rule = await endorsement.rule_or_majority(
                self._name, self._gateway, self._ledger, self._settings.chaincode
            )
            self._rule_read = now
        return self._rule

    async def _answers(self, others: frozenset[str]) -> Mapping[str, _Answer | str]:
        """Of each, or why there is none."""
        asked = {one: asyncio.ensure_future(self._answer(one)) for one in sorted(others)}
        try:
            if asked:
                await asyncio.wait(asked.values(), timeout=self._patience)
            return {
                one: _result(task) if task.done() else f"no answer within {self._patience:.1f} s"
                for one, task in asked.items()
            }
        finally:
            for task in asked.values():
                task.cancel()
            await asyncio.gather(*asked.values(), return_exceptions=True)

    async def _answer(self, organisation: str) -> _Answer:
        height, _ = await self._ledger.newest(organisation)
        return _Answer(height, await self._clock_of(organisation))

    async def _clock_of(self, organisation: str | None) -> int:
        answer = await self._gateway.evaluate(
            self._settings.chaincode, "clock", organisation=organisation
        )
        if not answer.isdigit() or len(answer) > 19:
            raise Unavailable(f"{self._name}: the chaincode's clock is not a number of seconds")
        return int(answer)

    async def _time_of(self, block: int) -> int:
        """Of a block, by its transactions' own word, which may be anything; never fresh."""
        said = [entry.timestamp for entry in (await self._ledger.block(block)).transactions]
        return max(1, min([*said, self._clock - self._stale_after - 1]))

    # --- judging -----------------------------------------------------------------------------

    def _take(self, height: int) -> None:
        """The own peer's newest block. Of several own peers one may be behind another: what is
        level with it is not level with the own ledger."""
        if height >= self._highest:
            self._highest = height
            self._own.append((self._clock, height))
            for witness in self._witnesses.values():
                reached = [at for at, block in witness.pending if block <= height]
                witness.level = max([witness.level, *reached])
                ahead = [entry for entry in witness.pending if entry[1] > height]
                witness.pending.clear()
                witness.pending.extend(ahead)
        self._time = max(self._time, self._vouched())
        self._tell()

    def _vouched(self) -> int:
        """The latest time as of which enough organisations show that nothing is missing."""
        if self._rule is None:
            return 0
        if not self._witnesses:
            return self._clock
        for moment in sorted({one.level for one in self._witnesses.values()}, reverse=True):
            level = {msp for msp, one in self._witnesses.items() if one.level >= moment}
            if satisfied(self._rule, level | {self._settings.msp_id}):
                return moment
        return 0

    def objection(self) -> str | None:
        """Why the newest head is stale, in a sentence; None where it is not."""
        return self._behind() if self._clock - self._time > self._stale_after else None

    def _behind(self) -> str:
        why = "; ".join(
            f"{one}: {witness.objection or 'its peer is ahead of the own'}"
            for one, witness in self._witnesses.items()
            if witness.level < self._clock
        )
        return (
            f"too few other organisations bear out that the own peer's ledger is up to date ({why})"
        )

    def _tell(self) -> None:
        objection = self.objection()
        if objection is not None and not self._told_behind:
            _log.warning("%s: %s; the head's time stands still", self._name, objection)
        self._told_behind = objection is not None
        self._moved_on = self._moved_on or self._clock
        if objection is not None and self._clock - self._moved_on > self._stale_after:
            # It answers, so nothing else would make the calls begin with another own peer.
            self._moved_on = self._clock
            self._gateway.prefer_another()


def _result(task: asyncio.Future[_Answer]) -> _Answer | str:
    try:
        return task.result()
    except AdapterError as error:
        return str(error)
