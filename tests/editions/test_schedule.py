"""When digests are due, on both sides of every clock change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from nif.editions.schedule import (
    WEEKDAYS,
    DigestSchedule,
    Slot,
    compute_next_slot,
    iterate_slots,
    parse_schedule,
    resolve_local_time,
)
from nif.errors import Invalid

LONDON, NEW_YORK = ZoneInfo("Europe/London"), ZoneInfo("America/New_York")
QUARTERS = [time(hour, minute) for hour in range(24) for minute in (0, 15, 30, 45)]
ZONES = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "Africa/Johannesburg",
    "Africa/Lagos",
    "America/Anchorage",
    "America/Asuncion",
    "America/Chicago",
    "America/Godthab",
    "America/Havana",
    "America/Los_Angeles",
    "America/Miquelon",
    "America/New_York",
    "America/Phoenix",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Atlantic/Azores",
    "Australia/Adelaide",
    "Australia/Eucla",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Chisinau",
    "Europe/Dublin",
    "Europe/London",
    "Europe/Moscow",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Easter",
    "Pacific/Kiritimati",
    "UTC",
]


def local_due_time(zone: ZoneInfo, day: date, at: time) -> str:
    """The due time of a slot on the local clock."""
    return f"{resolve_local_time(day, at, zone).astimezone(zone):%d %H:%M %Z}"


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("daily 07:30", DigestSchedule(time(7, 30))),
        ("  Daily   00:00 ", DigestSchedule(time(0, 0))),
        ("daily 23:59", DigestSchedule(time(23, 59))),
        ("weekly fri 08:00", DigestSchedule(time(8, 0), 4)),
        ("WEEKLY Mon 08:00", DigestSchedule(time(8, 0), 0)),
    ],
)
def test_a_schedule_is_parsed(text: str, schedule: DigestSchedule) -> None:
    assert parse_schedule(text) == schedule


@pytest.mark.parametrize("schedule", [DigestSchedule(time(7, 5)), DigestSchedule(time(18, 0), 6)])
def test_a_printed_schedule_parses_to_itself(schedule: DigestSchedule) -> None:
    assert parse_schedule(str(schedule)) == schedule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "daily",
        "07:30",
        "daily 7:30",
        "daily 24:00",
        "daily 07:60",
        "daily 07:30:00",
        "daily fri 08:00",
        "weekly 08:00",
        "weekly xxx 08:00",
        "weekly friday 08:00",
        "monthly 08:00",
        "daily 07:30 daily 08:30",
        "daily -7:30",
    ],
)
def test_an_invalid_schedule_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(Invalid) as told:
        parse_schedule(text)
    assert told.value.problems["schedule"].startswith("Write “daily 07:30”")


@pytest.mark.parametrize(
    ("zone", "day", "at", "shown"),
    [
        (LONDON, date(2026, 3, 28), time(1, 30), "28 01:30 GMT"),
        (LONDON, date(2026, 3, 29), time(0, 59), "29 00:59 GMT"),
        (LONDON, date(2026, 3, 29), time(1, 0), "29 02:00 BST"),
        (LONDON, date(2026, 3, 29), time(1, 30), "29 02:00 BST"),
        (LONDON, date(2026, 3, 29), time(1, 59), "29 02:00 BST"),
        (LONDON, date(2026, 3, 29), time(2, 0), "29 02:00 BST"),
        (LONDON, date(2026, 3, 29), time(7, 30), "29 07:30 BST"),
        (NEW_YORK, date(2026, 3, 8), time(1, 59), "08 01:59 EST"),
        (NEW_YORK, date(2026, 3, 8), time(2, 0), "08 03:00 EDT"),
        (NEW_YORK, date(2026, 3, 8), time(2, 30), "08 03:00 EDT"),
        (NEW_YORK, date(2026, 3, 8), time(3, 0), "08 03:00 EDT"),
    ],
)
def test_a_skipped_time_becomes_the_first_moment_after_the_gap(
    zone: ZoneInfo, day: date, at: time, shown: str
) -> None:
    assert local_due_time(zone, day, at) == shown


@pytest.mark.parametrize(
    ("zone", "day", "at", "shown"),
    [
        (LONDON, date(2026, 10, 25), time(0, 59), "25 00:59 BST"),
        (LONDON, date(2026, 10, 25), time(1, 0), "25 01:00 BST"),
        (LONDON, date(2026, 10, 25), time(1, 30), "25 01:30 BST"),
        (LONDON, date(2026, 10, 25), time(2, 0), "25 02:00 GMT"),
        (NEW_YORK, date(2026, 11, 1), time(1, 30), "01 01:30 EDT"),
        (NEW_YORK, date(2026, 11, 1), time(2, 0), "01 02:00 EST"),
    ],
)
def test_of_a_repeated_time_the_first_is_taken(
    zone: ZoneInfo, day: date, at: time, shown: str
) -> None:
    assert local_due_time(zone, day, at) == shown


def test_unusual_gaps_end_at_the_right_moment() -> None:
    assert (
        local_due_time(ZoneInfo("Australia/Lord_Howe"), date(2026, 10, 4), time(2, 15))[:8]
        == "04 02:30"
    )
    assert (
        local_due_time(ZoneInfo("Antarctica/Troll"), date(2026, 3, 29), time(1, 30))[:8]
        == "29 03:00"
    )
    assert (
        local_due_time(ZoneInfo("America/Havana"), date(2026, 3, 8), time(0, 30))[:8] == "08 01:00"
    )


def minutes_late(slot: Slot, at: time, zone: ZoneInfo) -> float:
    """How many minutes after its local time a slot is due, because of a gap."""
    shown = slot.due_at.astimezone(zone).replace(tzinfo=None)
    return (shown - datetime.combine(slot.day, at)).total_seconds() / 60


@pytest.mark.parametrize("name", ZONES)
def test_every_local_date_has_exactly_one_slot(name: str) -> None:
    zone, first = ZoneInfo(name), date(2025, 1, 1)
    start = datetime(2024, 12, 29, tzinfo=UTC)
    for at in QUARTERS[ZONES.index(name) % 24 :: 24]:
        found = list(
            iterate_slots(DigestSchedule(at), zone, after=start, until=start + timedelta(days=737))
        )
        days = [slot.day for slot in found if first <= slot.day < date(2027, 1, 1)]
        assert days == [first + timedelta(days=n) for n in range(730)]
        assert all(0 <= minutes_late(slot, at, zone) <= 120 for slot in found)


@pytest.mark.parametrize("zone", [LONDON, NEW_YORK, ZoneInfo("Pacific/Chatham")])
@pytest.mark.parametrize("at", [time(0, 0), time(1, 30), time(2, 30), time(23, 45)])
def test_each_slot_is_due_in_one_tick(zone: ZoneInfo, at: time) -> None:
    tick, met = datetime(2026, 10, 20, tzinfo=UTC), []
    for _ in range(14 * 24):
        later = tick + timedelta(hours=1)
        met += iterate_slots(DigestSchedule(at), zone, after=tick, until=later)
        tick = later

    assert [slot.day for slot in met] == sorted({slot.day for slot in met})
    assert len(met) == 14


def test_a_slot_is_due_at_its_exact_moment() -> None:
    due_at = datetime(2026, 7, 1, 6, 30, tzinfo=UTC)
    slot, second = Slot(date(2026, 7, 1), due_at), timedelta(seconds=1)
    daily = DigestSchedule(time(7, 30))

    assert list(iterate_slots(daily, LONDON, after=due_at - second, until=due_at)) == [slot]
    assert list(iterate_slots(daily, LONDON, after=due_at, until=due_at + second)) == []
    assert list(iterate_slots(daily, LONDON, after=due_at - second, until=due_at - second)) == []


@pytest.mark.parametrize("day", WEEKDAYS)
def test_a_weekly_slot_comes_on_its_weekday(day: str) -> None:
    schedule = parse_schedule(f"weekly {day} 08:00")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = list(iterate_slots(schedule, NEW_YORK, after=start, until=start + timedelta(days=364)))

    assert len(found) == 52
    assert {slot.day.weekday() for slot in found} == {WEEKDAYS.index(day)}
    assert {f"{slot.due_at.astimezone(NEW_YORK):%H:%M}" for slot in found} == {"08:00"}


def test_the_next_slot_is_later_than_now() -> None:
    due_at = datetime(2026, 11, 20, 7, 30, tzinfo=UTC)
    daily, weekly = DigestSchedule(time(7, 30)), DigestSchedule(time(7, 30), 4)

    assert compute_next_slot(daily, LONDON, after=due_at - timedelta(minutes=1)).due_at == due_at
    assert compute_next_slot(daily, LONDON, after=due_at).due_at == due_at + timedelta(days=1)
    assert compute_next_slot(weekly, LONDON, after=due_at).due_at == due_at + timedelta(days=7)
