"""Refusals as the Gateway service gives them: a gRPC status with ``gateway.ErrorDetail`` entries.

The details travel in the trailer ``grpc-status-details-bin`` as a ``google.rpc.Status``. That
message has three fields and is written here by hand, so that no further package is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from fabric_protos.gateway import gateway_pb2
from google.protobuf import any_pb2

TRAILER = "grpc-status-details-bin"


class RpcRefusal(Exception):
    """How a call of the gateway ends when it does not succeed."""

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        details: Sequence[gateway_pb2.ErrorDetail] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)

    def trailer(self) -> tuple[tuple[str, bytes], ...]:
        """The trailing metadata; empty where there are no details."""
        if not self.details:
            return ()
        number: int = self.code.value[0]
        status = _field(1, number) + _field(2, self.message.encode())
        for detail in self.details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status += _field(3, packed.SerializeToString())
        return ((TRAILER, status),)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*encoded, number))


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def detail(address: str, msp_id: str, message: str) -> gateway_pb2.ErrorDetail:
    """What went wrong at one peer."""
    return gateway_pb2.ErrorDetail(address=address, msp_id=msp_id, message=message)
