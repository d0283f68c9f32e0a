"""Slots in every time zone, compared with a wall clock that is simply read.

The scheduler is asked for the slots of all 96 quarters of an hour, daily and weekly, in one piece
and in pieces. On each local date there is one slot; it is due when the clock first shows its time,
or the next time after it where the clock skips it. A date that a place skipped as a whole, in
moving across the date line, has its slot at the first moment of the next date.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from itertools import pairwise
from random import Random
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

from nif.editions.schedule import DigestSchedule, Slot, iterate_slots
from tests.prove.wall_clock import (
    DAY,
    MARGIN,
    QUARTER,
    QUARTERS,
    as_shown,
    changes,
    first_shown,
    moment,
    skipped_days,
)

FIRST_DAY = date(2026, 3, 1)
AROUND = 8
"""Days that are tried before and after an odd one."""

ODD_DAYS = {
    "Africa/Cairo": [date(2014, 5, 15), date(2014, 7, 31)],
    "America/Sao_Paulo": [date(2018, 11, 4)],
    "America/St_Johns": [date(2010, 3, 14), date(2010, 11, 7)],
    "Asia/Pyongyang": [date(2018, 5, 4)],
    "Asia/Tehran": [date(2022, 3, 22), date(2022, 9, 21)],
    "Pacific/Apia": [date(2011, 12, 30)],
    "Pacific/Fakaofo": [date(2011, 12, 30)],
    "Pacific/Kiritimati": [date(1994, 12, 31)],
    "Pacific/Kwajalein": [date(1969, 9, 30), date(1993, 8, 21)],
}
"""The past has what the present has not: changes at midnight, a minute past, whole dates."""

CLOSEST = timedelta(hours=20)
"""No daily list is due twice within this time, except where the date line was crossed."""

Slots = Callable[..., Iterable[Slot]]


@dataclass
class ZoneFindings:
    """What was tried and what was wrong; `told` describes the first few errors."""

    slots: int = 0
    windows: int = 0
    skipped: int = 0
    wrong: int = 0
    told: list[str] = field(default_factory=list)

    def blame(self, words: str) -> None:
        self.wrong += 1
        if len(self.told) < 5:
            self.told.append(words)


@dataclass(frozen=True)
class ZoneTable:
    """A zone over some local dates, and when its clock first shows each quarter of an hour."""

    zone: ZoneInfo
    first: date
    table: list[int]
    slots: Slots

    @property
    def start(self) -> int:
        return as_shown(self.first) - MARGIN

    @property
    def end(self) -> int:
        return as_shown(self.first) + len(self.table) * QUARTER + MARGIN

    def due(self, quarter: int, weekday: int | None = None) -> list[Slot]:
        """The slots by the wall clock."""
        seconds = self.table[quarter::QUARTERS]
        days = (self.first + timedelta(days=n) for n in range(len(seconds)))
        return [
            Slot(day, moment(at))
            for day, at in zip(days, seconds, strict=True)
            if weekday is None or day.weekday() == weekday
        ]

    def asked(self, schedule: DigestSchedule, cuts: Sequence[int]) -> list[Slot]:
        """The slots by the scheduler, asked for from each cut to the next."""
        last = self.first + timedelta(days=len(self.table) // QUARTERS)
        return [
            slot
            for after, until in pairwise(map(moment, cuts))
            for slot in self.slots(schedule, self.zone, after=after, until=until)
            if self.first <= slot.day < last
        ]


def prove_zones(
    *, zones: Sequence[str], days: int, seed: int, slots: Slots = iterate_slots
) -> dict[str, Any]:
    """Try every slot of `days` local dates in each zone; `wrong` counts the broken promises.

    `slots` is the scheduler to try, NIF's own unless the proof itself is tested.
    """
    began, found = perf_counter(), ZoneFindings()
    for name in zones:
        random = Random(f"{seed} {name}")
        for first, length in _periods(name, days):
            table = first_shown(ZoneInfo(name), first, length)
            _try(ZoneTable(ZoneInfo(name), first, table, slots), random, found)
    return {
        "proof": "zones",
        "zones": len(zones),
        "days": days,
        "seed": seed,
        "slots": found.slots,
        "windows": found.windows,
        "dates_skipped": found.skipped,
        "wrong": found.wrong,
        "told": found.told,
        "seconds": round(perf_counter() - began, 1),
    }


def _periods(name: str, days: int) -> Iterator[tuple[date, int]]:
    yield FIRST_DAY, days
    for day in ODD_DAYS.get(name, []):
        yield day - timedelta(days=AROUND), 2 * AROUND


def _try(place: ZoneTable, random: Random, found: ZoneFindings) -> None:
    skipped = skipped_days(place.table)
    found.skipped += len(skipped)
    for quarter in range(QUARTERS):
        got = _compare(place, _schedule(quarter), [place.start, place.end], found)
        _check_spacing(place, got, skipped, found)
    for quarter in _worth_a_closer_look(place, random):
        for weekday in range(7):
            _compare(place, _schedule(quarter, weekday), [place.start, place.end], found)
        _compare(place, _schedule(quarter), list(_cuts(place, quarter, random)), found)
        _compare(place, _schedule(quarter, random.randrange(7)), _even(place, random), found)


def _schedule(quarter: int, weekday: int | None = None) -> DigestSchedule:
    return DigestSchedule(time(quarter // 4, quarter % 4 * 15), weekday)


def _compare(
    place: ZoneTable, schedule: DigestSchedule, cuts: Sequence[int], found: ZoneFindings
) -> list[Slot]:
    quarter = schedule.at.hour * 4 + schedule.at.minute // 15
    expected = place.due(quarter, schedule.weekday)
    got = place.asked(schedule, cuts)
    found.slots += len(expected)
    found.windows += len(cuts) - 1
    if got != expected:
        # The same slots in another order: only the order is wrong.
        odd = sorted(set(got) ^ set(expected), key=lambda slot: slot.due_at) or got[:1]
        for slot in odd:
            whose = "the scheduler" if slot in got else "the wall"
            found.blame(f"{place.zone}: {schedule}: only {whose} has {slot.day} at {slot.due_at}")
    return got


def _check_spacing(
    place: ZoneTable, got: list[Slot], skipped: set[int], found: ZoneFindings
) -> None:
    beside_skipped = {place.first + timedelta(days=n + more) for n in skipped for more in (0, 1)}
    if len({slot.day for slot in got}) != len(got):
        found.blame(f"{place.zone}: a date has two slots")
    for one, other in pairwise(got):
        apart = other.due_at - one.due_at
        least = timedelta(0) if other.day in beside_skipped else CLOSEST
        if apart < least:
            found.blame(f"{place.zone}: {one.day} and {other.day} are due {apart} apart")


def _worth_a_closer_look(place: ZoneTable, random: Random) -> list[int]:
    """Times of day at which the zone's clock is changed, and two others."""
    changed = sorted({n % QUARTERS for n in changes(place.table)})
    return random.sample(changed, min(4, len(changed))) + random.sample(range(QUARTERS), 2)


def _cuts(place: ZoneTable, quarter: int, random: Random) -> Iterator[int]:
    """Where one query ends and the next begins: restarts, late ticks, ticks on the second.

    Among them every minute around a change of the clock, and the very moment of some slots.
    """
    cuts = set(_even(place, random))
    for change in changes(place.table):
        cuts.update(range(place.table[change] - 3 * 3600, place.table[change] + 3 * 3600, 60))
    for due in random.sample(place.table[quarter::QUARTERS], 10):
        cuts.update((due - 1, due, due + 1))
    yield from sorted(cuts)


def _even(place: ZoneTable, random: Random) -> list[int]:
    """Cuts at random distances, minutes as likely as days, from the start to the end."""
    cuts = [place.start]
    while cuts[-1] < place.end:
        cuts.append(cuts[-1] + int(60 * (5 * DAY / 60) ** random.random()))
    return [*cuts[:-1], place.end]
