"""The two networks that the same tests run on: the development network, and a real Fabric.

Both have organisations OrgAMSP to OrgCMSP, the channel ``trade``, and the probe chaincode twice,
two of three to endorse: as ``isthmus``, and as ``token``, where each organisation's process gives
another answer to ``who``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from adapters.devnet import ProcessSpec
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
from adapters.fabric.devnet_assets import CLOCK_BOUND, ORGANISATIONS, two_of_three
from adapters.fabric.real_network import ChaincodeProgram
from tests.adapters.fabric.devnet.gateway_client import GatewayClient, User
from tests.networks.fabric import CHAINCODE, CHANNEL, ROOT, TOKEN, FabricNetwork

PROBE = ("-m", "tests.adapters.fabric.devnet.probe_chaincode")
MSP_IDS = ORGANISATIONS


class NetworkUnderTest(Protocol):
    """What the tests need of a network. Organisations are numbered from 1."""

    def client(self, number: int) -> GatewayClient: ...

    def stop_chaincode(self, number: int) -> None:
        """Ends the organisation's ``isthmus`` process."""

    def start_chaincode(self, number: int) -> None: ...


def probe(name: str) -> ChaincodeProgram:
    return ChaincodeProgram(
        name, f"fabric-{name}", (sys.executable, *PROBE), {"PYTHONPATH": str(ROOT)}
    )


class RealNetwork(FabricNetwork):
    """A real network whose two chaincodes are the probe."""

    def __init__(self, folder: Path) -> None:
        self._probe = probe(CHAINCODE)
        super().__init__(folder, chaincodes=(self._probe, probe(TOKEN)))

    def specs(self) -> Sequence[ProcessSpec]:
        answers = {self.service(number, probe(TOKEN)): f"{TOKEN}{number}" for number in (1, 2, 3)}
        return [
            replace(spec, env={**spec.env, "PROBE_ANSWER": answers[spec.name]})
            if spec.name in answers
            else spec
            for spec in super().specs()
        ]

    async def ready(self) -> None:
        """The probe needs no setting up."""
        await self.real.deploy()

    def stop_chaincode(self, number: int) -> None:
        self.kill(self.service(number, self._probe))

    def start_chaincode(self, number: int) -> None:
        self.resume(self.service(number, self._probe))


class DevelopmentNetwork:
    """The development network, as processes of its own."""

    def __init__(
        self,
        folder: Path,
        base: int,
        batch_timeout_ms: int = 200,
        program: Sequence[str] = PROBE,
        patience: float = 1,
    ) -> None:
        """Takes nine ports from ``base``. ``program``: the chaincode ``isthmus``. ``patience``:
        seconds that a call of ``token`` may take."""
        self.folder = folder
        self._programs = {CHAINCODE: program, TOKEN: PROBE}
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
                        policy=two_of_three(),
                        addresses=dict(zip(MSP_IDS, addresses[first : first + 3], strict=True)),
                        timeout=30 if name == CHAINCODE else patience,
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
            "network", self.gateways["OrgAMSP"], "-m", "adapters.fabric.devnet", str(self.folder)
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
            *self._programs[name],
            ISTHMUS_CLOCK_BOUND=str(CLOCK_BOUND),
            ISTHMUS_TOKENS=TOKEN,
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
                cwd=ROOT,
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
