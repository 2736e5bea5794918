"""The entry point ``native`` of the group ``isthmus.adapters``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

from adapters.codec.secp256k1 import compress
from adapters.model import AccountId
from adapters.native.app.names import account_id
from adapters.native.driver import NativeAdapter
from adapters.native.rpc_client import MAX_ANSWER, RpcClient
from adapters.native.settings import NativeSettings
from adapters.node_http import NodeHttp
from adapters.spi import (
    INTERFACE_VERSION,
    Adapter,
    ChainSettings,
    Credential,
    Misconfigured,
    Scheme,
    Signer,
)


class NativePlugin:
    @property
    def name(self) -> str:
        return "native"

    @property
    def interface(self) -> int:
        return INTERFACE_VERSION

    @property
    def settings(self) -> type[ChainSettings]:
        return NativeSettings

    def open(self, name: str, settings: Any) -> AbstractAsyncContextManager[Adapter]:
        assert isinstance(settings, NativeSettings)
        return _opened(name, settings)

    def credential(self, settings: Any, signer: Signer) -> Credential:
        assert isinstance(settings, NativeSettings)
        if signer.scheme is not Scheme.SECP256K1:
            raise Misconfigured(
                f"the native chain {settings.chain} needs a secp256k1 key, not {signer.scheme}"
            )
        account = settings.account or account_id(compress(signer.public_key)).hex()
        return Credential(AccountId(settings.chain_id(), account), signer)


@asynccontextmanager
async def _opened(name: str, settings: NativeSettings) -> AsyncIterator[Adapter]:
    label = f"chain {name} ({settings.chain_id()})"
    async with aclosing(NodeHttp(settings.request_timeout, MAX_ANSWER)) as http:
        adapter = NativeAdapter(name, settings, RpcClient(label, settings.urls, http))
        await adapter.start()
        yield adapter


plugin = NativePlugin()
