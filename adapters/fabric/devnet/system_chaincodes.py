"""The system chaincodes that clients ask: qscc (blocks), cscc (configuration), _lifecycle
(definitions). Answers are the same protobufs as a Fabric peer's, and errors the same words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fabric_protos.common import common_pb2, configtx_pb2, ledger_pb2
from fabric_protos.peer import (
    collection_pb2,
    query_pb2,
    transaction_pb2,
)
from fabric_protos.peer.lifecycle import lifecycle_pb2
from fabric_protos.peer.proposal_response_pb2 import Response
from google.protobuf.message import DecodeError

from adapters.fabric.devnet.ledger import Ledger
from adapters.fabric.devnet.lifecycle import (
    ENDORSEMENT_PLUGIN,
    NAMESPACE,
    VALIDATION_PLUGIN,
    ChaincodeDefinition,
    StateReader,
    read_definition,
)
from adapters.fabric.devnet.policy import application_policy

NAMES = frozenset(("qscc", "cscc", NAMESPACE))
UNPARSED = "proto: cannot parse invalid wire-format data"
"""What Go's protobuf says of bytes that are not the message."""


@dataclass(frozen=True, slots=True)
class SystemChaincodes:
    """Answers for one channel."""

    channel: str
    organisations: tuple[str, ...]
    chaincodes: Callable[[], Sequence[str]]
    """The names that are defined on the channel."""
    ledger: Ledger

    def invoke(
        self, name: str, arguments: Sequence[bytes], state: StateReader, *, nested: bool
    ) -> Response:
        """``nested``: called by a chaincode, which only ``_lifecycle`` allows."""
        match name:
            case "qscc" | "cscc" if nested:
                return _failed(f"Rejecting invoke of {name.upper()} from another chaincode")
            case "qscc":
                return self._qscc(arguments)
            case "cscc":
                return self._cscc(arguments)
            case _:
                return self._lifecycle(arguments, state)

    # --- qscc ------------------------------------------------------------------------------------

    def _qscc(self, arguments: Sequence[bytes]) -> Response:
        if len(arguments) < 2:
            return _failed(f"Incorrect number of arguments, {len(arguments)}")
        function, channel = _text(arguments[0]), _text(arguments[1])
        if function != "GetChainInfo" and len(arguments) < 3:
            return _failed(f"missing 3rd argument for {function}")
        if channel != self.channel:
            return _failed(f"Invalid chain ID, {channel}")
        match function:
            case "GetChainInfo":
                return _succeeded(
                    ledger_pb2.BlockchainInfo(
                        height=self.ledger.height,
                        currentBlockHash=self.ledger.last_hash,
                        previousBlockHash=self.ledger.previous_hash,
                    ).SerializeToString()
                )
            case "GetBlockByNumber":
                return self._block_by_number(_text(arguments[2]))
            case "GetBlockByHash":
                return self._block_by_hash(arguments[2])
            case "GetBlockByTxID":
                return self._block_by_transaction(_text(arguments[2]))
            case "GetTransactionByID":
                return self._transaction(_text(arguments[2]))
            case _:
                return _failed(
                    f"access denied for [{function}][{channel}]: [Unmapped policy for "
                    f"qscc/{function}]"
                )

    def _block_by_number(self, text: str) -> Response:
        if not (text.isascii() and text.isdigit() and int(text) < 2**64):
            return _failed(
                f'Failed to parse block number with error strconv.ParseUint: parsing "{text}": '
                "invalid syntax"
            )
        try:
            return _succeeded(self.ledger.block(int(text)).SerializeToString())
        except KeyError:
            return _failed(
                f"Failed to get block number {int(text)}, error no such block number "
                f"[{int(text)}] in index"
            )

    def _block_by_hash(self, digest: bytes) -> Response:
        try:
            return _succeeded(self.ledger.block_by_hash(digest).SerializeToString())
        except KeyError:
            return _failed(
                f"Failed to get block hash {_text(digest)}, error no such block hash "
                f"[{digest.hex()}] in index"
            )

    def _block_by_transaction(self, transaction: str) -> Response:
        record = self.ledger.transaction(transaction)
        if record is None:
            return _failed(
                f"Failed to get block for txID {transaction}, error no such transaction ID "
                f"[{transaction}] in index"
            )
        return _succeeded(self.ledger.block(record.block).SerializeToString())

    def _transaction(self, transaction: str) -> Response:
        record = self.ledger.transaction(transaction)
        if record is None:
            return _failed(
                f"Failed to get transaction with id {transaction}, error no such transaction ID "
                f"[{transaction}] in index"
            )
        envelope = self.ledger.block(record.block).data.data[record.position]
        return _succeeded(
            transaction_pb2.ProcessedTransaction(
                transactionEnvelope=common_pb2.Envelope.FromString(envelope),
                validationCode=record.code,
            ).SerializeToString()
        )

    # --- cscc ------------------------------------------------------------------------------------

    def _cscc(self, arguments: Sequence[bytes]) -> Response:
        function = _text(arguments[0]) if arguments else ""
        if not arguments or (function != "GetChannels" and len(arguments) < 2):
            return _failed(f"Incorrect number of arguments, {len(arguments)}")
        if function == "GetChannels":
            channels = [query_pb2.ChannelInfo(channel_id=self.channel)]
            return _succeeded(query_pb2.ChannelQueryResponse(channels=channels).SerializeToString())
        if function not in ("GetConfigBlock", "GetChannelConfig"):
            return _failed(f"Requested function {function} not found.")
        channel = _text(arguments[1])
        if not channel and function == "GetChannelConfig":
            return _failed("empty channel name provided")
        if channel != self.channel:
            return _failed(
                f"access denied for [{function}][{channel}]: Failed to get policy manager for "
                f"channel [{channel}]"
            )
        block = self.ledger.block(0)
        if function == "GetConfigBlock":
            return _succeeded(block.SerializeToString())
        envelope = common_pb2.Envelope.FromString(block.data.data[0])
        payload = common_pb2.Payload.FromString(envelope.payload)
        config = configtx_pb2.ConfigEnvelope.FromString(payload.data).config
        return _succeeded(config.SerializeToString())

    # --- _lifecycle ------------------------------------------------------------------------------

    def _lifecycle(self, arguments: Sequence[bytes], state: StateReader) -> Response:
        if not arguments:
            return _failed("lifecycle scc must be invoked with arguments")
        if len(arguments) != 2:
            return _failed(
                "lifecycle scc operations require exactly two arguments but received "
                f"{len(arguments)}"
            )
        function = _text(arguments[0])
        match function:
            case "QueryChaincodeDefinition":
                return self._definition(arguments[1], state)
            case "QueryChaincodeDefinitions":
                return self._definitions(arguments[1], state)
            case _:
                return _failed(
                    "Failed to authorize invocation due to failed ACL check: Unmapped policy for "
                    f"_lifecycle/{function}"
                )

    def _definition(self, argument: bytes, state: StateReader) -> Response:
        try:
            name = lifecycle_pb2.QueryChaincodeDefinitionArgs.FromString(argument).name
        except DecodeError:
            return _failed(
                "failed to invoke backing implementation of 'QueryChaincodeDefinition': could not "
                "decode input arg for *lifecycle.Invocation.QueryChaincodeDefinition: " + UNPARSED
            )
        definition = read_definition(state, name)
        if definition is None:
            return Response(status=404, message=f"namespace {name} is not defined")
        return _succeeded(
            lifecycle_pb2.QueryChaincodeDefinitionResult(
                sequence=definition.sequence,
                version=definition.version,
                endorsement_plugin=ENDORSEMENT_PLUGIN,
                validation_plugin=VALIDATION_PLUGIN,
                validation_parameter=application_policy(definition.policy),
                collections=collection_pb2.CollectionConfigPackage(),
                approvals=dict.fromkeys(self.organisations, True),
            ).SerializeToString()
        )

    def _definitions(self, argument: bytes, state: StateReader) -> Response:
        try:
            lifecycle_pb2.QueryChaincodeDefinitionsArgs.FromString(argument)
        except DecodeError:
            return _failed(
                "failed to invoke backing implementation of 'QueryChaincodeDefinitions': could not "
                "decode input arg for *lifecycle.Invocation.QueryChaincodeDefinitions: " + UNPARSED
            )
        found = [read_definition(state, name) for name in self.chaincodes()]
        return _succeeded(
            lifecycle_pb2.QueryChaincodeDefinitionsResult(
                chaincode_definitions=[_listed(one) for one in found if one is not None]
            ).SerializeToString()
        )


def _listed(
    definition: ChaincodeDefinition,
) -> lifecycle_pb2.QueryChaincodeDefinitionsResult.ChaincodeDefinition:
    return lifecycle_pb2.QueryChaincodeDefinitionsResult.ChaincodeDefinition(
        name=definition.name,
        sequence=definition.sequence,
        version=definition.version,
        endorsement_plugin=ENDORSEMENT_PLUGIN,
        validation_plugin=VALIDATION_PLUGIN,
        validation_parameter=application_policy(definition.policy),
        collections=collection_pb2.CollectionConfigPackage(),
    )


def _text(argument: bytes) -> str:
    return argument.decode(errors="replace")


def _succeeded(payload: bytes) -> Response:
    return Response(status=200, payload=payload)


def _failed(message: str) -> Response:
    return Response(status=500, message=message)
