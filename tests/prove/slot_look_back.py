"""A worker that is often down, with five schedulers when it is up, over simulated years.

For each list and local date there is one edition: made within twelve hours after it was due, or
recorded as missed; and a published story is in the first edition that was made after it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from nif.database import Database
from nif.editions import digest
from nif.editions.models import DIGEST_OCCASION, Edition, EditionItem, EditionState
from nif.editions.schedule import DigestSchedule, Slot
from tests.prove.downtimes import SCHEDULERS, Keep, ObservedPast, found, live, ticks
from tests.prove.wall_clock import DAY, QUARTERS, as_shown, first_shown, moment

FIRST_DAY = date(2026, 3, 28)
CATCH_UP = timedelta(hours=12)
MOST_STORIES = 24
MORE = 6
"""Days of slots beyond the last one, for the last tick."""

LISTS = (
    (DigestSchedule(time(1, 30)), "Europe/London"),
    (DigestSchedule(time(2, 30)), "America/New_York"),
    (DigestSchedule(time(2, 0)), "Australia/Lord_Howe"),
    (DigestSchedule(time(0, 0)), "Africa/Cairo"),
    (DigestSchedule(time(2, 45), 6), "Pacific/Chatham"),
)
"""Each list is due at a time that its clock skips once a year; two at one that comes twice."""


def prove_look_back(
    database: Database, *, days: int, seed: int, keep: Keep = digest.make_digest_of_slot
) -> dict[str, Any]:
    """Simulate `days` on an empty database; `wrong` counts the broken promises.

    `keep` makes the edition of a slot: NIF's own rule, unless the proof itself is tested.
    """
    began, random = perf_counter(), Random(seed)
    start = as_shown(FIRST_DAY) + 3 * 3600 + 17
    house = found(database, LISTS, keep, now=moment(start))
    slots = [_slots(schedule, zone, days) for schedule, zone in LISTS]
    dues = sorted(int(slot.due_at.timestamp()) for one in slots for slot in one)
    past = live(house, list(ticks(dues, start, start + days * DAY, random)), random)
    accounts = [_account(database, list_id) for list_id in house.list_ids]
    told = [
        f"{LISTS[n][1]}: {problem}"
        for n, account in enumerate(accounts)
        for problem in _problems(account, slots[n], past, moment(start))
    ]
    return {
        "proof": "look-back",
        "database": database.engine.dialect.name,
        "days": days,
        "seed": seed,
        **_sums(past, accounts),
        "wrong": len(told),
        "told": told[:5],
        "seconds": round(perf_counter() - began, 1),
    }


def _sums(
    past: ObservedPast, accounts: Sequence[Sequence[tuple[Edition, set[int]]]]
) -> dict[str, int]:
    states = Counter(edition.state for account in accounts for edition, _ in account)
    return {
        "lists": len(accounts),
        "schedulers": SCHEDULERS,
        "ticks": len(past.looks),
        "stories": len(past.stories),
        "editions": states.total(),
        **{state.value: states[state] for state in EditionState},
    }


def _slots(schedule: DigestSchedule, zone: str, days: int) -> list[Slot]:
    """The slots of a list as a wall clock has them."""
    first = FIRST_DAY - timedelta(days=1)
    table = first_shown(ZoneInfo(zone), first, days + MORE)
    quarter = schedule.at.hour * 4 + schedule.at.minute // 15
    dates = [first + timedelta(days=n) for n in range(days + MORE)]
    return [
        Slot(day, moment(due))
        for day, due in zip(dates, table[quarter::QUARTERS], strict=True)
        if schedule.weekday is None or schedule.weekday == day.weekday()
    ]


def _account(database: Database, list_id: int) -> list[tuple[Edition, set[int]]]:
    """The digests of a list, each with the ids of its stories."""
    with database.reading() as session:
        digests = select(Edition).where(
            Edition.list_id == list_id, Edition.occasion == DIGEST_OCCASION
        )
        editions = session.scalars(digests).all()
        items = session.execute(
            select(EditionItem.edition_id, EditionItem.story_id).where(
                EditionItem.list_id == list_id
            )
        ).all()
    return [(one, {story for edition, story in items if edition == one.id}) for one in editions]


def _problems(
    account: Sequence[tuple[Edition, set[int]]],
    slots: Sequence[Slot],
    past: ObservedPast,
    since: datetime,
) -> Iterator[str]:
    """The problems of a list's editions, in words."""
    made = {edition.slot: (edition, stories) for edition, stories in account}
    if len(made) != len(account):
        yield "a date has two editions"
    had: set[int] = set()
    for slot in slots:
        # The worker was up for the last time at the last tick.
        five = next((five for five in past.looks if max(five) >= slot.due_at), None)
        if slot.due_at <= since or five is None:
            continue
        if slot.day not in made:
            yield f"{slot.day} has no edition"
            continue
        edition, stories = made.pop(slot.day)
        if (edition.due_at, edition.made_at in five) != (slot.due_at, True):
            yield f"{slot.day}, due at {slot.due_at}, was made at {edition.made_at}"
        late = edition.made_at - slot.due_at
        ready = [
            story
            for story, at in past.stories.items()
            if at <= edition.made_at and story not in had
        ]
        if (edition.state, stories) != _promised(late, ready):
            yield f"{slot.day}, {late} late, is {edition.state} with {len(stories)} stories"
        had |= stories
    yield from (f"{day} has an edition and no slot" for day in made)


def _promised(late: timedelta, ready: Sequence[int]) -> tuple[EditionState, set[int]]:
    """The state of an edition and its stories: the oldest of those that are `ready`, in order."""
    if not timedelta(0) <= late <= CATCH_UP:
        return EditionState.MISSED, set()
    return (EditionState.FROZEN if ready else EditionState.EMPTY), set(ready[:MOST_STORIES])
