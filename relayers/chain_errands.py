"""One try of an intent on a chain: ask the chain, judge, submit, and say when to look again.

The chain is the authority: each try begins with a look at the lock, and where what is wanted is
there already there is nothing to do but to wait for the events. The error tree of the adapters says
what a failed submission means. Nothing here gives up: only the engine closes an intent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from adapters.model import (
    ChainId,
    Claim,
    Collect,
    Hashlock,
    Head,
    InvalidValue,
    Lock,
    LockRecord,
    LockState,
    Refund,
)
from adapters.spi import (
    Adapter,
    Credential,
    Misconfigured,
    Rejected,
    RejectionReason,
    SigningFailed,
    Unknown,
)
from relayers.clock import Clock
from relayers.engine import Engine, Outcome
from relayers.lock_news import lock_news
from relayers.protocol import timelocks
from relayers.protocol.facts import FactBody, Refused, RevealBegun
from relayers.protocol.intents import (
    Intent,
    OwnSecret,
    SeenSecret,
    SubmitClaim,
    SubmitLock,
    SubmitRefund,
    swap_of,
)
from relayers.protocol.state import Phase
from relayers.quarantine import Quarantined
from relayers.signing.swap_key import SwapKey


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to wait before the next try, at the most. ``until``: a chain and a time of it that
    ends the wait. ``trouble``: why nothing was achieved; the wait then grows with each in a row."""

    seconds: float = 0.0
    until: tuple[ChainId, int] | None = None
    trouble: str | None = None


Tell = Callable[[str, FactBody], Awaitable[Outcome]]
"""Puts what came of the intent with this id to the engine."""

_WAITING_REFUSALS = frozenset(
    {
        RejectionReason.LOCK_SETTLED,
        RejectionReason.DEADLINE_NOT_REACHED,
        RejectionReason.DEADLINE_PASSED,
    }
)
"""Refusals of claims and refunds that only say that the chain is elsewhere than we thought."""

_PROBE = sha256(b"isthmus: can this key sign?").digest()
"""Signed before a reveal, to see that the key can be used. It is no transaction of any chain."""


class ChainErrands:
    """Tries for one gateway. Remembers which locks may be on their way; a restart forgets that and
    loses nothing by it, because the chain knows each lock by its id."""

    def __init__(self, engine: Engine, swap_key: SwapKey, clock: Clock, tell: Tell) -> None:
        self._engine = engine
        self._swap_key = swap_key
        self._clock = clock
        self._tell = tell
        self._maybe_sent: set[str] = set()
        self._complained: set[tuple[str, str]] = set()

    def forget(self, intent: str) -> None:
        """The intent is closed."""
        self._maybe_sent.discard(intent)
        self._complained = {known for known in self._complained if known[0] != intent}

    # --- lock --------------------------------------------------------------------------------

    async def lock(self, intent: SubmitLock, adapter: Adapter, credential: Credential) -> Pause:
        bounds = adapter.profile.bounds
        record = await adapter.lookup(intent.lock_id)
        if record.state is not LockState.ABSENT:
            self._maybe_sent.discard(intent.id)
            await self._show(intent, adapter, record)
            return _watch(adapter)
        head = await self._fresh_head(adapter)
        if self._clock() - head.time > adapter.profile.stale_after:
            # Whether it is too late cannot be told by an old head; by the clock alone it can.
            refusal = self._too_late(intent)
            stale = f"the newest head of {head.chain} is too old to lock by"
        else:
            refusal = self._too_late(intent) or self._frozen(intent)
            stale = None
        if refusal is not None:
            if intent.id in self._maybe_sent:
                # It may still land, which would be too late to be of use: it is called off. Once
                # nothing of it is left, and the next look finds no lock, it was refused in time.
                if await adapter.abandon(intent.terms, credential):
                    self._maybe_sent.discard(intent.id)
                return Pause(bounds.inclusion + 1)
            await self._tell(intent.id, Refused(intent.id, False, refusal))
            return _watch(adapter)
        if stale is not None:
            return Pause(trouble=stale)
        try:
            await adapter.submit(Lock(intent.terms), credential)
        except Rejected as error:
            if error.reason is RejectionReason.LOCK_EXISTS or intent.id in self._maybe_sent:
                # An earlier try of ours, on its way or there: the next look tells.
                self._maybe_sent.add(intent.id)
                return Pause(bounds.inclusion + 1)
            await self._tell(intent.id, Refused(intent.id, True, str(error)))
            return _watch(adapter)
        except (Misconfigured, InvalidValue) as error:
            if intent.id in self._maybe_sent:
                return Pause(trouble=str(error))
            await self._tell(intent.id, Refused(intent.id, False, str(error)))
            return _watch(adapter)
        except Unknown as error:
            self._maybe_sent.add(intent.id)
            return Pause(bounds.inclusion + 1, trouble=str(error))
        self._maybe_sent.add(intent.id)
        return Pause(bounds.inclusion + 1)

    def _too_late(self, intent: SubmitLock) -> str | None:
        chains = self._chains(intent.terms.hashlock) | {intent.terms.chain}
        views = self._engine.views()
        heads = [views[chain].head for chain in chains if chain in views]
        now = timelocks.now(int(self._clock()), heads)
        if now < intent.before:
            return None
        return f"it is {now}, and the lock would have had to begin before {intent.before}"

    def _frozen(self, intent: SubmitLock) -> str | None:
        for chain in sorted(self._chains(intent.terms.hashlock) | {intent.terms.chain}):
            view = self._engine.views().get(chain)
            if view is not None and view.frozen is not None:
                return f"{chain} is frozen: {view.frozen}"
        return None

    def _chains(self, hashlock: Hashlock) -> set[ChainId]:
        swap = self._engine.swap(hashlock)
        return {swap.offer.a.chain, swap.offer.b.chain} if swap is not None else set()

    # --- claim -------------------------------------------------------------------------------

    async def claim(self, intent: SubmitClaim, adapter: Adapter, credential: Credential) -> Pause:
        bounds = adapter.profile.bounds
        record = await adapter.lookup(intent.lock_id)
        if record.state is not LockState.ABSENT:
            await self._show(intent, adapter, record)
        if record.owed:
            return await self._collect(intent, adapter, credential)
        if record.state is not LockState.OPEN or record.terms is None:
            return _watch(adapter)
        swap = self._engine.swap(intent.hashlock)
        public = swap.preimage if swap is not None else None
        begun = swap is not None and swap.phase is Phase.REVEALING
        match intent.secret:
            case OwnSecret(salt) if public is None:
                try:
                    preimage = await self._swap_key.preimage(salt)
                except SigningFailed as error:
                    return Pause(trouble=f"the swap key cannot be used: {error}")
            case OwnSecret() | SeenSecret():
                if public is None:
                    return Pause(trouble="the preimage was not seen yet")
                preimage = public
        if preimage.hashlock() != intent.hashlock:
            reason = "the swap key is not the one that this offer was made with; bring that back"
            await self._complain(intent, False, reason)
            return Pause(trouble=reason)
        if public is None and not begun:
            # Once the secret is out our own lock can be taken, so first it must be as good as
            # certain that the claim can be. A claim that has begun is stopped by nothing.
            held = await self._held_back(intent, adapter, credential)
            if held is not None:
                return held
        # The newest head last of all: what was asked before may have taken long.
        head = await self._fresh_head(adapter)
        if head.time >= record.terms.deadline:
            # The chain would refuse; trying would only show the secret to who may not know it yet.
            return _watch(adapter)
        if public is None:
            outcome = await self._tell(intent.id, RevealBegun(intent.lock_id))
            if outcome.state is None or outcome.state.phase is not Phase.REVEALING:
                return Pause(trouble=outcome.detail or "the reveal may not begin now")
        return await self._settle(
            intent, Claim(intent.lock_id, preimage), adapter, credential, bounds.inclusion
        )

    async def _held_back(
        self, intent: SubmitClaim, adapter: Adapter, credential: Credential
    ) -> Pause | None:
        """Why the reveal is not begun now; None where nothing stands against the claim."""
        obstacles = list(await adapter.claim_obstacles(intent.lock_id, credential))
        try:
            await credential.signer.sign(_PROBE)
        except SigningFailed as error:
            obstacles.append(f"the key of {credential.account} cannot be used: {error}")
        if not obstacles:
            return None
        reason = "the secret is kept back: " + "; ".join(obstacles)
        # Once, though the figures in it may change with each try.
        await self._complain(intent, False, reason, "kept back")
        return Pause(trouble=reason)

    # --- refund ------------------------------------------------------------------------------

    async def refund(self, intent: SubmitRefund, adapter: Adapter, credential: Credential) -> Pause:
        bounds = adapter.profile.bounds
        # Before the look-up: what is not there then, though its deadline had come, never will be.
        head = await self._fresh_head(adapter)
        record = await adapter.lookup(intent.lock_id)
        if record.state is not LockState.ABSENT or head.time >= intent.deadline:
            await self._show(intent, adapter, record)
        if record.owed:
            return await self._collect(intent, adapter, credential)
        if record.state is not LockState.OPEN:
            return _watch(adapter)
        if head.time < intent.deadline:
            wait = intent.deadline - head.time
            return Pause(max(1, min(wait, 60)), until=(intent.chain, intent.deadline))
        return await self._settle(
            intent, Refund(intent.lock_id), adapter, credential, bounds.inclusion
        )

    # --- all -----------------------------------------------------------------------------------

    async def _show(self, intent: Intent, adapter: Adapter, record: LockRecord) -> None:
        """Tells the engine what the chain said of a lock: the stream of events may lag, and a
        preimage that is there for the asking is not to be waited for.

        A swap in quarantine takes nothing in, but what was asked for before goes on by what the
        chain says: a claim or a refund does not wait for an operator.
        """
        chain = adapter.profile.chain
        news = lock_news(self._engine, swap_of(intent.id), chain, record)
        if news is not None:
            with suppress(Quarantined):
                await self._tell(intent.id, news)

    async def _collect(
        self, intent: SubmitClaim | SubmitRefund, adapter: Adapter, credential: Credential
    ) -> Pause:
        """Whoever the lock went to: as long as it owes something its end is not final, and the
        intent stays open."""
        inclusion = adapter.profile.bounds.inclusion
        return await self._settle(intent, Collect(intent.lock_id), adapter, credential, inclusion)

    async def _settle(
        self,
        intent: SubmitClaim | SubmitRefund,
        action: Claim | Refund | Collect,
        adapter: Adapter,
        credential: Credential,
        inclusion: int,
    ) -> Pause:
        try:
            await adapter.submit(action, credential)
        except Rejected as error:
            if error.reason not in _WAITING_REFUSALS:
                await self._complain(intent, True, str(error))
            return Pause(trouble=str(error))
        except (Misconfigured, InvalidValue) as error:
            await self._complain(intent, False, str(error))
            return Pause(trouble=str(error))
        except Unknown as error:
            return Pause(inclusion + 1, trouble=str(error))
        return Pause(inclusion + 1)

    async def _complain(
        self, intent: Intent, by_chain: bool, reason: str, subject: str | None = None
    ) -> None:
        """Tells the engine that a try was refused, once per subject (the reason itself, where none
        is given); it alerts, and we go on."""
        about = (intent.id, subject or reason)
        if about not in self._complained:
            await self._tell(intent.id, Refused(intent.id, by_chain, reason))
            self._complained.add(about)

    async def _fresh_head(self, adapter: Adapter) -> Head:
        head = await adapter.head()
        self._engine.update_view(head)
        return head


def _watch(adapter: Adapter) -> Pause:
    """What is wanted is there, or nothing can be done now: events will tell; look now and then."""
    return Pause(max(1, adapter.profile.bounds.inclusion, adapter.profile.bounds.finality))
