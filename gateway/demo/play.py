"""Plays the demonstration: builds the world, plays the acts, reads the ledgers, ends everything."""

from __future__ import annotations

import asyncio
import fcntl
import json
import random
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.spi import AdapterError
from gateway.cli.answers import Failed, console
from gateway.client import ApiError, GatewayClient, GatewayUnreachable
from gateway.demo.board import PAIRS, Board, Holding, Pair, Progress, Run, as_json
from gateway.demo.scenarios import (
    CRASH,
    HAPPY,
    INITIATOR_SILENT,
    RESPONDER_ABSENT,
    RESPONDER_DOWN,
    SCENARIOS,
    WRONG_LOCK,
    Outcome,
)
from gateway.demo.screen import PlainLines, Screen, summary
from gateway.devnet.environment import WATCHTOWER, Environment, Plan
from gateway.devnet.ledgers import LEDGERS
from gateway.devnet.ports import find

if TYPE_CHECKING:
    from adapters.model import AssetId
    from adapters.programs import Programs
    from adapters.spi import Adapter
    from gateway.demo.acts import Result
    from gateway.demo.stage import Stage

FOLDER = Path(".isthmus/demo")
PORTS = 27_000
LIMIT = 118.0
"""Seconds after which what is not over counts as wrong."""
REAL_LIMIT = 590.0
"""The same, on real networks: their bounds are wider, and they take longer to come up."""

BOUNDS = {"reaction": 2, "outage": 6}
OFFERS = {"valid_for": 12, "slack": 1}
EXPECTED = (AdapterError, ApiError, GatewayUnreachable)
"""What makes one run wrong, and leaves the others to play on."""

PARTIES = ("alpha", "beta", "gamma", WATCHTOWER)
GATEWAYS = ("alpha", "beta")


def play(
    *,
    seed: int,
    scenarios: Sequence[str] | None,
    pairs: Sequence[str] | None,
    json_wanted: bool,
    real: bool,
) -> int:
    """Plays, prints, and returns the exit status. Raises Failed for a name that is none, and where
    a program of a real network is missing."""
    board = Board(seed)
    for scenario in _scenarios(scenarios):
        for pair in _pairs(pairs):
            expected = next(one.expected for one in SCENARIOS if one.name == scenario)
            board.runs[(scenario, pair)] = Run(scenario, pair, expected=expected.value)
    with _alone():
        try:
            asyncio.run(_play(board, json_wanted, _programs() if real else None))
        except KeyboardInterrupt:
            sys.stderr.write("isthmus: interrupted; everything has been ended\n")
            return 130
    if json_wanted:
        sys.stdout.write(json.dumps(as_json(board), indent=2) + "\n")
    else:
        console().print(summary(board))
    if not board.ok:
        sys.stderr.write(f"isthmus: not as it should be; the logs are in {FOLDER / 'logs'}\n")
    return 0 if board.ok else 1


def _programs() -> Programs:
    # Settings take a while to import; the embedded ledgers start meanwhile.
    from gateway.settings import programs_here

    return programs_here()


def _scenarios(names: Sequence[str] | None) -> list[str]:
    known = [scenario.name for scenario in SCENARIOS]
    for name in names or ():
        if name not in known:
            raise Failed(f"--scenario: {name!r} is none of {', '.join(known)}")
    return [name for name in known if not names or name in names]


def _pairs(texts: Sequence[str] | None) -> list[Pair]:
    for text in texts or ():
        if text not in [str(pair) for pair in PAIRS]:
            raise Failed(f"--pair: {text!r} is none of {', '.join(map(str, PAIRS))}")
    return [pair for pair in PAIRS if not texts or str(pair) in texts]


@contextmanager
def _alone() -> Iterator[None]:
    """One demonstration at a time in a folder."""
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failed("another demonstration is playing in this folder: let it end") from None
        yield


# --- the world -----------------------------------------------------------------------------------


async def _play(board: Board, json_wanted: bool, programs: Programs | None) -> None:
    """Ends with every run of the board judged, whatever happened. Raises Failed before anything is
    started where a program is missing."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    plan = Plan(
        ledgers=[name for name in LEDGERS if any(name in (p.a, p.b) for p in board.pairs)],
        organisations=("alpha", "beta", "gamma"),
        accepting=(("beta", "alpha"), ("beta", "gamma")),
        bounds=BOUNDS,
        offers=OFFERS,
        programs=programs,
    )
    limit = LIMIT if programs is None else REAL_LIMIT
    environment = Environment(FOLDER, plan, die_with_us=True)
    if missing := environment.ledgers.missing():
        raise Failed("\n".join(missing))
    environment.down()  # what an interrupted run may have left
    shutil.rmtree(FOLDER, ignore_errors=True)
    async with _shown(board, json_wanted):
        try:
            async with asyncio.timeout(limit), _world(environment, board) as stage:
                await _acts(stage, board)
        except TimeoutError:
            board.say(time.time(), f"not over after {limit:.0f} s", style="bold red")
        finally:
            environment.down()
            for run in board.runs.values():
                if run.progress in (Progress.WAITING, Progress.PLAYING):
                    run.progress, run.reason = Progress.WRONG, run.reason or "not over in time"


@asynccontextmanager
async def _shown(board: Board, json_wanted: bool) -> AsyncIterator[None]:
    """Draws the board while it plays: live on a terminal, line by line elsewhere."""
    from rich.console import Console
    from rich.live import Live

    screen = Console(stderr=json_wanted, highlight=False)
    if screen.is_terminal:
        with Live(Screen(board, screen), console=screen, refresh_per_second=4):
            yield
        return
    lines = PlainLines(board, screen)

    async def print_lines() -> None:
        while True:
            lines.catch_up()
            await asyncio.sleep(0.5)

    printing = asyncio.create_task(print_lines())
    try:
        yield
    finally:
        printing.cancel()
        lines.catch_up()


@asynccontextmanager
async def _world(environment: Environment, board: Board) -> AsyncIterator[Stage]:
    """Ledgers, gateways, watchtower, cheat: all running, all balances read."""

    def step(text: str) -> None:
        board.step = text
        board.say(time.time(), text, style="dim")

    step(f"starting {', '.join(environment.plan.ledgers)}")
    environment.prepare(find(PORTS, environment.ports_needed))
    await environment.up()
    step("starting the gateways of alpha and beta, and a watchtower")
    for name in GATEWAYS:
        environment.processes.start(environment.gateway(name))
    environment.processes.start(environment.watchtower())
    # Imported while the gateways start: what they import takes seconds.
    from gateway.compose import open_chains
    from gateway.demo.cheat import open_cheat
    from gateway.demo.stage import Stage
    from gateway.settings import load_gateway
    from relayers.signing.secret import Secret

    async with AsyncExitStack() as stack:
        settings = load_gateway(environment.organisations["gamma"].configuration)
        opened = await open_chains(stack, settings.chains)
        adapters = {
            chain.name: adapter for chain, adapter in zip(settings.chains, opened, strict=True)
        }
        chance = random.Random(f"{board.seed}/gamma")  # noqa: S311 - one seed, one play
        cheat = await stack.enter_async_context(open_cheat(settings, adapters, chance))
        clients = {
            name: await stack.enter_async_context(
                GatewayClient(
                    f"http://127.0.0.1:{environment.ports[name].api}",
                    Secret(environment.organisations[name].token),
                )
            )
            for name in GATEWAYS
        }
        stage = Stage(environment, board, clients, adapters, cheat)
        for name in GATEWAYS:
            await stage.up(name)
        following = [asyncio.create_task(stage.follow(name)) for name in GATEWAYS]
        try:
            yield stage
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)


# --- the play ------------------------------------------------------------------------------------


async def _acts(stage: Stage, board: Board) -> None:
    from gateway.demo import acts

    accounts = await _accounts(stage)
    await _read(stage, board, accounts, first=True)
    begun = {name: (await adapter.head()).height for name, adapter in stage.adapters.items()}
    board.step = "playing"
    reading = asyncio.create_task(_keep_reading(stage, board, accounts))
    try:
        async with asyncio.TaskGroup() as group:
            for scenario, act in (
                (RESPONDER_ABSENT, acts.responder_absent),
                (INITIATOR_SILENT, acts.initiator_silent),
                (WRONG_LOCK, acts.wrong_lock),
            ):
                for run in _runs(board, scenario.name):
                    group.create_task(_one(stage, run, act, accounts))
            group.create_task(_one_after_another(stage, board, accounts))
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    board.step = "reading every balance back from the ledgers"
    await _settle(stage, board, accounts, begun)
    board.step = "over"


async def _one_after_another(
    stage: Stage, board: Board, accounts: Mapping[str, Mapping[str, str]]
) -> None:
    """First those that nothing is done to, then those in which gateways are killed."""
    from gateway.demo import acts

    await asyncio.gather(
        *(_one(stage, run, acts.happy, accounts) for run in _runs(board, HAPPY.name))
    )
    await asyncio.gather(
        _responder_down(stage, _runs(board, RESPONDER_DOWN.name), accounts),
        *(_one(stage, run, acts.crash, accounts) for run in _runs(board, CRASH.name)),
    )


async def _responder_down(
    stage: Stage, runs: Sequence[Run], accounts: Mapping[str, Mapping[str, str]]
) -> None:
    from gateway.demo import acts

    begun = time.monotonic()
    for run in runs:
        run.progress = Progress.PLAYING
    try:
        results = await acts.responder_down(stage, runs) if runs else []
    except EXPECTED as error:
        for run in runs:
            _failed(stage, run, error, begun)
    else:
        for run, result in zip(runs, results, strict=True):
            _judge(stage, run, result, accounts, begun)


def _runs(board: Board, scenario: str) -> list[Run]:
    return [run for run in board.runs.values() if run.scenario == scenario]


async def _one(
    stage: Stage,
    run: Run,
    act: Callable[[Stage, Run], Awaitable[Result]],
    accounts: Mapping[str, Mapping[str, str]],
) -> None:
    begun = time.monotonic()
    run.progress = Progress.PLAYING
    try:
        result = await act(stage, run)
    except EXPECTED as error:
        _failed(stage, run, error, begun)
    else:
        _judge(stage, run, result, accounts, begun)


def _failed(stage: Stage, run: Run, error: Exception, begun: float) -> None:
    run.seconds = time.monotonic() - begun
    run.progress, run.reason = Progress.WRONG, str(error)
    stage.say(str(error), run, "bold red")


def _judge(
    stage: Stage,
    run: Run,
    result: Result,
    accounts: Mapping[str, Mapping[str, str]],
    begun: float,
) -> None:
    from gateway.demo.stage import changes

    parties = {account: party for party, held in accounts.items() for account in held.values()}
    run.seconds = time.monotonic() - begun
    run.outcome, run.reason = result.outcome.value, result.reason
    run.changes = changes(result.locks, parties)
    right = run.outcome == run.expected and run.changes == _expected(stage, run)
    run.progress = Progress.RIGHT if right else Progress.WRONG
    stage.say(
        f"{run.outcome}, after {run.seconds:.0f} s", run, "bold green" if right else "bold red"
    )


def _expected(stage: Stage, run: Run) -> dict[str, dict[str, int]]:
    """What the scenario says that the run changes: the initiator and beta exchange, or nothing."""
    if run.expected != Outcome.SWAPPED.value:
        return {}
    initiator, which = ("gamma", 1) if run.scenario == RESPONDER_DOWN.name else ("alpha", 0)
    amounts = stage.amounts(run, which)
    give, get = str(amounts.give), str(amounts.get)
    return {
        initiator: {give: -amounts.give_amount, get: amounts.get_amount},
        "beta": {give: amounts.give_amount, get: -amounts.get_amount},
    }


# --- balances ------------------------------------------------------------------------------------


async def _accounts(stage: Stage) -> dict[str, dict[str, str]]:
    """Each party's account on each ledger, as CAIP-10 text, by party and ledger."""
    from gateway.compose import Keys, open_credentials
    from gateway.settings import load_tower

    found: dict[str, dict[str, str]] = {}
    for name in GATEWAYS:
        chains = await stage.clients[name].chains()
        found[name] = {chain.name: chain.account for chain in chains}
    found["gamma"] = {name: str(stage.cheat.account(name)) for name in stage.adapters}
    folder = stage.environment.organisations[WATCHTOWER].folder
    tower = load_tower(folder / "watchtower.yaml")
    credentials = await open_credentials(Keys(tower.folder, prompt=None), tower.chains)
    found[WATCHTOWER] = {name: str(one.account) for name, one in credentials.items()}
    return found


async def _read(
    stage: Stage, board: Board, accounts: Mapping[str, Mapping[str, str]], *, first: bool = False
) -> None:
    """Reads every balance of every party from the ledgers."""

    async def one(party: str, adapter: Adapter, account: str, asset: AssetId) -> None:
        from adapters.model import AccountId

        amount = await adapter.balance(AccountId.parse(account), asset)
        key = (party, str(asset))
        if first:
            known = await adapter.asset(asset)
            board.holdings[key] = Holding(
                party, str(asset), known.symbol, known.decimals, amount, amount
            )
        else:
            board.holdings[key] = replace(board.holdings[key], now=amount)

    await asyncio.gather(
        *(
            one(party, adapter, accounts[party][ledger], asset)
            for party in PARTIES
            for ledger, adapter in stage.adapters.items()
            for asset in stage.environment.networks[ledger].assets()
        )
    )


async def _keep_reading(
    stage: Stage, board: Board, accounts: Mapping[str, Mapping[str, str]]
) -> None:
    from adapters.spi import Unavailable

    while True:
        await asyncio.sleep(3)
        with suppress(Unavailable):
            await _read(stage, board, accounts)


async def _settle(
    stage: Stage,
    board: Board,
    accounts: Mapping[str, Mapping[str, str]],
    begun: Mapping[str, int],
) -> None:
    """Says what every balance must be (what was there, what the scenarios change, less the fees
    that the ledger says were paid), and reads what it is."""
    expected = {key: holding.before for key, holding in board.holdings.items()}
    for run in board.runs.values():
        for party, changed in _expected(stage, run).items():
            for asset, change in changed.items():
                expected[(party, asset)] += change
    for ledger, adapter in stage.adapters.items():
        fee_asset = adapter.profile.fee_asset
        if fee_asset is None:
            continue
        payers = {held[ledger]: party for party, held in accounts.items()}
        for payer, fee in (await _fees(adapter, begun[ledger])).items():
            if payer in payers:
                expected[(payers[payer], str(fee_asset))] -= fee
    await _read(stage, board, accounts)
    for key, holding in board.holdings.items():
        board.holdings[key] = replace(holding, expected=expected[key])


async def _fees(adapter: Adapter, begun: int) -> Mapping[str, int]:
    """The fees that each account has paid since a height, in smallest units."""
    paid: dict[str, int] = {}
    for height in range(begun + 1, (await adapter.head()).height + 1):
        for transaction in (await adapter.block(height)).transactions:
            found = await adapter.transaction(transaction)
            if found.payer is not None:
                payer = str(found.payer)
                paid[payer] = paid.get(payer, 0) + found.fee
    return paid
