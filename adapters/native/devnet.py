"""The native ledger's development network: one embedded node in one folder."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from adapters.codec.secp256k1 import compress
from adapters.devnet import Participant, ProcessSpec
from adapters.model import AssetId, ChainId
from adapters.native.app.abci import ValidatorUpdate
from adapters.native.app.genesis import NAMESPACE, chain_reference
from adapters.native.app.names import account_id
from adapters.native.app.timestamp import Timestamp
from adapters.native.cometbft.genesis import GenesisDocument, ValidatorKey
from adapters.spi import Unavailable

CLOCK_BOUND = 2
"""ε of the network's profile, in seconds."""

ASSETS = (("COIN", 6), ("BOND", 2))
"""Symbol and decimals; the coin-like one first."""

FUNDS = 1_000_000
"""Whole units of each asset that each participant starts with."""

_PARTICIPANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_READY_WITHIN = 30.0


class Devnet:
    """Implements ``adapters.devnet.DevelopmentNetwork``. ``block_interval`` is in seconds."""

    def __init__(self, folder: Path, block_interval: float = 1.0) -> None:
        self._folder = folder
        self._interval = block_interval

    @property
    def name(self) -> str:
        return "native"

    @property
    def ports_needed(self) -> int:
        return 1

    def prepare(self, ports: Sequence[int], participants: Sequence[Participant]) -> None:
        """Raises ValueError where the folder was prepared for others or a name is unfit."""
        (port,) = ports
        listed = {p.name: compress(p.public_key).hex() for p in participants}
        if not listed or len(listed) != len(participants):
            raise ValueError("participants must be at least one, each with its own name")
        for name in listed:
            if _PARTICIPANT.fullmatch(name) is None:
                raise ValueError(f"participant {name[:80]!r} must be lower-case letters, digits, -")
        if len(set(listed.values())) != len(listed):
            raise ValueError("two participants have the same key; each needs its own")
        network = {"port": port, "participants": listed}
        if self._network_file.exists():
            known = self._network()
            if known["participants"] != listed:
                raise ValueError(
                    f"{self._folder} was prepared for other participants; use another folder"
                )
            if known["port"] != port:
                _write(self._network_file, known | network)
            return
        config = self._folder / "config"
        config.mkdir(parents=True, exist_ok=True)
        key = ValidatorKey.generate()
        genesis = _genesis(key, [bytes.fromhex(public_key) for public_key in listed.values()])
        _write(config / "genesis.json", genesis.to_json())
        _write(config / "priv_validator_key.json", key.to_json(), mode=0o600)
        # Written last: its presence says that the rest is whole.
        _write(self._network_file, network | {"genesis_hash": genesis.hash().hex()})

    def processes(self) -> Sequence[ProcessSpec]:
        argv = (
            sys.executable,
            "-m",
            "adapters.native.node",
            "--home",
            str(self._folder),
            "--port",
            str(self._network()["port"]),
            "--block-interval",
            repr(self._interval),
        )
        return [ProcessSpec("native-node", argv, {})]

    async def ready(self) -> None:
        """Everything is in the genesis, so the first block is all there is to wait for."""
        url = self._url
        give_up = asyncio.get_running_loop().time() + _READY_WITHIN
        async with httpx.AsyncClient(timeout=5.0) as client:
            while True:
                try:
                    status = (await client.get(f"{url}/status")).json()
                    if int(status["result"]["sync_info"]["latest_block_height"]) >= 1:
                        return
                except (httpx.TransportError, ValueError, KeyError, TypeError):
                    pass
                if asyncio.get_running_loop().time() > give_up:
                    raise Unavailable(
                        f"the native node does not answer at {url} after {_READY_WITHIN:.0f} "
                        "seconds; read the log of the process native-node"
                    )
                await asyncio.sleep(0.1)

    def settings(self, participant: str) -> Mapping[str, Any]:
        public_key = self._network()["participants"].get(participant)
        if public_key is None:
            raise ValueError(f"{participant!r} is no participant of this network")
        return {
            "adapter": self.name,
            "chain": str(self._chain),
            # A transaction that comes just after a block waits for the next one.
            "inclusion": math.ceil(2 * self._interval) + 1,
            "finality": math.ceil(self._interval),
            "clock": CLOCK_BOUND,
            "urls": [self._url],
            "account": account_id(bytes.fromhex(public_key)).hex(),
            "assets": [symbol for symbol, _ in ASSETS],
        }

    def issued_key(self, participant: str) -> str | None:
        return None

    def assets(self) -> Sequence[AssetId]:
        return [AssetId(self._chain, "asset", symbol) for symbol, _ in ASSETS]

    @property
    def _network_file(self) -> Path:
        return self._folder / "network.json"

    def _network(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self._network_file.read_bytes())
        return loaded

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._network()['port']}"

    @property
    def _chain(self) -> ChainId:
        genesis = bytes.fromhex(self._network()["genesis_hash"])
        return ChainId(NAMESPACE, chain_reference(genesis))


def _genesis(key: ValidatorKey, public_keys: Sequence[bytes]) -> GenesisDocument:
    accounts = [account_id(public_key).hex() for public_key in public_keys]
    app_state = {
        "clock_bound": CLOCK_BOUND,
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
    now = Timestamp.of_nanoseconds(time.time_ns())
    # The validator's key is random, so every network gets a genesis hash of its own.
    return GenesisDocument(
        genesis_time=now,
        chain_id=f"isthmus-dev-{key.address.hex()[:8]}",
        initial_height=1,
        validators=(ValidatorUpdate(key.public_key, 10),),
        app_state=app_state,
    )


def _write(path: Path, value: Any, mode: int = 0o644) -> None:
    """The whole file or none of it."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
