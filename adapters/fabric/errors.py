"""What the Gateway service's failures mean to the caller: one table, by stage and status code.

Up to Endorse nothing has gone to the orderers: no failure there can have changed the ledger. From
Submit on, only an orderer's own refusal says that nothing was ordered. The chaincode's refusals
come as text within the details, ``chaincode response 400, <reason>: <sentence>``.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fabric_protos.gateway import gateway_pb2
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from grpc import StatusCode

from adapters.fabric.chaincode.refusal import Reason
from adapters.model import Preimage
from adapters.spi import (
    AdapterError,
    Misconfigured,
    NotSent,
    Rejected,
    RejectionReason,
    Unavailable,
    Unknown,
)


class Step(StrEnum):
    """The call of the Gateway service that failed."""

    EVALUATE = "Evaluate"
    ENDORSE = "Endorse"
    SUBMIT = "Submit"
    COMMIT_STATUS = "CommitStatus"
    EVENTS = "ChaincodeEvents"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call: its status code, the message, and what single peers or orderers said."""

    step: Step
    code: StatusCode
    message: str
    details: tuple[str, ...] = ()

    def sentence(self) -> str:
        said = "; ".join((self.message, *self.details))
        return f"{self.step.value} failed with {self.code.name}: {_one_line(said)}"


_TABLE: dict[Step, dict[StatusCode, type[AdapterError]]] = {
    Step.EVALUATE: {
        StatusCode.INVALID_ARGUMENT: Misconfigured,
        StatusCode.NOT_FOUND: Misconfigured,
        StatusCode.PERMISSION_DENIED: Misconfigured,
        StatusCode.UNAUTHENTICATED: Misconfigured,
        StatusCode.UNIMPLEMENTED: Misconfigured,
    },
    Step.ENDORSE: {
        StatusCode.INVALID_ARGUMENT: Misconfigured,
        StatusCode.NOT_FOUND: Misconfigured,
        StatusCode.PERMISSION_DENIED: Misconfigured,
        StatusCode.UNAUTHENTICATED: Misconfigured,
        StatusCode.UNIMPLEMENTED: Misconfigured,
        StatusCode.UNAVAILABLE: Unavailable,
        # no combination of endorsers meets the policy now: gossip has yet to learn of them
        StatusCode.FAILED_PRECONDITION: NotSent,
        StatusCode.ABORTED: NotSent,
        StatusCode.DEADLINE_EXCEEDED: NotSent,
        StatusCode.RESOURCE_EXHAUSTED: NotSent,
    },
    Step.SUBMIT: {
        StatusCode.INVALID_ARGUMENT: Rejected,
        StatusCode.UNIMPLEMENTED: Misconfigured,
        # the gateway's own limit, or no orderer known to it: before anything was sent
        StatusCode.RESOURCE_EXHAUSTED: NotSent,
        StatusCode.NOT_FOUND: NotSent,
        StatusCode.FAILED_PRECONDITION: NotSent,
    },
    Step.COMMIT_STATUS: {},
    Step.EVENTS: {
        StatusCode.INVALID_ARGUMENT: Misconfigured,
        StatusCode.NOT_FOUND: Misconfigured,
        StatusCode.PERMISSION_DENIED: Misconfigured,
        StatusCode.UNAUTHENTICATED: Misconfigured,
        StatusCode.UNIMPLEMENTED: Misconfigured,
    },
}

_OTHERWISE: dict[Step, type[AdapterError]] = {
    Step.EVALUATE: Unavailable,
    Step.ENDORSE: NotSent,
    Step.SUBMIT: Unknown,
    Step.COMMIT_STATUS: Unknown,
    Step.EVENTS: Unavailable,
}

# Validation codes by which a committed transaction changed nothing and a new one may succeed.
_PASSING = frozenset(
    {
        "MVCC_READ_CONFLICT",
        "PHANTOM_READ_CONFLICT",
        "EXPIRED_CHAINCODE",
        "CHAINCODE_VERSION_CONFLICT",
    }
)

_RESPONSE = re.compile(r"chaincode response (\d+), (?:([a-z_]+): )?(.*)", re.DOTALL)
_ORDERER_REFUSES = re.compile(r"\b(FORBIDDEN|BAD_REQUEST|REQUEST_ENTITY_TOO_LARGE)\b")
_URL_SAFE = str.maketrans("+/", "-_")
_TELLING = 16
"""So many signs of a preimage are scrubbed; fewer tell nothing that helps."""
_NO_ACCESS = re.compile(r"access denied|creator org unknown|identity is not valid", re.IGNORECASE)


def error_of(chain: str, failure: Failure) -> AdapterError:
    """The error to raise; ``chain`` names the chain to people."""
    text = f"{chain}: {failure.sentence()}"
    if failure.step in (Step.EVALUATE, Step.ENDORSE):
        for said in (*failure.details, failure.message):
            if refusal := _RESPONSE.search(said):
                return _refusal(chain, int(refusal[1]), refusal[2], refusal[3])
        if any(_NO_ACCESS.search(said) for said in (*failure.details, failure.message)):
            return Misconfigured(f"{text}. Check msp_id, the certificate and its key")
    if failure.step is Step.SUBMIT and failure.code is StatusCode.ABORTED:
        refused = _ORDERER_REFUSES.search(" ".join((failure.message, *failure.details)))
        if refused is not None:
            return Rejected(text, RejectionReason.NOT_AUTHORISED)
    kind = _TABLE[failure.step].get(failure.code, _OTHERWISE[failure.step])
    return kind(text)


def commit_error(chain: str, transaction: str, code: str) -> AdapterError:
    """For a transaction that was committed as invalid; ``code`` is Fabric's validation code."""
    text = f"{chain}: transaction {transaction} was committed as {code} and changed nothing"
    if code in _PASSING:
        return NotSent(text)
    if code == "DUPLICATE_TXID":
        return Unknown(f"{chain}: transaction {transaction} had been ordered before")
    return Rejected(text)


def without_preimage(error: AdapterError, preimage: Preimage) -> AdapterError:
    """The same error without the preimage in its text: as hex, as base64, or as a beginning of
    either, as it stands where the text was cut. Causes are left out: they hold the text as it came.
    """
    text = str(error)
    encoded = base64.b64encode(preimage.value).decode()
    secrets = (preimage.value.hex(), encoded, encoded.translate(_URL_SAFE))
    for secret in secrets:
        for length in range(len(secret), _TELLING - 1, -1):
            text = re.sub(re.escape(secret[:length]), "<preimage>", text, flags=re.IGNORECASE)
    if isinstance(error, Rejected):
        return type(error)(text, error.reason)
    return type(error)(text)


def _refusal(chain: str, status: int, name: str | None, sentence: str) -> AdapterError:
    said = f"{chain}: the chaincode refuses: {_one_line(sentence)}"
    match name:
        case Reason.HOLDING_SPENT | Reason.TIMESTAMP_REFUSED:
            return NotSent(said)
        case str() if name in RejectionReason.__members__.values():
            return Rejected(said, RejectionReason(name))
        case _ if status >= 500:
            return Rejected(f"{chain}: the chaincode failed: {_one_line(sentence)}")
        case _:
            return Rejected(said)


def read_details(encoded: bytes | str | None) -> tuple[str, ...]:
    """What single peers or orderers said, from the trailer ``grpc-status-details-bin``.

    It holds a google.rpc.Status, whose field 3 repeats Any, each with a gateway.ErrorDetail.
    """
    if not isinstance(encoded, bytes):
        return ()
    try:
        status: Any = _STATUS.FromString(encoded)
        found = [gateway_pb2.ErrorDetail.FromString(detail.value) for detail in status.details]
    except DecodeError:
        return ()
    return tuple(f"{d.msp_id} at {d.address}: {d.message}" for d in found)


def _status_message() -> Any:
    """google.rpc.Status as far as it is read here; its own package wants a newer protobuf than
    Fabric's messages allow."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="isthmus/status.proto",
        package="isthmus",
        syntax="proto3",
        dependency=["google/protobuf/any.proto"],
    )
    message = file.message_type.add(name="Status")
    message.field.add(
        name="details",
        number=3,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED,
        type_name=".google.protobuf.Any",
    )
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("isthmus.Status"))


_STATUS = _status_message()


def _one_line(text: str) -> str:
    """What others wrote, fit for a log: no control characters, no reordering of text."""
    line = " ".join(text.split())
    line = "".join(sign if sign.isprintable() else "?" for sign in line)
    return line if len(line) <= 600 else line[:597] + "..."
