"""A wall clock, read minute by minute: plain, slow, and without any code of NIF.

Moments are seconds since 1970 in UTC. What a clock shows is counted in the same way, as if it were
UTC, so that midnight of a local date is a whole number of days.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

QUARTER = 900
QUARTERS = 96
DAY = QUARTER * QUARTERS
MARGIN = 3 * DAY
"""Read before and after: no place is further than a day and a bit from UTC."""


def first_shown(zone: ZoneInfo, first: date, days: int) -> list[int]:
    """When each quarter of an hour of `days` local dates is due, in the order of the clock.

    That is the first moment at which the clock shows this time, or a later one where it skips
    this one; so a time that comes twice is due the first time.
    """
    midnight = as_shown(first)
    wanted = iter(range(midnight, midnight + days * DAY, QUARTER))
    due, table = next(wanted), []
    for moment, shown in _readings(zone, midnight - MARGIN, midnight + days * DAY + MARGIN):
        while due is not None and due <= shown:
            table.append(moment)
            due = next(wanted, None)
    return table


def as_shown(day: date) -> int:
    """Midnight of a date, as a clock shows it."""
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * DAY


def changes(table: list[int]) -> list[int]:
    """The places in a table at which the clock was put forward or back."""
    return [n for n in range(1, len(table)) if table[n] - table[n - 1] != QUARTER]


def skipped_days(table: list[int]) -> set[int]:
    """The dates that the clock never showed, as places among the days of a table."""
    days = len(table) // QUARTERS
    return {
        day for day in range(days - 1) if table[day * QUARTERS] == table[(day + 1) * QUARTERS - 1]
    }


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _readings(zone: ZoneInfo, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The clock at each quarter of an hour; at each minute where it was put forward or back."""
    expected = None
    for seconds in range(start, end, QUARTER):
        shown = _show(zone, seconds)
        if expected is not None and shown != expected:
            for minute in range(seconds - QUARTER + 60, seconds, 60):
                yield minute, _show(zone, minute)
        yield seconds, shown
        expected = shown + QUARTER


def _show(zone: ZoneInfo, seconds: int) -> int:
    offset = datetime.fromtimestamp(seconds, zone).utcoffset()
    assert offset is not None
    return seconds + offset.days * DAY + offset.seconds
