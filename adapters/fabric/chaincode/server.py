"""The chaincode as a service: a gRPC server to which peers connect."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from typing import Any

import grpc
from fabric_protos.peer import chaincode_shim_pb2_grpc

from adapters.fabric.chaincode.stream import Invocable, PeerStream

MAX_MESSAGE = 100 * 1024 * 1024
"""Bytes; what peers themselves take."""

_STOP_GRACE = 2.0

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    # Peers ping their chaincodes every minute, idle or not.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True, repr=False)
class Tls:
    """PEM texts. With ``client_ca``, only peers whose certificate it signed may connect."""

    key: bytes
    certificate: bytes
    client_ca: bytes | None = None


class CannotListen(Exception):
    """The address is taken or is no address."""


class _Service(chaincode_shim_pb2_grpc.ChaincodeServicer):  # type: ignore[misc]
    def __init__(self, chaincode: Invocable, package: str) -> None:
        self._chaincode = chaincode
        self._package = package

    # The name is the protocol's.
    async def Connect(self, _requests: Any, context: Any) -> None:
        end = grpc.aio.EOF  # type: ignore[attr-defined]
        await PeerStream(self._chaincode, self._package, context, end).serve()


async def serve(chaincode: Invocable, package: str, address: str, tls: Tls | None) -> None:
    """Serves until SIGTERM or SIGINT. Raises CannotListen."""
    server = grpc.aio.server(options=_OPTIONS)
    chaincode_shim_pb2_grpc.add_ChaincodeServicer_to_server(_Service(chaincode, package), server)
    try:
        if tls is None:
            port = server.add_insecure_port(address)
        else:
            credentials = grpc.ssl_server_credentials(
                [(tls.key, tls.certificate)],
                root_certificates=tls.client_ca,
                require_client_auth=tls.client_ca is not None,
            )
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise CannotListen(f"cannot listen on {address}") from error
    if port == 0:
        raise CannotListen(f"cannot listen on {address}")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    await stop.wait()
    await server.stop(_STOP_GRACE)
