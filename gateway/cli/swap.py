"""isthmus swap: offer, accept, reject, list, show, watch."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gateway.cli.answers import AsJson, Failed, brief, moment, print_json, print_table, run
from gateway.cli.bodies import refused_as
from gateway.cli.connection import ChosenGateway, with_gateway
from gateway.cli.swap_ids import Page, whole_id
from gateway.telemetry.runbooks import page_of

if TYPE_CHECKING:
    from gateway.api.bodies import EventView, LegView, SideBody, SwapDetail
    from gateway.client import GatewayClient

swap_commands = typer.Typer(no_args_is_help=True, help="Swaps with other organisations.")

SwapId = Annotated[
    str, typer.Argument(metavar="SWAP", help="A swap's id (0x…), or enough of it to be the only.")
]
IdempotencyKey = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="The same key again is the same command, done once."),
]


@swap_commands.command()
@with_gateway
def offer(
    chosen: ChosenGateway,
    peer: Annotated[str, typer.Argument(help="The peer's name in the configuration.")],
    give: Annotated[
        tuple[str, str],
        typer.Option(metavar="AMOUNT ASSET", help="For example: 12.5 fabric/GOLD"),
    ],
    get: Annotated[
        tuple[str, str],
        typer.Option(metavar="AMOUNT ASSET", help="For example: 3 ethereum/USDX"),
    ],
    valid_for: Annotated[
        int | None, typer.Option(help="Seconds for which it can be taken up.")
    ] = None,
    deadlines: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="T1 T2", help="Until when (Unix seconds) we lock, and they lock."),
    ] = None,
    reference: Annotated[str, typer.Option(help="Your own text; the peer sees it.")] = "",
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Offers a swap to a peer. Nothing is locked before the peer has accepted.

    An asset is CHAIN/SYMBOL, with the chain's name in the configuration, or a CAIP-19 id.
    Amounts are in whole units: 12.5 is twelve and a half.
    """

    async def work() -> SwapDetail:
        from gateway.api.bodies import DeadlinesBody, OfferRequestBody

        async with chosen.client() as client:
            with refused_as({"peer": "PEER", "reference": "--reference"}):
                body = OfferRequestBody(
                    peer=peer,
                    give=await _side(client, give, "--give"),
                    get=await _side(client, get, "--get"),
                    valid_for=valid_for,
                    deadlines=(
                        DeadlinesBody(give=deadlines[0], get=deadlines[1]) if deadlines else None
                    ),
                    reference=reference,
                )
            return await client.offer(body, idempotency_key=idempotency_key)

    _print(run(work()), as_json)


@swap_commands.command()
@with_gateway
def accept(
    chosen: ChosenGateway,
    swap: SwapId,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Accepts a received offer. Our lock follows once the peer's is final."""

    async def work() -> SwapDetail:
        async with chosen.client() as client:
            return await client.accept(await _id(client, swap), idempotency_key=idempotency_key)

    _print(run(work()), as_json)


@swap_commands.command()
@with_gateway
def reject(
    chosen: ChosenGateway,
    swap: SwapId,
    reason: Annotated[str, typer.Option(help="The peer is told it.")] = "",
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Rejects a received offer."""

    async def work() -> SwapDetail:
        async with chosen.client() as client:
            full = await _id(client, swap)
            with refused_as({"reason": "--reason"}):
                return await client.reject(full, reason, idempotency_key=idempotency_key)

    _print(run(work()), as_json)


@swap_commands.command("list")
@with_gateway
def list_swaps(
    chosen: ChosenGateway,
    phase: Annotated[str | None, typer.Option(help="Only those in this phase.")] = None,
    role: Annotated[str | None, typer.Option(help="initiator or responder.")] = None,
    peer: Annotated[str | None, typer.Option(help="Only those with this peer.")] = None,
    reference: Annotated[str | None, typer.Option(help="Only those with this text.")] = None,
    open: Annotated[
        bool | None, typer.Option("--open/--ended", help="Only those not ended, or ended.")
    ] = None,
    after: Annotated[str | None, typer.Option(help="`next` of the page before.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    as_json: AsJson = False,
) -> None:
    """Lists swaps, newest first."""

    async def work() -> Any:
        async with chosen.client() as client:
            return await client.swaps(
                phase=phase,
                role=role,
                peer=peer,
                reference=reference,
                open=open,
                after=after,
                limit=limit,
            )

    page = run(work())
    if as_json:
        print_json(page)
        return
    print_table(
        ("swap", "with", "role", "phase", "gives", "gets", "reference"),
        (
            (
                swap.id[:10],
                swap.peer or brief(swap.peer_address, 15),
                swap.role,
                swap.phase + (" !" if swap.alerts else ""),
                _amount(swap.give),
                _amount(swap.get),
                swap.reference,
            )
            for swap in page.swaps
        ),
        "no swaps",
    )
    if page.next is not None:
        typer.echo(f"more: isthmus swap list --after {page.next}")


@swap_commands.command()
@with_gateway
def show(chosen: ChosenGateway, swap: SwapId, as_json: AsJson = False) -> None:
    """Says where a swap is, and what is next.

    With what it waits for, and until when.
    """

    async def work() -> SwapDetail:
        async with chosen.client() as client:
            return await client.swap(await _id(client, swap))

    _print(run(work()), as_json)


@swap_commands.command()
@with_gateway
def watch(
    chosen: ChosenGateway,
    swap: Annotated[
        str | None, typer.Argument(metavar="[SWAP]", help="One swap; all, if not said.")
    ] = None,
    after: Annotated[int, typer.Option(min=0, help="Only events after this number.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Prints what happens, as it happens. Of one swap: until it has ended."""

    async def work() -> None:
        async with chosen.client() as client:
            full = await _id(client, swap) if swap is not None else None
            stream = cast("Any", client.events(full, after))
            async with aclosing(stream) as events:
                if full is not None:
                    await _until_ended(client, full, events, as_json)
                    return
                async for event in events:
                    _print_event(event, as_json, with_swap=True)

    run(work())


async def _until_ended(client: GatewayClient, swap: str, events: Any, as_json: bool) -> None:
    """Prints the events of a swap until it has ended and the last one that is stored is printed."""
    import asyncio

    coming: asyncio.Task[EventView] | None = None
    try:
        while True:
            if coming is None:
                coming = asyncio.ensure_future(anext(events))
            quiet = 1.0
            done, _ = await asyncio.wait({coming}, timeout=quiet)
            if done:
                _print_event(coming.result(), as_json, with_swap=False)
                coming = None
            elif (await client.swap(swap)).ended:
                return
    except StopAsyncIteration:
        return
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


# --- reading and writing -------------------------------------------------------------------------


async def _id(client: GatewayClient, text: str) -> str:
    """The whole id where only the beginning is given. Raises Failed."""

    async def page(after: str | None) -> Page:
        found = await client.swaps(after=after, limit=500)
        return [one.id for one in found.swaps], found.next

    return await whole_id(text, page, "swap", "isthmus swap list")


async def _side(client: GatewayClient, side: tuple[str, str], option: str) -> SideBody:
    from gateway.api.bodies import SideBody

    quantity, asset = side
    chain, _, symbol = asset.partition("/")
    if ":" not in chain:
        known = [one for one in (await client.chain(chain)).assets if one.symbol == symbol]
        match known:
            case [one]:
                asset = one.id
            case []:
                raise Failed(
                    f"{option}: chain {chain} has no known asset {symbol}: isthmus chain show "
                    f"{chain} lists them; any other can be given by its CAIP-19 id"
                )
            case _:
                raise Failed(f"{option}: {asset} is more than one asset: give its CAIP-19 id")
    with refused_as({"asset": f"{option}: the asset", "quantity": f"{option}: the amount"}):
        return SideBody(asset=asset, quantity=quantity)


def _amount(leg: LegView) -> str:
    amount = leg.display or f"{leg.amount} smallest units of {brief(leg.asset)}"
    return f"{amount} on {leg.chain_name or brief(leg.chain)}"


def _print(swap: SwapDetail, as_json: bool) -> None:
    if as_json:
        print_json(swap)
        return
    typer.echo(f"swap      {swap.id}")
    typer.echo(f"with      {swap.peer or swap.peer_address} ({swap.role} here)")
    typer.echo(f"gives     {_amount(swap.give)}, locked until {moment(swap.give.deadline)}")
    typer.echo(f"gets      {_amount(swap.get)}, locked until {moment(swap.get.deadline)}")
    if swap.reference:
        typer.echo(f"reference {swap.reference}")
    typer.echo(f"phase     {swap.phase}")
    words = swap.explanation
    typer.echo(f"\n{words.where}")
    if words.waits_for:
        until = f", until {moment(words.until)}" if words.until is not None else ""
        typer.echo(f"Waits for: {words.waits_for}{until}")
    if words.next:
        typer.echo(f"Next: {words.next}")
    if words.at_risk:
        typer.echo(f"At risk: {words.at_risk}")
    for warning in swap.warnings:
        typer.echo(f"Warning: {warning}")
    for alert in swap.alerts:
        typer.echo(f"Alert: {alert}; {page_of(alert)} says what to do")


def _print_event(event: EventView, as_json: bool, *, with_swap: bool) -> None:
    import time

    if as_json:
        typer.echo(event.model_dump_json())
        return
    stamp = time.strftime("%H:%M:%S", time.localtime(event.at))
    where = f" {event.swap[:10]}" if with_swap else ""
    mark = {"warning": " !", "alert": " !!"}.get(event.level, "")
    typer.echo(f"{stamp}{where}{mark} {event.text}")
