"""One of two networks to which the same calls are made, and what came of each call: words in which
the two can be compared, without ids, addresses and times."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import grpc
import grpc.aio
from fabric_protos.common import ledger_pb2
from fabric_protos.msp import identities_pb2

from adapters.fabric.account import address_of
from adapters.fabric.block import read_block
from adapters.fabric.errors import Failure, Step, commit_error, error_of, read_details
from tests.adapters.fabric.devnet.gateway_client import GatewayClient, action_of, plain
from tests.networks.fabric import CHAINCODE, CHANNEL, TOKEN
from tests.networks.fabric_calls import (
    USERS,
    AtOnce,
    Call,
    Evaluate,
    FaultyEnvelope,
    FaultyProposal,
    FaultyQuestion,
    Invoke,
    Replay,
    Together,
    hashlock,
)
from tests.networks.fabric_faulty_envelopes import faulty_envelope
from tests.networks.fabric_faulty_proposals import WORDS, faulty_proposal
from tests.networks.fabric_faulty_questions import faulty_question

Outcome = tuple[str, ...]
"""A line for each step of a call."""


@dataclass(frozen=True, slots=True)
class Endorsed:
    """A transaction, signed and not yet submitted."""

    user: int
    transaction: str
    envelope: Any


SILENCE = 2.0
"""Seconds after which what is not answered counts as never answered: it is asked for when what
would make the answer is on the ledger already."""
ENOUGH = 120.0
_ABSENT = "00" * 32


class Side:
    """``clients``: of the three organisations' users, in order."""

    def __init__(self, name: str, clients: Sequence[GatewayClient]) -> None:
        self.name = name
        self._clients = clients
        self._accounts = {
            name: _address(client) for name, client in zip(USERS, clients, strict=True)
        }
        self._locks: dict[int, str] = {}
        self._sent: list[tuple[str, Any, Any]] = []
        """Transaction, proposal, envelope: of all that was submitted."""
        self._calls: dict[str, int] = {}
        """Transaction to the number of the call that it belongs to."""
        self._number = 0

    async def make(self, call: Call) -> Outcome:
        self._number += 1
        match call:
            case Evaluate(user, chaincode, words):
                return await self._evaluate(self._client(user), chaincode, words)
            case Invoke():
                return await self._invoke(call)
            case Together(invocations):
                return await self._together(invocations)
            case AtOnce(invocations):
                return await self._at_once(invocations)
            case FaultyProposal(user, fault, endorse):
                return await self._faulty_proposal(self._client(user), fault, endorse)
            case FaultyEnvelope(user, fault):
                return await self._faulty_envelope(self._client(user), fault)
            case FaultyQuestion(user, fault, events):
                return await self._faulty_question(self._client(user), fault, events)
            case Replay(back, proposal):
                return await self._replay(back, proposal)
            case _:
                assert_never(call)

    # calls

    async def _evaluate(
        self, client: GatewayClient, chaincode: str, words: Sequence[str | bytes]
    ) -> Outcome:
        try:
            answer = await client.evaluate(*self._words(words), chaincode=chaincode)
        except grpc.aio.AioRpcError as error:
            return self._refused(Step.EVALUATE, error)
        return (f"answers {self._masked(answer)}",)

    async def _endorse(self, call: Invoke) -> Endorsed | Outcome:
        client = self._client(call.user)
        proposal = client.proposal(*self._words(call.words), chaincode=call.chaincode)
        try:
            envelope = await client.endorse_signed(proposal)
        except grpc.aio.AioRpcError as error:
            return self._refused(Step.ENDORSE, error)
        envelope.signature = client.user.sign(envelope.payload)
        self._calls[proposal.transaction] = self._number
        self._sent.append((proposal.transaction, proposal, envelope))
        if call.opens is not None:
            answer = bytes(action_of(envelope)[1].response.payload).decode()
            self._locks[call.opens] = json.loads(answer)["lock_id"]
        return Endorsed(call.user, proposal.transaction, envelope)

    async def _submit(self, client: GatewayClient, transaction: str, envelope: Any) -> Outcome:
        try:
            await client.submit(envelope)
        except grpc.aio.AioRpcError as error:
            return self._refused(Step.SUBMIT, error)
        return await self._status(client, transaction, ENOUGH)

    async def _status(self, client: GatewayClient, transaction: str, patience: float) -> Outcome:
        try:
            async with asyncio.timeout(patience):
                code, block = await client.status(transaction)
                await self._all_have(block + 1)
        except TimeoutError:
            return ("is never committed",)
        except grpc.aio.AioRpcError as error:
            return self._refused(Step.COMMIT_STATUS, error)
        if code == "VALID":
            return (code,)
        return (code, type(commit_error("chain", transaction, code)).__name__)

    async def _invoke(self, call: Invoke) -> Outcome:
        endorsed = await self._endorse(call)
        if not isinstance(endorsed, Endorsed):
            return endorsed
        return (*self._did(endorsed.envelope), *await self._committed(endorsed))

    async def _committed(self, endorsed: Endorsed) -> Outcome:
        client = self._client(endorsed.user)
        return await self._submit(client, endorsed.transaction, endorsed.envelope)

    def _did(self, envelope: Any) -> Outcome:
        """What its endorsers agreed on."""
        action, done = action_of(envelope)
        event = done.events.decode(errors="replace")
        return (
            f"endorsed by {len(action.endorsements)}: {done.response.status} "
            f"{self._masked(done.response.payload)}",
            f"event {'yes' if event else 'no'}",
        )

    async def _together(self, invocations: Sequence[Invoke]) -> Outcome:
        outcome: list[str] = []
        ready: list[Endorsed] = []
        for call in invocations:
            endorsed = await self._endorse(call)
            if isinstance(endorsed, Endorsed):
                ready.append(endorsed)
            else:
                outcome += endorsed
        for one in ready:
            try:
                await self._client(one.user).submit(one.envelope)
            except grpc.aio.AioRpcError as error:
                outcome += self._refused(Step.SUBMIT, error)
        for one in ready:
            outcome += await self._status(self._client(one.user), one.transaction, ENOUGH)
        return tuple(outcome)

    async def _at_once(self, invocations: Sequence[Invoke]) -> Outcome:
        before = len(self._sent)
        ready = [await self._endorse(call) for call in invocations]
        del self._sent[before:]  # which one wins is open, so none is to be replayed
        statuses = await asyncio.gather(
            *(self._committed(one) for one in ready if isinstance(one, Endorsed))
        )
        return (f"{len(statuses)} endorsed", *sorted(" ".join(status) for status in statuses))

    async def _replay(self, back: int, proposal: bool) -> Outcome:
        if len(self._sent) < back:
            return ("nothing to replay",)
        transaction, proposed, envelope = self._sent[-back]
        client = self._clients[0]
        if proposal:
            try:
                await client.endorse_signed(proposed)
            except grpc.aio.AioRpcError as error:
                return self._refused(Step.ENDORSE, error)
            return ("endorsed again",)
        height = await self._height()
        outcome = await self._submit(client, transaction, envelope)
        await self._all_have(height + 1)
        return outcome

    async def _faulty_proposal(self, client: GatewayClient, fault: str, endorse: bool) -> Outcome:
        proposal = faulty_proposal(client, fault)
        try:
            if endorse:
                envelope = await client.endorse_signed(proposal)
                return self._did(envelope)
            result = await client.evaluate_signed(proposal)
        except grpc.aio.AioRpcError as error:
            return self._refused(Step.ENDORSE if endorse else Step.EVALUATE, error)
        return (f"answers {self._masked(result.payload)}",)

    async def _faulty_envelope(self, client: GatewayClient, fault: str) -> Outcome:
        """Its status is asked for when it is on the ledger, if it ever will be. Nothing else is
        sent meanwhile: malformed transactions are each to have a block of their own."""
        transaction, envelope = await client.endorse(*WORDS, chaincode=TOKEN)
        self._calls[transaction] = self._number
        faulty_envelope(client, envelope, fault)
        height = await self._height()
        try:
            await client.submit(envelope)
        except grpc.aio.AioRpcError as error:
            return self._refused(Step.SUBMIT, error)
        await self._all_have(height + 1)
        return await self._status(client, transaction, SILENCE)

    async def _all_have(self, height: int) -> None:
        """Returns when all three peers have so many blocks. Each commits on its own time, and what
        the next call meets is to be the same on both networks."""
        while True:
            if await self._height() >= height:
                return
            await asyncio.sleep(0.05)

    async def _height(self) -> int:
        """The least of the three peers'."""
        answers = await asyncio.gather(
            *(
                client.evaluate("GetChainInfo", CHANNEL, chaincode="qscc", orgs=[client.msp_id])
                for client in self._clients
            )
        )
        return min(ledger_pb2.BlockchainInfo.FromString(answer).height for answer in answers)

    async def _faulty_question(self, client: GatewayClient, fault: str, events: bool) -> Outcome:
        request = faulty_question(client, fault, events=events)
        try:
            async with asyncio.timeout(SILENCE):
                if not events:
                    await client.stub.CommitStatus(request)
                    return ("answers",)
                call = client.stub.ChaincodeEvents(request)
                try:
                    async for _ in call:
                        return ("tells",)
                finally:
                    call.cancel()
                return ("ends",)
        except TimeoutError:
            return ("is silent",)
        except grpc.aio.AioRpcError as error:
            return self._refused(Step.EVENTS if events else Step.COMMIT_STATUS, error)

    # what is there at the end

    async def events(self, chaincode: str, deadline: int) -> list[str]:
        """All events from the first block on, in order, up to one of its own: for the lock
        chaincode that of a lock with this deadline, which no other has."""
        client = self._clients[1]
        words = ("put", "the end", "x")
        if chaincode == CHAINCODE:
            to, terms = self._accounts["@ben"], (hashlock(0), str(deadline))
            words = ("lock", to, "asset:SALT", "1", *terms, "[]", "1")
        last, _ = await client.invoke(*words, chaincode=chaincode)
        seen = []
        async for _, transaction, name, payload in client.events(0, chaincode=chaincode):
            seen.append(f"{self._calls.get(transaction)} {name} {self._masked(payload)}")
            if transaction == last:
                return seen
        raise AssertionError("the stream of events has ended")

    async def ledger(self) -> list[tuple[int, str]]:
        """Of each transaction that belongs to a call, in the ledger's order: the call's number, and
        the code with which it was committed."""
        client = self._clients[2]
        found = []
        number = 0
        while True:
            try:
                block = await client.evaluate(
                    "GetBlockByNumber", CHANNEL, str(number), chaincode="qscc"
                )
            except grpc.aio.AioRpcError:
                return found
            found += [
                (self._calls[entry.id], entry.status)
                for entry in read_block(block).transactions
                if entry.id in self._calls
            ]
            number += 1

    async def state(self, assets: Sequence[str]) -> dict[str, str]:
        client = self._clients[0]
        questions: list[tuple[str, tuple[str, ...]]] = [(TOKEN, ("list", "", ""))]
        questions += [(TOKEN, ("get", key)) for key in ("a", "b", "c", "é", "count", "total")]
        for asset in assets:
            questions.append((CHAINCODE, ("supply", asset)))
            questions += [(CHAINCODE, ("balance", f"asset:{asset}", user)) for user in USERS]
        questions += [(CHAINCODE, ("lock_record", f"#{number}")) for number in sorted(self._locks)]
        return {
            " ".join(words): " ".join(await self._evaluate(client, chaincode, words))
            for chaincode, words in questions
        }

    # words

    def _client(self, number: int) -> GatewayClient:
        return self._clients[number - 1]

    def _words(self, words: Sequence[str | bytes]) -> list[str | bytes]:
        return [word if isinstance(word, bytes) else self._word(word) for word in words]

    def _word(self, word: str) -> str:
        if word in self._accounts:
            return self._accounts[word]
        if re.fullmatch("#[0-9]+", word):
            return self._locks.get(int(word[1:]), _ABSENT)
        return word

    def _refused(self, step: Step, error: grpc.aio.AioRpcError) -> Outcome:
        trailer = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
        details = read_details(trailer)
        message = error.details() or ""
        kind = type(error_of("chain", Failure(step, error.code(), message, details))).__name__
        said = sorted(self._masked(detail) for detail in details)
        return (f"{step} {error.code().name} {kind}", self._masked(message), *said)

    def _masked(self, said: str | bytes) -> str:
        text = said if isinstance(said, str) else said.decode(errors="replace")
        for name, address in self._accounts.items():
            text = text.replace(address, name)
        for number, lock in self._locks.items():
            text = text.replace(lock, f"#{number}")
        text = re.sub(r"[0-9]+\.[0-9] s (ahead|behind)", r"<seconds> s \1", text)
        text = re.sub(r"the transaction's time [0-9]+", "the transaction's time <time>", text)
        return plain(text)


def _address(client: GatewayClient) -> str:
    identity = identities_pb2.SerializedIdentity.FromString(client.user.serialized)
    return address_of(identity.mspid, identity.id_bytes)
