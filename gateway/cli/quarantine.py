"""isthmus quarantine: list, show, replay, drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.answers import AsJson, Failed, print_json, print_table, run
from gateway.cli.connection import ChosenGateway, with_gateway
from gateway.cli.swap_ids import Page, whole_id

if TYPE_CHECKING:
    from gateway.api.bodies import QuarantineDetail, QuarantinePage, ReplayView
    from gateway.client import GatewayClient

quarantine_commands = typer.Typer(
    no_args_is_help=True, help="Swaps that stand still until an operator decides."
)

HeldSwap = Annotated[
    str,
    typer.Argument(
        metavar="SWAP", help="A held swap's id (0x…), or enough of it to be the only one held."
    ),
]


@quarantine_commands.command("list")
@with_gateway
def list_held(
    chosen: ChosenGateway,
    after: Annotated[str | None, typer.Option(help="`next` of the page before.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    as_json: AsJson = False,
) -> None:
    """Lists the swaps in quarantine, and why each is."""

    async def work() -> QuarantinePage:
        async with chosen.client() as client:
            return await client.quarantine(after=after, limit=limit)

    page = run(work())
    if as_json:
        print_json(page)
        return
    print_table(
        ("swap", "phase", "facts", "reason"),
        ((one.swap[:10], one.phase or "?", str(one.facts), one.reason) for one in page.swaps),
        "no swap is in quarantine",
    )
    if page.next is not None:
        typer.echo(f"more: isthmus quarantine list --after {page.next}")


@quarantine_commands.command()
@with_gateway
def show(chosen: ChosenGateway, swap: HeldSwap, as_json: AsJson = False) -> None:
    """Says why a swap is held, and which of its facts wait."""

    async def work() -> QuarantineDetail:
        async with chosen.client() as client:
            return await client.quarantined(await _id(client, swap))

    held = run(work())
    if as_json:
        print_json(held)
    else:
        _print(held)


@quarantine_commands.command()
@with_gateway
def replay(chosen: ChosenGateway, swap: HeldSwap, as_json: AsJson = False) -> None:
    """Processes the facts that wait once more. Exit status 1 where the swap is held still.

    Where what is stored of the swap cannot be read, that is made anew from its history first. To
    replay a swap that is not held, with its whole id, changes nothing.
    """

    async def work() -> ReplayView:
        async with chosen.client() as client:
            return await client.replay(await _id(client, swap))

    _print_after(run(work()), as_json)


@quarantine_commands.command()
@with_gateway
def drop(
    chosen: ChosenGateway,
    swap: HeldSwap,
    reason: Annotated[str, typer.Option(help="Why; it goes on record.")],
    fact: Annotated[
        int | None,
        typer.Option(min=1, help="The number of the fact, as `show` has it: confirms the drop."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Gives up the fact at fault, for good, and processes the others once more.

    The swap goes on as if that had never happened, which may cost you the asset: look first, at the
    chains too. Exit status 1 where the swap is held still.
    """

    from relayers.protocol.offer import MAX_REASON

    if not 1 <= len(reason.strip()) <= MAX_REASON:
        raise Failed(f"--reason: say why, in at most {MAX_REASON} characters")

    async def work() -> ReplayView:
        async with chosen.client() as client:
            full = await _id(client, swap)
            if fact is None:
                raise Failed(_unconfirmed(await client.quarantined(full)))
            return await client.drop(full, fact, reason)

    _print_after(run(work()), as_json)


def _unconfirmed(held: QuarantineDetail) -> str:
    if held.at_fault is None:
        return f"swap {held.swap} has no fact that could be dropped: {held.reason}"
    first = held.waiting[0]
    return (
        f"nothing was dropped: --fact {held.at_fault} confirms that fact {held.at_fault} is given "
        f"up for good ({first.kind}: {first.about})"
    )


async def _id(client: GatewayClient, text: str) -> str:
    """The whole id where only the beginning is given. Raises Failed."""

    async def page(after: str | None) -> Page:
        found = await client.quarantine(after=after, limit=500)
        return [one.swap for one in found.swaps], found.next

    return await whole_id(text, page, "held swap", "isthmus quarantine list")


def _print(held: QuarantineDetail) -> None:
    typer.echo(f"swap      {held.swap}")
    typer.echo(f"phase     {held.phase or 'not known'}")
    typer.echo(f"held      {held.reason}")
    print_table(
        ("fact", "kind", "about"),
        ((str(one.fact), one.kind, one.about) for one in held.waiting),
        "no facts wait",
    )
    if held.facts > len(held.waiting):
        typer.echo(f"and {held.facts - len(held.waiting)} more")
    typer.echo(f"To try again: isthmus quarantine replay {held.swap[:12]}")
    if held.at_fault is not None:
        typer.echo(
            f"To give up fact {held.at_fault}: isthmus quarantine drop {held.swap[:12]} "
            f"--fact {held.at_fault} --reason …"
        )


def _print_after(after: ReplayView, as_json: bool) -> None:
    if as_json:
        print_json(after)
    elif after.held is None:
        typer.echo(f"swap {after.swap} is not in quarantine: isthmus swap show {after.swap[:12]}")
    else:
        typer.echo("still in quarantine")
        _print(after.held)
    if not after.released:
        raise typer.Exit(1)
