"""The ledgers of a development network: which there are, and how they are brought up together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path

from adapters.devnet import (
    DevelopmentNetwork,
    DevelopmentNetworkFactory,
    Participant,
    RealNetworkFactory,
)
from adapters.programs import Programs
from adapters.spi import AdapterError, Misconfigured, Unavailable
from gateway.devnet.processes import Processes

LEDGERS = ("native", "ethereum", "fabric")
ORDERING = "raft"
"""Of a real Fabric channel, if no other is asked for."""


def open_network(
    ledger: str, folder: Path, programs: Programs | None, ordering: str = ORDERING
) -> DevelopmentNetwork:
    """The development network of a built-in adapter, in ``folder``: the embedded one, or, with
    ``programs``, the one that companies run. ``ordering``: of a real Fabric channel."""
    if programs is None:
        embedded: DevelopmentNetworkFactory = import_module(f"adapters.{ledger}.devnet").Devnet
        return embedded(folder)
    if ledger == "fabric":
        # Imported here: gRPC takes its time, and only this needs it.
        from adapters.fabric.real_network import RealNetwork
        from adapters.fabric.release.ordering import ORDERINGS

        return RealNetwork(folder, programs, ORDERINGS[ordering])
    real: RealNetworkFactory = import_module(f"adapters.{ledger}.real_network").RealNetwork
    return real(folder, programs)


class Ledgers:
    """Several development networks whose processes are started and ended together."""

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        processes: Processes,
        programs: Programs | None = None,
        ordering: str = ORDERING,
    ) -> None:
        self.networks: Mapping[str, DevelopmentNetwork] = {
            name: open_network(name, folder / name, programs, ordering) for name in names
        }
        self._processes = processes

    @property
    def ports_needed(self) -> int:
        return sum(network.ports_needed for network in self.networks.values())

    def missing(self) -> list[str]:
        """A sentence for each program that has to be got first."""
        return [said for network in self.networks.values() for said in network.missing()]

    def prepare(self, ports: Iterator[int], participants: Sequence[Participant]) -> None:
        """Raises Misconfigured where a folder was prepared for something else."""
        for network in self.networks.values():
            try:
                network.prepare(list(islice(ports, network.ports_needed)), participants)
            except ValueError as error:
                raise Misconfigured(str(error)) from error

    def start(self) -> None:
        for network in self.networks.values():
            for spec in network.processes():
                if not self._processes.alive(spec.name):
                    self._processes.start(spec)

    async def ready(self) -> None:
        """Returns when every ledger takes transactions and every participant is funded.

        Raises Unavailable, with the last lines of the log where a process has ended, Misconfigured.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for network in self.networks.values():
                    group.create_task(network.ready())
        except* AdapterError as failures:
            first = failures.exceptions[0]
            if isinstance(first, Misconfigured):
                raise first from failures
            raise Unavailable(self._why(failures)) from failures

    def _why(self, failures: ExceptionGroup[AdapterError]) -> str:
        for network in self.networks.values():
            for spec in network.processes():
                if not self._processes.alive(spec.name):
                    log = self._processes.log(spec.name)
                    return (
                        f"the process {spec.name} has ended; its log {log} closes with:\n"
                        f"{self._processes.last_words(spec.name)}"
                    )
        return str(failures.exceptions[0])

    def process_names(self) -> list[str]:
        return [spec.name for net in self.networks.values() for spec in net.processes()]
