"""The adapter for one Fabric channel, through the Gateway service of the organisation's own peers.

How a submission goes: Endorse (of a claim, that is the reveal), Submit, and then CommitStatus for
at most I seconds. Fabric orders transactions first and judges them afterwards: one that lost a race
for a key is committed as invalid and makes no event, so a submission that returned at the
orderer's receipt would leave its caller waiting for nothing. ``submit`` therefore returns once the
transaction is committed as valid, raises NotSent or Rejected where it was committed as invalid,
and Unknown where I has passed without either.

Blocks are final at once. A block carries no time; the head's time is that by the own endorser's
clock at which other organisations last bore out that the own peer's ledger was up to date: see
``channel_head``.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence

from cryptography.x509 import load_pem_x509_certificate

from adapters.fabric import endorsement
from adapters.fabric.account import account_of, msp_of
from adapters.fabric.block import FabricBlock, chain_of
from adapters.fabric.chaincode.clock import NANOSECONDS
from adapters.fabric.chaincode.configuration import INTERFACE
from adapters.fabric.chaincode.holdings import MAX_PARTS
from adapters.fabric.channel_head import ChannelHead
from adapters.fabric.diagnosis import Diagnosis
from adapters.fabric.endorsers import PEERS_CHOICE, Endorsers
from adapters.fabric.errors import without_preimage
from adapters.fabric.event_stream import EventStream
from adapters.fabric.gateway import Gateway
from adapters.fabric.identity import Identity, NotAnIdentity, identity_of
from adapters.fabric.ledger import LedgerReader
from adapters.fabric.lock_codec import ASSET, TOKEN, Garbage, LockCodec
from adapters.fabric.reservations import Choice, Reservations
from adapters.fabric.settings import FabricSettings
from adapters.fabric.setup import ChaincodeSetup, read_setup
from adapters.fabric.submitter import Submitter
from adapters.model import (
    AccountId,
    Action,
    Asset,
    AssetId,
    Block,
    Bounds,
    Capability,
    ChainProfile,
    Claim,
    Collect,
    Cursor,
    Head,
    Header,
    InvalidValue,
    Lock,
    LockId,
    LockRecord,
    LockState,
    LockTerms,
    Notice,
    Refund,
    Submission,
    Transaction,
    Withdraw,
)
from adapters.spi import (
    AdapterError,
    Credential,
    Finding,
    Misconfigured,
    NotSent,
    Rejected,
    RejectionReason,
    Unavailable,
)

_WANTED_HOLDINGS = MAX_PARTS
"""So many holdings an account is brought to: as many of its own moves can be in flight at once."""

_AT_ONCE = 16
"""Transactions of one account that are in flight at once. A peer's gateway service takes 500 calls
at a time by default (``peer.limits.concurrency.gatewayService``), for all its clients."""

_TOUCHES = 3
"""So many combinations of endorsers are tried: of two of three, enough to do without any one."""


class FabricAdapter:
    """One channel. Get one from ``open_adapter``; ``check`` has passed by then."""

    def __init__(
        self,
        name: str,
        settings: FabricSettings,
        gateway: Gateway,
        clock: Callable[[], int],
    ) -> None:
        """``clock``: own, in nanoseconds since 1970."""
        self._name = name
        self._settings = settings
        self._gateway = gateway
        self._clock = clock
        self._ledger = LedgerReader(name, gateway, settings.channel)
        self._codec = LockCodec(settings.chain_id(), b"", settings.chaincode)
        self._endorsers = Endorsers(name, gateway, self._ledger, settings.msp_id)
        # Two blocks' time beyond I: by then a transaction in doubt is in, or was lost.
        doubt = 2.0 * max(settings.inclusion, 1)
        self._reservations = Reservations(doubt, time.monotonic)
        self._profile = ChainProfile(
            chain=settings.chain_id(),
            name=name,
            contract=settings.chaincode,
            bounds=Bounds(
                settings.inclusion,
                settings.finality,
                settings.clock,
                # An endorsement does not expire: a claim endorsed before the deadline can be
                # committed until the refund is, which comes a reaction and an inclusion later.
                late=settings.reaction + settings.inclusion,
            ),
            capabilities=frozenset(
                {Capability.HASH_LOCK, Capability.LEDGER_READS, Capability.TOKENS}
            ),
            stale_after=settings.stale_after or max(1, settings.inclusion + settings.clock),
            fee_asset=None,
            # Fabric has no nonces: transactions that touch different locks share a block. Each is
            # waited for until its commit, so that one after the other they would be one a block.
            at_once=_AT_ONCE,
        )
        self._head = ChannelHead(name, settings, self._profile.stale_after, gateway)
        self._submitter = Submitter(name, settings, self._profile.stale_after, gateway)

    async def check(self) -> None:
        """That channel, chaincode and bounds are those of the settings. Raises Misconfigured,
        Unavailable."""
        genesis = await self._block(0)
        chain = chain_of(genesis.hash)
        if chain != self._profile.chain:
            raise Misconfigured(
                f"{self._name}: channel {self._settings.channel} is {chain}, not the configured "
                f"{self._profile.chain}; correct chain, channel or endpoints"
            )
        committed = await endorsement.definition(
            self._name, self._gateway, self._settings.chaincode
        )
        if committed is None:
            raise Misconfigured(
                f"{self._name}: there is no chaincode {self._settings.chaincode} on channel "
                f"{self._settings.channel}"
            )
        wanted = self._settings.chaincode_version
        if wanted is not None and committed.version != wanted:
            raise Misconfigured(
                f"{self._name}: chaincode {committed.name} is committed in version "
                f"{committed.version}, not the configured {wanted}"
            )
        self._check_setup(genesis, await read_setup(self._name, self._gateway, self._settings))
        self._codec = LockCodec(chain, genesis.hash, self._settings.chaincode)

    def _check_setup(self, genesis: FabricBlock, setup: ChaincodeSetup) -> None:
        where = f"{self._name}: chaincode {self._settings.chaincode}"
        if setup.interface != INTERFACE:
            raise Misconfigured(
                f"{where} has the interface {setup.interface}; this driver needs {INTERFACE}"
            )
        if setup.chaincode != self._settings.chaincode:
            raise Misconfigured(f"{where} was set up as {setup.chaincode}")
        if setup.chain != genesis.hash:
            raise Misconfigured(f"{where} was set up for another chain, {setup.chain.hex()}")
        if setup.clock_bound > self._settings.clock:
            raise Misconfigured(
                f"{where} lets timestamps be off by {setup.clock_bound} s; clock (ε) is "
                f"{self._settings.clock} s: raise it to {setup.clock_bound} or more"
            )

    # --- reading -----------------------------------------------------------------------------

    @property
    def profile(self) -> ChainProfile:
        return self._profile

    async def head(self) -> Head:
        return await self._head.newest()

    def events(self, cursor: Cursor | None) -> AsyncIterator[Notice]:
        return EventStream(
            self._name,
            self._gateway,
            self._ledger,
            self._codec,
            self.head,
            self._head.objection,
            first_block=self._settings.first_block,
            poll_interval=self._settings.poll_interval,
            patience=self._head.patience,
        ).notices(cursor)

    def lock_id(self, terms: LockTerms) -> LockId:
        return self._codec.lock_id(terms)

    async def lookup(self, lock_id: LockId) -> LockRecord:
        answer = await self._gateway.evaluate(
            self._settings.chaincode, "lock_record", lock_id.hex()
        )
        try:
            return self._codec.read_record(lock_id, answer)
        except Garbage as error:
            raise Unavailable(f"{self._name}: {error}") from error

    async def balance(self, account: AccountId, asset: AssetId) -> int:
        words = (self._codec.asset_text(asset), self._codec.address(account))
        answer = await self._query("balance", *words)
        if not answer.isdigit():
            raise Unavailable(f"{self._name}: the chaincode's balance is not a number")
        return int(answer)

    async def asset(self, asset: AssetId) -> Asset:
        answer = await self._query("asset", self._codec.asset_text(asset))
        try:
            fields = json.loads(answer)
            return Asset(asset, str(fields["symbol"]), int(fields["decimals"]))
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"{self._name}: the chaincode's asset cannot be read") from error

    async def assets(self) -> Sequence[Asset]:
        wanted = dict.fromkeys(self._settings.assets)
        return [await self.asset(self._codec.asset_id(text)) for text in wanted]

    async def _query(self, function: str, *words: str) -> bytes:
        """Raises InvalidValue where the chaincode has no such asset or account."""
        try:
            return await self._gateway.evaluate(self._settings.chaincode, function, *words)
        except Rejected as error:
            if error.reason is RejectionReason.BAD_TERMS:
                raise InvalidValue(str(error)) from error
            raise Unavailable(str(error)) from error

    async def header(self, height: int | None = None) -> Header:
        return self._header(await self._block(height))

    async def block(self, height: int | None = None) -> Block:
        found = await self._block(height)
        return Block(self._header(found), tuple(entry.id for entry in found.transactions))

    async def _block(self, height: int | None) -> FabricBlock:
        if height is None:
            height, _ = await self._ledger.newest()
        return await self._ledger.block(height)

    def _header(self, block: FabricBlock) -> Header:
        return Header(self._profile.chain, block.number, block.hash, block.previous_hash, time=0)

    async def transaction(self, transaction: str) -> Transaction:
        block = await self._ledger.block_of(transaction)
        for index, entry in enumerate(block.transactions):
            if entry.id == transaction:
                return Transaction(
                    transaction,
                    block.number,
                    block.hash,
                    index,
                    succeeded=entry.valid,
                    status=entry.status,
                    fee=0,
                    raw=entry.raw,
                )
        raise Unavailable(
            f"{self._name}: block {block.number} does not hold transaction {transaction}"
        )

    # --- acting ------------------------------------------------------------------------------

    async def submit(self, action: Action, credential: Credential) -> Submission:
        """See the module. Besides what the interface says, raises Misconfigured where the
        credential is not an identity of the channel, Unavailable where no peer answers."""
        identity = self._identity(credential)
        match action:
            case Lock(terms):
                return await self._lock(terms, credential, identity)
            case Claim(lock_id, preimage):
                words = ("claim", lock_id.hex(), preimage.value.hex())
                try:
                    return await self._settle(identity, lock_id, words, self._clock())
                except AdapterError as error:
                    # Other organisations' endorsers may quote what they were sent.
                    raise without_preimage(error, preimage) from None
            case Refund(lock_id):
                # The endorsers' clocks decide whether the deadline has passed; an own clock that
                # is a little behind must not make a valid refund look too early.
                now = max(self._clock(), await self._head.own_clock() * NANOSECONDS)
                return await self._settle(identity, lock_id, ("refund", lock_id.hex()), now)
            case Collect(lock_id):
                return await self._settle(
                    identity, lock_id, ("collect", lock_id.hex()), self._clock()
                )
            case Withdraw():
                raise Rejected(
                    f"{self._name}: there is no credit on Fabric to withdraw",
                    RejectionReason.BAD_TERMS,
                )

    def _identity(self, credential: Credential) -> Identity:
        account, certificate = credential.account, credential.certificate
        if certificate is None:
            raise Misconfigured(f"{self._name}: the credential has no certificate")
        try:
            address = self._codec.address(account)
            identity = identity_of(msp_of(address), certificate, credential.signer)
            if account_of(account.chain, identity.msp_id, certificate) != account:
                raise NotAnIdentity("the certificate is another account's")
        except NotAnIdentity as error:
            raise Misconfigured(f"{self._name}: {error}") from error
        return identity

    async def _lock(
        self, terms: LockTerms, credential: Credential, identity: Identity
    ) -> Submission:
        self._own(terms, credential)
        words = (
            "lock",
            terms.recipient.address,
            self._codec.asset_text(terms.asset),
            str(terms.amount),
            terms.hashlock.hex(),
            str(terms.deadline),
        )
        if terms.asset.namespace == TOKEN:
            return await self._submitter.send(identity, (*words, "[]", "1"), self._clock())

        async def choose(excluded: Collection[str]) -> Choice:
            return await self._holdings(terms, excluded)

        async with self._reservations.reserve(choose, self._settings.inclusion) as reserved:
            chosen = reserved.choice
            parts = _WANTED_HOLDINGS - (chosen.of - len(chosen.names))
            spend = (
                json.dumps(list(chosen.names)),
                str(min(max(parts, 1), MAX_PARTS)),
            )
            return await self._submitter.send(
                identity, (*words, *spend), self._clock(), reserved.mark_sent, reserved.mark_settled
            )

    async def abandon(self, terms: LockTerms, credential: Credential) -> bool:
        """Nothing is left to do, ever: an envelope is handed to the ordering service in the call
        that made it, and to nobody else. It is ordered then, or lost; no pool keeps it, and no
        later call hands it in again. What the orderers have taken nobody can take back."""
        self._identity(credential)
        self._own(terms, credential)
        return True

    def _own(self, terms: LockTerms, credential: Credential) -> None:
        """Refuses a lock that is not the credential's to make. Raises Rejected, InvalidValue."""
        self._codec.lock_id(terms)
        if credential.account != terms.sender:
            raise Rejected(
                f"{self._name}: only its sender {terms.sender} can lock, not {credential.account}",
                RejectionReason.NOT_AUTHORISED,
            )

    async def _holdings(self, terms: LockTerms, excluded: Collection[str]) -> Choice:
        answer = await self._gateway.evaluate(
            self._settings.chaincode,
            "holdings",
            self._codec.asset_text(terms.asset).removeprefix(f"{ASSET}:"),
            terms.sender.address,
            str(terms.amount),
            json.dumps(sorted(excluded)),
        )
        try:
            fields = json.loads(answer)
            return Choice(tuple(map(str, fields["holdings"])), int(fields["of"]))
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"{self._name}: the chaincode's holdings cannot be read") from error

    async def _settle(
        self, identity: Identity, lock_id: LockId, words: Sequence[str], timestamp: int
    ) -> Submission:
        """Of two that settle one lock in one block, the second is committed as a conflict of
        versions. What it lost to is the lock's end: the chain's answer to another try is known.
        Only ``collect`` can lose to something else, as often as anybody pays for that."""
        organisations = await self._endorsers_of(lock_id, words[0])
        try:
            submission = await self._submitter.send(
                identity, words, timestamp, organisations=organisations
            )
        except Unavailable:
            # also what a peer says that finds no endorser of an organisation it is told to ask
            self._endorsers.failed(lock_id)
            raise
        except NotSent as error:
            self._endorsers.failed(lock_id)
            try:
                record = await self.lookup(lock_id)
            except AdapterError:
                raise error from None  # what fails the look may be what failed the endorsement
            ended = record.state in (LockState.CLAIMED, LockState.REFUNDED)
            if ended and not (record.owed and words[0] == "collect"):
                self._endorsers.done(lock_id)
                raise Rejected(
                    f"{self._name}: lock {lock_id.hex()} is {record.state} already",
                    RejectionReason.LOCK_SETTLED,
                ) from error
            raise
        except Rejected as error:
            await self._check_refusal(error, lock_id, words, timestamp)
            raise
        self._endorsers.done(lock_id)
        return submission

    async def _endorsers_of(self, lock_id: LockId, function: str) -> Sequence[str]:
        """Whom to ask for ``claim``, ``refund`` or ``collect``; of a lock that cannot be read,
        whomever the peer chooses."""
        try:
            record = await self.lookup(lock_id)
        except AdapterError:
            return PEERS_CHOICE
        terms = record.terms
        if terms is None:
            return PEERS_CHOICE
        chaincodes = [self._settings.chaincode]
        claims = function == "claim"
        if function == "collect":
            chaincodes += self._token_chaincode(terms)
            claims = record.state is LockState.CLAIMED
        gains = terms.sender if claims else terms.recipient
        return await self._endorsers.for_settling(lock_id, chaincodes, msp_of(gains.address))

    async def _check_refusal(
        self, refusal: Rejected, lock_id: LockId, words: Sequence[str], timestamp: int
    ) -> None:
        """Another organisation's endorser may refuse what the ledger allows, or endorse with a
        signature that is none. Only what the own peer refuses as well is refused: otherwise
        raises NotSent, and the next try asks others."""
        try:
            await self._gateway.evaluate(self._settings.chaincode, *words, timestamp=timestamp)
        except AdapterError:
            self._endorsers.done(lock_id)
            return
        self._endorsers.failed(lock_id)
        raise NotSent(
            f"{self._name}: the own peer would settle lock {lock_id.hex()}, but: {refusal}"
        ) from refusal

    def _token_chaincode(self, terms: LockTerms) -> Sequence[str]:
        """The chaincode that holds the asset, where the lock chaincode does not itself."""
        if terms.asset.namespace != TOKEN:
            return ()
        return (self._codec.asset_text(terms.asset).removeprefix(f"{TOKEN}:"),)

    async def objections(self, terms: LockTerms) -> Sequence[str]:
        try:
            self._codec.lock_id(terms)
            parties = [msp_of(terms.sender.address), msp_of(terms.recipient.address)]
        except InvalidValue as error:
            return [str(error)]
        found = []
        chaincodes = [self._settings.chaincode]
        try:
            await self.asset(terms.asset)
        except InvalidValue as error:
            found.append(str(error))
        else:
            chaincodes += self._token_chaincode(terms)
        found += await endorsement.objections(
            self._name, self._gateway, self._ledger, chaincodes, parties, self._settings.msp_id
        )
        setup = await read_setup(self._name, self._gateway, self._settings)
        if setup.clock_bound > self._settings.clock:
            found.append(
                f"chaincode {self._settings.chaincode} lets timestamps be off by "
                f"{setup.clock_bound} s, more than the {self._settings.clock} s of clock (ε)"
            )
        return found

    async def claim_obstacles(self, lock_id: LockId, credential: Credential) -> Sequence[str]:
        try:
            identity = self._identity(credential)
        except Misconfigured as error:
            return [str(error)]
        ends = load_pem_x509_certificate(identity.certificate).not_valid_after_utc.timestamp()
        if self._clock() >= ends * NANOSECONDS:
            return [f"the certificate of {credential.account} has ended: have a new one issued"]
        found = list(await self._head.obstacles())
        if not found:
            objection = await self._submitter.ordering.objection(
                lambda: self._touch(identity, lock_id)
            )
            found += [objection] if objection is not None else []
        return found

    async def _touch(self, identity: Identity, lock_id: LockId) -> None:
        """Commits a transaction that reads the lock and changes nothing. Those who endorse it are
        asked first when the claim follows."""
        words = ("lock_record", lock_id.hex())
        for left in reversed(range(_TOUCHES)):
            asked = await self._endorsers_of(lock_id, "claim")
            try:
                await self._submitter.send(identity, words, self._clock(), organisations=asked)
            except (NotSent, Rejected, Unavailable):
                self._endorsers.failed(lock_id)
                if not left:
                    raise
            else:
                return

    # --- for operators -----------------------------------------------------------------------

    async def diagnose(self, credential: Credential | None) -> Sequence[Finding]:
        diagnosis = Diagnosis(
            self, self._settings, self._gateway, self._ledger, self._head, self._clock
        )
        return await diagnosis.run(credential)
