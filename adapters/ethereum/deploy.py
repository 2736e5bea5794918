"""Puts the lock contract on a chain, or checks one that is there:
``python -m adapters.ethereum.deploy --help``.

The contract has no owner and no parameters: what counts of it is its code, so whoever deploys it
need not be trusted by those who compare the code's hash. The deployer's key comes from a file in
Ethereum's key file format, its passphrase from a file or from the terminal.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.codec.keccak import keccak256
from adapters.codec.secp256k1 import address_of
from adapters.ethereum.account import Account
from adapters.ethereum.artifact import Artifact, load
from adapters.ethereum.deployment import code_at, deploy
from adapters.ethereum.fees import FeePolicy
from adapters.ethereum.identity import chain_number, checksummed, parse_address
from adapters.ethereum.local_key import LocalKey
from adapters.ethereum.node_errors import NodeFailed, NodeRefused
from adapters.ethereum.quantities import quantity, to_hex
from adapters.ethereum.rpc import Rpc
from adapters.model import ChainId
from adapters.spi import AdapterError, Misconfigured

CONTRACTS = {"cancun": "HashTimeLockCancun", "paris": "HashTimeLockParis"}
"""By the oldest rules that each needs, the newest first."""

_TRANSIENT_STORAGE = bytes.fromhex("5f5c505f5ff3")
"""A creation that reads transient storage (TLOAD) and makes an empty contract."""

_REQUEST_TIMEOUT = 30.0


class Failed(Exception):
    """What the operator is told, in one sentence."""


@dataclass(frozen=True, slots=True)
class Found:
    """A lock contract that is on a chain and has the code that this package carries."""

    name: str
    address: str
    code_hash: str


async def recommended(rpc: Rpc) -> str:
    """The hardfork to deploy for: cancun where the chain has its rules."""
    try:
        await rpc.call("eth_call", {"data": to_hex(_TRANSIENT_STORAGE)}, "latest")
    except NodeRefused:
        return "paris"
    return "cancun"


async def verify(rpc: Rpc, address: bytes) -> Found:
    """Raises Failed where the contract is not there, or is another."""
    shown = checksummed(address)
    code = await code_at(rpc, address)
    if not code:
        raise Failed(f"there is no contract at {shown}: check --chain, --url and the address")
    for name in CONTRACTS.values():
        if load(name).code_hash == keccak256(code):
            return Found(name, shown, to_hex(keccak256(code)))
    raise Failed(
        f"the contract at {shown} has code {to_hex(keccak256(code))}, which is none that this "
        "version of Isthmus carries: do not use it"
    )


async def _gas(rpc: Rpc, deployer: bytes, artifact: Artifact) -> int:
    request = {"from": checksummed(deployer), "data": to_hex(artifact.bytecode)}
    try:
        estimate = await rpc.call("eth_estimateGas", request)
    except NodeRefused as refused:
        raise Failed(
            f"the node does not estimate the deployment's gas: {refused}: does "
            f"{checksummed(deployer)} hold coin for the fee, and is it allowed to deploy?"
        ) from None
    return quantity(estimate, "the gas estimate") * 6 // 5


async def _deployed(rpc: Rpc, chain: int, arguments: argparse.Namespace) -> dict[str, object]:
    key = _key(arguments)
    deployer = address_of(key.public_key)
    wanted = arguments.hardfork or await recommended(rpc)
    artifact = load(CONTRACTS[wanted])
    legacy = arguments.gas_price is not None
    policy = FeePolicy(arguments.max_fee_per_gas, None, arguments.gas_price, legacy)
    account = Account(rpc, chain, deployer, key, policy, float(arguments.wait))
    try:
        async with asyncio.timeout(arguments.wait):
            gas = await _gas(rpc, deployer, artifact)
            made = await deploy(rpc, account, artifact, gas)
    except TimeoutError:
        raise Failed(
            f"the deployment is in no block after {arguments.wait} seconds; look what has become "
            f"of the transactions of {checksummed(deployer)} before it is tried again"
        ) from None
    found = await verify(rpc, made.address)
    return {**_shown(found, chain), "deployed_at": made.height, "transaction": made.transaction}


def _shown(found: Found, chain: int) -> dict[str, object]:
    return {
        "chain": f"eip155:{chain}",
        "contract": found.address,
        "made_from": found.name,
        "code_hash": found.code_hash,
    }


def _key(arguments: argparse.Namespace) -> LocalKey:
    """The deployer's. Raises Failed; no message holds anything of what is in the files."""
    from eth_account import Account as KeyFiles

    if arguments.key_file is None:
        raise Failed("--key-file: name the deployer's key file, or --verify a contract")
    try:
        sealed = json.loads(arguments.key_file.read_text())
    except (OSError, ValueError):
        raise Failed(f"--key-file: {arguments.key_file} is no readable key file") from None
    # Isthmus's own files say what the key is for; others' are of Ethereum's kind.
    kind = sealed.get("isthmus", {}).get("kind", "secp256k1")
    if kind != "secp256k1":
        raise Failed(f"--key-file: {arguments.key_file} is a key of kind {kind}, not secp256k1")
    if arguments.passphrase_file is not None:
        try:
            passphrase = arguments.passphrase_file.read_text().rstrip("\r\n")
        except (OSError, ValueError):
            raise Failed(
                f"--passphrase-file: {arguments.passphrase_file} is not readable"
            ) from None
    else:
        passphrase = getpass.getpass(f"passphrase of {arguments.key_file}: ")
    try:
        return LocalKey(bytes(KeyFiles.decrypt(sealed, passphrase)))
    except Exception:  # noqa: BLE001 - whatever it stumbles over must not be shown
        raise Failed(
            f"--key-file: {arguments.key_file} does not open: is it an Ethereum key file (version "
            "3), and is that its passphrase?"
        ) from None


def _url(text: str) -> str:
    """A URL may hold an access key, and then does not belong among a process's arguments."""
    if not text.startswith("file:"):
        return text
    try:
        return Path(text.removeprefix("file:")).read_text().strip()
    except OSError:
        raise Failed(f"--url: {text} is not readable") from None


async def run(arguments: argparse.Namespace) -> dict[str, object]:
    """What there is to say of the contract. Raises Failed."""
    try:
        chain = chain_number(ChainId.parse(arguments.chain))
        rpc = Rpc("deployment", (_url(arguments.url),), chain, _REQUEST_TIMEOUT)
    except (ValueError, Misconfigured) as error:
        raise Failed(str(error)) from None
    try:
        if arguments.verify is not None:
            return _shown(await verify(rpc, parse_address(arguments.verify, "--verify")), chain)
        return await _deployed(rpc, chain, arguments)
    except (ValueError, AdapterError, NodeRefused, NodeFailed) as error:
        raise Failed(str(error)) from None
    finally:
        await rpc.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m adapters.ethereum.deploy", description=__doc__)
    parser.add_argument("--chain", required=True, help="which chain it must be, as eip155:1337")
    parser.add_argument(
        "--url", required=True, help="a node; file:PATH where the URL holds an access key"
    )
    parser.add_argument("--verify", metavar="ADDRESS", help="only check the contract there")
    parser.add_argument("--key-file", type=Path, help="the deployer's key, a version 3 key file")
    parser.add_argument("--passphrase-file", type=Path, help="without it, the terminal is asked")
    parser.add_argument(
        "--hardfork",
        choices=tuple(CONTRACTS),
        help="the oldest rules that the contract must do with; without it, as the chain has them",
    )
    parser.add_argument("--gas-price", type=int, help="a fixed legacy price in wei; 0: gas is free")
    parser.add_argument("--max-fee-per-gas", type=int, help="never pay more, in wei")
    parser.add_argument("--wait", type=int, default=300, help="seconds for it to be in a block")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Prints, as lines of YAML, what belongs into a gateway's configuration, and the code's hash.
    Status 1 where the contract is not what it should be, or was not deployed."""
    try:
        said = asyncio.run(run(_parser().parse_args(words)))
    except Failed as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    sys.stdout.write("".join(f"{name}: {value}\n" for name, value in said.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
