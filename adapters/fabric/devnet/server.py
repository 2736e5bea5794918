"""The network's one process: peers, gateways and the ordering service over one ledger."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
from fabric_protos.gateway import gateway_pb2_grpc

from adapters.fabric.devnet.chaincode_service import ChaincodeService
from adapters.fabric.devnet.configuration import (
    ConfigurationInvalid,
    NetworkConfiguration,
    OrganisationConfiguration,
)
from adapters.fabric.devnet.definition import define_chaincodes
from adapters.fabric.devnet.gateway import Gateway
from adapters.fabric.devnet.genesis import ORDERER_MSP, majority_of
from adapters.fabric.devnet.ledger import Ledger
from adapters.fabric.devnet.msp import Membership
from adapters.fabric.devnet.ordering import BatchLimits, Orderer
from adapters.fabric.devnet.peer import Peer
from adapters.fabric.devnet.provision import (
    LEDGER_FILE,
    organisation_folder,
    read_genesis,
    read_membership,
)
from adapters.fabric.devnet.signer import SigningIdentity
from adapters.fabric.devnet.system_chaincodes import SystemChaincodes
from adapters.fabric.devnet.validation import Validator

log = logging.getLogger(__name__)

_MESSAGE_BYTES = 100 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    # Two networks on one port would answer in turns.
    ("grpc.so_reuseport", 0),
)


class PortTaken(Exception):
    """A gateway's address cannot be listened on."""


@dataclass(frozen=True, slots=True)
class RunningNetwork:
    """A network that serves. ``ordering`` never ends by itself: if it does, with an exception, no
    more blocks are made and the network must be stopped."""

    configuration: NetworkConfiguration
    ordering: asyncio.Task[None]


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[RunningNetwork]:
    """Serves the network in the folder until the context ends.

    Raises ConfigurationInvalid, ledger.LedgerUnusable, PortTaken.
    """
    configuration = NetworkConfiguration.read(folder)
    for organisation in configuration.organisations:
        _check_free(organisation)
    membership, orderer_identity, peers_identities = _identities(folder, configuration)
    async with AsyncExitStack() as stack:
        ledger = Ledger.open(folder / LEDGER_FILE, read_genesis(folder))
        stack.callback(ledger.close)
        validator = Validator(
            configuration.channel, membership, ledger, majority_of(configuration.msp_ids)
        )
        orderer = Orderer(
            configuration.channel,
            membership,
            ledger,
            validator,
            orderer_identity,
            BatchLimits(
                configuration.batch.timeout_ms / 1000,
                configuration.batch.messages,
                configuration.batch.preferred_bytes,
                configuration.batch.absolute_bytes,
            ),
        )
        ledgers = dict.fromkeys(configuration.msp_ids, ledger)
        for organisation in configuration.organisations:
            if organisation.cut_off:
                copy = ledger.cut_off(read_genesis(folder))
                stack.callback(copy.close)
                ledgers[organisation.msp_id] = copy
        peers = {
            identity.msp_id: _peer(configuration, identity, membership, ledgers[identity.msp_id])
            for identity in peers_identities
        }
        for peer in peers.values():
            for service in peer.chaincodes.values():
                stack.push_async_callback(service.close)
        define_chaincodes(folder, configuration, peers.values(), orderer, ledger)
        ordering = asyncio.create_task(orderer.run(), name="ordering")
        stack.push_async_callback(_cancelled, ordering)
        for peer in peers.values():
            gateway = Gateway(configuration.channel, peer, peers, membership, peer.ledger, orderer)
            server = await _listening(folder, peer, gateway)
            # No grace: streams of events would hold a stop up for ever.
            stack.push_async_callback(server.stop, None)
        yield RunningNetwork(configuration, ordering)


def _identities(
    folder: Path, configuration: NetworkConfiguration
) -> tuple[Membership, SigningIdentity, list[SigningIdentity]]:
    try:
        return (
            read_membership(folder, configuration),
            SigningIdentity.read(ORDERER_MSP, folder / "orderer" / "identity"),
            [
                SigningIdentity.read(msp_id, organisation_folder(folder, msp_id) / "peer")
                for msp_id in configuration.msp_ids
            ],
        )
    except (OSError, ValueError) as error:
        raise ConfigurationInvalid(
            f"the certificates in {folder} are not whole ({error}); remove the folder and prepare "
            "the network again"
        ) from error


def _peer(
    configuration: NetworkConfiguration,
    identity: SigningIdentity,
    membership: Membership,
    ledger: Ledger,
) -> Peer:
    msp_id = identity.msp_id
    address = next(
        organisation.gateway
        for organisation in configuration.organisations
        if organisation.msp_id == msp_id
    )
    names = [chaincode.name for chaincode in configuration.chaincodes]
    return Peer(
        address,
        identity,
        configuration.channel,
        membership,
        ledger,
        SystemChaincodes(configuration.channel, configuration.msp_ids, lambda: names, ledger),
        {
            chaincode.name: ChaincodeService(
                chaincode.addresses[msp_id],
                chaincode.definition().package_id,
                ledger,
                chaincode.timeout,
            )
            for chaincode in configuration.chaincodes
            if msp_id in chaincode.addresses
        },
    )


def _check_free(organisation: OrganisationConfiguration) -> None:
    """Before anything is opened or written: gRPC itself tells late, and in its own words."""
    host, _, port = organisation.gateway.rpartition(":")
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, int(port)))
        except (OSError, OverflowError) as error:
            raise PortTaken(
                f"the gateway of {organisation.msp_id} cannot listen on {organisation.gateway}: "
                f"{error}; choose another port, or end what listens there"
            ) from error


async def _listening(folder: Path, peer: Peer, gateway: Gateway) -> grpc.aio.Server:
    tls = organisation_folder(folder, peer.msp_id) / "peer_tls"
    server = grpc.aio.server(options=_OPTIONS)
    gateway_pb2_grpc.add_GatewayServicer_to_server(gateway, server)
    credentials = grpc.ssl_server_credentials(
        [((tls / "key.pem").read_bytes(), (tls / "certificate.pem").read_bytes())]
    )
    try:
        server.add_secure_port(peer.address, credentials)
    except RuntimeError as error:
        raise PortTaken(f"{peer.address} was taken while the network started") from error
    await server.start()
    log.info("gateway of %s listens on %s", peer.msp_id, peer.address)
    return server
