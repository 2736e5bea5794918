"""What can be checked of a gateway that does not run: all that its configuration leads to.

Nothing is sent to a chain and nothing is written: the keys are opened, the ports tried, the
journal's header read, the certificates dated, the chains asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from adapters.spi import AdapterError, Credential, Misconfigured, Signer
from gateway.api.bodies import DoctorView, FindingView
from gateway.api.doctor import WAIT, chain_findings, refuted
from gateway.compose import Keys, credential_of
from gateway.listener import bind, check_tls
from gateway.settings import ChainConfiguration, ConfigurationError, GatewaySettings, read_secret
from relayers.journal.port import JournalError
from relayers.journal.sqlite_file import check_header
from relayers.signing.secret import Prompt, SecretMissing

CERTIFICATE_DAYS = 14
"""A certificate that ends sooner than in this many days is found wrong."""


async def inspected(settings: GatewaySettings, *, prompt: Prompt | None = None) -> DoctorView:
    """All findings. Raises nothing for what it finds wrong. ``prompt`` asks for passphrases that
    the configuration does not refer to."""
    root = settings.root
    keys = Keys(settings.folder, prompt)
    found = [await _key("gateway.key", lambda: keys.signer(root.gateway.key, "gateway.key"))]
    found.append(
        await _key(
            "gateway.swap_key", lambda: keys.swap_key(root.gateway.swap_key, "gateway.swap_key")
        )
    )
    found.append(_token(settings))
    found += _journal(root.journal.path)
    listeners = [
        ("api", root.api.host, root.api.port, root.api.tls_certificate, root.api.tls_key),
        (
            "peer_api",
            root.peer_api.host,
            root.peer_api.port,
            root.peer_api.tls_certificate,
            root.peer_api.tls_key,
        ),
    ]
    for part, host, port, certificate, key in listeners:
        found.append(_port(part, host, port))
        if certificate is not None and key is not None:
            found += _certificate(part, certificate, key)
    # One after the other: a prompt for a passphrase must not meet another.
    signers = [await _chain_key(keys, chain, found) for chain in settings.chains]
    chains = await asyncio.gather(
        *(_chain(chain, signer) for chain, signer in zip(settings.chains, signers, strict=True))
    )
    found += [finding for findings in chains for finding in findings]
    return DoctorView(ok=all(finding.ok for finding in found), findings=tuple(found))


def _fine(part: str, check: str, seen: str) -> FindingView:
    return FindingView(part=part, check=check, ok=True, seen=seen)


async def _key(part: str, opening: Callable[[], Awaitable[object]]) -> FindingView:
    try:
        await opening()
    except (AdapterError, ConfigurationError, SecretMissing) as error:
        return refuted(part, "key", str(error), f"correct {part} in the configuration")
    return _fine(part, "key", "it opens")


async def _chain_key(
    keys: Keys, chain: ChainConfiguration, found: list[FindingView]
) -> Signer | None:
    part = f"chains.{chain.name}.key"
    try:
        signer = await keys.signer(chain.key, part)
    except (AdapterError, ConfigurationError, SecretMissing) as error:
        found.append(refuted(part, "key", str(error), f"correct {part} in the configuration"))
        return None
    found.append(_fine(part, "key", "it opens"))
    return signer


def _token(settings: GatewaySettings) -> FindingView:
    try:
        read_secret(settings.root.api.token, "api.token")
    except ConfigurationError as error:
        mend = "make the file or the variable that api.token refers to"
        return refuted("api.token", "secret", str(error), mend)
    return _fine("api.token", "secret", "it is there")


def _journal(path: Path) -> list[FindingView]:
    if not path.exists():
        seen = f"there is none at {path}; one is made at the first start"
        return [_fine("journal", "file", seen)]
    try:
        check_header(path)
    except JournalError as error:
        mend = "see docs/how-to/back-up-and-restore.md"
        return [refuted("journal", "file", str(error), mend)]
    return [_fine("journal", "file", f"{path} is a whole journal")]


def _port(part: str, host: str, port: int) -> FindingView:
    try:
        bind(host, port, part).close()
    except Misconfigured as error:
        return refuted(part, "port", str(error), f"end what listens there, or set {part}.port")
    return _fine(part, "port", f"{port} of {host} is free")


def _certificate(part: str, certificate: Path, key: Path) -> list[FindingView]:
    mend = f"set {part}.tls_certificate and {part}.tls_key to a PEM certificate and its key"
    try:
        check_tls((certificate, key), part)
        end = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (Misconfigured, ValueError, OSError) as error:
        return [refuted(part, "certificate", str(error), mend)]
    left = end - datetime.now(UTC)
    seen = f"{certificate} is valid until {end:%Y-%m-%d}"
    if left.days < CERTIFICATE_DAYS:
        return [refuted(part, "certificate", seen, "have a new one issued")]
    return [_fine(part, "certificate", seen)]


async def _chain(chain: ChainConfiguration, signer: Signer | None) -> list[FindingView]:
    part = f"chain {chain.name}"
    credential: Credential | None = None
    found: list[FindingView] = []
    try:
        if signer is not None:
            credential = credential_of(chain, signer)
    except Misconfigured as error:
        found.append(refuted(part, "key", str(error), f"correct chains.{chain.name}.key"))
    try:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(WAIT):
                adapter = await stack.enter_async_context(
                    chain.plugin.open(chain.name, chain.settings)
                )
            return found + await chain_findings(part, adapter, credential, int(time.time()))
    except TimeoutError:
        return [*found, refuted(part, "reachability", f"no answer within {WAIT:g} s", _NODE)]
    except Misconfigured as error:
        # It answers, and is not what the configuration says.
        mend = f"correct chains.{chain.name} in the configuration, or see to the node"
        return [*found, refuted(part, "configuration", str(error), mend)]
    except AdapterError as error:
        return [*found, refuted(part, "reachability", str(error), _NODE)]


_NODE = "see to the node, or to the chain's block in the configuration"
