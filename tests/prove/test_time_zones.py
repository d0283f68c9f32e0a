from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest

from nif.editions.digest import make_digest_of_slot
from nif.editions.schedule import Slot, iterate_slots
from tests.prove.databases import a_database
from tests.prove.slot_look_back import prove_look_back
from tests.prove.time_zones import ODD_DAYS, prove_zones

DAYS = 250
"""From the first of March until after the last change of the clock in autumn."""

ZONES = [
    "Africa/Casablanca",
    "America/Scoresbysund",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Europe/London",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "UTC",
]


def without_care(schedule, zone, *, after, until):
    """Read a skipped time with the offset from before the gap, as Python does."""
    for slot in iterate_slots(schedule, zone, after=after - timedelta(days=2), until=until):
        due_at = datetime.combine(slot.day, schedule.at, zone).astimezone(UTC)
        if after < due_at <= until:
            yield Slot(slot.day, due_at)


def with_both_ends(schedule, zone, *, after, until):
    return iterate_slots(schedule, zone, after=after - timedelta(seconds=1), until=until)


def only_once_a_day(schedule, zone, *, after, until):
    """Ignore slots from before the last midnight."""
    midnight = until.replace(hour=0, minute=0, second=0)
    return iterate_slots(schedule, zone, after=max(after, midnight), until=until)


def keep_late(session, mailing_list, slot, desk, *, now):
    in_time = min(now, slot.due_at + timedelta(hours=12))
    edition = make_digest_of_slot(session, mailing_list, slot, desk, now=in_time)
    if edition is not None:
        edition.made_at = now
    return edition


def keep_no_trace_of_what_was_missed(session, mailing_list, slot, desk, *, now):
    if now - slot.due_at > timedelta(hours=12):
        return None
    return make_digest_of_slot(session, mailing_list, slot, desk, now=now)


def test_each_list_has_one_slot_on_each_date_of_each_zone():
    result = prove_zones(zones=ZONES, days=DAYS, seed=1)

    assert (result["wrong"], result["told"]) == (0, [])
    assert result["slots"] > DAYS * 96 * len(ZONES)
    assert result["dates_skipped"] == 2


def test_the_unusual_days_belong_to_existing_time_zones():
    assert set(ODD_DAYS) <= available_timezones()


@pytest.mark.parametrize("careless", [without_care, with_both_ends, only_once_a_day])
def test_a_wrong_scheduler_fails_the_proof(careless):
    result = prove_zones(zones=["Europe/London"], days=40, seed=1, slots=careless)

    assert result["wrong"] > 0
    assert result["told"][0].startswith("Europe/London: ")


def test_two_slots_close_together_fail_the_proof():
    def moved(schedule, zone, *, after, until):
        """Every date has its slot; on the tenth day of a month it is five hours late."""
        for slot in iterate_slots(schedule, zone, after=after, until=until):
            late = timedelta(hours=5) if slot.day.day == 10 else timedelta(0)
            yield Slot(slot.day, slot.due_at + late)

    result = prove_zones(zones=["UTC"], days=20, seed=1, slots=moved)

    assert any("apart" in words for words in result["told"])


def test_every_slot_is_accounted_for_once_although_the_worker_is_often_down(database):
    result = prove_look_back(database, days=6, seed=3)

    assert (result["wrong"], result["told"]) == (0, [])
    assert min(result[state] for state in ("frozen", "empty", "missed")) > 0


@pytest.mark.parametrize("keep", [keep_late, keep_no_trace_of_what_was_missed])
def test_a_wrong_worker_fails_the_proof(keep):
    with a_database() as database:
        result = prove_look_back(database, days=3, seed=3, keep=keep)

    assert result["wrong"] > 0
