"""Claiming work rows, tried with queued mails; on PostgreSQL several workers claim at once."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, inspect, select, text, update
from sqlalchemy.orm import Session

from nif.claims import WorkRow, claim_next, claim_rows, lock_claimed_row, release_claim, renew_claim
from nif.database import Database
from nif.mail.transactional import TransactionalEmail
from tests.conftest import NOON

LEASE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def add_rows(database: Database, *due: datetime | None) -> None:
    with database.transaction() as session:
        for number, due_at in enumerate(due):
            session.add(TransactionalEmail(address=f"{number}", queued_at=NOON, due_at=due_at))


def claim(database: Database, now: datetime = NOON) -> TransactionalEmail | None:
    with database.transaction() as session:
        return claim_next(session, TransactionalEmail, lease=LEASE, now=now)


def one_claimed(database: Database, now: datetime = NOON) -> TransactionalEmail:
    row = claim(database, now)
    assert row is not None
    return row


def due_at(database: Database) -> datetime | None:
    with database.reading() as session:
        return session.scalars(select(TransactionalEmail.due_at)).one()


def test_rows_are_claimed_in_the_order_in_which_they_are_due(database: Database) -> None:
    add_rows(database, NOON, None, NOON + SECOND, NOON - SECOND, NOON)

    order = [one_claimed(database).address for _ in range(3)]

    assert order == ["3", "0", "4"]
    assert claim(database) is None


@pytest.mark.parametrize("model", WorkRow.__subclasses__(), ids=lambda model: model.__tablename__)
def test_a_claim_and_a_count_of_waiting_rows_read_an_index_and_sort_nothing(
    database: Database, model: Any
) -> None:
    claiming: list[tuple[str, Any]] = []

    def keep(_: object, __: object, statement: str, given: Any, *___: object) -> None:
        if statement.startswith("SELECT"):
            claiming.append((statement, given))

    is_waiting = select(func.count()).select_from(model).where(model.due_at.is_not(None))
    with database.transaction() as session:
        event.listen(database.engine, "before_cursor_execute", keep)
        claim_rows(session, model, lease=LEASE, now=NOON, most=5)
        session.execute(is_waiting)
        event.remove(database.engine, "before_cursor_execute", keep)
        explain = "EXPLAIN QUERY PLAN"
        if database.engine.dialect.name == "postgresql":
            # PostgreSQL would read an empty table whole.
            session.execute(text("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"))
            explain = "EXPLAIN"
        plans = [
            str(session.connection().exec_driver_sql(f"{explain} {statement}", given).all())
            for statement, given in claiming
        ]

    assert len(plans) == 2
    for plan in plans:
        assert f"ix_{model.__tablename__}_due_at" in plan
        assert not re.search("sort|b-tree", plan, re.IGNORECASE), plan


def test_the_index_of_work_rows_holds_only_those_that_are_due(database: Database) -> None:
    indexes = inspect(database.engine).get_indexes("transactional_email")
    [index] = [one for one in indexes if one["name"] == "ix_transactional_email_due_at"]
    where = index["dialect_options"][f"{database.engine.dialect.name}_where"]

    assert str(where).strip("()") == "due_at IS NOT NULL"


def test_many_rows_are_claimed_at_once_and_only_those_that_meet_the_conditions(
    session: Session, database: Database
) -> None:
    add_rows(database, *[NOON] * 5)
    is_other = TransactionalEmail.address != "1"

    rows = claim_rows(session, TransactionalEmail, is_other, lease=LEASE, now=NOON, most=3)

    assert [(row.address, row.due_at) for row in rows] == [
        (address, NOON + LEASE) for address in ("0", "2", "3")
    ]


def test_the_row_of_a_worker_that_died_is_claimed_after_its_lease(database: Database) -> None:
    add_rows(database, NOON)
    one_claimed(database)

    assert claim(database, NOON + LEASE - SECOND) is None
    assert one_claimed(database, NOON + LEASE).due_at == NOON + 2 * LEASE


def test_concurrent_workers_never_claim_the_same_row(database: Database) -> None:
    add_rows(database, *[NOON] * 40)

    def work(_: int) -> list[str]:
        rows = []
        while (row := claim(database)) is not None:
            rows.append(row.address)
        return rows

    with ThreadPoolExecutor(8) as threads:
        claimed = [address for rows in threads.map(work, range(8)) for address in rows]

    assert len(claimed) == len(set(claimed)) == 40


def test_a_row_that_another_worker_is_just_claiming_is_passed_over(
    database: Database, new_database: object
) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    add_rows(database, NOON, NOON)

    with database.transaction() as session:
        first = claim_next(session, TransactionalEmail, lease=LEASE, now=NOON)
        second = claim(database)

    assert (first and first.address, second and second.address) == ("0", "1")


def test_a_slow_worker_that_lost_its_claim_gets_the_row_no_more(database: Database) -> None:
    add_rows(database, NOON)
    slow = one_claimed(database)
    fast = one_claimed(database, NOON + LEASE)

    with database.transaction() as session:
        assert lock_claimed_row(session, slow) is None
        assert renew_claim(session, slow, lease=LEASE, now=NOON + 2 * LEASE) is None
        release_claim(session, slow, now=NOON)
    assert due_at(database) == fast.due_at

    with database.transaction() as session:
        assert lock_claimed_row(session, fast) is not None


def test_a_worker_slower_than_its_lease_keeps_a_row_that_nobody_else_claimed(
    database: Database,
) -> None:
    add_rows(database, NOON)
    claimed = one_claimed(database)

    with database.transaction() as session:
        renewed = renew_claim(session, claimed, lease=LEASE, now=NOON + 3 * LEASE)

    assert renewed is not None
    assert due_at(database) == renewed.due_at == NOON + 4 * LEASE
    with database.transaction() as session:
        assert lock_claimed_row(session, claimed) is None, "only the renewed row holds the claim"


@pytest.mark.parametrize("meanwhile", [None, NOON])
def test_a_claim_ends_when_the_row_is_made_due_at_another_time(
    database: Database, meanwhile: datetime | None
) -> None:
    add_rows(database, NOON)
    claimed = one_claimed(database)
    with database.transaction() as session:
        session.execute(update(TransactionalEmail).values(due_at=meanwhile))

    with database.transaction() as session:
        assert lock_claimed_row(session, claimed) is None


def test_a_released_row_is_due_at_once_unless_its_work_is_done(database: Database) -> None:
    add_rows(database, NOON)
    claimed = one_claimed(database)
    with database.transaction() as session:
        release_claim(session, claimed, now=NOON + SECOND)
    assert due_at(database) == NOON + SECOND

    again = one_claimed(database, NOON + SECOND)
    with database.transaction() as session:
        done = renew_claim(session, again, lease=LEASE, now=NOON + SECOND)
        assert done is not None
        done.due_at = None
    with database.transaction() as session:
        release_claim(session, done, now=NOON + SECOND)
    assert due_at(database) is None
