"""Making a network's folder: certificates, the genesis block, the configuration.

network.json                                   what the network consists of
genesis.block                                  the channel's first block
ledger.sqlite                                  blocks and state, made at the first start
organisations/MSP/{ca,tls_ca,peer,peer_tls,admin}/{key,certificate}.pem
orderer/{ca,tls_ca,identity}/{key,certificate}.pem
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography import x509
from fabric_protos.common import common_pb2
from google.protobuf.message import DecodeError

from adapters.devnet_certificates import (
    KeyPair,
    issue_identity,
    issue_tls_server,
    make_authority,
)
from adapters.fabric.devnet.configuration import (
    FILE,
    ConfigurationInvalid,
    NetworkConfiguration,
)
from adapters.fabric.devnet.genesis import ORDERER_MSP, make_genesis
from adapters.fabric.devnet.msp import Membership

LEDGER_FILE = "ledger.sqlite"
_GENESIS_FILE = "genesis.block"
_HOSTS = ("localhost", "127.0.0.1")


def organisation_folder(folder: Path, msp_id: str) -> Path:
    return folder / "organisations" / msp_id


def provision(folder: Path, configuration: NetworkConfiguration) -> None:
    """Makes what is not there yet, and writes the configuration. A network that was made for
    other organisations or another channel is left alone. Raises ConfigurationInvalid."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / FILE).exists():
        there = NetworkConfiguration.read(folder)
        if (there.channel, there.msp_ids) != (configuration.channel, configuration.msp_ids):
            raise ConfigurationInvalid(
                f"{folder} holds a network of {', '.join(there.msp_ids)} on channel "
                f"{there.channel}; take an empty folder"
            )
    else:
        _make_certificates(folder, configuration)
    # Last, so that an interrupted run is begun anew.
    configuration.write(folder)


def _make_certificates(folder: Path, configuration: NetworkConfiguration) -> None:
    authorities: dict[str, tuple[bytes, bytes]] = {}
    for msp_id in configuration.msp_ids:
        own = organisation_folder(folder, msp_id)
        ca = make_authority(f"ca.{msp_id}", msp_id)
        tls_ca = make_authority(f"tlsca.{msp_id}", msp_id)
        ca.write(own / "ca")
        tls_ca.write(own / "tls_ca")
        issue_identity(ca, f"peer0.{msp_id}", msp_id, "peer").write(own / "peer")
        issue_identity(ca, f"admin.{msp_id}", msp_id, "admin").write(own / "admin")
        issue_tls_server(tls_ca, f"peer0.{msp_id}", msp_id, _HOSTS).write(own / "peer_tls")
        authorities[msp_id] = (ca.certificate_pem(), tls_ca.certificate_pem())
    ordering = folder / "orderer"
    ca = make_authority("ca.orderer", ORDERER_MSP)
    tls_ca = make_authority("tlsca.orderer", ORDERER_MSP)
    ca.write(ordering / "ca")
    tls_ca.write(ordering / "tls_ca")
    issue_identity(ca, "orderer0", ORDERER_MSP, "orderer").write(ordering / "identity")
    genesis = make_genesis(
        configuration.channel,
        authorities,
        (ca.certificate_pem(), tls_ca.certificate_pem()),
        configuration.batch,
    )
    (folder / _GENESIS_FILE).write_bytes(genesis.SerializeToString())


def issue_participant(folder: Path, name: str, msp_id: str) -> Path:
    """A client identity of an organisation, in ``participants/NAME``; made once. Returns its
    folder, with ``key.pem`` (mode 0600) and ``certificate.pem``."""
    own = folder / "participants" / name
    if not (own / "certificate.pem").exists():
        ca = KeyPair.read(organisation_folder(folder, msp_id) / "ca")
        issue_identity(ca, name, msp_id, "client").write(own)
    os.chmod(own / "key.pem", 0o600)
    return own


def read_genesis(folder: Path) -> common_pb2.Block:
    """Raises ConfigurationInvalid."""
    path = folder / _GENESIS_FILE
    try:
        return common_pb2.Block.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ConfigurationInvalid(
            f"{path} cannot be read; remove the folder and prepare the network again"
        ) from error


def read_membership(folder: Path, configuration: NetworkConfiguration) -> Membership:
    """The organisations with their CA certificates. Raises OSError, ValueError."""
    return Membership(
        {
            msp_id: x509.load_pem_x509_certificate(
                (organisation_folder(folder, msp_id) / "ca" / "certificate.pem").read_bytes()
            )
            for msp_id in configuration.msp_ids
        }
    )
