"""What every development network of Ethereum keeps in its folder, whatever its node is.

devnet.json      the plan: the node's port, and for whom it was prepared
deployer.key     who deploys the contracts and pays the participants out
deployment.json  what was deployed, and in which block
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.codec.secp256k1 import address_of
from adapters.devnet import Participant
from adapters.ethereum.identity import Identities
from adapters.ethereum.local_key import LocalKey
from adapters.ethereum.quantities import to_hex
from adapters.model import AssetId, Bounds, ChainId
from adapters.spi import Misconfigured
from adapters.whole_file import write_whole


class DevnetFolder:
    """The folder, and who takes part. ``chain``: the number of the chain."""

    def __init__(self, path: Path, chain: int) -> None:
        self.path = path
        self.chain = chain

    def prepare(self, ports: Sequence[int], participants: Sequence[Participant]) -> None:
        """Writes the plan and a deployer's key. Raises Misconfigured where the folder was prepared
        for others."""
        plan = {
            "port": ports[0],
            "participants": {one.name: to_hex(address_of(one.public_key)) for one in participants},
        }
        self.path.mkdir(parents=True, exist_ok=True)
        if self._plan.exists():
            there = self._read(self._plan)
            if there["participants"] != plan["participants"]:
                raise Misconfigured(
                    f"the ethereum development network in {self.path} was prepared for other "
                    "participants: remove the folder to begin anew"
                )
        if not self._key_file.exists():
            write_whole(self._key_file, secrets.token_hex(32).encode())
        write_whole(self._plan, json.dumps(plan, indent=1).encode(), 0o644)

    @property
    def port(self) -> int:
        return int(self._read(self._plan)["port"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def participants(self) -> Mapping[str, bytes]:
        """Their addresses, by name."""
        plan = self._read(self._plan)
        return {name: _address(text) for name, text in plan["participants"].items()}

    @property
    def deployer(self) -> LocalKey:
        return LocalKey(bytes.fromhex(self._key_file.read_text()))

    @property
    def made(self) -> Mapping[str, Any]:
        """The record of what was deployed: ``contract`` and ``token``, addresses, and ``at``, the
        block of the contract. Empty before that."""
        return self._read(self._deployment) if self._deployment.exists() else {}

    def record(self, made: Mapping[str, Any]) -> None:
        write_whole(self._deployment, json.dumps(made, indent=1).encode(), 0o644)

    def settings(
        self, participant: str, *, bounds: Bounds, stale_after: int, final_by: int
    ) -> Mapping[str, Any]:
        """The chain's block of a participant's configuration, once the contracts are deployed.
        Raises Misconfigured."""
        if participant not in self._read(self._plan)["participants"]:
            raise Misconfigured(f"the ethereum development network has no {participant!r}")
        made = self._read(self._deployment)
        return {
            "adapter": "ethereum",
            "chain": f"eip155:{self.chain}",
            "urls": [self.url],
            "contract": made["contract"],
            "deployed_at": made["at"],
            "tokens": [made["token"]],
            "final_by": final_by,
            "poll_interval": 0.25,
            "inclusion": bounds.inclusion,
            "finality": bounds.finality,
            "clock": bounds.clock,
            "stale_after": stale_after,
        }

    def assets(self) -> Sequence[AssetId]:
        """The coin and the token, once they are there. Raises Misconfigured."""
        made = self._read(self._deployment)
        ids = Identities(ChainId("eip155", str(self.chain)), _address(made["contract"]))
        return [ids.coin, ids.asset(_address(made["token"]))]

    @property
    def _plan(self) -> Path:
        return self.path / "devnet.json"

    @property
    def _deployment(self) -> Path:
        return self.path / "deployment.json"

    @property
    def _key_file(self) -> Path:
        return self.path / "deployer.key"

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            read: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise Misconfigured(
                f"the ethereum development network in {self.path} has no readable "
                f"{path.name}: prepare it first, or remove the folder"
            ) from error
        return read


def _address(text: str) -> bytes:
    return bytes.fromhex(text[2:])
