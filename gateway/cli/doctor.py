"""isthmus doctor: what is wrong, and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gateway.cli.answers import AsJson, print_json, run
from gateway.cli.connection import ChosenGateway, with_gateway

if TYPE_CHECKING:
    from gateway.api.bodies import DoctorView


@with_gateway
def doctor(chosen: ChosenGateway, as_json: AsJson = False) -> None:
    """Says what is wrong, and how to mend it.

    Asks the running gateway for its chains, contracts, clocks, balances, journal and peers. Where
    none runs, checks what the configuration file leads to: keys, ports, certificates, journal,
    chains. Exit status 1 where anything is wrong.
    """
    from gateway.client import GatewayUnreachable
    from gateway.settings import ConfigurationError

    async def work() -> DoctorView:
        async with chosen.client() as client:
            return await client.doctor()

    try:
        found = run(work())
    except (GatewayUnreachable, ConfigurationError) as error:
        # An API token that cannot be read is one more thing to find, not the end of the search.
        if chosen.url is not None:
            raise
        found = _at_rest(chosen.config, error)
    if as_json:
        print_json(found)
    else:
        for finding in found.findings:
            mark = "ok  " if finding.ok else "FAIL"
            typer.echo(f"{mark} {finding.part}: {finding.check}: {finding.seen}")
            if not finding.ok and finding.mend:
                typer.echo(f"       to mend it: {finding.mend}")
        wrong = sum(not finding.ok for finding in found.findings)
        typer.echo("all is well" if not wrong else f"{wrong} of {len(found.findings)} are wrong")
    if not found.ok:
        raise typer.Exit(1)


def _at_rest(config: Path, why: Exception) -> DoctorView:
    """The findings of a gateway that does not run; that it does not is the first of them."""
    from gateway.api.bodies import DoctorView, FindingView
    from gateway.cli.run import prompt
    from gateway.inspection import inspected
    from gateway.settings import load_gateway

    settings = load_gateway(config)
    found = run(inspected(settings, prompt=prompt()))
    first = FindingView(
        part="gateway",
        check="running",
        ok=False,
        seen=str(why),
        mend=f"start it: isthmus gateway run -c {config}",
    )
    return DoctorView(ok=False, findings=(first, *found.findings))
