"""What every journal promises. The same tests run against each implementation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from adapters.model import Hashlock, LockId, LockOpened, Stage
from relayers.journal.memory import MemoryStore
from relayers.journal.port import (
    Answer,
    Appended,
    Dropped,
    FactEntry,
    Held,
    Journal,
    JournalInUse,
    StoredFact,
)
from relayers.protocol.facts import Fact, Observed, Woken
from relayers.protocol.state import STRANGERS_KEPT, Ignored, Phase, Swap
from relayers.protocol.swap import step
from relayers.watcher import entry_of
from tests.relayers.journal.journals import (
    NOW,
    A,
    B,
    Damage,
    Opener,
    at,
    consume,
    cursor,
    key_of,
    life,
    memory_damage,
    memory_opener,
    sqlite_damage,
    sqlite_opener,
    stepped,
)

NEW, STORED, DONE = Appended(True, False), Appended(False, False), Appended(False, True)


Place = tuple[Opener, Damage]


@pytest.fixture(params=["memory", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a journal is kept: how it is opened, and how a record of it is damaged."""
    if request.param == "memory":
        store = MemoryStore()
        return memory_opener(store), memory_damage(store)
    return sqlite_opener(tmp_path), sqlite_damage(tmp_path / "journal.db")


@pytest.fixture
def opener(place: Place) -> Opener:
    return place[0]


@pytest.fixture
async def journal(opener: Opener) -> AsyncIterator[Journal]:
    journal = await opener()
    yield journal
    await journal.close()


def woken(ident: str, number: int = 0, **more: str) -> FactEntry:
    return FactEntry(ident, key_of(number), Woken(1), **more)


def ids(facts: tuple[StoredFact, ...]) -> list[str]:
    return [fact.id for fact in facts]


async def test_facts_come_out_in_their_order_and_whole(journal: Journal) -> None:
    entries = life()
    await journal.append(entries[:5])
    await journal.append(entries[5:])
    taken: list[StoredFact] = []
    while len(taken) < len(entries):
        taken.extend(await journal.take(4))
    assert [(fact.id, fact.key, fact.body) for fact in taken] == [
        (entry.id, entry.key, entry.body) for entry in entries
    ]
    offsets = [fact.offset for fact in taken]
    assert offsets == sorted(set(offsets))


async def test_facts_are_read_back_whole_from_what_was_left_behind(opener: Opener) -> None:
    journal = await opener()
    await journal.append(life())
    await journal.close()
    journal = await opener()
    taken = await journal.take(100)
    assert [fact.body for fact in taken] == [entry.body for entry in life()]
    await journal.close()


async def test_an_id_comes_in_once(journal: Journal) -> None:
    assert await journal.append([woken("one"), woken("two"), woken("one")]) == (NEW, NEW, STORED)
    swaps: dict[Hashlock, Swap] = {}
    make = life()[0]
    assert await journal.append([make]) == (NEW,)
    await consume(journal, swaps, 3)
    assert await journal.append([make, woken("three")]) == (DONE, NEW)
    assert ids(await journal.take(10)) == ["three"]


async def test_a_retraction_lets_the_same_event_come_again(journal: Journal) -> None:
    await journal.append([woken("a/lock/pending"), woken("b/lock/pending"), woken("a/locker")])
    back = woken("a/lock/retracted", forgets="a/lock/")
    assert await journal.append([back]) == (NEW,)
    again = [woken("a/lock/pending"), woken("b/lock/pending"), woken("a/locker"), back]
    assert await journal.append(again) == (NEW, STORED, STORED, NEW)


async def test_taking_waits_until_there_is_something(journal: Journal) -> None:
    taking = asyncio.create_task(journal.take(10))
    # A second reader of the queue of requests: when it is answered, the first one has waited.
    await journal.restore()
    assert not taking.done()
    await journal.append([woken("one")])
    assert ids(await taking) == ["one"]


async def test_what_was_taken_and_not_committed_comes_again_after_a_restart(
    opener: Opener,
) -> None:
    journal = await opener()
    await journal.append(life())
    swaps: dict[Hashlock, Swap] = {}
    await consume(journal, swaps, 3)
    assert len(await journal.take(2)) == 2
    await journal.close()
    journal = await opener()
    assert ids(await journal.take(100)) == [entry.id for entry in life()[3:]]
    await journal.close()


async def test_a_move_is_written_whole(opener: Opener) -> None:
    journal = await opener()
    await journal.append(life())
    swaps: dict[Hashlock, Swap] = {}
    for _ in life():
        (done,) = await consume(journal, swaps, 1)
        expected = {intent.id for intent in (await journal.restore()).intents}
        await journal.close()
        journal = await opener()
        assert (await journal.restore()).swaps == tuple(swaps.values())
        assert {intent.id for intent in (await journal.restore()).intents} == expected
        assert set(done.move.closed).isdisjoint(expected)
    assert (await journal.restore()).swaps[0].phase is Phase.COMPLETED
    assert (await journal.restore()).intents == ()
    await journal.close()


async def test_a_batch_leaves_what_single_commits_leave(journal: Journal) -> None:
    other = await memory_opener()()
    one, many = dict[Hashlock, Swap](), dict[Hashlock, Swap]()
    for target in (journal, other):
        await target.append(life())
    await journal.commit(
        [stepped(fact, many, at(NOW + n)) for n, fact in enumerate(await journal.take(100))]
    )
    await consume(other, one, len(life()))
    assert (await journal.restore()).swaps == (await other.restore()).swaps
    assert (await journal.restore()).intents == (await other.restore()).intents
    assert [event.event for event in await journal.events(0, 99)] == [
        event.event for event in await other.events(0, 99)
    ]
    assert len(await journal.history(key_of(0))) == len(life())


async def test_a_history_steps_to_the_snapshot_exactly(opener: Opener) -> None:
    journal = await opener()
    entries = [entry for pair in zip(life(0), life(1), strict=True) for entry in pair]
    await journal.append(entries)
    swaps: dict[Hashlock, Swap] = {}
    await consume(journal, swaps, len(entries))
    await journal.close()
    journal = await opener()
    snapshots = {swap.hashlock: swap for swap in (await journal.restore()).swaps}
    for number in (0, 1):
        state: Swap | None = None
        for taken in await journal.history(key_of(number)):
            move = step(state, Fact(taken.body, taken.at))
            assert move.ignored == taken.ignored
            state = move.state
        assert state is not None
        assert state == snapshots[key_of(number)]
        assert state.phase is Phase.COMPLETED
    await journal.close()


async def test_facts_of_no_swap_leave_no_trace(opener: Opener) -> None:
    journal = await opener()
    stranger = woken("dust", 9)
    await journal.append([stranger])
    (done,) = await consume(journal, {}, 1)
    assert done.move.ignored is Ignored.NO_SWAP
    assert await journal.history(key_of(9)) == ()
    assert (await journal.restore()).swaps == ()
    # And yet its place is not taken again: what follows is still taken up once.
    await journal.append([woken("next", 9)])
    await consume(journal, {}, 1)
    await journal.close()
    journal = await opener()
    await journal.append([woken("after a restart", 9)])
    assert ids(await journal.take(10)) == ["after a restart"]
    await journal.close()


async def test_strangers_locks_under_a_swap_s_hashlock_leave_no_trace_either(
    journal: Journal,
) -> None:
    """All but the first, which the swap remembers and tells of."""
    made, dust = life(0)[0], [_dust(number) for number in range(STRANGERS_KEPT + 40)]
    swaps: dict[Hashlock, Swap] = {}
    await journal.append([made, *dust])
    await consume(journal, swaps, 1 + len(dust))
    kept = await journal.history(key_of(0))
    assert [taken.id for taken in kept] == [made.id, *(one.id for one in dust[:STRANGERS_KEPT])]
    assert (await journal.restore()).swaps == tuple(swaps.values())


def _dust(number: int) -> FactEntry:
    """Somebody's lock of one unit under swap 0's hashlock, final."""
    opened = next(
        entry.body.observation
        for entry in life(0)
        if isinstance(entry.body, Observed)
        and isinstance(entry.body.observation.event, LockOpened)
        and entry.body.observation.stage is Stage.FINAL
    )
    assert isinstance(opened.event, LockOpened)
    terms = replace(opened.event.terms, amount=1)
    event = LockOpened(LockId(sha256(b"dust %d" % number).digest()), terms)
    return replace(entry_of(replace(opened, event=event)), id=f"dust {number}")


async def test_events_are_followed_by_number_and_by_swap(journal: Journal) -> None:
    await journal.append([life(0)[0], life(1)[0], *life(0)[1:]])
    done = await consume(journal, {}, len(life()) + 1)
    told = [event for one in done for event in one.move.events]
    everything = await journal.events(0, 100)
    assert [event.event for event in everything] == told
    middle = everything[2].number
    assert await journal.events(middle, 100) == everything[3:]
    assert await journal.events(middle, 2) == everything[3:5]
    of_one = await journal.events(0, 100, key_of(1))
    assert of_one == tuple(event for event in everything if event.key == key_of(1))
    assert len(of_one) >= 1


async def test_a_cursor_is_stored_with_its_facts(opener: Opener) -> None:
    journal = await opener()
    assert await journal.cursor(A) is None
    await journal.append([woken("one")], cursor=cursor(5))
    await journal.append([], cursor=cursor(7, B))
    await journal.append([], cursor=cursor(6))
    await journal.close()
    journal = await opener()
    assert await journal.cursor(A) == cursor(6).cursor
    assert await journal.cursor(B) == cursor(7, B).cursor
    assert {view.head for view in await journal.chains()} == {cursor(6).head, cursor(7, B).head}
    await journal.close()


async def test_a_freeze_outlives_cursors_and_restarts(opener: Opener) -> None:
    journal = await opener()
    await journal.append([], cursor=cursor(5))
    await journal.set_frozen(at(frozen="broken").chains[0])
    await journal.append([], cursor=cursor(6))
    await journal.close()
    journal = await opener()
    (view,) = await journal.chains()
    assert (view.frozen, view.head) == ("broken", cursor(6).head)
    assert await journal.cursor(A) == cursor(6).cursor
    await journal.close()


async def test_quarantine_holds_facts_until_they_are_stepped_or_dropped(opener: Opener) -> None:
    journal = await opener()
    await journal.append(life()[:3])
    facts = await journal.take(10)
    await journal.commit([Held(fact, f"reason {n}") for n, fact in enumerate(facts)])
    await journal.close()
    journal = await opener()
    held = await journal.held()
    assert [(one.fact.body, one.reason) for one in held] == [
        (entry.body, f"reason {n}") for n, entry in enumerate(life()[:3])
    ]
    assert await journal.history(key_of(0)) == ()
    swaps: dict[Hashlock, Swap] = {}
    await journal.commit([stepped(held[0].fact, swaps, at()), Dropped(held[1].fact, "no use")])
    assert await journal.held() == held[2:]
    assert (await journal.restore()).swaps == tuple(swaps.values())
    await journal.append([woken("next")])
    assert ids(await journal.take(10)) == ["next"]
    await journal.close()


@pytest.mark.parametrize("what", ["snapshot", "intent"])
async def test_what_cannot_be_read_of_one_swap_hides_no_other(place: Place, what: str) -> None:
    opener, damage = place
    journal = await opener()
    # So far that each has an open intent: the lock.
    await journal.append([entry for number in range(3) for entry in life(number)[:2]])
    swaps: dict[Hashlock, Swap] = {}
    await consume(journal, swaps, 6)
    whole = await journal.restore()
    assert whole.unreadable == ()
    await journal.close()
    damage(what, key_of(1))
    journal = await opener()
    restored = await journal.restore()
    assert {swap.hashlock for swap in restored.swaps} == {key_of(0), key_of(2)}
    assert set(restored.intents) == {
        intent for intent in whole.intents if not intent.id.startswith(key_of(1).hex())
    }
    (unreadable,) = restored.unreadable
    assert unreadable.key == key_of(1)
    assert "cannot be read" in unreadable.reason
    assert len(await journal.history(key_of(1))) == 2
    # Its facts are held as any other's are, and it stays what it is.
    await journal.append(life(1)[2:3])
    (fact,) = await journal.take(10)
    await journal.commit([Held(fact, "it waits")])
    await journal.close()
    journal = await opener()
    assert await journal.restore() == restored
    assert [one.fact.id for one in await journal.held()] == [fact.id]
    own = [intent for intent in whole.intents if intent.id.startswith(key_of(1).hex())]
    assert own
    await journal.rebuild(swaps[key_of(1)], own)
    await journal.close()
    journal = await opener()
    mended = await journal.restore()
    assert mended.unreadable == ()
    assert set(mended.swaps) == set(swaps.values())
    assert set(mended.intents) == set(whole.intents)
    await journal.close()


async def test_an_answer_is_stored_with_its_fact_and_kept(opener: Opener) -> None:
    journal = await opener()
    first = Answer("key", "print", '{"swap": 1}')
    await journal.append([woken("one")], answer=first)
    await journal.append([woken("two")], answer=Answer("key", "other", "{}"))
    await journal.close()
    journal = await opener()
    assert await journal.answer("key") == first
    assert await journal.answer("none") is None
    await journal.close()


async def test_one_process_at_a_time(opener: Opener) -> None:
    journal = await opener()
    with pytest.raises(JournalInUse, match="open"):
        await opener()
    await journal.append([woken("one")])
    await journal.close()
    again = await opener()
    assert ids(await again.take(1)) == ["one"]
    await again.close()
