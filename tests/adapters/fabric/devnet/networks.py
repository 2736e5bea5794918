"""The two networks that the same tests run on: the development network, and a real Fabric.

Both have organisations Org1MSP to Org3MSP, the channel ``trade``, and the probe chaincode twice,
two of three to endorse: as ``isthmus``, and as ``token``, where each organisation's process gives
another answer to ``who``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from adapters.fabric.devnet.configuration import (
    ChaincodeConfiguration,
    NetworkConfiguration,
    OrganisationConfiguration,
)
from adapters.fabric.devnet.provision import (
    issue_participant,
    organisation_folder,
    provision,
)
from tests.adapters.fabric.devnet.gateway_client import GatewayClient, User
from tests.networks.fabric import CHAINCODE, CHANNEL, TOKEN, FabricNetwork

PROBE = ("-m", "tests.adapters.fabric.devnet.probe_chaincode")
MSP_IDS = ("Org1MSP", "Org2MSP", "Org3MSP")
POLICY = f"OutOf(2,{','.join(repr(f'{msp_id}.peer') for msp_id in MSP_IDS)})"
_ROOT = Path(__file__).resolve().parents[4]


class NetworkUnderTest(Protocol):
    """What the tests need of a network. Organisations are numbered from 1."""

    def client(self, number: int) -> GatewayClient: ...

    def stop_chaincode(self, number: int) -> None:
        """Ends the organisation's ``isthmus`` process."""

    def start_chaincode(self, number: int) -> None: ...


class RealNetwork(FabricNetwork):
    """A real network whose two chaincodes are the probe."""

    _commands: dict[str, tuple[Sequence[str], Mapping[str, str]]]

    def _deploy(self, name: str, offset: int, module: Sequence[str]) -> None:
        super()._deploy(name, offset, PROBE)

    def invoke(self, chaincode: str, *words: str, user: tuple[int, str] = (1, "Admin")) -> None:
        """The probe needs no setting up."""

    def _start(self, name: str, words: Sequence[str], environment: Mapping[str, str]) -> None:
        if name.startswith(TOKEN):
            environment = {**environment, "PROBE_ANSWER": name}
        self._commands = {**getattr(self, "_commands", {}), name: (words, environment)}
        super()._start(name, words, environment)

    def client(self, number: int) -> GatewayClient:
        user = self.user(number)
        return GatewayClient(
            self.peer_address(number),
            self.tls_ca(number),
            User.read(user.msp_id, user.certificate, user.key),
            CHANNEL,
            CHAINCODE,
        )

    def stop_chaincode(self, number: int) -> None:
        self.kill(f"{CHAINCODE}{number}")

    def start_chaincode(self, number: int) -> None:
        name = f"{CHAINCODE}{number}"
        self._start(name, *self._commands[name])
        self._wait_for(name, self._ports.peer(number, 3))


class DevelopmentNetwork:
    """The development network, as processes of its own."""

    def __init__(self, folder: Path, base: int, batch_timeout_ms: int = 200) -> None:
        """Takes nine ports from ``base``."""
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        addresses = [f"127.0.0.1:{base + number}" for number in range(9)]
        self.gateways = dict(zip(MSP_IDS, addresses[:3], strict=True))
        self.configuration = NetworkConfiguration.model_validate(
            {
                "channel": CHANNEL,
                "organisations": tuple(
                    OrganisationConfiguration(msp_id=msp_id, gateway=address)
                    for msp_id, address in self.gateways.items()
                ),
                "chaincodes": tuple(
                    ChaincodeConfiguration(
                        name=name,
                        policy=POLICY,
                        addresses=dict(zip(MSP_IDS, addresses[first : first + 3], strict=True)),
                        timeout=30 if name == CHAINCODE else 1,
                    )
                    for name, first in ((CHAINCODE, 3), (TOKEN, 6))
                ),
                "batch": {"timeout_ms": batch_timeout_ms},
            }
        )
        provision(folder, self.configuration)

    def start(self) -> None:
        for number in (1, 2, 3):
            self.start_chaincode(number)
            self._start_chaincode(TOKEN, number)
        self.start_network()

    def start_network(self) -> None:
        self._run(
            "network", self.gateways["Org1MSP"], "-m", "adapters.fabric.devnet", str(self.folder)
        )
        for address in self.gateways.values():
            self._await_port("network", address)

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for name in list(self._processes):
            self._processes.pop(name).wait()

    def kill_network(self) -> None:
        """kill -9."""
        process = self._processes.pop("network")
        process.kill()
        process.wait()

    def wait_for_exit(self) -> int:
        return self._processes.pop("network").wait()

    def stop_network(self) -> int:
        return self._end("network")

    def log(self, name: str = "network") -> str:
        return (self.folder / f"{name}.log").read_text()

    def client(self, number: int) -> GatewayClient:
        msp_id = MSP_IDS[number - 1]
        own = issue_participant(self.folder, f"user{number}", msp_id)
        return GatewayClient(
            self.gateways[msp_id],
            organisation_folder(self.folder, msp_id) / "tls_ca" / "certificate.pem",
            User.read(msp_id, own / "certificate.pem", own / "key.pem"),
            CHANNEL,
            CHAINCODE,
        )

    def stop_chaincode(self, number: int) -> None:
        self._end(f"{CHAINCODE}{number}")

    def start_chaincode(self, number: int) -> None:
        self._start_chaincode(CHAINCODE, number)

    def _start_chaincode(self, name: str, number: int) -> None:
        (chaincode,) = [one for one in self.configuration.chaincodes if one.name == name]
        address = chaincode.addresses[MSP_IDS[number - 1]]
        own = f"{name}{number}"
        self._run(
            own,
            address,
            *PROBE,
            CHAINCODE_ID=chaincode.definition().package_id,
            CHAINCODE_SERVER_ADDRESS=address,
            **({"PROBE_ANSWER": own} if name == TOKEN else {}),
        )
        self._await_port(own, address)

    def _run(self, name: str, address: str, *words: str, **environment: str) -> None:
        with socket.socket() as attempt:
            host, _, port = address.rpartition(":")
            assert attempt.connect_ex((host, int(port))) != 0, f"{address} is taken"
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, *words],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=_ROOT,
            )

    def _await_port(self, name: str, address: str) -> None:
        """As long as its process lives: how fast it starts is the machine's matter, and a test
        that hangs is ended by the suite."""
        host, _, port = address.rpartition(":")
        while self._processes[name].poll() is None:
            with socket.socket() as attempt:
                if attempt.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(f"{name} does not listen on {address}: {self.log(name)}")

    def _end(self, name: str) -> int:
        process = self._processes.pop(name)
        process.terminate()
        return process.wait()
