"""A whole development environment in one folder: ledgers, organisations, a watchtower.

FOLDER/devnet.json           what was prepared: ledgers, organisations, ports
FOLDER/native, ethereum, …   the ledgers, each in its own way
FOLDER/alpha, beta, …        the organisations, each with its gateway.yaml
FOLDER/pids, logs            the processes
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

from adapters.devnet import DevelopmentNetwork, ProcessSpec
from adapters.programs import Programs
from gateway.devnet.ledgers import LEDGERS, ORDERING, Ledgers
from gateway.devnet.organisations import Organisation, Ports
from gateway.devnet.processes import Processes

ORGANISATIONS = ("alpha", "beta")
WATCHTOWER = "watchtower"
PORTS = 26_000
"""The first port of a development network, if no other is asked for."""

PLAIN_BOUNDS = {"reaction": 2, "outage": 30}
PLAIN_OFFERS = {"valid_for": 120, "slack": 10}


class NotPrepared(Exception):
    """There is no development environment in the folder, or another one than is asked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an environment has. ``accepting``: pairs (gateway, peer) where the gateway accepts the
    peer's offers by policy. ``adjust`` changes the chains' blocks of a gateway's configuration.
    ``programs``: what real networks are made of; without them the ledgers are the embedded ones."""

    ledgers: Sequence[str] = LEDGERS
    organisations: Sequence[str] = ORGANISATIONS
    accepting: Sequence[tuple[str, str]] = ()
    bounds: Mapping[str, int] = field(default_factory=lambda: dict(PLAIN_BOUNDS))
    offers: Mapping[str, int] = field(default_factory=lambda: dict(PLAIN_OFFERS))
    adjust: Callable[[dict[str, Any]], None] = lambda _chains: None
    programs: Programs | None = None
    ordering: str = ORDERING
    """Of a real Fabric channel (``adapters/fabric/release/ordering.py``)."""


class Environment:
    def __init__(self, folder: Path, plan: Plan, *, die_with_us: bool) -> None:
        self.folder = folder.resolve()
        self.plan = plan
        self.processes = Processes(self.folder, die_with_us=die_with_us)
        self.ledgers = Ledgers(
            self.folder, plan.ledgers, self.processes, plan.programs, plan.ordering
        )
        self.organisations = {
            name: Organisation(self.folder, name) for name in (*plan.organisations, WATCHTOWER)
        }
        self.ports: dict[str, Ports] = {}

    @property
    def networks(self) -> Mapping[str, DevelopmentNetwork]:
        return self.ledgers.networks

    @property
    def ports_needed(self) -> int:
        return self.ledgers.ports_needed + 2 * len(self.organisations)

    def prepare(self, ports: Iterator[int]) -> None:
        """Makes keys, certificates, genesis; the same folder and plan again changes nothing else
        than the ports."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        first, *others = ports
        rest = iter((first, *others))
        for organisation in self.organisations.values():
            organisation.make()
        self.ledgers.prepare(rest, [org.participant for org in self.organisations.values()])
        self.ports = {name: Ports(next(rest), next(rest)) for name in self.organisations}
        record = {
            "ledgers": list(self.plan.ledgers),
            "organisations": list(self.plan.organisations),
            "real": self.plan.programs is not None,
            "ordering": self.plan.ordering,
            "ports": first,
        }
        (self.folder / "devnet.json").write_text(json.dumps(record, indent=1) + "\n")

    async def up(self) -> None:
        """Starts the ledgers and writes the configurations. Raises Unavailable."""
        self.ledgers.start()
        await self.ledgers.ready()
        self._configure()

    def _configure(self) -> None:
        plan = self.plan
        for name in plan.organisations:
            peers = [
                (self.organisations[peer], self.ports[peer].peer, (name, peer) in plan.accepting)
                for own, peer in permutations(plan.organisations, 2)
                if own == name
            ]
            self.organisations[name].write_gateway(
                self.networks, self.ports[name], peers, plan.bounds, plan.offers, plan.adjust
            )
        tower = self.organisations[WATCHTOWER]
        tower.write_watchtower(self.networks, (), self.ports[WATCHTOWER].api)

    def down(self) -> list[str]:
        """Ends every process of the folder, whoever started it. Returns those that were killed."""
        return self.processes.stop()

    def gateway(self, name: str) -> ProcessSpec:
        """The process of an organisation's gateway."""
        return isthmus(
            f"gateway-{name}", "gateway", "run", "-c", str(self.organisations[name].configuration)
        )

    def watchtower(self) -> ProcessSpec:
        path = self.organisations[WATCHTOWER].folder / "watchtower.yaml"
        return isthmus(WATCHTOWER, "watchtower", "run", "-c", str(path))


def isthmus(name: str, *arguments: str) -> ProcessSpec:
    """A process of this program itself."""
    return ProcessSpec(name, (sys.executable, "-m", "gateway.cli", *arguments), {})


def recorded(folder: Path) -> Mapping[str, Any]:
    """What was prepared in a folder. Raises NotPrepared."""
    try:
        record: Mapping[str, Any] = json.loads((folder / "devnet.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise NotPrepared(
            f"there is no development network in {folder}: start one with isthmus devnet up"
        ) from None
    except ValueError:
        raise NotPrepared(f"{folder / 'devnet.json'} is damaged: remove {folder}") from None
    return record
