"""The day-to-day commands against two running gateways over simulated ledgers."""

from __future__ import annotations

from pathlib import Path

from tests.gateway.cli.command import isthmus, refused
from tests.gateway.two_gateways import TOKEN, both_running, make_world


async def test_a_swap_by_hand(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    alice, bob = ("-c", world.alice.file), ("-c", world.bob.file)
    async with both_running(world) as (gateway, other):
        made = await isthmus(
            *("swap", "offer", "bob", "--give", "3", "alpha/GOLD", "--get", "1.5", "beta/OIL"),
            *("--reference", "order 7", "--idempotency-key", "one", *alice),
        )
        assert made.status == 0, made
        assert "gives     3 GOLD on alpha" in made.out
        assert "gets      1.5 OIL on beta" in made.out
        assert "We have made an offer. Nothing is locked." in made.out
        assert "Waits for: bob to accept it, until 20" in made.out
        swap = made.out.split()[1]

        again = await isthmus(
            *("swap", "offer", "bob", "--give", "3", "alpha/GOLD", "--get", "1.5", "beta/OIL"),
            *("--reference", "order 7", "--idempotency-key", "one", "--json", *alice),
        )
        assert again.json["id"] == swap
        page = (await isthmus("swap", "list", "--json", *alice)).json
        assert [one["id"] for one in page["swaps"]] == [swap]

        await other.swap_in(swap, "received")
        accepted = await isthmus("swap", "accept", swap[:12], "--json", *bob)
        assert accepted.json["phase"] == "accepted"
        watched = await isthmus("swap", "watch", swap, *alice)
        assert watched.status == 0
        assert watched.out.splitlines()[-1].endswith("the swap is complete")
        assert str(world.chain_a) not in watched.out, "people know a chain by its name"
        assert "on alpha" in watched.out
        await other.swap_in(swap, "completed")
        events = await isthmus("swap", "watch", swap, "--json", *bob)
        assert '"kind":' in events.out.splitlines()[0]

        shown = await isthmus("swap", "show", swap, *alice)
        assert "Done: we are paid on beta, and bob on alpha." in shown.out
        listed = await isthmus("swap", "list", "--ended", *bob)
        assert swap[:10] in listed.out
        assert "completed" in listed.out
        assert all(len(line) <= 80 for line in listed.out.splitlines())
        assert "no swaps" in (await isthmus("swap", "list", "--open", *bob)).out

        balances = (await isthmus("chain", "balance", "alpha", "--json", *alice)).json
        assert balances[0]["chain"] == str(world.chain_a)
        assert "GOLD" in (await isthmus("chain", "balance", *alice)).out
        chains = (await isthmus("chain", "list", "--json", *alice)).json
        assert [chain["name"] for chain in chains] == ["alpha", "beta"]
        table = (await isthmus("chain", "list", *alice)).out
        assert all(len(line) <= 80 for line in table.splitlines())
        assert len(table.strip().splitlines()) == 4, "an id is shortened, not folded"
        shown = await isthmus("chain", "show", "beta", *alice)
        assert f"chain         {world.chain_b}" in shown.out
        assert (await isthmus("chain", "show", "beta", "--json", *alice)).json["name"] == "beta"
        assert "frozen" in await refused("chain", "resume", "beta", *alice)

        found = await isthmus("doctor", *alice)
        assert found.status == 0, found
        assert found.out.endswith("all is well\n")
        assert (await isthmus("doctor", "--json", *alice)).json["ok"] is True
        for check in ("journal: readable", "chain alpha: ", "peer bob: reachability"):
            assert f"ok   {check}" in found.out

        by_url = ("--url", f"http://127.0.0.1:{world.alice.api_port}", "--token", "env:T")
        listed = await isthmus("swap", "list", "--json", *by_url, env={"T": TOKEN})
        assert listed.json["swaps"][0]["id"] == swap
        assert gateway.organisation.name == "alice"


async def test_a_rejected_offer_says_why(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    alice, bob = ("-c", world.alice.file), ("-c", world.bob.file)
    async with both_running(world) as (gateway, other):
        offer = ("swap", "offer", "bob", "--give", "3", "alpha/GOLD", "--get", "1", "beta/OIL")
        swap = (await isthmus(*offer, "--json", *alice)).json["id"]
        await other.swap_in(swap, "received")
        rejected = await isthmus("swap", "reject", swap, "--reason", "too dear", *bob)
        assert "phase     declined" in rejected.out
        await gateway.swap_in(swap, "declined")
        assert "too dear" in (await isthmus("swap", "show", swap, *alice)).out


async def test_what_a_gateway_refuses_is_one_sentence_and_changes_nothing(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    alice = ("-c", world.alice.file)

    def offer(**changes: tuple[str, ...]) -> tuple[str, ...]:
        parts = {
            "peer": ("bob",),
            "give": ("--give", "3", "alpha/GOLD"),
            "get": ("--get", "1", "beta/OIL"),
            "rest": (),
        } | changes
        return ("swap", "offer", *(word for part in parts.values() for word in part))

    bad = {
        "carol": offer(peer=("carol",)),
        "greater than zero": offer(give=("--give", "0", "alpha/GOLD")),
        "3 decimals": offer(give=("--give", "1.234", "alpha/GOLD")),
        "-1": offer(give=("--give", "-1", "alpha/GOLD")),
        "amount": offer(give=("--give", str(2**256), "alpha/GOLD")),
        "gamma": offer(give=("--give", "1", "gamma/GOLD")),
        "SILVER": offer(give=("--give", "1", "alpha/SILVER")),
        "CAIP-19": offer(give=("--give", "1", "not:a/caip:id:at:all")),
        "deadline": offer(rest=("--deadlines", "1000", "900")),
    }
    async with both_running(world) as (gateway, _):
        for word, arguments in bad.items():
            message = await refused(*arguments, *alice)
            assert word.lower() in message.lower(), (word, message)
        unknown = "0x" + "12" * 32
        assert "12121212" in await refused("swap", "show", unknown, *alice)
        assert "no swap's id begins with 0x77" in await refused("swap", "show", "0x77", *alice)
        assert "hex" in await refused("swap", "show", "nothex", *alice)
        assert "gamma" in await refused("chain", "show", "gamma", *alice)
        assert "asset" in await refused("chain", "balance", "alpha", "--asset", "x", *alice)

        url = f"http://127.0.0.1:{world.alice.api_port}"
        wrong = ("--url", url, "--token", "env:T")
        assert "token" in await refused("swap", "list", *wrong, env={"T": "not-the-token"})
        assert "--token" in await refused("swap", "list", "--url", url)
        assert "no variable T" in await refused("swap", "list", *wrong)
        assert not list(gateway.gateway.services.engine.swaps())


async def test_a_beginning_that_fits_two_swaps_is_refused(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    alice = ("-c", world.alice.file)
    offer = ("swap", "offer", "bob", "--give", "1", "alpha/GOLD", "--get", "1", "beta/OIL")
    async with both_running(world) as (_, _):
        for _ in range(2):
            assert (await isthmus(*offer, *alice)).status == 0
        ids = [one["id"] for one in (await isthmus("swap", "list", "--json", *alice)).json["swaps"]]
        shared = "0x" if ids[0][2] != ids[1][2] else ids[0][:3]
        message = await refused("swap", "show", shared, *alice)
        assert "give more of it" in message or "hex" in message
