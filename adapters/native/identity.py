"""Makes sure that a node is one of the chain that the operator has configured."""

from __future__ import annotations

from adapters.model import ChainId
from adapters.native.answers import read_query
from adapters.native.app.codes import Code
from adapters.native.app.genesis import NAMESPACE, chain_reference
from adapters.native.app.names import APPLICATION_VERSION, LOCK_MODULE
from adapters.native.app.records import GENESIS_KEY
from adapters.native.rpc_client import Node, RpcClient, Unusable
from adapters.spi import Misconfigured

EXPECTED_VERSION = f"isthmus-native/{APPLICATION_VERSION} {LOCK_MODULE}"
"""What the application must answer under /version: this is the chain's "contract"."""


async def verify_node(client: RpcClient, node: Node, chain: ChainId, label: str) -> bytes:
    """The whole genesis hash, 32 bytes, once chain and application are what they must be.

    Raises Misconfigured, Unusable, RpcFailure.
    """
    params = {"path": "/key", "data": GENESIS_KEY.hex(), "height": "0", "prove": False}
    answer = await client.ask(node, "abci_query", params, read_query)
    genesis = answer.value
    if answer.code == Code.OK and genesis is None and answer.height < 1:
        raise Unusable(f"{node.label} has no block yet", sent=False)
    if answer.code != Code.OK or genesis is None or len(genesis) != 32:
        raise Misconfigured(
            f"{label}: {node.label} does not run the native application; correct urls"
        )
    reference = chain_reference(genesis)
    if reference != chain.reference:
        raise Misconfigured(
            f"{label}: {node.label} is a node of {NAMESPACE}:{reference}; correct chain or urls"
        )
    version = await client.ask(node, "abci_query", params | {"path": "/version"}, read_query)
    if version.value != EXPECTED_VERSION.encode("ascii"):
        raise Misconfigured(
            f"{label}: {node.label} runs another application than {EXPECTED_VERSION}; "
            "run the release of Isthmus that fits it"
        )
    return genesis
