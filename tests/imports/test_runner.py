"""Dry-running, importing, stopping, being killed, resuming and undoing."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from itertools import count

import pytest
from sqlalchemy import func, select, text

from nif.errors import Conflict, Invalid, NotFound
from nif.imports import imports, runner
from nif.imports.models import ImportRun, ImportState
from nif.imports.runner import ImportContext, run_import
from nif.sends.planning import plan_send
from nif.subscriptions.lifecycle import (
    confirm_subscription,
    confirmation_token,
    unsubscribe_from_list,
)
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
def populated(importer):
    """An importer whose list has subscribers in every state."""
    with importer.database.transaction() as session:
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
    return importer


def snapshot_of(database, run):
    """Everything that an import wrote, without generated ids."""
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


def file_metric_counts(database):
    """Subscriptions added and removed by files, as counted per day and per source."""
    file_metrics = (ListMetric.IMPORTED, ListMetric.REMOVED)
    with database.reading() as session:
        by_day, by_source = (
            dict(
                session.execute(
                    select(model.metric, func.sum(model.count))
                    .where(model.metric.in_(file_metrics))
                    .group_by(model.metric)
                ).all()
            )
            for model in (DailyListCount, DailySourceCount)
        )
    assert by_day == by_source
    return {what.value: count for what, count in by_day.items()}


def row_counts(database):
    with database.reading() as session:
        return {table: session.scalar(text(f"SELECT count(*) FROM {table}")) for table in TABLES}


def test_each_row_has_one_outcome_and_no_row_resubscribes_anybody(populated):
    run = populated.import_file(MIXED)

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
    assert populated.subscription_states() == {
        **dict.fromkeys(
            [f"{name}@example.com" for name in ("new", "there", "asked", "reads")], "confirmed"
        ),
        **dict.fromkeys(
            [f"{name}@example.com" for name in ("left", "gone", "went")], "unsubscribed"
        ),
        "back@example.com": "pending",
    }
    assert populated.list_counters() == {"confirmed": 4, "unsubscribed": 3, "pending": 1}
    assert run.problem_counts == {
        **{"unsubscribed": 2, "suppressed_bounced": 1, "suppressed_complained": 1, "status": 1},
        "address": 1,
    }
    with populated.database.reading() as session:
        reasons = dict(session.execute(select(Suppression.canonical, Suppression.reason)).all())
        assert reasons["dead@example.com"] is SuppressionReason.BOUNCED
        assert reasons["cross@example.com"] is SuppressionReason.COMPLAINED
        new = session.scalars(
            select(Consent)
            .join(Subscriber, Subscriber.id == Consent.subscriber_id)
            .where(Subscriber.canonical == "new@example.com")
        ).one()
        assert (new.action, new.source) == (ConsentAction.IMPORTED, f"import:{run.id}")
        assert session.scalar(text("SELECT text FROM consent_wording")).startswith("They signed up")
        lines = [problem.line for problem in imports.list_import_problems(session, run)]
        assert lines == [6, 7, 8, 9, 15, 16]
        report = "".join(imports.stream_problem_report(session, run))
        assert "16,not an address,This does not look like an email address." in report


def test_a_dry_run_counts_exactly_what_the_import_does_and_writes_nothing(populated, small_batches):
    small_batches(2)
    import_id = populated.upload(MIXED)
    before = row_counts(populated.database)

    checked = populated.run_step("dry-run", import_id)

    assert checked.state is ImportState.DRY_RUN_DONE
    after = row_counts(populated.database)
    assert {**after, "import_problem": 0} == before
    assert (
        populated.run_step("start", import_id).outcome_counts
        == checked.outcome_counts
        == checked.dry_run_counts
    )
    with pytest.raises(Conflict):
        populated.run_step("start", import_id)


def test_importing_the_same_file_twice_changes_nothing(populated):
    populated.import_file(MIXED)
    people, counters = populated.subscription_states(), populated.list_counters()

    again = populated.import_file(MIXED)

    assert "new" not in again.outcome_counts or not again.outcome_counts["new"]
    assert not again.outcome_counts.get("changed")
    assert not again.outcome_counts.get("skipped")
    assert (populated.subscription_states(), populated.list_counters()) == (people, counters)


def test_subscribers_who_did_not_confirm_elsewhere_are_pending(importer):
    run = importer.import_file(
        b"email,status\na@example.com,active\nb@example.com,pending\n", confirmed=False
    )

    assert run.outcome_counts == {"new": 2}
    assert importer.list_counters() == {"pending": 2}


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_an_import_killed_at_any_transaction_and_resumed_ends_the_same(
    populated, small_batches, when
):
    """Each transaction in turn fails to begin, to commit, or to report its commit."""
    small_batches(4)
    uninterrupted = populated.import_file(MIXED)
    expected, counters = snapshot_of(populated.database, uninterrupted), populated.list_counters()
    populated.run_step("undo", uninterrupted.id)
    for transaction_number in range(6):
        import_id = populated.upload(MIXED)
        with populated.database.transaction() as session:
            imports.start_import(session, session.get_one(ImportRun, import_id), now=NOON)
        dying = ImportContext(
            _dying_transactions(populated.database, transaction_number, when),
            populated.folder,
            lambda: NOON,
        )
        with pytest.raises(Killed):
            run_import(dying, import_id)
        later = replace(populated.context, clock=lambda: NOON + runner.IMPORT_LEASE)

        run_import(later, import_id)

        run = populated.get_run(import_id)
        assert (run.state, run.outcome_counts) == (ImportState.DONE, uninterrupted.outcome_counts)
        assert (populated.list_counters(), snapshot_of(populated.database, run)) == (
            counters,
            expected,
        )
        populated.run_step("undo", import_id)


class Killed(BaseException):
    """Ends a worker like a kill: no code catches it."""


def _dying_transactions(database, moment, when):
    """A transaction factory that raises at the transaction with this number."""
    numbers = count()

    @contextmanager
    def transaction():
        number = next(numbers)
        if number > moment or (number == moment and when == "before"):
            raise Killed
        with database.transaction() as session:
            yield session
            if number == moment and when == "within":
                raise Killed
        if number == moment:
            raise Killed

    return transaction


def test_a_slow_worker_that_lost_its_claim_writes_nothing(populated, small_batches):
    """It wakes up in the middle of the file, after another worker imported it to its end."""
    small_batches(4)
    import_id = populated.upload(MIXED)
    with populated.database.transaction() as session:
        imports.start_import(session, session.get_one(ImportRun, import_id), now=NOON)
    later = replace(populated.context, clock=lambda: NOON + runner.IMPORT_LEASE)
    reports_of_slow = []

    def sleep(run):
        reports_of_slow.append(run.rows_read)
        assert not run_import(populated.context, import_id), "it is claimed"
        assert run_import(later, import_id)

    assert run_import(replace(populated.context, report_progress=sleep), import_id)

    assert reports_of_slow == [4]
    run = populated.get_run(import_id)
    assert (run.state, run.rows_read, run.due_at) == (ImportState.DONE, 15, None)
    assert populated.list_counters() == {"confirmed": 4, "unsubscribed": 3, "pending": 1}


def test_a_dry_run_whose_batches_outlast_the_lease_keeps_its_claim(populated, small_batches):
    """Otherwise two workers take it from each other for ever, each from the first row on."""
    small_batches(4)
    import_id = populated.upload(MIXED)
    with populated.database.transaction() as session:
        imports.start_dry_run(session, session.get_one(ImportRun, import_id), now=NOON)
    moments = [NOON]
    competed = []

    def read_slow_clock():
        moments.append(moments[-1] + runner.IMPORT_LEASE)
        return moments[-1]

    def compete(run):
        other = replace(populated.context, clock=lambda: moments[-1])
        competed.append(run_import(other, import_id))

    slow = replace(populated.context, clock=read_slow_clock, report_progress=compete)
    assert run_import(slow, import_id)

    assert competed == [False] * 5
    assert populated.get_run(import_id).state is ImportState.DRY_RUN_DONE


def test_a_stopped_import_resumes_at_the_same_row(populated, small_batches):
    small_batches(4)
    import_id = populated.upload(MIXED)
    seen = []

    def stop_after_two(run):
        seen.append(run.lines_read)
        if len(seen) == 2:
            with populated.database.transaction() as session:
                imports.stop_import(session.get_one(ImportRun, import_id))

    with populated.database.transaction() as session:
        imports.start_import(session, session.get_one(ImportRun, import_id), now=NOON)
    run_import(
        ImportContext(
            populated.database.transaction,
            populated.folder,
            lambda: NOON,
            report_progress=stop_after_two,
        ),
        import_id,
    )
    stopped = populated.get_run(import_id)
    assert (stopped.state, stopped.rows_read, stopped.lines_read) == (ImportState.STOPPED, 8, 9)

    done = populated.run_step("resume", import_id)

    assert (done.state, done.rows_read) == (ImportState.DONE, 15)


def test_undoing_restores_everything_that_is_unchanged_since_the_import(populated):
    before, counters, rows = (
        populated.subscription_states(),
        populated.list_counters(),
        row_counts(populated.database),
    )
    run = populated.import_file(MIXED)
    counted, confirmed = (
        file_metric_counts(populated.database),
        populated.list_counters()["confirmed"],
    )
    assert counted == {"imported": 2, "removed": 1}
    assert confirmed == counters["confirmed"] + 2 - 1

    undone = populated.run_step("undo", run.id)

    assert file_metric_counts(populated.database) == {"imported": 3, "removed": 3}

    assert (undone.state, undone.undo_counts) == (ImportState.UNDONE, {"undone": 4, "kept": 0})
    assert (populated.subscription_states(), populated.list_counters()) == (before, counters)
    after = row_counts(populated.database)
    assert {**after, "import_problem": 0} == rows
    assert not list(populated.folder.iterdir())
    with pytest.raises(Conflict):
        populated.run_step("undo", run.id)


def test_undoing_keeps_subscribers_who_were_mailed_or_acted_since(importer, services):
    run = importer.import_file(b"email\nleft@example.com\nback@example.com\nplain@example.com\n")
    with importer.database.transaction() as session:
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
    run = importer.run_step("undo", run.id)
    assert run.undo_counts == {"undone": 1, "kept": 2}
    assert importer.subscription_states() == {
        "left@example.com": "unsubscribed",
        "back@example.com": "confirmed",
    }

    mailed = importer.import_file(b"email\nmailed@example.com\n")
    with importer.database.transaction() as session:
        plan_send(session, a_plain_edition(session, get_list(session, "daily")), now=NOON)
    assert importer.run_step("undo", mailed.id).undo_counts == {"undone": 0, "kept": 1}


def test_a_missing_file_fails_the_import_with_a_reason(importer):
    import_id = importer.upload(b"email\na@example.com\n")
    imports.delete_import_file(importer.folder, importer.get_run(import_id).stored_name)

    run = importer.run_step("start", import_id)

    assert run.state is ImportState.FAILED
    assert "no longer stored" in run.failure_reason


def test_files_are_detached_after_thirty_days_unless_a_worker_needs_them(importer):
    done, waiting = (
        importer.upload(b"email\na@example.com\n"),
        importer.upload(b"email\nb@example.com\n"),
    )
    with importer.database.transaction() as session:
        imports.start_import(session, session.get_one(ImportRun, waiting), now=NOON)
        assert imports.detach_expired_files(session, now=NOON + timedelta(days=29)) == []
        names = imports.detach_expired_files(session, now=NOON + timedelta(days=30))
    assert names == [importer.get_run(done).stored_name or names[0]]
    assert importer.get_run(waiting).stored_name is not None


def test_a_file_over_the_limit_is_not_stored(tmp_path):
    with pytest.raises(Invalid, match="too large"):
        imports.store_import_file(BytesIO(b"x" * 11), tmp_path, max_bytes=10)
    assert not list(tmp_path.iterdir())
    with pytest.raises(NotFound), imports.open_import_file(tmp_path, "../../etc/passwd"):
        pass
