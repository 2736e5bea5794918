"""Submit, CommitStatus, ChaincodeEvents and the system chaincodes, on both networks alike."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fabric_protos.common import common_pb2, configtx_pb2, ledger_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import policy_pb2, query_pb2, transaction_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

from adapters.fabric.block import read_block
from tests.adapters.fabric.devnet.gateway_client import GatewayClient, Refusal, refusal_of

UNPARSED = "proto: cannot parse invalid wire-format data"
ORDERER = "received unsuccessful response from orderer: status={}, info={}"
NO_WRITER = (
    "implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 "
    "of the 'Writers' sub-policies to be satisfied: permission denied"
)
NO_READER = (
    "Failed evaluating policy on signed data during check policy on channel [trade] with policy "
    "[/Channel/Application/Readers]: [implicit policy evaluation failed - 0 sub-policies were "
    "satisfied, but this policy requires 1 of the 'Readers' sub-policies to be satisfied]"
)


# --- what becomes of a transaction ---------------------------------------------------------------


async def test_one_organisation_alone_does_not_meet_the_policy(client: GatewayClient) -> None:
    assert await client.commit(await client.endorse("put", "alone", "x", orgs=["OrgAMSP"])) == (
        "ENDORSEMENT_POLICY_FAILURE"
    )
    refused = await refusal_of(client.evaluate("get", "alone"))
    assert refused.message.endswith("no such key: alone")


async def test_one_organisation_twice_does_not_either(client: GatewayClient) -> None:
    endorsed = await client.endorse("put", "alone", "x", orgs=["OrgAMSP"])

    def twice(action: Any) -> None:
        action.action.endorsements.append(action.action.endorsements[0])

    assert await client.commit((endorsed[0], _changed(client, endorsed[1], twice))) == (
        "ENDORSEMENT_POLICY_FAILURE"
    )


async def test_what_was_changed_after_endorsement_is_invalid(client: GatewayClient) -> None:
    endorsed = await client.endorse("put", "changed", "x")

    def worth_more(action: Any) -> None:
        payload = action.action.proposal_response_payload
        action.action.proposal_response_payload = payload.replace(b"changed", b"chanGed")

    assert await client.commit((endorsed[0], _changed(client, endorsed[1], worth_more))) == (
        "ENDORSEMENT_POLICY_FAILURE"
    )


async def test_another_proposal_under_an_endorsement_is_invalid(client: GatewayClient) -> None:
    endorsed = await client.endorse("put", "bound", "x")

    def other(action: Any) -> None:
        payload = action.chaincode_proposal_payload
        action.chaincode_proposal_payload = payload.replace(b"bound", b"unbou")

    assert await client.commit((endorsed[0], _changed(client, endorsed[1], other))) == (
        "INVALID_ENDORSER_TRANSACTION"
    )


def _changed(client: GatewayClient, envelope: Any, change: Any) -> Any:
    """The envelope with its one action changed, signed anew."""
    payload = common_pb2.Payload.FromString(envelope.payload)
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
    change(action)
    transaction.actions[0].payload = action.SerializeToString()
    payload.data = transaction.SerializeToString()
    changed = common_pb2.Envelope(payload=payload.SerializeToString())
    changed.signature = client.user.sign(changed.payload)
    return changed


async def test_of_two_that_read_one_version_the_first_wins(client: GatewayClient) -> None:
    await client.invoke("put", "contended", "0")
    one, two = [await client.endorse("increment", "contended") for _ in range(2)]
    await client.submit(one[1])
    await client.submit(two[1])
    assert [(await client.status(each[0]))[0] for each in (one, two)] == [
        "VALID",
        "MVCC_READ_CONFLICT",
    ]
    assert await client.evaluate("get", "contended") == b"1"


async def test_a_late_envelope_conflicts_with_a_later_block_too(client: GatewayClient) -> None:
    held_back = await client.endorse("increment", "late")
    await client.invoke("increment", "late")
    assert await client.commit(held_back) == "MVCC_READ_CONFLICT"


async def test_blind_writes_do_not_conflict(client: GatewayClient) -> None:
    one, two = [await client.endorse("put", "blind", value) for value in ("1", "2")]
    assert [await client.commit(one), await client.commit(two)] == ["VALID", "VALID"]
    assert await client.evaluate("get", "blind") == b"2"


@pytest.mark.parametrize("change", [("put", "phantom5", "x"), ("delete", "phantom0000")])
async def test_a_phantom(client: GatewayClient, change: tuple[str, ...]) -> None:
    await client.invoke("put_many", "phantom", "3")
    counted = await client.endorse("count", "phantom", "phantom~", "counted")
    await client.invoke(*change)
    assert await client.commit(counted) == "PHANTOM_READ_CONFLICT"


async def test_a_phantom_among_many_and_within_one_block(client: GatewayClient) -> None:
    await client.invoke("put_many", "crowd", "120")
    change = await client.endorse("put", "crowd0060x", "x")
    counted = await client.endorse("count", "crowd", "crowd~", "counted")
    await client.submit(change[1])
    assert await client.commit(counted) == "PHANTOM_READ_CONFLICT"
    again = await client.endorse("count", "crowd", "crowd~", "counted")
    assert await client.commit(again) == "VALID"


async def test_a_key_outside_the_range_is_no_phantom(client: GatewayClient) -> None:
    await client.invoke("put_many", "inside", "3")
    counted = await client.endorse("count", "inside", "inside~", "counted-inside")
    await client.invoke("put", "outside", "x")
    assert await client.commit(counted) == "VALID"


async def test_an_envelope_sent_twice_is_committed_once(client: GatewayClient) -> None:
    transaction, envelope = await client.endorse("increment", "replayed")
    await client.submit(envelope)
    await client.submit(envelope)
    code, block = await client.status(transaction)
    assert code == "VALID"
    await client.submit(envelope)
    _, later = await client.invoke("put", "after-replay", "x")
    assert await client.status(transaction) == ("VALID", block)
    assert await client.evaluate("get", "replayed") == b"1"
    codes = []
    for number in range(block, later + 1):
        raw = await client.evaluate("GetBlockByNumber", "trade", str(number), chaincode="qscc")
        codes += [one.status for one in read_block(raw).transactions if one.id == transaction]
    assert codes == ["VALID", "DUPLICATE_TXID", "DUPLICATE_TXID"]


async def test_an_id_is_used_up_by_an_invalid_transaction(client: GatewayClient) -> None:
    transaction, envelope = await client.endorse("put", "used-up", "x")
    payload = common_pb2.Payload.FromString(envelope.payload)
    payload.data = b"\xff\xff"
    broken = common_pb2.Envelope(payload=payload.SerializeToString())
    broken.signature = client.user.sign(broken.payload)
    assert await client.commit((transaction, broken)) == "INVALID_ENDORSER_TRANSACTION"
    await client.submit(envelope)
    await client.invoke("put", "after-used-up", "x")
    assert (await client.status(transaction))[0] == "INVALID_ENDORSER_TRANSACTION"
    assert (await refusal_of(client.evaluate("get", "used-up"))).code == "UNKNOWN"


# --- what the ordering service refuses -----------------------------------------------------------


async def test_envelopes_that_are_refused(client: GatewayClient) -> None:
    _, good = await client.endorse("put", "a", "b")

    def envelope(payload: bytes, signature: bytes | None = None) -> Any:
        signed = client.user.sign(payload) if signature is None else signature
        return common_pb2.Envelope(payload=payload, signature=signed)

    elsewhere = common_pb2.Payload.FromString(good.payload)
    header = common_pb2.ChannelHeader.FromString(elsewhere.header.channel_header)
    header.channel_id = "other"
    elsewhere.header.channel_header = header.SerializeToString()
    unsigned = common_pb2.Payload.FromString(good.payload)
    unsigned.header.signature_header = b""
    forbidden = ORDERER.format("FORBIDDEN", NO_WRITER)
    no_channel = ORDERER.format("BAD_REQUEST", "could not determine channel ID: {}")
    for sent, code, message in (
        (envelope(b"abc", b""), "INVALID_ARGUMENT", "prepared transaction must be signed"),
        (
            envelope(b"\xff\xff", b"x"),
            "ABORTED",
            no_channel.format(f"error unmarshalling Payload: {UNPARSED}"),
        ),
        (envelope(b"", b"x"), "ABORTED", no_channel.format("header not set")),
        (
            envelope(elsewhere.SerializeToString()),
            "ABORTED",
            ORDERER.format("BAD_REQUEST", "channel does not exist"),
        ),
        (envelope(unsigned.SerializeToString()), "ABORTED", forbidden),
        (envelope(good.payload, b"bad"), "ABORTED", forbidden),
        (envelope(good.payload, client.user.sign(good.payload + b"x")), "ABORTED", forbidden),
        (
            envelope(good.payload, client.user.sign(good.payload, high_s=True)),
            "ABORTED",
            forbidden,
        ),
    ):
        assert await refusal_of(client.submit(sent)) == Refusal(code, message, ())
    assert await refusal_of(client.submit(None)) == Refusal(
        "INVALID_ARGUMENT", "a prepared transaction is required", ()
    )
    assert await refusal_of(client.submit(good, channel="other")) == Refusal(
        "FAILED_PRECONDITION",
        "failed to get config for channel [other]: could not get last config for channel other",
        (),
    )


# --- CommitStatus --------------------------------------------------------------------------------


async def test_commit_status_requests_that_are_refused(client: GatewayClient) -> None:
    own = client.user.serialized
    for fields, message in (
        ({}, "a commit status request is required"),
        ({"channel_id": "trade"}, "no identity provided"),
        ({"identity": own}, "no channel ID provided"),
        ({"identity": own, "channel_id": "trade"}, "transaction ID should not be empty"),
    ):
        refused = await refusal_of(client.status_raw(**fields))
        assert refused == Refusal("INVALID_ARGUMENT", message, ())
    there = {"channel_id": "trade", "transaction_id": "a"}
    assert await refusal_of(client.status_raw(identity=own, high_s=True, **there)) == Refusal(
        "PERMISSION_DENIED", NO_READER, ()
    )
    stranger = client.user.claiming("OrgBMSP").serialized
    assert await refusal_of(client.status_raw(identity=stranger, **there)) == Refusal(
        "PERMISSION_DENIED", NO_READER, ()
    )
    elsewhere = {"channel_id": "other", "transaction_id": "a"}
    assert await refusal_of(client.status_raw(identity=own, **elsewhere)) == Refusal(
        "PERMISSION_DENIED", "Failed to get policy manager for channel [other]", ()
    )


async def test_the_status_of_an_unknown_transaction_is_awaited(client: GatewayClient) -> None:
    transaction, envelope = await client.endorse("put", "awaited", "x")
    early = await refusal_of(
        client.status_raw(
            identity=client.user.serialized,
            channel_id="trade",
            transaction_id=transaction,
            timeout=0.3,
        )
    )
    # The peer ends the call too when its time is up, and its word may be the first to be read.
    assert early.code in ("DEADLINE_EXCEEDED", "CANCELLED")
    waiting = asyncio.create_task(client.status(transaction))
    await client.submit(envelope)
    assert (await waiting)[0] == "VALID"


# --- ChaincodeEvents -----------------------------------------------------------------------------


async def take(events: Any, count: int) -> list[tuple[int, str, str, bytes]]:
    try:
        return [await anext(events) for _ in range(count)]
    finally:
        await events.aclose()


async def test_events_from_a_block_in_order_and_only_of_valid_transactions(
    client: GatewayClient,
) -> None:
    first, block = await client.invoke("put", "told", "1")
    alone = await client.endorse("put", "told", "2", orgs=["OrgAMSP"])
    assert await client.commit(alone) == "ENDORSEMENT_POLICY_FAILURE"
    await client.invoke("delete", "told")
    await client.invoke("put", "told", "other", chaincode="token")
    last, at = await client.invoke("put", "told", "3")
    assert await take(client.events(block), 2) == [
        (block, first, "put", json.dumps({"key": "told", "value": "1"}).encode()),
        (at, last, "put", json.dumps({"key": "told", "value": "3"}).encode()),
    ]


async def test_events_go_on_after_a_transaction(client: GatewayClient) -> None:
    batch = [await client.endorse("put", f"resumed{number}", "x") for number in range(4)]
    for _, envelope in batch:
        await client.submit(envelope)
    places = [await client.status(transaction) for transaction, _ in batch]
    first = places[0][1]
    whole = [one[1] for one in await take(client.events(first), 4)]
    assert whole == [transaction for transaction, _ in batch]
    for index in range(3):
        at = places[index][1]
        found = await take(client.events(at, after=whole[index]), 3 - index)
        assert [one[1] for one in found] == whole[index + 1 :]
        # The transaction tells the block, whatever the start position says.
        found = await take(client.events(0, after=whole[index]), 3 - index)
        assert [one[1] for one in found] == whole[index + 1 :]


async def test_events_from_the_next_commit_on(client: GatewayClient) -> None:
    await client.invoke("put", "before", "x")
    for start in (None, ab_pb2.SeekPosition(next_commit=ab_pb2.SeekNextCommit())):
        events = client.events(start)
        next_event = asyncio.create_task(anext(events))
        # The stream says nothing when it has begun; events that come are from then on.
        sent: set[str] = set()
        while not next_event.done():
            sent.add((await client.invoke("put", "live", "x"))[0])
        assert (await next_event)[1] in sent
        await events.aclose()


async def test_events_of_a_block_that_is_not_there_yet(client: GatewayClient) -> None:
    _, block = await client.invoke("put", "now", "x")
    events = client.events(block + 2)
    next_event = asyncio.create_task(anext(events))
    await client.invoke("put", "too-early", "x")
    transaction, at = await client.invoke("put", "then", "x")
    assert at == block + 2
    assert (await next_event)[:2] == (at, transaction)
    await events.aclose()


async def test_event_requests_that_are_refused(client: GatewayClient) -> None:
    oldest = ab_pb2.SeekPosition(oldest=ab_pb2.SeekOldest())
    assert await refusal_of(anext(client.events(oldest))) == Refusal(
        "INVALID_ARGUMENT", "invalid start position type: *orderer.SeekPosition_Oldest", ()
    )
    mine, client.user = client.user, client.user.claiming("OrgCMSP")
    try:
        assert await refusal_of(anext(client.events(0))) == Refusal(
            "PERMISSION_DENIED", NO_READER, ()
        )
    finally:
        client.user = mine


# --- system chaincodes ---------------------------------------------------------------------------


async def test_blocks_are_linked_and_found(client: GatewayClient) -> None:
    transaction, block = await client.invoke("put", "found", "x")
    info = ledger_pb2.BlockchainInfo.FromString(
        await client.evaluate("GetChainInfo", "trade", chaincode="qscc")
    )
    assert info.height > block
    previous = b""
    for number in range(info.height):
        raw = await client.evaluate("GetBlockByNumber", "trade", str(number), chaincode="qscc")
        read = read_block(raw)
        assert read.previous_hash == previous
        previous = read.hash
        by_hash = await client.evaluate("GetBlockByHash", "trade", read.hash, chaincode="qscc")
        assert common_pb2.Block.FromString(by_hash) == common_pb2.Block.FromString(raw)
    assert info.currentBlockHash == previous
    raw = await client.evaluate("GetBlockByTxID", "trade", transaction, chaincode="qscc")
    assert read_block(raw).number == block
    processed = transaction_pb2.ProcessedTransaction.FromString(
        await client.evaluate("GetTransactionByID", "trade", transaction, chaincode="qscc")
    )
    assert processed.validationCode == transaction_pb2.VALID
    payload = common_pb2.Payload.FromString(processed.transactionEnvelope.payload)
    header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    assert header.tx_id == transaction


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "Incorrect number of arguments, 0"),
        (("GetChainInfo",), "Incorrect number of arguments, 1"),
        (("GetChainInfo", "other"), "Invalid chain ID, other"),
        (("GetBlockByNumber", "trade"), "missing 3rd argument for GetBlockByNumber"),
        (
            ("GetBlockByNumber", "trade", "x"),
            'Failed to parse block number with error strconv.ParseUint: parsing "x": invalid '
            "syntax",
        ),
        (
            ("GetBlockByNumber", "trade", "99999"),
            "Failed to get block number 99999, error no such block number [99999] in index",
        ),
        (
            ("GetBlockByHash", "trade", "123"),
            "Failed to get block hash 123, error no such block hash [313233] in index",
        ),
        (
            ("GetTransactionByID", "trade", "none"),
            "Failed to get transaction with id none, error no such transaction ID [none] in index",
        ),
        (
            ("GetBlockByTxID", "trade", "none"),
            "Failed to get block for txID none, error no such transaction ID [none] in index",
        ),
        (
            ("Other", "trade", "x"),
            "access denied for [Other][trade]: [Unmapped policy for qscc/Other]",
        ),
    ],
)
async def test_what_qscc_refuses(client: GatewayClient, words: tuple[str, ...], why: str) -> None:
    message = f"chaincode response 500, {why}"
    assert await refusal_of(client.evaluate(*words, chaincode="qscc")) == Refusal(
        "UNKNOWN",
        f"evaluate call to endorser returned error: {message}",
        (f"OrgAMSP at <address>: {message}",),
    )


async def test_the_definition_of_a_chaincode(client: GatewayClient) -> None:
    def asked(name: str) -> tuple[str, bytes]:
        arguments = lifecycle_pb2.QueryChaincodeDefinitionArgs(name=name)
        return "QueryChaincodeDefinition", arguments.SerializeToString()

    answer = await client.evaluate(*asked("isthmus"), chaincode="_lifecycle")
    found = lifecycle_pb2.QueryChaincodeDefinitionResult.FromString(answer)
    assert (found.sequence, found.version) == (1, "1")
    assert (found.endorsement_plugin, found.validation_plugin) == ("escc", "vscc")
    assert dict(found.approvals) == {"OrgAMSP": True, "OrgBMSP": True, "OrgCMSP": True}
    policy = policy_pb2.ApplicationPolicy.FromString(found.validation_parameter)
    assert policy.signature_policy.rule.n_out_of.n == 2
    assert len(policy.signature_policy.identities) == 3
    refused = await refusal_of(client.evaluate(*asked("nope"), chaincode="_lifecycle"))
    assert refused.code == "UNKNOWN"
    assert refused.message.endswith("chaincode response 404, namespace nope is not defined")


async def test_the_channels_configuration(client: GatewayClient) -> None:
    config = configtx_pb2.Config.FromString(
        await client.evaluate("GetChannelConfig", "trade", chaincode="cscc")
    )
    application = config.channel_group.groups["Application"]
    assert sorted(application.groups) == ["OrgAMSP", "OrgBMSP", "OrgCMSP"]
    assert "LifecycleEndorsement" in application.policies
    block = read_block(await client.evaluate("GetConfigBlock", "trade", chaincode="cscc"))
    assert block.number == 0
    channels = query_pb2.ChannelQueryResponse.FromString(
        await client.evaluate("GetChannels", chaincode="cscc")
    )
    assert [one.channel_id for one in channels.channels] == ["trade"]
