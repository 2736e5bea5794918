"""A watchtower that is given its chains one after the other."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from adapters.model import ChainId, Claim, Lock, LockState, LockTerms, Preimage
from adapters.simulated.accounts import named_credential
from adapters.simulated.adapter import SimulatedAdapter
from relayers.backoff import Backoff
from relayers.post import Post
from relayers.protocol.state import Phase
from relayers.tower_state import TowerState
from relayers.watchtower import Watchtower
from tests.relayers.commits import Commits
from tests.relayers.virtual_time import clock, run
from tests.relayers.world import BOUNDS, COINS, STALE, A, B, World, ended, until


def post(world: World, chain: ChainId) -> Post:
    return Post(world.alice.views[chain], named_credential(chain, "tower"))


def test_a_secret_seen_before_a_chain_is_there_opens_the_locks_on_it(tmp_path: Path) -> None:
    """Bob's claim on A is finished by a tower that knew only B when the secret showed there."""

    async def main() -> None:
        world = World()
        await world.alice.start()
        await world.bob.start()
        tower = Watchtower(
            {B: post(world, B)}, TowerState(tmp_path / "tower.json"), clock, Backoff(lambda: 0.5)
        )
        tasks = [asyncio.create_task(tower.run())]
        offer = await world.offer()
        await world.make(offer)
        await until(
            lambda: (
                (swap := world.bob.engine.swap(offer.hashlock)) is not None
                and swap.phase is Phase.LOCKED
            )
        )
        await world.bob.stop()
        await until(lambda: offer.hashlock in tower.tower.secrets)
        assert all(lock.terms.chain == B for lock in tower.tower.locks.values())
        tower.add(A, post(world, A))
        assert [watcher.chain for watcher in tower.watchers] == [B, A]
        tasks.append(asyncio.create_task(tower.look_after(A)))
        assert (await ended(world.alice, offer.hashlock)).phase is Phase.COMPLETED
        await until(lambda: not tower.tower.locks)
        assert world.balances() == {"alice": (990, 1010), "bob": (1010, 990)}
        for task in tasks:
            task.cancel()
        await world.close()

    run(main())


def test_a_chain_that_comes_late_is_read_from_where_it_was_left(tmp_path: Path) -> None:
    """What was saved of a chain stays, while the tower runs without it."""

    async def main() -> None:
        world = World()
        state = TowerState(tmp_path / "tower.json")
        whole = Watchtower(
            {chain: post(world, chain) for chain in (A, B)}, state, clock, Backoff(lambda: 0.5)
        )
        task = asyncio.create_task(whole.run())
        await until(lambda: set(state.load()[1]) == {A, B})
        task.cancel()
        left = state.load()[1][A]
        tower = Watchtower({B: post(world, B)}, state, clock, Backoff(lambda: 0.5))
        tasks = [asyncio.create_task(tower.run())]
        before = state.load()[1][B]
        await until(lambda: state.load()[1][B] != before)
        assert await tower.cursor(A) == state.load()[1][A] == left
        tower.add(A, post(world, A))
        tasks.append(asyncio.create_task(tower.look_after(A)))
        await until(lambda: state.load()[1][A] != left)
        for task in tasks:
            task.cancel()
        await world.close()

    run(main())


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("secrets", [1, 40])
def test_dust_for_a_served_account_does_not_hold_up_its_claim(
    tmp_path: Path, at_once: int, secrets: int
) -> None:
    """Somebody locks dust for Bob under secrets of their own, all with nearer deadlines than the
    lock that Bob paid for, and shows all secrets while Bob is down."""
    dust = 40
    own = [Preimage(sha256(b"%d" % number).digest()) for number in range(secrets)]

    async def main() -> None:
        world = World()
        await world.alice.start()
        await world.bob.start()
        towers = {
            chain: SimulatedAdapter(
                world.chains[chain], bounds=BOUNDS, name="tower", stale_after=STALE
            )
            for chain in (A, B)
        }
        commits = Commits(towers[A], at_once)
        tower = Watchtower(
            {chain: Post(view, named_credential(chain, "tower")) for chain, view in towers.items()},
            TowerState(tmp_path / "tower.json"),
            clock,
            Backoff(lambda: 0.5),
            serves=frozenset(named_credential(chain, "bob").account for chain in (A, B)),
        )
        task = asyncio.create_task(tower.run())
        offer = await world.offer(amount=500)
        world.chains[B].fund(named_credential(B, "mallory").account, COINS[B].id, 1000)
        world.chains[A].fund(named_credential(A, "mallory").account, COINS[A].id, 1000)
        mallory = {
            chain: SimulatedAdapter(
                world.chains[chain], bounds=BOUNDS, name="mallory", stale_after=STALE
            )
            for chain in (A, B)
        }

        async def lock(chain: ChainId, to: str, preimage: Preimage, deadline: int) -> None:
            sender = named_credential(chain, "mallory")
            recipient = named_credential(chain, to).account
            coin = COINS[chain].id
            terms = LockTerms(
                chain, "locks", sender.account, recipient, coin, 1, preimage.hashlock(), deadline
            )
            await mallory[chain].submit(Lock(terms), sender)

        for number in range(dust):
            await lock(A, "bob", own[number % secrets], offer.a.deadline - 1 - number)
        for preimage in own:
            await lock(B, "mallory", preimage, offer.a.deadline)
        await world.make(offer)
        # The tower sees what Bob locked; Alice claims it once Bob is down.
        await until(
            lambda: any(
                lock.terms.hashlock == offer.hashlock and lock.terms.chain == B
                for lock in tower.tower.locks.values()
            )
        )
        swap = world.bob.engine.swap(offer.hashlock)
        assert swap is not None
        assert swap.a is not None
        await world.bob.stop()
        for preimage in own:
            lock_id = mallory[B].lock_id(
                LockTerms(
                    B, "locks", named_credential(B, "mallory").account,
                    named_credential(B, "mallory").account, COINS[B].id, 1,
                    preimage.hashlock(), offer.a.deadline,
                )
            )  # fmt: skip
            await mallory[B].submit(Claim(lock_id, preimage), named_credential(B, "mallory"))
        await until(lambda: offer.hashlock in tower.tower.secrets)
        known = clock()
        await until(
            lambda: all(
                lock.terms.hashlock != offer.hashlock or lock.settling or lock.terms.chain == B
                for lock in tower.tower.locks.values()
            )
        )
        # One submission may have been under way; the next was this one.
        assert clock() - known <= 3 * (BOUNDS.inclusion + BOUNDS.finality)
        assert (await towers[A].lookup(swap.a.lock_id)).state is LockState.CLAIMED
        await until(lambda: commits.most == at_once)
        task.cancel()
        await world.close()

    run(main())


def test_refunds_leave_places_for_a_claim_that_comes(tmp_path: Path) -> None:
    """A heap of refunds that nothing depends on, each of which takes as long as a block."""

    async def main() -> None:
        world = World()
        view = world.bob.views[A]
        commits = Commits(view, at_once=4)
        tower = Watchtower(
            {A: Post(view, named_credential(A, "tower"))},
            TowerState(tmp_path / "tower.json"),
            clock,
            Backoff(lambda: 0.5),
        )
        task = asyncio.create_task(tower.run())
        alice, bob = named_credential(A, "alice"), named_credential(A, "bob")
        for number in range(8):
            hashlock = Preimage(sha256(b"%d" % number).digest()).hashlock()
            terms = LockTerms(
                A, "locks", alice.account, bob.account, COINS[A].id, 1, hashlock, int(clock()) + 60
            )
            await world.alice.views[A].submit(Lock(terms), alice)
        await until(lambda: len(tower.tower.locks) == 8)
        await until(lambda: not tower.tower.locks)
        assert commits.most == 1
        task.cancel()
        await world.close()

    run(main())
