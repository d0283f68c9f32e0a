"""When a list's digest is due: its slots, in local time, across both clock changes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from nif.errors import Invalid

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SCHEDULE = re.compile(r"(?:daily|weekly (?P<day>[a-z]{3})) (?P<hour>\d{2}):(?P<minute>\d{2})")


@dataclass(frozen=True)
class DigestSchedule:
    """`daily 07:30` or `weekly fri 08:00`; `weekday` counts from Monday, None means every day."""

    at: time
    weekday: int | None = None

    def __str__(self) -> str:
        day = "daily" if self.weekday is None else f"weekly {WEEKDAYS[self.weekday]}"
        return f"{day} {self.at:%H:%M}"


@dataclass(frozen=True)
class Slot:
    """A local date on which a digest is due, and the moment."""

    day: date
    due_at: datetime


def slot_at(now: datetime, zone: str) -> Slot:
    """The slot of an edition that is made by hand: today in this time zone, due now."""
    return Slot(now.astimezone(ZoneInfo(zone)).date(), now)


def parse_schedule(text: str) -> DigestSchedule:
    """Raises Invalid, with a sentence for the field `schedule`."""
    found = _SCHEDULE.fullmatch(" ".join(text.lower().split()))
    try:
        if found and (found["day"] is None or found["day"] in WEEKDAYS):
            at = time(int(found["hour"]), int(found["minute"]))
            return DigestSchedule(at, WEEKDAYS.index(found["day"]) if found["day"] else None)
    except ValueError:
        pass
    raise Invalid({"schedule": "Write “daily 07:30” or “weekly fri 08:00”."})


def resolve_local_time(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC moment of a local time.

    A time that the clock skips becomes the first moment after the gap; of a time that occurs twice,
    the first is taken (PEP 495, fold 0).
    """
    local = datetime.combine(day, at, zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    return _find_end_of_gap(moment, zone)


def _find_end_of_gap(inside: datetime, zone: ZoneInfo) -> datetime:
    """The clock change around a time that was skipped.

    With fold 0, Python reads a skipped time with the offset from before the gap, so it lands after
    the change, by less than the length of the gap.
    """
    low, high = inside - timedelta(hours=24), inside
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def iterate_slots(
    schedule: DigestSchedule, zone: ZoneInfo, *, after: datetime, until: datetime
) -> Iterator[Slot]:
    """The slots that are due after `after` and not after `until`, oldest first."""
    day = after.astimezone(zone).date() - timedelta(days=1)
    last = until.astimezone(zone).date() + timedelta(days=1)
    while day <= last:
        if schedule.weekday is None or schedule.weekday == day.weekday():
            due_at = resolve_local_time(day, schedule.at, zone)
            if after < due_at <= until:
                yield Slot(day, due_at)
        day += timedelta(days=1)


def compute_next_slot(schedule: DigestSchedule, zone: ZoneInfo, *, after: datetime) -> Slot:
    """The first slot after `after`."""
    return next(iterate_slots(schedule, zone, after=after, until=after + timedelta(days=9)))
