"""isthmus doctor: what is wrong, and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gateway.cli.answers import AsJson, print_json, run
from gateway.cli.connection import DEFAULT_CONFIG, ConfigFile, TlsCa, Token, Url, connected

if TYPE_CHECKING:
    from gateway.api.bodies import DoctorView


def doctor(
    config: ConfigFile = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    tls_ca: TlsCa = None,
    as_json: AsJson = False,
) -> None:
    """Checks the gateway's chains, contracts, clock, balances, journal and peers, and says how to
    mend what is wrong. Exit status 1 where anything is."""

    async def work() -> DoctorView:
        async with connected(config, url, token, tls_ca) as client:
            return await client.doctor()

    found = run(work())
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
