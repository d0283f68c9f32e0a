"""A database that went back in time posts nothing and makes no slot until it is reconciled."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from nif.accounts.models import RoleName
from nif.database import Database, secret_keys_of
from nif.editions.models import Edition, EditionState
from nif.errors import Conflict
from nif.jobs.worker import Worker
from nif.mail.provider import Uncertain
from nif.mail.transactional import TransactionalEmail
from nif.sends.certificates import certify_send
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.journal import FolderStore, Journal
from nif.sends.journal_reconciliation import reconcile_unknown_attempts
from nif.sends.models import Send
from nif.sends.unknown_attempts import (
    UnknownAttempt,
    UnknownAttemptResolution,
    compare_with_journal,
    list_unknown_attempts,
)
from nif.services import Services
from nif.subscriptions.models import Subscriber
from nif.tokens import installation_id
from tests import factories
from tests.conftest import NOON
from tests.factories import a_list, a_plain_send, a_story, a_subscription
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.sends.helpers import (
    attempts,
    planned_send,
    post_events,
    sendgrid_event,
    states,
    tripped_breaker,
)
from tests.sends.restored import back_up

ACCEPTED, UNCERTAIN = UnknownAttemptResolution.ACCEPTED, UnknownAttemptResolution.UNCERTAIN


@pytest.fixture
def open_journal(tmp_path: Path) -> Callable[[], Journal]:
    return lambda: Journal(FolderStore(tmp_path / "journal", "here"))


@pytest.fixture
def context(context: DeliveryContext, open_journal: Callable[[], Journal]) -> DeliveryContext:
    return replace(context, journal=open_journal())


@pytest.fixture
def services(services: Services, open_journal: Callable[[], Journal]) -> Services:
    return replace(services, journal=open_journal())


def mailed(mailer: FakeMailer) -> list[str]:
    return sorted(copy.address for _, _, copies in mailer.posted for copy in copies)


def settle(database: Database, resolution: UnknownAttemptResolution, now=NOON) -> None:
    with database.transaction() as session:
        reconcile_unknown_attempts(session, resolution, now=now)


def unknown(database: Database) -> list[UnknownAttempt]:
    with database.reading() as session:
        return list(list_unknown_attempts(session))


def compare(database: Database, journal: Journal | None, now=NOON) -> bool:
    assert journal is not None
    with database.transaction() as session:
        return compare_with_journal(session, journal, now=now)


def test_a_digest_mailed_after_a_backup_is_not_mailed_again_after_its_restore(
    services: Services,
    database: Database,
    context: DeliveryContext,
    clock: Clock,
    mailer: FakeMailer,
    tmp_path: Path,
) -> None:
    due = NOON.replace(hour=7, minute=30)
    with database.transaction() as session:
        mailing_list = a_list(session, created_at=due - timedelta(hours=12))
        a_subscription(session, mailing_list, "ann@example.com")
        a_story(session, at=due - timedelta(hours=2))
    restore = back_up(database, tmp_path)
    worker = Worker(services)
    [made] = worker.make_digests_until(due)
    with database.reading() as session:
        send_id = session.scalars(select(Send.id)).one()
    clock.now = due + timedelta(minutes=1)
    deliver_send(context, send_id)
    assert (made["audience"], mailed(mailer)) == (1, ["ann@example.com"])

    restore()
    restarted = Worker(
        replace(services, journal=Journal(FolderStore(tmp_path / "journal", "here")))
    )

    assert restarted.make_digests_until(due) == []
    assert [one.send_id for one in unknown(database)] == [send_id]
    settle(database, UNCERTAIN)
    assert restarted.make_digests_until(due) == []
    with database.reading() as session:
        [edition] = session.scalars(select(Edition)).all()
        assert edition.state is EditionState.UNRECORDED
        assert len(edition.items) == 1
    # Nor do the readers get its story with the next digest; and no id is used again.
    [following] = restarted.make_digests_until(due + timedelta(days=1))
    assert following["state"] == "empty"
    with database.transaction() as session:
        assert a_plain_send(session, count=1).id > send_id


def test_no_batch_is_posted_again_by_a_process_that_goes_on_after_a_failover(
    database: Database,
    context: DeliveryContext,
    mailer: FakeMailer,
    tmp_path: Path,
    batches_of_seven: None,
) -> None:
    send_id = planned_send(database, count=21)
    restore = back_up(database, tmp_path)
    deliver_send(context, send_id)
    assert len(mailed(mailer)) == 21

    restore()
    deliver_send(context, send_id)

    assert len(mailed(mailer)) == 21
    assert len(unknown(database)) == 3
    certificate = certify_send(database, send_id, now=NOON)
    assert (certificate.unknown_attempts, certificate.is_complete) == (3, False)


@pytest.mark.parametrize(
    ("resolution", "expected"), [(ACCEPTED, "accepted"), (UNCERTAIN, "awaiting_decision")]
)
def test_listed_ranges_are_settled_and_the_rest_is_posted(
    database: Database,
    context: DeliveryContext,
    mailer: FakeMailer,
    tmp_path: Path,
    resolution: UnknownAttemptResolution,
    expected: str,
) -> None:
    """One batch of 21 in the backup, of which 7 were posted before the failover."""
    send_id = planned_send(database, count=21)
    restore = back_up(database, tmp_path)
    limited = replace(context, limits=replace(context.limits, per_day=7))
    deliver_send(limited, send_id)
    restore()
    assert not compare(database, context.journal)

    settle(database, resolution)
    deliver_send(context, send_id)

    assert len(mailed(mailer)) == len(set(mailed(mailer))) == 21
    assert states(database, send_id) == [expected, "accepted"]
    assert certify_send(database, send_id, now=NOON).contradictions == []


def test_a_range_that_was_posted_again_is_settled_by_its_last_attempt(
    database: Database, context: DeliveryContext, mailer: FakeMailer, tmp_path: Path
) -> None:
    """The provider refused the whole and took both halves."""
    send_id = planned_send(database, "bad@example.com", count=3)
    mailer.refuses.add("bad@example.com")
    mailer.names_bad_address = False
    restore = back_up(database, tmp_path)
    deliver_send(context, send_id)
    restore()
    assert not compare(database, context.journal)

    settle(database, ACCEPTED)

    assert set(states(database, send_id)) == {"accepted"}
    assert certify_send(database, send_id, now=NOON).contradictions == []
    assert "not_accepted" in {one.result.value for one in attempts(database, send_id) if one.result}


def test_an_event_proves_that_an_unknown_attempt_was_accepted(
    database: Database, context: DeliveryContext, mailer: FakeMailer, tmp_path: Path
) -> None:
    send_id = planned_send(database, count=3)
    restore = back_up(database, tmp_path)
    mailer.raises.append(Uncertain("no answer"))
    deliver_send(context, send_id)
    [lost] = attempts(database, send_id)
    restore()
    compare(database, context.journal)
    reader = lost.first_subscriber_id
    post_events(
        database, sendgrid_event(lost.id, reader, nif_d=f"{send_id}.{reader}", nif_i=ours(database))
    )

    settle(database, UNCERTAIN)

    assert states(database, send_id) == ["accepted"]


def ours(database: Database) -> str:
    with database.reading() as session:
        return installation_id(secret_keys_of(session)[0])


def test_nothing_is_posted_where_the_journal_cannot_be_written(
    database: Database, context: DeliveryContext, mailer: FakeMailer, tmp_path: Path
) -> None:
    root = tmp_path / "no_folder"
    root.write_text("")
    send_id = planned_send(database, count=3)
    deliver_send(replace(context, journal=Journal(FolderStore(root, "here"))), send_id)

    assert mailer.posted == []
    breaker = tripped_breaker(database)
    assert breaker is not None
    assert breaker.reason is not None
    assert "The journal cannot be" in breaker.reason


def test_a_database_that_knows_its_journal_posts_as_ever(
    database: Database,
    context: DeliveryContext,
    open_journal: Callable[[], Journal],
    batches_of_seven: None,
) -> None:
    for _ in range(2):
        again = replace(context, journal=open_journal())
        deliver_send(again, planned_send(database, count=14))

    assert unknown(database) == []
    assert compare(database, open_journal())


@pytest.mark.parametrize(
    ("marks", "stops"),
    [
        ({"nif_i": "ours"}, True),
        ({"nif_i": "0123456789abcdef"}, False),
        ({"email": "Ann@example.com"}, True),
        ({"email": "other@example.com"}, False),
        ({"nif_i": "0123456789abcdef", "email": "ann@example.com"}, False),
        ({"nif_i": "ours", "nif_l": "1"}, False),
        ({"nif_i": "ours", "nif_c": "1"}, False),
        ({"nif_i": "ours", "at": NOON - timedelta(days=100)}, False),
    ],
)
def test_an_event_about_an_unknown_attempt_of_this_installation_stops_all_sending(
    database: Database, context: DeliveryContext, mailer: FakeMailer, marks: dict, stops: bool
) -> None:
    send_id = planned_send(database, "ann@example.com")
    with database.reading() as session:
        reader = session.scalars(select(Subscriber.id)).one()
    given = {**marks, **({"nif_i": ours(database)} if marks.get("nif_i") == "ours" else {})}
    event = sendgrid_event("f" * 32, reader, nif_d=f"{send_id}.{reader}", **given)
    post_events(database, event)
    post_events(database, {**event, "sg_event_id": "another", "event": "delivered"})

    deliver_send(replace(context, journal=None), send_id)

    assert (mailed(mailer) == []) is stops
    assert [(one.send_id, one.events) for one in unknown(database)] == [(send_id, 2)] * stops
    assert certify_send(database, send_id, now=NOON).unknown_attempts == stops
    if stops:
        with database.transaction() as session, pytest.raises(Conflict, match="went back"):
            a_plain_send(session, count=1)
        settle(database, UNCERTAIN)
        deliver_send(context, send_id)
        # An event proves that the mail left.
        assert (mailed(mailer), states(database, send_id)) == ([], ["accepted"])


def test_staff_are_told_once_and_slots_are_not_made(services: Services, database: Database) -> None:
    with database.transaction() as session:
        factories.an_account(session, RoleName.ADMIN, "boss@example.com").password = "a hash"
        session.add(UnknownAttempt(id="f" * 32, found_at=NOON, source="events"))
    worker = Worker(services)

    for _ in range(3):
        assert worker.make_digests_until(NOON) == []
    with database.reading() as session:
        assert session.scalars(select(TransactionalEmail.address)).all() == ["boss@example.com"]
