"""A native chain as companies run it: CometBFT validators, each with the application behind ABCI.

FOLDER/network.json      for whom it was prepared
FOLDER/validator0, …     each validator: CometBFT's home, with the application's state beside it
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.devnet import Participant, ProcessSpec
from adapters.model import AssetId
from adapters.native.cometbft.block import base64_bytes, validator_address
from adapters.native.cometbft.genesis import GenesisDocument, ValidatorKey
from adapters.native.devnet_folder import ChainBounds, DevnetFolder, devnet_genesis, write_json
from adapters.native.new_block import new_block
from adapters.programs import Program, Programs
from adapters.spi import Unavailable
from adapters.whole_file import write_whole

COMETBFT = Program(
    "cometbft",
    ("version",),
    r"\b0\.38\.",
    "with make tools, or with go install github.com/cometbft/cometbft/cmd/cometbft@v0.38.19",
)

_ONE_CORE_EACH = {"GOMAXPROCS": "1"}
"""Four nodes share the machine. On more cores, each would spend two fifths of its processor time on
looking for work that the others have."""

VALIDATORS = 4
"""One may fail: more than two thirds of the power go on."""

BOUNDS = ChainBounds(inclusion=6, finality=2, clock=6)
"""Blocks come every 0.6 s; where the proposer is down a round more is needed, and the block's time
is that of the votes on the one before."""

_OTHER_WAYS = ("CMT", "TM_", "TMHOME")
"""How CometBFT's environment would overrule its files."""

_READY_WITHIN = 60.0
_PORTS_EACH = 3


@dataclass(frozen=True, slots=True)
class Validator:
    """One validator's folder and ports."""

    name: str
    home: Path
    rpc: int
    p2p: int
    application: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.rpc}"

    @property
    def node_process(self) -> str:
        return f"native-{self.name}"

    @property
    def application_process(self) -> str:
        return f"native-application-{self.name.removeprefix('validator')}"


class RealNetwork:
    """Implements ``adapters.devnet.DevelopmentNetwork``."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self._network = DevnetFolder(folder)
        self._programs = programs

    @property
    def name(self) -> str:
        return "native"

    @property
    def ports_needed(self) -> int:
        return _PORTS_EACH * VALIDATORS

    def missing(self) -> Sequence[str]:
        return self._programs.missing([COMETBFT])

    def prepare(self, ports: Sequence[int], participants: Sequence[Participant]) -> None:
        """Raises ValueError where the folder was prepared for others or a name is unfit."""
        self._network.prepare(ports, participants, self._make)
        validators = self.validators()
        peers = [f"{node_id(one.home)}@127.0.0.1:{one.p2p}" for one in validators]
        for number, validator in enumerate(validators):
            others = [peer for other, peer in enumerate(peers) if other != number]
            write_configuration(validator, others)

    def _make(self, public_keys: Sequence[bytes]) -> GenesisDocument:
        keys = [ValidatorKey.generate() for _ in range(VALIDATORS)]
        genesis = devnet_genesis(keys, public_keys, BOUNDS.clock)
        for number, key in enumerate(keys):
            write_home(self._home(number), genesis, key)
        return genesis

    def _home(self, number: int) -> Path:
        return self._network.folder / f"validator{number}"

    def validators(self) -> Sequence[Validator]:
        ports = self._network.ports
        return [
            Validator(
                f"validator{number}",
                self._home(number),
                *ports[_PORTS_EACH * number : _PORTS_EACH * (number + 1)],
            )
            for number in range(VALIDATORS)
        ]

    def processes(self) -> Sequence[ProcessSpec]:
        """Applications first: a node that finds none waits three seconds before it tries again."""
        node = str(self._programs.find(COMETBFT))
        validators = self.validators()
        applications = [
            ProcessSpec(
                one.application_process,
                (
                    *(sys.executable, "-m", "adapters.native.abci"),
                    *("--home", str(one.home / "application"), "--port", str(one.application)),
                ),
                {},
            )
            for one in validators
        ]
        nodes = [
            ProcessSpec(
                one.node_process,
                (node, "start", "--home", str(one.home)),
                _ONE_CORE_EACH,
                _OTHER_WAYS,
                # CometBFT 0.38 may wait for its application's answer for ever after that has ended.
                needs=(one.application_process,),
            )
            for one in validators
        ]
        return [*applications, *nodes]

    async def ready(self) -> None:
        """Everything is in the genesis, so blocks are all there is to wait for."""
        urls = [one.url for one in self.validators()]
        try:
            async with asyncio.timeout(_READY_WITHIN), asyncio.TaskGroup() as group:
                for url in urls:
                    group.create_task(new_block(url))
        except TimeoutError:
            raise Unavailable(
                f"the validators at {', '.join(urls)} have made no block after "
                f"{_READY_WITHIN:.0f} seconds; read the logs of the processes native-validator…"
            ) from None

    def settings(self, participant: str) -> Mapping[str, Any]:
        """Each participant has a validator of its own first; the others are there if it is not."""
        urls = [one.url for one in self.validators()]
        first = self._network.position(participant) % len(urls)
        return self._network.settings(participant, [*urls[first:], *urls[:first]], BOUNDS)

    def issued_key(self, participant: str) -> str | None:
        return None

    def assets(self) -> Sequence[AssetId]:
        return self._network.assets


def write_home(home: Path, genesis: GenesisDocument, key: ValidatorKey) -> None:
    """A new validator's home, as CometBFT wants it, but for its configuration."""
    config, data = home / "config", home / "data"
    config.mkdir(parents=True, exist_ok=True)
    data.mkdir(exist_ok=True)
    write_json(config / "genesis.json", genesis.to_json())
    write_json(config / "priv_validator_key.json", key.to_json(), mode=0o600)
    write_json(config / "node_key.json", _node_key(ValidatorKey.generate()), mode=0o600)
    write_json(data / "priv_validator_state.json", {"height": "0", "round": 0, "step": 0})


def _node_key(key: ValidatorKey) -> dict[str, Any]:
    """The form of CometBFT's ``node_key.json``: as the validator's, the private half alone."""
    return {"priv_key": key.to_json()["priv_key"]}


def node_id(home: Path) -> str:
    """What peers call a node: the address of its key, in lower-case hex."""
    key = json.loads((home / "config" / "node_key.json").read_bytes())
    raw = base64_bytes(key["priv_key"]["value"])
    return validator_address(raw[32:]).hex()


def write_configuration(validator: Validator, peers: Sequence[str]) -> None:
    """``config.toml``: what differs from CometBFT's defaults. Everything is on loopback."""
    text = _CONFIGURATION.format(
        name=validator.name,
        application=validator.application,
        rpc=validator.rpc,
        p2p=validator.p2p,
        peers=",".join(peers),
    )
    write_whole(validator.home / "config" / "config.toml", text.encode(), 0o644)


_CONFIGURATION = """\
proxy_app = "tcp://127.0.0.1:{application}"
moniker = "{name}"
log_level = "info"

[rpc]
laddr = "tcp://127.0.0.1:{rpc}"
pprof_laddr = ""

[p2p]
laddr = "tcp://127.0.0.1:{p2p}"
persistent_peers = "{peers}"
addr_book_strict = false
allow_duplicate_ip = true
pex = false
persistent_peers_max_dial_period = "1s"

[consensus]
timeout_propose = "600ms"
timeout_propose_delta = "200ms"
timeout_prevote = "300ms"
timeout_prevote_delta = "100ms"
timeout_precommit = "300ms"
timeout_precommit_delta = "100ms"
timeout_commit = "300ms"
create_empty_blocks = true

[storage]
discard_abci_responses = false

[tx_index]
indexer = "kv"
"""
