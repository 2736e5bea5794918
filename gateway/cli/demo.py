"""isthmus demo: every way a swap can go, on every pair of ledgers."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.answers import AsJson


def demo(
    as_json: AsJson = False,
    scenario: Annotated[
        list[str] | None, typer.Option(help="Only this scenario; may be given several times.")
    ] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(metavar="A:B", help="Only this ordered pair; may be given several times."),
    ] = None,
    seed: Annotated[int, typer.Option(help="One seed gives one set of outcomes.")] = 1,
    real: Annotated[
        bool,
        typer.Option(
            "--real", help="On the networks that companies run, instead of the embedded ledgers."
        ),
    ] = False,
) -> None:
    """Two organisations, three ledgers, every way a swap can go, all on this machine.

    Exit status 0 only if every balance on every ledger is exactly what it should be.
    """
    from gateway.demo.play import play

    raise typer.Exit(
        play(seed=seed, scenarios=scenario, pairs=pair, json_wanted=as_json, real=real)
    )
