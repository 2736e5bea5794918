"""isthmus quarantine against a running gateway that holds a swap."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.cli.command import isthmus, refused
from tests.gateway.test_quarantine import PATIENT, declined, held, stumbling
from tests.gateway.two_gateways import make_world


async def test_a_held_swap_is_shown_replayed_and_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, block_interval=0.2, offers=PATIENT)
    bob = ("-c", world.bob.file)
    async with held(world, monkeypatch) as (_, gateway, swap):
        listed = await isthmus("quarantine", "list", *bob)
        assert listed.status == 0
        assert swap[:10] in listed.out
        assert "OfferDeclined" in listed.out
        brief = swap[:12]
        shown = await isthmus("quarantine", "show", brief, *bob)
        assert f"swap      {swap}" in shown.out
        assert "phase     received" in shown.out
        assert "held      OfferDeclined could not be processed: ZeroDivisionError" in shown.out
        assert "offer_declined" in shown.out
        detail = (await isthmus("quarantine", "show", brief, "--json", *bob)).json
        fact = detail["at_fault"]
        assert f"--fact {fact} --reason" in shown.out

        with monkeypatch.context() as patched:
            patched.setattr("relayers.engine.step", stumbling(declined))
            again = await isthmus("quarantine", "replay", brief, *bob)
        assert again.status == 1
        assert again.out == "still in quarantine\n" + shown.out
        drop = ("quarantine", "drop", brief, "--reason", "made by mistake", *bob)
        message = await refused(*drop)
        assert f"nothing was dropped: --fact {fact} confirms" in message
        assert "offer_declined" in message
        assert "no longer" in await refused(*drop, "--fact", fact + 999)
        nothing = ("quarantine", "drop", brief, "--fact", fact, "--reason", " ", *bob)
        assert "--reason" in await refused(*nothing)
        assert (await isthmus("quarantine", "show", brief, "--json", *bob)).json == detail

        dropped = await isthmus(*drop, "--fact", fact)
        assert dropped.status == 0, dropped
        assert f"swap {swap} is not in quarantine" in dropped.out
        assert "no swap is in quarantine" in (await isthmus("quarantine", "list", *bob)).out
        assert "not in quarantine" in await refused("quarantine", "show", swap, *bob)
        replayed = await isthmus("quarantine", "replay", swap, "--json", *bob)
        assert replayed.json == {"swap": swap, "released": True, "held": None}
        assert (await gateway.swap_in(swap, "received"))["phase"] == "received"
