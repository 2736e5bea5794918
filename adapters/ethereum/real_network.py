"""Ethereum as companies run it: Geth, alone, making a block each second (its developer mode) on a
chain whose rules are Ethereum's own as of Osaka.

Developer mode has no votes: Geth calls its newest block ``safe`` at once, and each 32nd one
``finalized``. So this network calls a block final at a depth of two, as the embedded one does; on a
company's chain, which has validators, ``finalized`` is what it says.

Everything survives a kill -9. Geth's own choices would not: Pebble keeps what was written last in
memory, dozens of blocks of it, and so does the path scheme with states. LevelDB hands each write to
the system at once, and with the hash scheme and ``--gcmode archive`` each block's state is written
with it.

FOLDER/genesis.json  the rules, and what the deployer and the participants hold from the beginning
FOLDER/geth          Geth's data
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.codec.secp256k1 import address_of
from adapters.devnet import Participant, ProcessSpec
from adapters.ethereum.devnet_contracts import COIN_EACH, make_ready
from adapters.ethereum.devnet_folder import DevnetFolder
from adapters.ethereum.identity import checksummed
from adapters.ethereum.quantities import to_hex
from adapters.model import AssetId, Bounds
from adapters.programs import Program, Programs
from adapters.spi import Misconfigured

GETH = Program(
    "geth",
    ("version",),
    r"Version: 1\.17\.",
    "with make tools, or with go install github.com/ethereum/go-ethereum/cmd/geth@v1.17.8",
)

CHAIN_NUMBER = 1337

BOUNDS = Bounds(inclusion=4, finality=5, clock=2)
"""Blocks come each second and a little."""

_GAS_LIMIT = 30_000_000
_PROCESS = "geth"
_OTHER_WAYS = ("GETH_",)
"""How Geth's environment would overrule its arguments."""
_APIS = "eth,net,web3,txpool"
_STORE = ("--db.engine", "leveldb", "--state.scheme", "hash")
_INIT_WITHIN = 60.0


class RealNetwork:
    """Implements ``adapters.devnet.DevelopmentNetwork``. HTTP and WebSocket share one port."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self._folder = DevnetFolder(folder, CHAIN_NUMBER)
        self._programs = programs

    @property
    def name(self) -> str:
        return "ethereum"

    @property
    def ports_needed(self) -> int:
        return 1

    def missing(self) -> Sequence[str]:
        return self._programs.missing([GETH])

    def prepare(self, ports: Sequence[int], participants: Sequence[Participant]) -> None:
        """Raises Misconfigured where the folder was prepared for others."""
        self._folder.prepare(ports, participants)
        if not self._data.exists():
            self._begin()

    @property
    def _data(self) -> Path:
        return self._folder.path / "geth"

    @property
    def _deployer(self) -> bytes:
        return address_of(self._folder.deployer.public_key)

    def _begin(self) -> None:
        """The chain's first block, made beside its place: data that are there are whole."""
        genesis = self._folder.path / "genesis.json"
        funded = [self._deployer, *self._folder.participants.values()]
        genesis.write_text(json.dumps(_genesis(funded), indent=1))
        part = self._data.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        geth = self._programs.find(GETH)
        ran = subprocess.run(  # noqa: S603 - a program that the operator put there
            [str(geth), *("--verbosity", "2", "init"), "--datadir", str(part), *_STORE, genesis],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_INIT_WITHIN,
            check=False,
        )
        if ran.returncode != 0:
            words = " ".join(ran.stderr.split()[-60:])
            raise Misconfigured(f"{geth} does not begin a chain from {genesis}: {words}")
        part.rename(self._data)

    def processes(self) -> Sequence[ProcessSpec]:
        port = str(self._folder.port)
        argv = (
            *(str(self._programs.find(GETH)), "--datadir", str(self._data)),
            *("--dev", "--dev.period", "1", "--syncmode", "full", "--ipcdisable"),
            *("--miner.pending.feeRecipient", checksummed(self._deployer)),
            *("--miner.gaslimit", str(_GAS_LIMIT)),
            *(*_STORE, "--gcmode", "archive", "--snapshot=false"),
            *("--http", "--http.addr", "127.0.0.1", "--http.port", port, "--http.api", _APIS),
            *("--ws", "--ws.addr", "127.0.0.1", "--ws.port", port, "--ws.api", _APIS),
            *("--cache", "64", "--verbosity", "2"),
        )
        return [ProcessSpec(_PROCESS, argv, {}, _OTHER_WAYS)]

    @property
    def url(self) -> str:
        return self._folder.url

    async def ready(self) -> None:
        await make_ready(self._folder, _PROCESS)

    def settings(self, participant: str) -> Mapping[str, Any]:
        return self._folder.settings(participant, bounds=BOUNDS, stale_after=10, final_by=2)

    def issued_key(self, participant: str) -> str | None:
        return None

    def assets(self) -> Sequence[AssetId]:
        return self._folder.assets()


_FORKS_BY_BLOCK = (
    *("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg"),
    *("istanbul", "berlin", "london"),
)
_FORKS_BY_TIME = ("shanghai", "cancun", "prague", "osaka")
_BLOBS = {"target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716}

_QUEUES = (
    "0x00000961Ef480Eb55e80D19ad83579A64c007002",
    "0x0000BBdDc7CE488642fb579F8B00f3a590007251",
)
"""Where every block since Prague asks for validators' withdrawals (EIP-7002) and consolidations
(EIP-7251). There must be code; this chain has no validators, and its code answers nothing."""
_STOP = "0x00"


def _genesis(funded: Sequence[bytes]) -> Mapping[str, Any]:
    """All rules from the first block on; coin for these addresses. In the form of ``geth init``."""
    return {
        "config": {
            "chainId": CHAIN_NUMBER,
            **{f"{fork}Block": 0 for fork in _FORKS_BY_BLOCK},
            **{f"{fork}Time": 0 for fork in _FORKS_BY_TIME},
            "terminalTotalDifficulty": 0,
            "blobSchedule": dict.fromkeys(_FORKS_BY_TIME[1:], _BLOBS),
        },
        "difficulty": "0x0",
        "gasLimit": to_hex(_GAS_LIMIT),
        "baseFeePerGas": to_hex(10**9),
        "alloc": {
            **{checksummed(address): {"balance": to_hex(COIN_EACH)} for address in funded},
            **{address: {"balance": "0x0", "code": _STOP} for address in _QUEUES},
        },
    }
