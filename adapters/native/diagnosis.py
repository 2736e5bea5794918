"""What ``doctor`` prints of a native chain. Never raises for what it finds wrong."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from adapters.codec.secp256k1 import compress
from adapters.native.answers import QueryAnswer, read_query
from adapters.native.app.codes import Code
from adapters.native.app.genesis import NAMESPACE, chain_reference
from adapters.native.app.records import (
    CLOCK_BOUND_KEY,
    GENESIS_KEY,
    HEAD_KEY,
    Account,
    HeadRecord,
    account_key,
    balance_key,
    decode_balance,
)
from adapters.native.identity import EXPECTED_VERSION
from adapters.native.rpc_client import Node, RpcClient, RpcFailure, Unusable
from adapters.native.settings import NativeSettings
from adapters.spi import Credential, Finding


async def diagnose(
    client: RpcClient, settings: NativeSettings, credential: Credential | None
) -> Sequence[Finding]:
    """Each node's reachability, chain, application, clock; then the account and its balances."""
    findings: list[Finding] = []
    usable: Node | None = None
    for node in list(client.nodes):
        try:
            found = await _node(client, node, settings)
        except (RpcFailure, Unusable, ValueError) as error:
            mend = "start the node, or correct urls"
            findings.append(Finding(f"node {node.label}", False, str(error), mend))
            continue
        findings += found
        if usable is None and all(finding.ok for finding in found):
            usable = node
    if credential is not None and usable is not None:
        try:
            findings += await _account(client, usable, settings, credential)
        except (RpcFailure, Unusable, ValueError) as error:
            findings.append(Finding("account", False, str(error), "look at the node's log"))
    return findings


async def _node(client: RpcClient, node: Node, settings: NativeSettings) -> list[Finding]:
    genesis = await _ask(client, node, "/key", GENESIS_KEY)
    if genesis.value is None:
        mend = "correct urls, or wait until the chain has its first block"
        seen = "it does not run the native application, or has no block yet"
        return [Finding(f"node {node.label}", False, seen, mend)]
    findings = [Finding(f"node {node.label}", True, f"answers, at height {genesis.height}")]
    chain = f"{NAMESPACE}:{chain_reference(genesis.value)}"
    findings.append(
        Finding("chain id", chain == settings.chain, chain, f"set chain to {chain}, or urls")
    )
    version = await _ask(client, node, "/version", b"")
    seen = (version.value or b"").decode("ascii", "replace")
    mend = f"run the release of Isthmus that knows {seen}"
    findings.append(Finding("application", seen == EXPECTED_VERSION, seen, mend))
    findings += await _clock(client, node, settings)
    return findings


async def _clock(client: RpcClient, node: Node, settings: NativeSettings) -> list[Finding]:
    head = HeadRecord.decode((await _ask(client, node, "/key", HEAD_KEY)).value or b"")
    off = int(time.time()) - head.time.seconds
    allowed = settings.clock + (settings.stale_after or max(1, settings.inclusion + settings.clock))
    lag = Finding(
        "clock",
        -settings.clock <= off <= allowed,
        f"the newest block is {off} seconds behind this machine's clock",
        "check that the chain makes blocks, and this machine's time service",
    )
    bound = int.from_bytes((await _ask(client, node, "/key", CLOCK_BOUND_KEY)).value or b"", "big")
    agreed = Finding(
        "clock bound",
        settings.clock >= bound,
        f"the chain's validators bound block time to {bound} seconds of theirs; "
        f"clock is {settings.clock}",
        f"set clock to at least {bound}",
    )
    return [lag, agreed]


async def _account(
    client: RpcClient, node: Node, settings: NativeSettings, credential: Credential
) -> list[Finding]:
    identity = bytes.fromhex(credential.account.address)
    raw = (await _ask(client, node, "/key", account_key(identity))).value
    if raw is None:
        mend = "have an account of the chain create it with this key, or set account"
        return [Finding("account", False, f"{credential.account} is not on the chain", mend)]
    fits = Account.decode(raw).public_key == compress(credential.signer.public_key)
    seen = f"{credential.account}" if fits else f"{credential.account} has another key"
    findings = [Finding("account", fits, seen, "use the account's key, or set account")]
    for symbol in settings.assets:
        answer = await _ask(client, node, "/key", balance_key(symbol, identity))
        # None is no fault: nothing here is paid for a transaction, and who only receives has none.
        held = decode_balance(answer.value)
        findings.append(Finding(f"balance {symbol}", True, f"{held} smallest units"))
    return findings


async def _ask(client: RpcClient, node: Node, path: str, key: bytes) -> QueryAnswer:
    params: dict[str, Any] = {"path": path, "data": key.hex(), "height": "0", "prove": False}
    answer = await client.ask(node, "abci_query", params, read_query)
    if answer.code != Code.OK:
        raise ValueError(f"{node.label} refuses to read {path}: {answer.log[:200]}")
    return answer
