"""What a development network of a ledger offers to whoever starts it.

A network is prepared once in a folder, its processes are then started and stopped by the caller as
often as it likes (their state survives kill -9), and ``ready`` completes what needs a running
ledger: contracts, funding. Everything listens on 127.0.0.1 only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from adapters.model import AssetId
from adapters.programs import Programs

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody who will hold an account: an organisation or a watchtower."""

    name: str
    """Lower-case letters, digits and dashes."""
    public_key: bytes
    """secp256k1, uncompressed, 65 bytes. Ledgers whose identities are certificates issue their
    own key and certificate into the folder instead, and name them in the settings."""


def names_of(participants: Sequence[Participant]) -> list[str]:
    """In their order. Raises ValueError where there is none, one is unfit, or one stands twice."""
    names = [participant.name for participant in participants]
    if not names or len(set(names)) != len(names):
        raise ValueError("participants must be at least one, each with its own name")
    for name in names:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"participant {name[:80]!r} must be lower-case letters, digits, -")
    return names


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process that the caller starts, logs, and stops with SIGTERM."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    """Added to the caller's environment."""
    without: tuple[str, ...] = ()
    """Beginnings of names that are taken out of the caller's environment first: those by which the
    program would be configured otherwise than its files say."""
    needs: tuple[str, ...] = ()
    """Names of processes that must outlive it: where both are to end, it is asked to first."""


class DevelopmentNetwork(Protocol):
    """One ledger's development network, in one folder."""

    @property
    def name(self) -> str:
        """The adapter's name: native, ethereum, fabric."""

    @property
    def ports_needed(self) -> int: ...

    def missing(self) -> Sequence[str]:
        """What has to be got before ``prepare``: a sentence for each program, with its source."""

    def prepare(self, ports: Sequence[int], participants: Sequence[Participant]) -> None:
        """Writes genesis, certificates and configuration into the folder. Calling it again in a
        folder that was prepared for the same participants changes nothing but the ports, where
        the ledger allows that. Raises Misconfigured, ValueError."""

    def processes(self) -> Sequence[ProcessSpec]: ...

    async def ready(self) -> None:
        """Returns when the ledger takes transactions, its contract is there and every participant
        is funded. Idempotent. Raises Unavailable with the reason, naming the log to read."""

    def settings(self, participant: str) -> Mapping[str, Any]:
        """The chain's block of a gateway's configuration for this participant, after ready().
        It lacks the block's ``key``."""

    def issued_key(self, participant: str) -> str | None:
        """URI of the key that the network issued to a participant; None where it uses its own."""

    def assets(self) -> Sequence[AssetId]:
        """What the participants were funded with, the coin (where there is one) first."""


class DevelopmentNetworkFactory(Protocol):
    def __call__(self, folder: Path) -> DevelopmentNetwork: ...


class RealNetworkFactory(Protocol):
    """The same, made of the programs that companies run."""

    def __call__(self, folder: Path, programs: Programs) -> DevelopmentNetwork: ...
