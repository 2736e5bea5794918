"""Evaluate and Endorse: the development network and a real one give the same answers."""

from __future__ import annotations

import hashlib
import json
import re
import time

import pytest
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import proposal_pb2

from tests.adapters.fabric.devnet.gateway_client import (
    GatewayClient,
    Proposal,
    Refusal,
    action_of,
    refusal_of,
)
from tests.adapters.fabric.devnet.networks import MSP_IDS, NetworkUnderTest

FIRST_FAILED = "failed to endorse transaction, see attached details for more info"
NOT_ENOUGH = "failed to collect enough transaction endorsements, see attached details for more info"
EVALUATE_FAILED = "evaluate call to endorser returned error: "
UNPARSED = "proto: cannot parse invalid wire-format data"


def at(number: int, message: str) -> str:
    return f"{MSP_IDS[number - 1]} at <address>: {message}"


# --- what goes well ------------------------------------------------------------------------------


async def test_an_invocation_is_endorsed_by_two_organisations(client: GatewayClient) -> None:
    _, envelope = await client.endorse("put", "happy", "value")
    action, done = action_of(envelope)
    assert done.response.status == 200
    assert done.response.payload == b"value"
    assert (done.chaincode_id.name, done.chaincode_id.version) == ("isthmus", "1")
    assert len(action.endorsements) == 2
    assert len({one.endorser for one in action.endorsements}) == 2


async def test_what_was_committed_is_read(client: GatewayClient) -> None:
    await client.invoke("put", "read", "value")
    assert await client.evaluate("get", "read") == b"value"


async def test_a_transaction_does_not_read_its_own_writes(client: GatewayClient) -> None:
    await client.invoke("put", "own", "before")
    assert await client.evaluate("read_own_write", "own", "after") == b"before"


async def test_the_read_write_set_is_fabrics(client: GatewayClient) -> None:
    _, block = await client.invoke("put", "counted", "1")
    _, envelope = await client.endorse("increment", "counted")
    _, done = action_of(envelope)
    lifecycle, own = rwset_pb2.TxReadWriteSet.FromString(done.results).ns_rwset
    assert (lifecycle.namespace, own.namespace) == ("_lifecycle", "isthmus")
    (definition,) = kv_rwset_pb2.KVRWSet.FromString(lifecycle.rwset).reads
    assert definition.key == "namespaces/fields/isthmus/Sequence"
    assert definition.version.block_num > 0
    assert kv_rwset_pb2.KVRWSet.FromString(own.rwset) == kv_rwset_pb2.KVRWSet(
        reads=[
            kv_rwset_pb2.KVRead(
                key="counted", version=kv_rwset_pb2.Version(block_num=block, tx_num=0)
            )
        ],
        writes=[kv_rwset_pb2.KVWrite(key="counted", value=b"2")],
    )


async def test_a_query_is_in_the_read_set_up_to_the_result_after_the_last_batch(
    client: GatewayClient,
) -> None:
    _, block = await client.invoke("put_many", "many", "130")
    answer = json.loads(await client.evaluate("count", "many", "many~", ""))
    assert answer == [130, [100, 30]]
    _, envelope = await client.endorse("count", "many", "many~", "counted-many")
    _, done = action_of(envelope)
    own = rwset_pb2.TxReadWriteSet.FromString(done.results).ns_rwset[1]
    (query,) = kv_rwset_pb2.KVRWSet.FromString(own.rwset).range_queries_info
    assert (query.start_key, query.end_key, query.itr_exhausted) == ("many", "many~", True)
    # 130 results are two full nodes of 51 reads and one of 28.
    version = kv_rwset_pb2.Version(block_num=block, tx_num=0)
    reads = [kv_rwset_pb2.KVRead(key=f"many{n:04d}", version=version) for n in range(130)]
    nodes = [kv_rwset_pb2.QueryReads(kv_reads=reads[n : n + 51]) for n in (0, 51, 102)]
    assert query.reads_merkle_hashes == kv_rwset_pb2.QueryReadsMerkleSummary(
        max_degree=50,
        max_level=1,
        max_level_hashes=[hashlib.sha256(node.SerializeToString()).digest() for node in nodes],
    )


async def test_pages_carry_a_bookmark(client: GatewayClient) -> None:
    await client.invoke("put_many", "page", "5")
    first = json.loads(await client.evaluate("page", "page", "page~", "2", ""))
    assert first == [["page0000", "page0001"], 2, "page0002"]
    last = json.loads(await client.evaluate("page", "page", "page~", "2", "page0004"))
    assert last == [["page0004"], 1, ""]


async def test_a_transaction_that_has_read_a_page_may_not_write(client: GatewayClient) -> None:
    refused = await refusal_of(client.evaluate("page_then_put", "x"))
    assert refused.code == "UNKNOWN"
    assert refused.message == (
        EVALUATE_FAILED + "chaincode response 500, PUT_STATE failed: transaction ID: <hex>: "
        "txid [<hex>]: unsuppored transaction. Transaction has already performed a paginated "
        "query. Writes are not allowed"
    )


async def test_history_is_newest_first_and_keeps_deletions(client: GatewayClient) -> None:
    await client.invoke("put", "told", "one")
    await client.invoke("delete", "told")
    await client.invoke("put", "told", "two")
    answer = json.loads(await client.evaluate("history", "told"))
    assert answer == [[["two", False], ["", True], ["one", False]], True]


async def test_keys_come_in_the_order_of_their_bytes(client: GatewayClient) -> None:
    for key in ("order\u00e9", "orderz", "order\U0001f600", "order\uffee"):
        await client.invoke("put", key, "x")
    answer = json.loads(await client.evaluate("list", "order", "os"))
    assert answer == ["orderz", "order\u00e9", "order\uffee", "order\U0001f600"]


async def test_the_timestamp_is_the_clients(client: GatewayClient) -> None:
    given = int(time.time()) - 600
    assert await client.evaluate("timestamp", timestamp=given) == str(given).encode()


async def test_a_timestamp_far_off_is_refused(client: GatewayClient) -> None:
    for off in (-1000, 1000):
        given = time.time() + off
        refused = await refusal_of(client.evaluate("timestamp", timestamp=given))
        assert (refused.code, refused.message) == (
            "UNAVAILABLE",
            "failed to evaluate transaction, see attached details for more info",
        )
        refused = await refusal_of(client.endorse("timestamp", timestamp=given))
        assert (refused.code, refused.message) == ("ABORTED", FIRST_FAILED)
        (detail,) = refused.details
        assert re.fullmatch(
            at(
                1,
                "request unauthorized due to incorrect timestamp [-0-9T:]+Z, peer time [-0-9T:]+Z, "
                "peer.authentication.timewindow 15m0s",
            ),
            detail,
        )


async def test_a_chaincode_calls_another_in_the_same_transaction(client: GatewayClient) -> None:
    _, envelope = await client.endorse("call", "token", "put", "called", "from-isthmus")
    _, done = action_of(envelope)
    namespaces = [
        one.namespace for one in rwset_pb2.TxReadWriteSet.FromString(done.results).ns_rwset
    ]
    assert namespaces == ["_lifecycle", "token"]
    assert not done.events, "only the outermost chaincode's event is kept"
    await client.invoke("call", "token", "put", "called", "from-isthmus")
    assert await client.evaluate("get", "called", chaincode="token") == b"from-isthmus"


async def test_transient_data_is_not_in_the_transaction(client: GatewayClient) -> None:
    _, envelope = await client.endorse("put", "t", "v", transient={"secret": b"hidden-away"})
    assert b"hidden-away" not in envelope.payload


# --- what the chaincode or the peer refuses ------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("get", "absent"), "chaincode response 500, no such key: absent"),
        (("fail", "404", "not here"), "chaincode response 404, not here"),
        (
            ("rich_query",),
            "chaincode response 500, GET_QUERY_RESULT failed: transaction ID: <hex>: "
            "ExecuteQuery not supported for leveldb",
        ),
        (
            ("private",),
            "chaincode response 500, GET_STATE failed: transaction ID: <hex>: "
            "collection trade/isthmus/secret could not be found",
        ),
        (
            ("dead_iterator",),
            "chaincode response 500, QUERY_STATE_NEXT failed: transaction ID: <hex>: "
            "query iterator not found",
        ),
        (
            ("call", "isthmus", "get", "x"),
            "chaincode response 500, INVOKE_CHAINCODE failed: transaction ID: <hex>: "
            "execute failed: error sending: txid: <hex>(trade) exists",
        ),
        (
            ("call", "token/elsewhere", "get", "x"),
            "chaincode response 500, INVOKE_CHAINCODE failed: transaction ID: <hex>: "
            "Failed to get policy manager for channel [elsewhere]",
        ),
    ],
)
async def test_a_chaincodes_error(client: GatewayClient, words: tuple[str, ...], why: str) -> None:
    assert await refusal_of(client.evaluate(*words)) == Refusal(
        "UNKNOWN", EVALUATE_FAILED + why, (at(1, why),)
    )
    assert await refusal_of(client.endorse(*words)) == Refusal(
        "ABORTED", FIRST_FAILED, (at(1, why),)
    )
    assert await refusal_of(client.endorse(*words, orgs=["OrgAMSP", "OrgBMSP"])) == Refusal(
        "ABORTED", NOT_ENOUGH, (at(1, why), at(2, why))
    )


async def test_an_error_message_of_the_chaincode_is_the_peers_failure(
    client: GatewayClient,
) -> None:
    why = "error in simulation: transaction returned with failure: broken"
    assert await refusal_of(client.evaluate("error_message", "broken", orgs=["OrgAMSP"])) == (
        Refusal(
            "ABORTED",
            "failed to evaluate transaction, see attached details for more info",
            (at(1, why),),
        )
    )
    assert await refusal_of(client.endorse("error_message", "broken")) == Refusal(
        "ABORTED", FIRST_FAILED, (at(1, why),)
    )


async def test_results_that_differ_are_not_endorsed(client: GatewayClient) -> None:
    refused = await refusal_of(client.endorse("who", chaincode="token"))
    assert (refused.code, refused.message) == ("ABORTED", NOT_ENOUGH)
    assert refused.details == (
        at(2, "ProposalResponsePayloads do not match"),
        at(3, "ProposalResponsePayloads do not match"),
    )


async def test_one_organisation_answers_for_itself(clients: list[GatewayClient]) -> None:
    for number, client in enumerate(clients, 1):
        answer = await client.evaluate("who", chaincode="token")
        assert answer == f"token{number}".encode()
    answer = await clients[0].evaluate("who", chaincode="token", orgs=["OrgCMSP"])
    assert answer == b"token3"


# --- whom to ask ---------------------------------------------------------------------------------


async def test_organisations_asked_for_are_those_that_endorse(client: GatewayClient) -> None:
    _, envelope = await client.endorse("put", "a", "b", orgs=["OrgBMSP", "OrgCMSP", "OrgCMSP"])
    action, _ = action_of(envelope)
    named = sorted(one.endorser[2:9].decode() for one in action.endorsements)
    assert named == ["OrgBMSP", "OrgCMSP"]


async def test_unknown_organisations_chaincodes_and_channels(client: GatewayClient) -> None:
    no_peer = "no peers available to evaluate chaincode {} in channel trade"
    no_plan = (
        "no combination of peers can be derived which satisfy the endorsement policy: No metadata "
        "was found for chaincode {} in channel {}"
    )
    assert await refusal_of(client.evaluate("get", "a", orgs=["OrgXMSP"])) == Refusal(
        "FAILED_PRECONDITION", no_peer.format("isthmus"), ()
    )
    assert await refusal_of(client.evaluate("get", "a", chaincode="nope")) == Refusal(
        "FAILED_PRECONDITION", no_peer.format("nope"), ()
    )
    assert await refusal_of(client.evaluate("get", "a", channel="other")) == Refusal(
        "UNAVAILABLE",
        "failed to get config for channel [other]: could not get last config for channel other",
        (),
    )
    assert await refusal_of(client.endorse("get", "a", orgs=["OrgAMSP", "OrgXMSP"])) == Refusal(
        "UNAVAILABLE", "failed to find any endorsing peers for org(s): OrgXMSP", ()
    )
    assert await refusal_of(client.endorse("get", "a", chaincode="nope")) == Refusal(
        "FAILED_PRECONDITION", no_plan.format("nope", "trade"), ()
    )
    assert await refusal_of(client.endorse("get", "a", channel="other")) == Refusal(
        "FAILED_PRECONDITION", no_plan.format("isthmus", "other"), ()
    )


# --- identities ----------------------------------------------------------------------------------


async def test_a_high_s_is_refused(client: GatewayClient) -> None:
    why = "error validating proposal: access denied: channel [trade] creator org [OrgAMSP]"
    assert await refusal_of(client.evaluate("get", "a", high_s=True)) == Refusal(
        "FAILED_PRECONDITION", EVALUATE_FAILED + why, (at(1, why),)
    )
    assert await refusal_of(client.endorse("put", "a", "b", high_s=True)) == Refusal(
        "ABORTED", FIRST_FAILED, (at(1, why),)
    )
    both = await refusal_of(
        client.endorse("put", "a", "b", high_s=True, orgs=["OrgAMSP", "OrgBMSP"])
    )
    remote = f"rpc error: code = Unknown desc = {why}"
    assert both == Refusal("ABORTED", NOT_ENOUGH, (at(1, why), at(2, remote)))


@pytest.mark.parametrize("msp_id", ["OrgBMSP", "OrgZMSP"])
async def test_another_organisations_name_is_refused(client: GatewayClient, msp_id: str) -> None:
    why = (
        "error validating proposal: access denied: channel [trade] creator org unknown, creator is "
        "malformed"
    )
    user = client.user.claiming(msp_id)
    assert await refusal_of(client.evaluate("get", "a", user=user)) == Refusal(
        "FAILED_PRECONDITION", EVALUATE_FAILED + why, (at(1, why),)
    )
    assert await refusal_of(client.endorse("put", "a", "b", user=user)) == Refusal(
        "ABORTED", FIRST_FAILED, (at(1, why),)
    )


async def test_a_made_up_transaction_id_is_refused(client: GatewayClient) -> None:
    refused = await refusal_of(client.evaluate("get", "a", transaction="ab" * 32))
    assert refused.code == "FAILED_PRECONDITION"
    assert refused.message == (
        EVALUATE_FAILED + "error validating proposal: incorrectly computed txid '<hex>' -- "
        "expected '<hex>'"
    )


async def test_a_committed_proposal_is_not_endorsed_again(client: GatewayClient) -> None:
    proposal = client.proposal("put", "twice", "x")
    envelope = await client.endorse_signed(proposal)
    envelope.signature = client.user.sign(envelope.payload)
    assert await client.commit((proposal.transaction, envelope)) == "VALID"
    why = "duplicate transaction found [<hex>]. Creator [<hex>]"
    assert await refusal_of(client.endorse_signed(proposal)) == Refusal(
        "ABORTED", FIRST_FAILED, (at(1, why),)
    )
    assert await refusal_of(client.evaluate_signed(proposal)) == Refusal(
        "FAILED_PRECONDITION", EVALUATE_FAILED + why, (at(1, why),)
    )


# --- malformed messages --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "of_evaluate", "of_endorse"),
    [
        (
            b"",
            "a signed proposal is required",
            "the proposed transaction must contain a signed proposal",
        ),
        (
            b"\xff\xff",
            f"error unmarshalling Proposal: {UNPARSED}",
            f"error unmarshalling Proposal: {UNPARSED}",
        ),
        (
            proposal_pb2.Proposal(header=b"\xff\xff").SerializeToString(),
            f"error unmarshalling Header: {UNPARSED}",
            f"error unmarshalling Header: {UNPARSED}",
        ),
        (
            proposal_pb2.Proposal(payload=b"\xff\xff").SerializeToString(),
            f"error unmarshalling ChaincodeProposalPayload: {UNPARSED}",
            f"error unmarshalling ChaincodeProposalPayload: {UNPARSED}",
        ),
    ],
)
async def test_malformed_proposals(
    client: GatewayClient, body: bytes, of_evaluate: str, of_endorse: str
) -> None:
    proposal = Proposal("t", proposal_pb2.SignedProposal(proposal_bytes=body, signature=b"x"))
    assert await refusal_of(client.evaluate_signed(proposal)) == Refusal(
        "INVALID_ARGUMENT", f"failed to unpack transaction proposal: {of_evaluate}", ()
    )
    assert await refusal_of(client.endorse_signed(proposal)) == Refusal(
        "INVALID_ARGUMENT", of_endorse, ()
    )


# --- a chaincode that is down --------------------------------------------------------------------


async def test_a_chaincode_that_is_down_and_comes_back(
    network: NetworkUnderTest, clients: list[GatewayClient]
) -> None:
    first, second, third = clients
    network.stop_chaincode(1)
    try:
        while True:
            refused = await refusal_of(first.endorse("put", "down", "x"))
            assert (refused.code, refused.message) == ("ABORTED", FIRST_FAILED)
            (detail,) = refused.details
            # So says a peer that learns by this very call that its chaincode is gone.
            if not detail.endswith("chaincode stream terminated"):
                break
        assert detail.startswith(
            at(1, "error in simulation: failed to execute transaction <hex>: could not launch ")
        )
        # Another organisation's peer evaluates instead, where the client allows it.
        assert await first.evaluate("who") == b"everybody"
        refused = await refusal_of(first.evaluate("who", orgs=["OrgAMSP"]))
        assert (refused.code, len(refused.details)) == ("ABORTED", 1)
        # Two of three are enough.
        _, envelope = await second.endorse("put", "down", "x")
        assert len(action_of(envelope)[0].endorsements) == 2
        network.stop_chaincode(2)
        try:
            refused = await refusal_of(third.endorse("put", "down", "x"))
            assert (refused.code, refused.message) == ("ABORTED", NOT_ENOUGH)
            assert len(refused.details) == 2
        finally:
            network.start_chaincode(2)
    finally:
        network.start_chaincode(1)
    assert await first.evaluate("who", orgs=["OrgAMSP"]) == b"everybody"
    assert await first.evaluate("who", orgs=["OrgBMSP"]) == b"everybody"


async def test_a_chaincode_that_dies_in_the_middle(
    network: NetworkUnderTest, client: GatewayClient
) -> None:
    try:
        refused = await refusal_of(client.evaluate("crash", orgs=["OrgAMSP"]))
        why = (
            "error in simulation: failed to execute transaction <hex>: error sending: chaincode "
            "stream terminated"
        )
        assert refused == Refusal(
            "ABORTED",
            "failed to evaluate transaction, see attached details for more info",
            (at(1, why),),
        )
    finally:
        network.stop_chaincode(1)
        network.start_chaincode(1)
    assert await client.evaluate("who", orgs=["OrgAMSP"]) == b"everybody"
