"""Tasks that one worker does once in a period."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from nif.database import Database
from nif.sends import periodic_tasks
from nif.sends.periodic_tasks import PeriodicTask
from tests.conftest import NOON

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def begin(database: Database, now: datetime, name: str = "lists") -> bool:
    with database.transaction() as session:
        return periodic_tasks.begin_task_if_due(session, name, every=DAY, now=now)


def note(database: Database, trouble: str | None, now: datetime) -> None:
    with database.transaction() as session:
        periodic_tasks.record_task_result(session, "lists", trouble, now=now)


def find(database: Database) -> PeriodicTask | None:
    with database.reading() as session:
        return periodic_tasks.find_task(session, "lists")


def test_a_task_is_started_once_in_its_period(database: Database) -> None:
    assert find(database) is None
    assert begin(database, NOON)
    assert not begin(database, NOON + DAY - SECOND)
    assert begin(database, NOON + DAY)
    assert not begin(database, NOON + DAY)


def test_tasks_are_independent_of_each_other(database: Database) -> None:
    assert begin(database, NOON)
    assert begin(database, NOON, "backups")


def test_of_eight_workers_one_starts_the_task(database: Database) -> None:
    for now in (NOON, NOON + DAY):
        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(lambda _, now=now: begin(database, now), range(8))) == 1


def test_an_error_is_kept_until_the_task_succeeds(database: Database) -> None:
    begin(database, NOON)
    note(database, None, NOON)
    begin(database, NOON + DAY)
    note(database, "SendGrid answered 500", NOON + DAY)
    troubled = find(database)
    assert troubled is not None
    assert (troubled.error, troubled.succeeded_at) == ("SendGrid answered 500", NOON)
    assert troubled.started_at == NOON + DAY

    note(database, None, NOON + 2 * DAY)
    done = find(database)
    assert done is not None
    assert (done.error, done.succeeded_at) == (None, NOON + 2 * DAY)
