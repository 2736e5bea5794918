"""isthmus devnet: up, status, down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.answers import AsJson, Failed, print_json, print_table, run

if TYPE_CHECKING:
    from gateway.devnet.environment import Environment

devnet_commands = typer.Typer(
    no_args_is_help=True, help="Ledgers and organisations to try things with."
)

Folder = Annotated[
    Path, typer.Option("--dir", help="The folder that holds everything of the network.")
]
DEFAULT_FOLDER = Path(".isthmus/devnet")


@devnet_commands.command()
def up(
    folder: Folder = DEFAULT_FOLDER,
    chains: Annotated[
        str, typer.Option(help="Which ledgers, separated by commas.")
    ] = "native,ethereum,fabric",
    real: Annotated[
        bool,
        typer.Option(
            "--real",
            help="The networks that companies run, of their own programs (CometBFT, Geth, "
            "Hyperledger Fabric), instead of the embedded ledgers.",
        ),
    ] = False,
    ordering: Annotated[
        str | None,
        typer.Option(help="Of a real Fabric channel: raft, raft-of-three, or bft (four orderers)."),
    ] = None,
    ports: Annotated[
        int | None,
        typer.Option(
            metavar="BASE", help="First port of the range to take; without it, a free one."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Starts ledgers, and prepares two organisations.

    They are called alpha and beta; each gets its keys and a configuration file. In a folder
    that has been up before, everything goes on where it was.
    """
    from gateway.devnet.environment import PORTS, Environment, Plan, recorded
    from gateway.devnet.ledgers import LEDGERS, ORDERING
    from gateway.devnet.ports import claim, find
    from gateway.settings import programs_here

    names = [name.strip() for name in chains.split(",") if name.strip()]
    if not names or not set(names) <= set(LEDGERS) or len(set(names)) != len(names):
        raise Failed(f"--chains: {chains!r} must name some of {', '.join(LEDGERS)}, each once")
    if ordering is not None:
        from adapters.fabric.release.ordering import ORDERINGS

        if not real or "fabric" not in names:
            raise Failed("--ordering: only a real Fabric channel has one (--real, --chains fabric)")
        if ordering not in ORDERINGS:
            raise Failed(f"--ordering: {ordering!r} is none of {', '.join(ORDERINGS)}")
    base, fixed = ports, False
    before = recorded(folder) if (folder / "devnet.json").exists() else None
    if before is not None:
        if list(before["ledgers"]) != names or bool(before.get("real")) != real:
            kind = "a real" if before.get("real") else "an embedded"
            raise Failed(
                f"{folder} holds {kind} network of {', '.join(before['ledgers'])}: take another "
                "folder with --dir, or remove that one after isthmus devnet down"
            )
        known = str(before.get("ordering", ORDERING))
        if ordering not in (None, known):
            raise Failed(f"--ordering: the channel in {folder} has {known}: take another folder")
        ordering = known
        fixed = real and "fabric" in names
        if fixed and ports not in (None, before["ports"]):
            raise Failed(
                f"--ports: the channel in {folder} names its ports, from {before['ports']} on, in "
                "its own configuration: free those, or take another folder"
            )
        # The configurations in the folder name these ports, and gateways may run with them.
        base = ports or int(before["ports"])
    if folder.exists() and not folder.is_dir():
        raise Failed(f"--dir: {folder} is not a folder")
    programs = programs_here() if real else None
    plan = Plan(ledgers=names, programs=programs, ordering=ordering or ORDERING)
    environment = Environment(folder, plan, die_with_us=False)
    if missing := environment.ledgers.missing():
        raise Failed("\n".join(missing))
    if any(environment.processes.alive(name) for name in environment.processes.names()):
        raise Failed(f"the network in {folder} is up already: see isthmus devnet status")
    needed = environment.ports_needed
    taken = claim(base, needed, fixed=fixed) if base is not None else find(PORTS, needed)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(f"--dir: {folder} cannot be made: {error.strerror}") from error
    with _turn(folder):
        environment.processes.mark_children()
        environment.prepare(taken)
        try:
            run(_up(environment))
        except BaseException:
            environment.down()
            raise
    files = {
        name: str(organisation.configuration)
        for name, organisation in environment.organisations.items()
        if name in environment.plan.organisations
    }
    tower = str(environment.organisations["watchtower"].folder / "watchtower.yaml")
    if as_json:
        print_json({"folder": str(folder), "gateways": files, "watchtower": tower})
        return
    typer.echo(f"up: {', '.join(names)}. Now run the two gateways, each in a terminal of its own:")
    for file in files.values():
        typer.echo(f"  isthmus gateway run -c {_shown(file)}")
    typer.echo(f"and, if you like, a watchtower:\n  isthmus watchtower run -c {_shown(tower)}")


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    from gateway.devnet.turn import Busy, sole_turn

    try:
        with sole_turn(folder):
            yield
    except Busy as error:
        raise Failed(str(error)) from None


async def _up(environment: Environment) -> None:
    """Asked to end in the middle (SIGTERM), it stops as it does on Ctrl-C, with status 143."""
    import asyncio
    import signal

    task = asyncio.ensure_future(environment.up())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        if task.cancelled():
            raise typer.Exit(128 + signal.SIGTERM) from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        task.cancel()


@devnet_commands.command()
def status(folder: Folder = DEFAULT_FOLDER, as_json: AsJson = False) -> None:
    """Says which processes live. Exit status 1 where one has ended."""
    from gateway.devnet.environment import recorded
    from gateway.devnet.processes import Processes

    recorded(folder)
    processes = Processes(folder, die_with_us=False)
    living = {name: processes.alive(name) for name in processes.names()}
    if as_json:
        print_json({"folder": str(folder), "processes": living})
    else:
        print_table(
            ("process", "state", "log"),
            (
                (name, "runs" if alive else "has ended", _shown(processes.log(name)))
                for name, alive in living.items()
            ),
            f"the network in {folder} is down",
        )
    if not living or not all(living.values()):
        raise typer.Exit(1)


@devnet_commands.command()
def down(folder: Folder = DEFAULT_FOLDER, as_json: AsJson = False) -> None:
    """Ends every process of the network. What the ledgers hold stays in the folder."""
    from gateway.devnet.environment import recorded
    from gateway.devnet.processes import Processes

    recorded(folder)
    processes = Processes(folder, die_with_us=False)
    with _turn(folder):
        names = processes.names()
        forced = processes.stop()
    if as_json:
        print_json({"folder": str(folder), "ended": names, "killed": forced})
    elif names:
        typer.echo(f"down: {', '.join(names)}")
    else:
        typer.echo("nothing was running")


def _shown(path: str | Path) -> str:
    """Relative to the working folder, where it is below it."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
