"""The Fabric adapter's entry point."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.fabric.account import account_of
from adapters.fabric.driver import FabricAdapter
from adapters.fabric.gateway import connect
from adapters.fabric.identity import Identity, NotAnIdentity, identity_of
from adapters.fabric.pem_signer import PemSigner
from adapters.fabric.settings import FabricSettings
from adapters.model import InvalidValue
from adapters.spi import (
    INTERFACE_VERSION,
    Adapter,
    AdapterPlugin,
    ChainSettings,
    Credential,
    Misconfigured,
    Signer,
    SigningFailed,
)


class FabricPlugin:
    """Opens channels; see FabricSettings for what is configured."""

    @property
    def name(self) -> str:
        return "fabric"

    @property
    def interface(self) -> int:
        return INTERFACE_VERSION

    @property
    def settings(self) -> type[ChainSettings]:
        return FabricSettings

    def open(self, name: str, settings: Any) -> AbstractAsyncContextManager[Adapter]:
        return _open(name, settings)

    def credential(self, settings: Any, signer: Signer) -> Credential:
        where = f"fabric channel {settings.channel}"
        certificate = _read(where, "certificate", settings.certificate)
        try:
            identity_of(settings.msp_id, certificate, signer)
            account = account_of(settings.chain_id(), settings.msp_id, certificate)
        except (NotAnIdentity, InvalidValue) as error:
            raise Misconfigured(f"{where}: {error}") from error
        return Credential(account, signer, certificate)


@asynccontextmanager
async def _open(name: str, settings: FabricSettings) -> AsyncIterator[Adapter]:
    async with connect(name, settings, _reader(name, settings), time.time_ns) as gateway:
        adapter = FabricAdapter(name, settings, gateway, time.time_ns)
        await adapter.check()
        yield adapter


def _reader(name: str, settings: FabricSettings) -> Identity:
    certificate = _read(
        name, "reader_certificate", settings.reader_certificate or settings.certificate
    )
    try:
        return identity_of(settings.msp_id, certificate, PemSigner.load(settings.reader_key))
    except (NotAnIdentity, SigningFailed) as error:
        raise Misconfigured(f"{name}: reader_key and its certificate: {error}") from error


def _read(where: str, field: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{where}: {field} {path} cannot be read: {error.strerror}") from error


plugin: AdapterPlugin = FabricPlugin()
