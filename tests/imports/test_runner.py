"""Importing, stopping, dying, going on, undoing."""

from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from itertools import count

import pytest
from sqlalchemy import func, select, text

from nif.errors import Conflict, Invalid, NotFound
from nif.imports import files, imports, reports, runner
from nif.imports.models import ImportRun, ImportState
from nif.imports.runner import ImportContext, run_import
from nif.sends.planning import plan_send
from nif.subscriptions.double_opt_in import confirm_subscription, confirmation_token
from nif.subscriptions.lists import get_list
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    DailyListCount,
    DailySourceCount,
    ListMetric,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.suppression_list import suppress_address
from nif.subscriptions.unsubscribe import unsubscribe_from_list
from tests.conftest import NOON
from tests.factories import HERE, a_plain_edition, a_subscription

TABLES = (
    "subscriber",
    "subscription",
    "consent",
    "suppression",
    "imported_subscription",
    "import_problem",
)
MIXED = (
    b"email,status,created_at,unsubscribed_at\n"
    b"new@example.com,active,2024-03-04T05:06:07Z,\n"
    b"New@Example.com,active,,\n"
    b"there@example.com,active,,\n"
    b"asked@example.com,active,,\n"
    b"left@example.com,active,,\n"
    b"back@example.com,active,,\n"
    b"bounced@example.com,active,,\n"
    b"complained@example.com,active,,\n"
    b"gone@example.com,active,2020-01-01,2021-01-01\n"
    b"dead@example.com,invalid,,\n"
    b"cross@example.com,complained,,\n"
    b"reads@example.com,unsubscribed,,2020-01-01\n"
    b"went@example.com,unsubscribed,,\n"
    b"odd@example.com,something,,\n"
    b"not an address,active,,\n"
)


@pytest.fixture
def house(desk):
    """A list with people of every standing."""
    with desk.database.transaction() as session:
        daily = get_list(session, "daily")
        for name in ("there", "reads", "went"):
            one = a_subscription(session, daily, f"{name}@example.com")
            one.confirmed_at = NOON - timedelta(days=9)
        reads = session.scalar(select(Subscriber).where(Subscriber.address.startswith("reads")))
        session.add(
            Consent(
                subscriber_id=reads.id,
                list_id=daily.id,
                action=ConsentAction.CONFIRMED,
                at=NOON - timedelta(days=9),
                source="/confirm",
                network="unknown",
            )
        )
        a_subscription(session, daily, "asked@example.com", SubscriptionState.PENDING)
        unsubscribe_from_list(
            session, a_subscription(session, daily, "left@example.com"), HERE, now=NOON
        )
        back = a_subscription(session, daily, "back@example.com", SubscriptionState.PENDING)
        back.unsubscribed_at = NOON - timedelta(days=1)
        for reason in (SuppressionReason.BOUNCED, SuppressionReason.COMPLAINED):
            suppress_address(session, f"{reason}@example.com", reason, source="x", now=NOON)
    return desk


def whole(database, run):
    """All that an import wrote, without the ids that the database gives."""
    people = (
        "SELECT s.address, s.canonical, n.state, n.unsubscribed_at IS NULL, "
        "c.action, c.source = :source "
        "FROM subscriber s JOIN subscription n ON n.subscriber_id = s.id "
        "LEFT JOIN consent c ON c.subscriber_id = s.id ORDER BY 1, 2, 3, 4, 5, 6"
    )
    suppressed = "SELECT canonical, reason, source = :source FROM suppression ORDER BY 1"
    problems = "SELECT line, code, cell FROM import_problem WHERE import_id = :run ORDER BY 1"
    given = {"source": run.source, "run": run.id}
    with database.reading() as session:
        return [
            session.execute(text(query), {k: v for k, v in given.items() if f":{k}" in query}).all()
            for query in (people, suppressed, problems)
        ]


def moves(database):
    """Who came and went by a file, as the days and the sources have counted it."""
    house = (ListMetric.IMPORTED, ListMetric.REMOVED)
    with database.reading() as session:
        by_day, by_source = (
            dict(
                session.execute(
                    select(model.metric, func.sum(model.count))
                    .where(model.metric.in_(house))
                    .group_by(model.metric)
                ).all()
            )
            for model in (DailyListCount, DailySourceCount)
        )
    assert by_day == by_source
    return {what.value: count for what, count in by_day.items()}


def count_of(database):
    with database.reading() as session:
        return {table: session.scalar(text(f"SELECT count(*) FROM {table}")) for table in TABLES}


def test_each_row_has_its_verdict_and_nobody_is_brought_back(house):
    run = house.bring_in(MIXED)

    assert run.state is ImportState.DONE
    assert run.outcome_counts == {
        **{
            "new": 1,
            "changed": 1,
            "unchanged": 3,
            "skipped": 4,
            "unsubscribed": 2,
            "suppressed": 2,
        },
        "invalid": 2,
    }
    assert house.people() == {
        **dict.fromkeys(
            [f"{name}@example.com" for name in ("new", "there", "asked", "reads")], "confirmed"
        ),
        **dict.fromkeys(
            [f"{name}@example.com" for name in ("left", "gone", "went")], "unsubscribed"
        ),
        "back@example.com": "pending",
    }
    assert house.counters() == {"confirmed": 4, "unsubscribed": 3, "pending": 1}
    assert run.problem_counts == {
        **{"unsubscribed": 2, "suppressed_bounced": 1, "suppressed_complained": 1, "status": 1},
        "address": 1,
    }
    with house.database.reading() as session:
        mailed_no_more = dict(
            session.execute(select(Suppression.canonical, Suppression.reason)).all()
        )
        assert mailed_no_more["dead@example.com"] is SuppressionReason.BOUNCED
        assert mailed_no_more["cross@example.com"] is SuppressionReason.COMPLAINED
        new = session.scalars(
            select(Consent)
            .join(Subscriber, Subscriber.id == Consent.subscriber_id)
            .where(Subscriber.canonical == "new@example.com")
        ).one()
        assert (new.action, new.source) == (ConsentAction.IMPORTED, f"import:{run.id}")
        assert session.scalar(text("SELECT text FROM consent_wording")).startswith("They signed up")
        lines = [one.line for one in reports.list_import_problems(session, run)]
        assert lines == [6, 7, 8, 9, 15, 16]
        report = "".join(reports.stream_problem_report(session, run))
        assert "16,not an address,This does not look like an email address." in report


def test_a_check_says_exactly_what_happens_then_and_does_nothing(house, small_pieces):
    small_pieces(2)
    import_id = house.take(MIXED)
    before = count_of(house.database)

    checked = house.do("check", import_id)

    assert checked.state is ImportState.DRY_RUN_DONE
    after = count_of(house.database)
    assert {**after, "import_problem": 0} == before
    assert (
        house.do("start", import_id).outcome_counts
        == checked.outcome_counts
        == checked.dry_run_counts
    )
    with pytest.raises(Conflict):
        house.do("start", import_id)


def test_the_same_file_twice_changes_nothing(house):
    house.bring_in(MIXED)
    people, counters = house.people(), house.counters()

    again = house.bring_in(MIXED)

    assert "new" not in again.outcome_counts or not again.outcome_counts["new"]
    assert not again.outcome_counts.get("changed")
    assert not again.outcome_counts.get("skipped")
    assert (house.people(), house.counters()) == (people, counters)


def test_who_did_not_confirm_elsewhere_is_pending(desk):
    run = desk.bring_in(
        b"email,status\na@example.com,active\nb@example.com,pending\n", confirmed=False
    )

    assert run.outcome_counts == {"new": 2}
    assert desk.counters() == {"pending": 2}


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_dying_at_any_moment_and_going_on_ends_the_same(house, small_pieces, when):
    """Each transaction in turn does not begin, is not committed, or nobody sees its end."""
    small_pieces(4)
    plain = house.bring_in(MIXED)
    expected, counters = whole(house.database, plain), house.counters()
    house.do("undo", plain.id)
    for moment in range(6):
        import_id = house.take(MIXED)
        with house.database.transaction() as session:
            imports.start_import(session, session.get_one(ImportRun, import_id), now=NOON)
        dying = ImportContext(_dies(house.database, moment, when), house.folder, lambda: NOON)
        with pytest.raises(Died):
            run_import(dying, import_id)
        with house.database.transaction() as session:
            runner.release_import(session, import_id, house.run(import_id).lease_holder or "")

        run_import(house.context, import_id)

        run = house.run(import_id)
        assert (run.state, run.outcome_counts) == (ImportState.DONE, plain.outcome_counts)
        assert (house.counters(), whole(house.database, run)) == (counters, expected)
        house.do("undo", import_id)


class Died(BaseException):
    """No code of ours catches it."""


def _dies(database, moment, when):
    """Transactions of which the one with this number is the last to be begun."""
    numbers = count()

    @contextmanager
    def transaction():
        number = next(numbers)
        if number > moment or (number == moment and when == "before"):
            raise Died
        with database.transaction() as session:
            yield session
            if number == moment and when == "within":
                raise Died
        if number == moment:
            raise Died

    return transaction


def test_a_run_has_one_worker_until_that_is_dead(house):
    import_id = house.take(MIXED)
    with house.database.transaction() as session:
        imports.start_import(session, session.get_one(ImportRun, import_id), now=NOON)
    mine, theirs = runner.new_lease_holder(), "elsewhere:1:x"
    with house.database.transaction() as session:
        assert runner.claim_import(session, import_id, theirs, now=NOON)
        assert runner.claim_import(session, import_id, mine, now=NOON) is None
        assert runner.find_due_import(session, now=NOON) is None
    assert not run_import(house.context, import_id)

    later = NOON + runner.IMPORT_LEASE
    with house.database.transaction() as session:
        assert runner.find_due_import(session, now=later) == import_id
        assert runner.claim_import(session, import_id, mine, now=later)
        with pytest.raises(runner.ImportLeaseLost):
            runner.lock_claimed_import(session, import_id, theirs, ImportState.RUNNING, now=later)


def test_a_stopped_run_goes_on_where_it_was(house, small_pieces):
    small_pieces(4)
    import_id = house.take(MIXED)
    seen = []

    def stop_after_two(run):
        seen.append(run.lines_read)
        if len(seen) == 2:
            with house.database.transaction() as session:
                imports.stop_import(session.get_one(ImportRun, import_id))

    with house.database.transaction() as session:
        imports.start_import(session, session.get_one(ImportRun, import_id), now=NOON)
    run_import(
        ImportContext(
            house.database.transaction, house.folder, lambda: NOON, report_progress=stop_after_two
        ),
        import_id,
    )
    stopped = house.run(import_id)
    assert (stopped.state, stopped.rows_read, stopped.lines_read) == (ImportState.STOPPED, 8, 9)

    done = house.do("resume", import_id)

    assert (done.state, done.rows_read) == (ImportState.DONE, 15)


def test_undoing_takes_back_what_is_as_it_was_left(house):
    before, counters, rows = house.people(), house.counters(), count_of(house.database)
    run = house.bring_in(MIXED)
    moved, confirmed = moves(house.database), house.counters()["confirmed"]
    assert moved == {"imported": 2, "removed": 1}
    assert confirmed == counters["confirmed"] + 2 - 1

    undone = house.do("undo", run.id)

    assert moves(house.database) == {"imported": 3, "removed": 3}

    assert (undone.state, undone.undo_counts) == (ImportState.UNDONE, {"undone": 4, "kept": 0})
    assert (house.people(), house.counters()) == (before, counters)
    after = count_of(house.database)
    assert {**after, "import_problem": 0} == rows
    assert not list(house.folder.iterdir())
    with pytest.raises(Conflict):
        house.do("undo", run.id)


def test_undoing_leaves_alone_who_was_mailed_or_did_something_since(desk, services):
    run = desk.bring_in(b"email\nleft@example.com\nback@example.com\nplain@example.com\n")
    with desk.database.transaction() as session:
        for name in ("left", "back"):
            one = session.scalar(
                select(Subscription).join(Subscriber).where(Subscriber.address.startswith(name))
            )
            unsubscribe_from_list(session, one, HERE, now=NOON + timedelta(hours=1))
            if name == "back":
                one.state, one.requested_at = SubscriptionState.PENDING, NOON
                token = confirmation_token(one, services.tokens)
                confirm_subscription(
                    session, token, services.tokens, HERE, now=NOON + timedelta(hours=2)
                )
    run = desk.do("undo", run.id)
    assert run.undo_counts == {"undone": 1, "kept": 2}
    assert desk.people() == {"left@example.com": "unsubscribed", "back@example.com": "confirmed"}

    mailed = desk.bring_in(b"email\nmailed@example.com\n")
    with desk.database.transaction() as session:
        plan_send(session, a_plain_edition(session, get_list(session, "daily")), now=NOON)
    assert desk.do("undo", mailed.id).undo_counts == {"undone": 0, "kept": 1}


def test_a_file_that_is_gone_is_a_sentence(desk):
    import_id = desk.take(b"email\na@example.com\n")
    files.delete_import_file(desk.folder, desk.run(import_id).stored_name)

    run = desk.do("start", import_id)

    assert run.state is ImportState.FAILED
    assert "no longer stored" in run.failure_reason


def test_files_are_kept_for_thirty_days_and_never_while_they_are_needed(desk):
    done, waiting = desk.take(b"email\na@example.com\n"), desk.take(b"email\nb@example.com\n")
    with desk.database.transaction() as session:
        imports.start_import(session, session.get_one(ImportRun, waiting), now=NOON)
        assert imports.detach_expired_files(session, now=NOON + timedelta(days=29)) == []
        names = imports.detach_expired_files(session, now=NOON + timedelta(days=30))
    assert names == [desk.run(done).stored_name or names[0]]
    assert desk.run(waiting).stored_name is not None


def test_nothing_larger_than_allowed_is_kept(tmp_path):
    with pytest.raises(Invalid, match="too large"):
        files.store_import_file(BytesIO(b"x" * 11), tmp_path, most=10)
    assert not list(tmp_path.iterdir())
    with pytest.raises(NotFound), files.open_import_file(tmp_path, "../../etc/passwd"):
        pass
