"""The composition root: builds a gateway out of its settings, runs it, and ends it in order.

Nothing is written or sent before everything that can be checked has been: the configuration, the
keys, the TLS files, the ports, the journal, the chains.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from structlog.stdlib import get_logger

from adapters.model import ChainId, InvalidValue
from adapters.spi import Adapter, Credential, Misconfigured, Signer
from gateway.api.peer_app import peer_app
from gateway.api.tower_app import tower_app
from gateway.api.user_app import user_app
from gateway.audit import AuditLog
from gateway.chain_doors import ChainDoor, ChainDoors
from gateway.listener import Listener, bind, check_tls
from gateway.process import until_signalled
from gateway.sections import KeySection
from gateway.services import ChainTrouble, Services
from gateway.settings import ChainConfiguration, GatewaySettings, TowerSettings, read_secret
from gateway.telemetry.alerts import AlertTeller
from gateway.telemetry.metrics import Metrics, Sources
from relayers.backoff import Backoff
from relayers.clock import Clock, system_clock
from relayers.engine import Engine
from relayers.executor import Executor
from relayers.journal.sqlite import SqliteJournal
from relayers.offers.chains import TradedChain, TradedChains
from relayers.offers.clerk import PolicyClerk
from relayers.offers.dealing import Dealing
from relayers.offers.desk import OfferDesk
from relayers.offers.intake import OfferIntake
from relayers.offers.peer_messenger import open_messenger
from relayers.offers.peers import Peers
from relayers.offers.typed_data import gateway_address
from relayers.post import Post
from relayers.protocol.state import Swap
from relayers.signing.keyring import Keyring
from relayers.signing.keystore import KeyFileError
from relayers.signing.secret import Prompt, Secret
from relayers.signing.swap_key import SwapKey
from relayers.tower_state import TowerState
from relayers.watcher import Watcher
from relayers.watchtower import Watchtower

_log = get_logger("gateway")

PATIENCE = 10.0
"""Seconds that a start waits for the chains: the gateway then begins with those that are open."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that is built and not yet running. ``workers`` never end by themselves."""

    services: Services
    user: Listener
    peer: Listener
    workers: Mapping[str, Callable[[], Awaitable[None]]]

    async def run(self) -> None:
        """Runs until ``stop``; then lets requests under way end, and stops the rest.

        Raises what made a part fail, such as JournalError: then the process is to be started anew.
        """
        services = self.services
        try:
            async with asyncio.TaskGroup() as tasks:
                workers = [
                    tasks.create_task(_endless(work), name=name)
                    for name, work in self.workers.items()
                ]
                listeners = [
                    tasks.create_task(listener.run_until_stopped())
                    for listener in (self.user, self.peer)
                ]
                _log.info("running", organisation=services.organisation)
                await services.stopping.wait()
                _log.info("stopping")
                self.user.stop()
                self.peer.stop()
                await asyncio.wait(listeners)
                for worker in workers:
                    worker.cancel()
        except BaseExceptionGroup as group:
            # The first cause; what followed from it is noise to an operator.
            raise _first(group) from group

    def stop(self) -> None:
        """Asks the gateway to end; ``run`` returns when it has."""
        self.services.stopping.set()


async def _endless(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@asynccontextmanager
async def open_gateway(
    settings: GatewaySettings, *, prompt: Prompt | None = None, clock: Clock = system_clock
) -> AsyncIterator[Gateway]:
    """Builds a gateway. ``prompt`` asks for passphrases that the configuration does not refer to.

    Chains are opened side by side; those whose nodes do not answer are taken up when they do, and
    hold up nothing else. A chain that is not the configured one ends the start only where no swap
    is open; else it is left out, and doctor and /readyz say so. Raises ConfigurationError,
    Misconfigured (a key, a TLS file, a port in use, such a chain), JournalError.
    """
    root = settings.root
    keys = Keys(settings.folder, prompt)
    token = read_secret(root.api.token, "api.token")
    signer = await keys.signer(root.gateway.key, "gateway.key")
    swap_key = await keys.swap_key(root.gateway.swap_key, "gateway.swap_key")
    chain_signers = [
        await keys.signer(chain.key, f"chains.{chain.name}.key") for chain in settings.chains
    ]
    user_tls = _tls(root.api.tls_certificate, root.api.tls_key)
    peer_tls = (root.peer_api.tls_certificate, root.peer_api.tls_key)
    if user_tls is not None:
        check_tls(user_tls, "api")
    check_tls(peer_tls, "peer_api")
    try:
        peers, own = Peers(settings.peers), gateway_address(signer)
    except InvalidValue as error:
        raise Misconfigured(f"gateway.key: {error}") from error
    if peers.at(own) is not None:
        raise Misconfigured(f"peers: 0x{own.hex()} is this gateway's own address")
    async with AsyncExitStack() as stack:
        user_socket = bind(root.api.host, root.api.port, "api")
        stack.callback(user_socket.close)
        peer_socket = bind(root.peer_api.host, root.peer_api.port, "peer_api")
        stack.callback(peer_socket.close)
        messenger = await stack.enter_async_context(open_messenger(peers, signer))
        owner = root.gateway.organisation
        journal = await stack.enter_async_context(
            await SqliteJournal.open(root.journal.path, owner)
        )
        audit = stack.enter_context(AuditLog(settings.audit_path, clock))
        credentials = [
            credential_of(chain, chain_signer)
            for chain, chain_signer in zip(settings.chains, chain_signers, strict=True)
        ]
        engine = await Engine.open(journal, clock)
        before = engine.quarantined()
        await engine.retry_held()
        for key in before.keys() - engine.quarantined().keys():
            _log.warning("a swap is out of quarantine", swap="0x" + key.hex())
        backoff = Backoff(random.random)
        doors = await stack.enter_async_context(ChainDoors(settings.chains, backoff, clock))
        await doors.all_tried(PATIENCE)

        def at_stake() -> bool:
            return bool(engine.quarantined()) or not all(swap.ended for swap in engine.swaps())

        if not at_stake():
            # Better not to start at all than with less than was written.
            doors.raise_misconfigured()
        executor = Executor(engine, {}, messenger, swap_key, clock, backoff)
        traded = TradedChains(
            (),
            settings.bounds,
            lambda: [door.name for door in doors if traded.named(door.name) is None],
        )
        names: dict[ChainId, str] = {}
        watchers: list[Watcher] = []

        def take_up(adapter: Adapter, credential: Credential) -> Watcher:
            chain = TradedChain(adapter, credential)
            names[chain.id] = chain.name
            traded.add(chain)
            watchers.append(Watcher(engine, adapter, clock, backoff))
            executor.add(chain.id, chain)
            return watchers[-1]

        def served(door: ChainDoor, credential: Credential) -> Callable[[], Awaitable[None]]:
            """Watches a chain from when it is open. One that is open now is taken up now, so that
            the first request finds it."""
            watcher = None if door.adapter is None else take_up(door.adapter, credential)

            async def serve() -> None:
                one = watcher or take_up(await door.opened(), credential)
                await one.run()

            return serve

        dealing = Dealing(
            signer=signer,
            chains=traded,
            peers=peers,
            swaps=engine,
            clock=clock,
            rules=settings.rules,
        )
        desk = OfferDesk(dealing, swap_key, messenger, secrets.token_bytes)
        received = asyncio.Event()
        metrics = Metrics(
            Sources(
                swaps=engine.swaps,
                views=engine.views,
                names=names,
                quarantined=lambda: len(engine.quarantined()),
                intents=lambda: len(engine.intents()),
                clock=clock,
                closed=traded.awaited,
            )
        )

        def decided(swap: Swap, decision: str, why: str) -> None:
            audit.write("policy", "accept", decision, swap="0x" + swap.hashlock.hex(), detail=why)
            metrics.commands.labels("policy", "accept", decision).inc()

        clerk = PolicyClerk(dealing, desk, received, decided)
        services = Services(
            organisation=owner,
            dealing=dealing,
            desk=desk,
            intake=OfferIntake(dealing, received),
            engine=engine,
            journal=journal,
            greeter=messenger,
            audit=audit,
            metrics=metrics,
            clock=clock,
            chance=secrets.token_bytes,
            trouble=lambda: {**doors.trouble(), **_trouble(watchers, names)},
            stopping=asyncio.Event(),
        )
        workers: dict[str, Callable[[], Awaitable[None]]] = {
            "engine": engine.run,
            "chains": doors.run,
            "first tries of the chains": partial(doors.first_tries, at_stake),
            "audit": audit.run,
        }
        for door, credential in zip(doors, credentials, strict=True):
            workers[f"watcher of {door.name}"] = served(door, credential)
        alerts = AlertTeller(
            engine.follow,
            journal.events,
            settings.alerts_path,
            clock,
            lambda kind: metrics.alerts.labels(kind).inc(),
        )
        workers |= {"executor": executor.run, "policy clerk": clerk.run, "alerts": alerts.run}
        yield Gateway(
            services,
            Listener(user_app(services, token), user_socket, user_tls, root.api.limits),
            Listener(peer_app(services), peer_socket, peer_tls, root.peer_api.limits),
            workers,
        )


def _tls(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    return None if certificate is None or key is None else (certificate, key)


def _trouble(
    watchers: Sequence[Watcher], names: Mapping[ChainId, str]
) -> Mapping[str, ChainTrouble]:
    return {
        names[watcher.chain]: ChainTrouble(watcher.state.error, int(watcher.state.since or 0))
        for watcher in watchers
        if watcher.state.error is not None
    }


# --- keys and chains -----------------------------------------------------------------------------


class Keys:
    """Opens keys by the sections that name them. Raises Misconfigured, ConfigurationError."""

    def __init__(self, folder: Path, prompt: Prompt | None) -> None:
        self._ring = Keyring(folder)
        self._prompt = prompt

    async def signer(self, key: KeySection, field: str) -> Signer:
        try:
            return await self._ring.signer(key.uri, self._passphrase(key, field))
        except KeyFileError as error:
            raise Misconfigured(f"{field}: {error}") from error

    async def swap_key(self, key: KeySection, field: str) -> SwapKey:
        try:
            return await self._ring.swap_key(key.uri, self._passphrase(key, field))
        except KeyFileError as error:
            raise Misconfigured(f"{field}: {error}") from error

    def _passphrase(self, key: KeySection, field: str) -> Callable[[], Secret] | None:
        if key.passphrase is None and not key.uri.startswith("keystore:"):
            # A PEM file may well have none.
            return None
        what = f"the passphrase of {field}"
        return lambda: read_secret(key.passphrase, what, prompt=self._prompt)


async def open_chains(
    stack: AsyncExitStack, chains: Sequence[ChainConfiguration]
) -> Sequence[Adapter]:
    """Opens every chain, side by side; one whose node does not answer is tried again until it
    does. Raises Misconfigured."""
    doors = ChainDoors(chains, Backoff(random.random), system_clock)
    await stack.enter_async_context(doors)
    return await doors.all_open()


async def open_credentials(
    keys: Keys, chains: Sequence[ChainConfiguration]
) -> Mapping[str, Credential]:
    """Who acts on each chain, by the chain's name. Raises Misconfigured, ConfigurationError."""
    return {
        chain.name: credential_of(chain, await keys.signer(chain.key, f"chains.{chain.name}.key"))
        for chain in chains
    }


def credential_of(chain: ChainConfiguration, signer: Signer) -> Credential:
    try:
        return chain.plugin.credential(chain.settings, signer)
    except Misconfigured as error:
        raise Misconfigured(f"chains.{chain.name}.key: {error}") from error


# --- a watchtower --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WatchtowerProcess:
    """A watchtower that is built and not yet running. ``listener``: health and metrics, where the
    configuration asks for them. ``workers`` never end by themselves."""

    tower: Watchtower
    listener: Listener | None
    workers: Mapping[str, Callable[[], Awaitable[None]]]
    stopping: asyncio.Event

    async def run(self) -> None:
        """Runs until ``stop``. Raises TowerStateError where its state cannot be written."""
        try:
            async with asyncio.TaskGroup() as tasks:
                workers = [
                    tasks.create_task(_endless(work), name=name)
                    for name, work in self.workers.items()
                ]
                served = (
                    tasks.create_task(self.listener.run_until_stopped())
                    if self.listener is not None
                    else None
                )
                _log.info("watching", chains=[str(one.chain) for one in self.tower.watchers])
                await self.stopping.wait()
                _log.info("stopping")
                if self.listener is not None and served is not None:
                    self.listener.stop()
                    await asyncio.wait([served])
                for worker in workers:
                    worker.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from group

    def stop(self) -> None:
        self.stopping.set()


@asynccontextmanager
async def open_tower(
    settings: TowerSettings, *, prompt: Prompt | None = None, clock: Clock = system_clock
) -> AsyncIterator[WatchtowerProcess]:
    """Builds a watchtower. Its chains are opened as a gateway's: a node that does not answer holds
    up nothing but its own chain. A chain that is not the configured one ends the start only where
    no lock is looked after yet; else it is left out, and the log and /readyz say so. Raises
    ConfigurationError, Misconfigured, TowerStateError."""
    root = settings.root
    keys = Keys(settings.folder, prompt)
    credentials = list((await open_credentials(keys, settings.chains)).values())
    backoff = Backoff(random.random)
    async with AsyncExitStack() as stack:
        sock = None
        if root.metrics is not None:
            sock = bind(root.metrics.host, root.metrics.port, "metrics")
            stack.callback(sock.close)
        state, serves = TowerState(root.state), settings.serves
        tower = Watchtower({}, state, clock, backoff, serves=serves, patience=root.patience)
        doors = await stack.enter_async_context(ChainDoors(settings.chains, backoff, clock))
        await doors.all_tried(PATIENCE)

        def at_stake() -> bool:
            return bool(tower.tower.locks)

        if not at_stake():
            # Better not to start at all than with less than was written.
            doors.raise_misconfigured()

        def take_up(adapter: Adapter, credential: Credential) -> ChainId:
            chain = adapter.profile.chain
            tower.add(chain, Post(adapter, credential))
            return chain

        def served(door: ChainDoor, credential: Credential) -> Callable[[], Awaitable[None]]:
            """Looks after a chain from when it is open."""
            chain = None if door.adapter is None else take_up(door.adapter, credential)

            async def serve() -> None:
                await tower.look_after(chain or take_up(await door.opened(), credential))

            return serve

        workers: dict[str, Callable[[], Awaitable[None]]] = {
            "chains": doors.run,
            "first tries of the chains": partial(doors.first_tries, at_stake),
        }
        for door, credential in zip(doors, credentials, strict=True):
            workers[f"watch over {door.name}"] = served(door, credential)
        listener = None
        if sock is not None and root.metrics is not None:
            names = {chain.settings.chain_id(): chain.name for chain in settings.chains}
            app = tower_app(tower, names, doors.trouble, clock)
            listener = Listener(app, sock, None, root.metrics.limits)
        yield WatchtowerProcess(tower, listener, workers, asyncio.Event())


# --- processes -----------------------------------------------------------------------------------


async def run_gateway(
    settings: GatewaySettings,
    *,
    prompt: Prompt | None = None,
    serving: Callable[[Gateway], None] = lambda _: None,
) -> None:
    """A gateway's process: runs until SIGTERM or SIGINT; ``serving`` is told once clients can
    connect. Raises what open_gateway and run do."""
    await until_signalled(lambda: open_gateway(settings, prompt=prompt), serving)


async def run_tower(
    settings: TowerSettings,
    *,
    prompt: Prompt | None = None,
    serving: Callable[[WatchtowerProcess], None] = lambda _: None,
) -> None:
    """A watchtower's process: runs until SIGTERM or SIGINT; ``serving`` is told once it begins.
    Raises what open_tower and run do."""
    await until_signalled(lambda: open_tower(settings, prompt=prompt), serving)
