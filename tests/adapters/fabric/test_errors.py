"""The table of errors: by stage and code, by the chaincode's word, by validation code."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from fabric_protos.gateway import gateway_pb2
from google.protobuf import any_pb2
from grpc import StatusCode

from adapters.fabric.errors import (
    Failure,
    Step,
    commit_error,
    error_of,
    read_details,
    without_preimage,
)
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


@pytest.mark.parametrize(
    ("step", "code", "kind"),
    [
        (Step.EVALUATE, StatusCode.UNAVAILABLE, Unavailable),
        (Step.EVALUATE, StatusCode.DEADLINE_EXCEEDED, Unavailable),
        (Step.EVALUATE, StatusCode.FAILED_PRECONDITION, Unavailable),
        (Step.EVALUATE, StatusCode.UNIMPLEMENTED, Misconfigured),
        (Step.EVALUATE, StatusCode.PERMISSION_DENIED, Misconfigured),
        (Step.ENDORSE, StatusCode.UNAVAILABLE, Unavailable),
        (Step.ENDORSE, StatusCode.FAILED_PRECONDITION, NotSent),
        (Step.ENDORSE, StatusCode.ABORTED, NotSent),
        (Step.ENDORSE, StatusCode.DEADLINE_EXCEEDED, NotSent),
        (Step.ENDORSE, StatusCode.UNKNOWN, NotSent),
        (Step.ENDORSE, StatusCode.UNAUTHENTICATED, Misconfigured),
        (Step.SUBMIT, StatusCode.UNAVAILABLE, Unknown),
        (Step.SUBMIT, StatusCode.DEADLINE_EXCEEDED, Unknown),
        (Step.SUBMIT, StatusCode.ABORTED, Unknown),
        (Step.SUBMIT, StatusCode.INTERNAL, Unknown),
        (Step.SUBMIT, StatusCode.CANCELLED, Unknown),
        (Step.SUBMIT, StatusCode.FAILED_PRECONDITION, NotSent),
        (Step.COMMIT_STATUS, StatusCode.DEADLINE_EXCEEDED, Unknown),
        (Step.COMMIT_STATUS, StatusCode.UNAVAILABLE, Unknown),
        (Step.COMMIT_STATUS, StatusCode.PERMISSION_DENIED, Unknown),
        (Step.EVENTS, StatusCode.UNAVAILABLE, Unavailable),
        (Step.EVENTS, StatusCode.PERMISSION_DENIED, Misconfigured),
    ],
)
def test_what_a_failed_call_means(step: Step, code: StatusCode, kind: type[AdapterError]) -> None:
    error = error_of("trade", Failure(step, code, "it said no"))
    assert type(error) is kind
    assert str(error) == f"trade: {step.value} failed with {code.name}: it said no"


@pytest.mark.parametrize("step", [Step.SUBMIT, Step.COMMIT_STATUS])
@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
def test_from_submit_on_silence_is_never_safe_to_retry(step: Step, code: StatusCode) -> None:
    allowed = {StatusCode.RESOURCE_EXHAUSTED, StatusCode.NOT_FOUND, StatusCode.FAILED_PRECONDITION}
    error = error_of("trade", Failure(step, code, "it said no"))
    if isinstance(error, NotSent | Unavailable):
        assert step is Step.SUBMIT
        assert code in allowed


@pytest.mark.parametrize("status", ["FORBIDDEN", "BAD_REQUEST"])
def test_an_orderers_own_refusal_is_a_refusal(status: str) -> None:
    said = f"received unsuccessful response from orderer: status={status}, info=no"
    assert type(error_of("trade", Failure(Step.SUBMIT, StatusCode.ABORTED, said))) is Rejected


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        ("400, lock_exists: it is used", Rejected, RejectionReason.LOCK_EXISTS),
        ("400, wrong_preimage: no", Rejected, RejectionReason.WRONG_PREIMAGE),
        ("400, other: no", Rejected, RejectionReason.OTHER),
        ("400, holding_spent: choose again", NotSent, None),
        ("400, timestamp_refused: 12 s behind", NotSent, None),
        ("400, something_new: no", Rejected, RejectionReason.OTHER),
        ("500, the chaincode failed (KeyError)", Rejected, RejectionReason.OTHER),
        ("500, Failed to get block number 7", Rejected, RejectionReason.OTHER),
    ],
)
@pytest.mark.parametrize("step", [Step.EVALUATE, Step.ENDORSE])
@pytest.mark.parametrize("in_details", [True, False])
def test_the_chaincodes_word_counts_more_than_the_code(
    step: Step,
    in_details: bool,
    said: str,
    kind: type[AdapterError],
    reason: RejectionReason | None,
) -> None:
    text = f"chaincode response {said}"
    failure = Failure(
        step,
        StatusCode.ABORTED,
        "failed to endorse transaction, see attached details" if in_details else text,
        (f"Org1MSP at peer: {text}",) if in_details else (),
    )
    error = error_of("trade", failure)
    assert type(error) is kind
    if isinstance(error, Rejected):
        assert error.reason is reason
    assert said.partition(": ")[2] in str(error)


def test_an_identity_that_the_channel_does_not_know_is_for_the_operator() -> None:
    said = "error validating proposal: access denied: channel [trade] creator org unknown"
    for step in (Step.EVALUATE, Step.ENDORSE):
        error = error_of("trade", Failure(step, StatusCode.ABORTED, "failed", (said,)))
        assert type(error) is Misconfigured


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("MVCC_READ_CONFLICT", NotSent),
        ("PHANTOM_READ_CONFLICT", NotSent),
        ("CHAINCODE_VERSION_CONFLICT", NotSent),
        ("EXPIRED_CHAINCODE", NotSent),
        ("ENDORSEMENT_POLICY_FAILURE", Rejected),
        ("BAD_CREATOR_SIGNATURE", Rejected),
        ("DUPLICATE_TXID", Unknown),
        ("validation code 99", Rejected),
    ],
)
def test_what_a_validation_code_means(code: str, kind: type[AdapterError]) -> None:
    error = commit_error("trade", "ab" * 32, code)
    assert type(error) is kind
    assert "ab" * 32 in str(error)


def test_details_are_read_and_garbage_is_passed_over() -> None:
    detail = gateway_pb2.ErrorDetail(address="peer:7051", msp_id="Org1MSP", message="no")
    packed = any_pb2.Any()
    packed.Pack(detail)
    inner = packed.SerializeToString()
    status = b"\x08\x0a" + b"\x12\x02no" + b"\x1a" + bytes([len(inner)]) + inner
    assert read_details(status) == ("Org1MSP at peer:7051: no",)
    for garbage in (None, "text", b"\xff\xff\xff", b"\x1a\x05\xff"):
        assert read_details(garbage) == ()


def test_an_error_is_one_line_of_bounded_length() -> None:
    error = error_of("trade", Failure(Step.EVALUATE, StatusCode.UNAVAILABLE, "a\nb " * 1000))
    assert "\n" not in str(error)
    assert len(str(error)) < 700


def test_what_others_wrote_cannot_steer_a_terminal_or_forge_a_line() -> None:
    said = "chaincode response 400, other: \x1b[2Jred\x00\x9b\u202eevil\u2028line\ttab"
    for step, text in ((Step.ENDORSE, said), (Step.SUBMIT, said)):
        assert str(error_of("trade", Failure(step, StatusCode.ABORTED, text))).isprintable()


PREIMAGE = Preimage(bytes(range(0xDF, 0xFF)))


@pytest.mark.parametrize(
    "shown",
    [
        PREIMAGE.value.hex(),
        PREIMAGE.value.hex().upper(),
        PREIMAGE.value.hex()[:40],
        base64.b64encode(PREIMAGE.value).decode(),
        base64.urlsafe_b64encode(PREIMAGE.value).decode(),
    ],
)
@pytest.mark.parametrize(
    "made", [NotSent, Unavailable, lambda t: Rejected(t, RejectionReason.LOCK_SETTLED)]
)
def test_a_preimage_that_others_quote_is_not_passed_on(
    shown: str, made: Callable[[str], AdapterError]
) -> None:
    error = made(f"trade: the chaincode refuses: claim({shown}) of lock abc")
    scrubbed = without_preimage(error, PREIMAGE)
    assert type(scrubbed) is type(error)
    assert shown[:16] not in str(scrubbed)
    assert "of lock abc" in str(scrubbed)
    if isinstance(scrubbed, Rejected):
        assert scrubbed.reason is RejectionReason.LOCK_SETTLED
