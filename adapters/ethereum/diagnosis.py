"""What ``doctor`` is told of an Ethereum chain."""

from __future__ import annotations

import time
from collections.abc import Sequence

from adapters.codec.keccak import keccak256
from adapters.ethereum.claim_cost import GAS_OF_A_CLAIM
from adapters.ethereum.fees import capped, market
from adapters.ethereum.heads import Heads
from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import CREDIT_OF, LockContract, encode
from adapters.ethereum.node_errors import NodeFailed, NodeRefused
from adapters.ethereum.quantities import data, quantity, to_hex
from adapters.ethereum.rpc import Node, Rpc
from adapters.ethereum.settings import EthereumSettings
from adapters.model import format_amount
from adapters.spi import AdapterError, Credential, Finding, NotSent


async def contract_code(node: Node, contract: LockContract) -> bytes:
    """The code at the contract's address. Raises NodeFailed, NodeRefused."""
    answer = await node.call("eth_getCode", checksummed(contract.address), "latest")
    return data(answer, "a contract's code")


def code_complaint(code: bytes, expected: frozenset[bytes], contract: LockContract) -> str | None:
    """Why this is not the lock contract; None where it is."""
    where = checksummed(contract.address)
    if not code:
        return f"there is no contract at {where}"
    if keccak256(code) not in expected:
        return f"the contract at {where} has code 0x{keccak256(code).hex()}, which is not expected"
    return None


async def diagnose(
    rpc: Rpc,
    settings: EthereumSettings,
    contract: LockContract,
    heads: Heads,
    expected: frozenset[bytes],
    credential: Credential | None,
) -> Sequence[Finding]:
    """One finding for each thing that was checked. Raises nothing for what it finds wrong."""
    found: list[Finding] = []
    for node in rpc.nodes:
        found += await _node(node, settings, contract, heads, expected)
    if credential is not None:
        found.append(await _balance(rpc, settings, contract, credential))
        found.append(await _price(rpc, settings))
    return found


async def _node(
    node: Node,
    settings: EthereumSettings,
    contract: LockContract,
    heads: Heads,
    expected: frozenset[bytes],
) -> list[Finding]:
    check = f"node {node.label}"
    try:
        tip = await heads.newest(node)
        code = await contract_code(node, contract)
    except (NodeFailed, NodeRefused, AdapterError) as error:
        return [Finding(check, False, str(error), "start the node, or correct urls and chain")]
    found = [Finding(check, True, f"chain {settings.chain}, block {tip.head.height}")]
    complaint = code_complaint(code, expected, contract)
    found.append(
        Finding(
            f"lock contract at {node.label}",
            complaint is None,
            complaint or f"{checksummed(contract.address)} has the expected code",
            "" if complaint is None else "correct contract, or set code_hash if this is intended",
        )
    )
    lag = int(time.time()) - tip.head.time
    bound = settings.stale_after or max(1, settings.inclusion + settings.clock)
    well = -settings.clock <= lag <= bound
    found.append(
        Finding(
            f"clock of {node.label}",
            well,
            f"the newest block is {lag} seconds old; up to {bound} is well"
            if lag >= 0
            else f"the newest block is {-lag} seconds ahead of this clock",
            "" if well else "set this machine's clock by NTP, and look whether the chain goes on",
        )
    )
    return found


async def _balance(
    rpc: Rpc, settings: EthereumSettings, contract: LockContract, credential: Credential
) -> Finding:
    check = "signer's balance"
    try:
        address = checksummed(contract.ids.address_of(credential.account))

        async def ask(node: Node) -> tuple[int, int, int]:
            held = quantity(await node.call("eth_getBalance", address, "latest"), "a balance")
            call = {
                "to": checksummed(contract.address),
                "data": to_hex(encode(CREDIT_OF, contract.ids.address_of(credential.account))),
            }
            credit = data(await node.call("eth_call", call, "latest"), "a credit", 32)
            price = quantity(await node.call("eth_gasPrice"), "the gas price")
            return held, int.from_bytes(credit, "big"), price

        held, credit, price = await rpc.run(ask)
    except (ValueError, NodeRefused, AdapterError) as error:
        return Finding(check, False, str(error), "correct the account, the node or the contract")

    def shown(amount: int) -> str:
        return f"{format_amount(amount, settings.coin_decimals)} {settings.coin_symbol}"

    if settings.gas_price is not None:
        price = settings.gas_price
    well = held >= GAS_OF_A_CLAIM * price
    seen = f"{address} holds {shown(held)}"
    if credit:
        seen += f", and {shown(credit)} of credit to be withdrawn"
    return Finding(check, well, seen, "" if well else "send it coin: this does not pay for a claim")


async def _price(rpc: Rpc, settings: EthereumSettings) -> Finding:
    check = "gas price"
    policy = settings.fee_policy()
    try:
        seen = await rpc.run(lambda node: market(node, policy))
        fees = capped(seen, policy)
    except NotSent as error:
        return Finding(check, False, str(error), "wait, or raise max_fee_per_gas")
    except (ValueError, NodeRefused, AdapterError) as error:
        return Finding(check, False, str(error), "see to the node")
    paid = f"at most {fees.cap} wei for a unit of gas"
    if policy.cap is None and policy.gas_price is None:
        paid += "; there is no max_fee_per_gas, so whatever price a node names is paid"
    return Finding(check, True, paid)
