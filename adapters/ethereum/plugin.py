"""The plugin that the entry point ``ethereum`` names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from adapters.codec.secp256k1 import address_of
from adapters.ethereum.adapter import EthereumAdapter, expected_code
from adapters.ethereum.diagnosis import code_complaint, contract_code
from adapters.ethereum.lock_contract import LockContract
from adapters.ethereum.node_errors import NodeRefused
from adapters.ethereum.rpc import Rpc
from adapters.ethereum.settings import EthereumSettings
from adapters.model import InvalidValue
from adapters.spi import (
    INTERFACE_VERSION,
    Adapter,
    ChainSettings,
    Credential,
    Misconfigured,
    Scheme,
    Signer,
    Unavailable,
)


class EthereumPlugin:
    """Opens chains with ``adapter: ethereum``."""

    name = "ethereum"
    interface = INTERFACE_VERSION
    settings: type[ChainSettings] = EthereumSettings

    def open(self, name: str, settings: Any) -> AbstractAsyncContextManager[Adapter]:
        return _open(name, settings)

    def credential(self, settings: Any, signer: Signer) -> Credential:
        if signer.scheme is not Scheme.SECP256K1:
            raise Misconfigured(
                f"a key of scheme {signer.scheme} cannot sign for {settings.chain}; "
                "use a secp256k1 key"
            )
        try:
            ids = settings.identities()
        except InvalidValue as error:
            raise Misconfigured(str(error)) from None
        return Credential(ids.account(address_of(signer.public_key)), signer)


@asynccontextmanager
async def _open(name: str, settings: EthereumSettings) -> AsyncIterator[Adapter]:
    try:
        ids = settings.identities()
    except InvalidValue as error:
        raise Misconfigured(f"{name}: {error}") from None
    rpc = Rpc(name, settings.urls, ids.number, settings.request_timeout)
    try:
        contract = LockContract(ids)
        try:
            code = await rpc.run(lambda node: contract_code(node, contract))
        except NodeRefused as refused:
            raise Unavailable(
                f"{name}: the node does not give the contract's code: {refused}"
            ) from None
        complaint = code_complaint(code, expected_code(settings), contract)
        if complaint is not None:
            raise Misconfigured(
                f"{name}: {complaint}; correct contract, or set code_hash if this is intended"
            )
        yield EthereumAdapter(name, settings, rpc)
    finally:
        await rpc.close()


plugin = EthereumPlugin()
