"""What every development network of the native chain keeps in its folder, whatever its nodes are.

``network.json`` says for whom the folder was prepared; the genesis document is made once. The
participants hold all assets from the beginning, so there is nothing to fund later.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.codec.secp256k1 import compress
from adapters.devnet import Participant, names_of
from adapters.model import AssetId, ChainId
from adapters.native.app.abci import ValidatorUpdate
from adapters.native.app.genesis import NAMESPACE, chain_reference
from adapters.native.app.names import account_id
from adapters.native.app.timestamp import Timestamp
from adapters.native.cometbft.genesis import GenesisDocument, ValidatorKey
from adapters.whole_file import write_whole

ASSETS = (("COIN", 6), ("BOND", 2))
"""Symbol and decimals; the coin-like one first."""

FUNDS = 1_000_000
"""Whole units of each asset that each participant starts with."""

VALIDATOR_POWER = 10


@dataclass(frozen=True, slots=True)
class ChainBounds:
    """I, F and ε of the network's profile, in seconds."""

    inclusion: int
    finality: int
    clock: int


class DevnetFolder:
    """The folder, and who takes part."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(
        self,
        ports: Sequence[int],
        participants: Sequence[Participant],
        make: Callable[[Sequence[bytes]], GenesisDocument],
    ) -> None:
        """``make`` writes what a new network needs, given the participants' compressed keys, and
        returns its genesis; in a folder that was prepared before, only the ports may change.

        Raises ValueError where the folder was prepared for others or a name is unfit."""
        names = names_of(participants)
        keys = [compress(participant.public_key).hex() for participant in participants]
        listed = dict(zip(names, keys, strict=True))
        if len(set(listed.values())) != len(listed):
            raise ValueError("two participants have the same key; each needs its own")
        network = {"ports": list(ports), "participants": listed}
        if self._file.exists():
            known = self._read()
            if known["participants"] != listed:
                raise ValueError(
                    f"{self.folder} was prepared for other participants; use another folder"
                )
            if known.get("ports") != network["ports"]:
                write_json(self._file, known | network)
            return
        genesis = make([bytes.fromhex(public_key) for public_key in listed.values()])
        # Written last: its presence says that the rest is whole.
        write_json(self._file, network | {"genesis_hash": genesis.hash().hex()})

    @property
    def ports(self) -> Sequence[int]:
        return [int(port) for port in self._read()["ports"]]

    @property
    def chain(self) -> ChainId:
        genesis = bytes.fromhex(self._read()["genesis_hash"])
        return ChainId(NAMESPACE, chain_reference(genesis))

    @property
    def assets(self) -> Sequence[AssetId]:
        chain = self.chain
        return [AssetId(chain, "asset", symbol) for symbol, _ in ASSETS]

    def position(self, participant: str) -> int:
        """The participant's place among them, from 0. Raises ValueError."""
        known = list(self._read()["participants"])
        if participant not in known:
            raise ValueError(f"{participant!r} is no participant of this network")
        return known.index(participant)

    def settings(
        self, participant: str, urls: Sequence[str], bounds: ChainBounds
    ) -> Mapping[str, Any]:
        """The chain's block of a participant's configuration."""
        public_key = self._read()["participants"].get(participant)
        if public_key is None:
            raise ValueError(f"{participant!r} is no participant of this network")
        return {
            "adapter": "native",
            "chain": str(self.chain),
            "inclusion": bounds.inclusion,
            "finality": bounds.finality,
            "clock": bounds.clock,
            "urls": list(urls),
            "account": account_id(bytes.fromhex(public_key)).hex(),
            "assets": [symbol for symbol, _ in ASSETS],
        }

    @property
    def _file(self) -> Path:
        return self.folder / "network.json"

    def _read(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self._file.read_bytes())
        return loaded


def devnet_genesis(
    validators: Sequence[ValidatorKey], public_keys: Sequence[bytes], clock_bound: int
) -> GenesisDocument:
    """``public_keys``: the participants', compressed. ``clock_bound``: ε, in seconds."""
    accounts = [account_id(public_key).hex() for public_key in public_keys]
    app_state = {
        "clock_bound": clock_bound,
        "accounts": [{"public_key": public_key.hex()} for public_key in public_keys],
        "assets": [
            {"symbol": symbol, "decimals": decimals, "issuer": accounts[0]}
            for symbol, decimals in ASSETS
        ],
        "balances": [
            {"asset": symbol, "account": account, "amount": str(FUNDS * 10**decimals)}
            for symbol, decimals in ASSETS
            for account in accounts
        ],
    }
    # The validators' keys are random, so every network gets a genesis hash of its own.
    return GenesisDocument(
        genesis_time=Timestamp.of_nanoseconds(time.time_ns()),
        chain_id=f"isthmus-dev-{validators[0].address.hex()[:8]}",
        initial_height=1,
        validators=tuple(ValidatorUpdate(key.public_key, VALIDATOR_POWER) for key in validators),
        app_state=app_state,
    )


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    write_whole(path, json.dumps(value, indent=2).encode(), mode)
