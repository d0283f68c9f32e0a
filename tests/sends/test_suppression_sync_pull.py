"""Pulling the provider's suppression lists: what the webhook lost comes back by them."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.mail.provider import AccountLocked, NotAccepted, ProviderSuppression, Uncertain
from nif.sends import periodic_tasks, suppression_sync
from nif.sends.suppression_sync import PULL_OVERLAP, PULL_TASK
from nif.subscriptions.models import Subscription, SubscriptionState, Suppression, SuppressionReason
from tests.conftest import NOON
from tests.factories import a_list, a_subscription
from tests.fakes import FakeMailer

R = SuppressionReason
DAY = timedelta(days=1)
ANN, BEA = "ann@example.com", "bea@example.com"


def blocked(kind: str, *addresses: str) -> list[ProviderSuppression]:
    return [ProviderSuppression(address, kind, NOON) for address in addresses]


def pull(database: Database, mailer: FakeMailer, now: datetime = NOON) -> int:
    return suppression_sync.pull_suppressions(database.transaction, mailer, now=now)


def suppressed(database: Database) -> dict[str, SuppressionReason]:
    with database.reading() as session:
        return {one.canonical: one.reason for one in session.scalars(select(Suppression))}


def test_every_page_of_every_list_is_pulled(database: Database, mailer: FakeMailer) -> None:
    mailer.suppression_pages = [
        blocked("bounces", "Ann@Example.com", "bea@example.com"),
        blocked("bounces", "cy@example.com"),
        blocked("invalid_emails", "di@example.com"),
        blocked("spam_reports", "ed@example.com"),
        blocked("unsubscribes", "fay@example.com"),
    ]

    assert pull(database, mailer) == 6
    assert suppressed(database) == {
        "ann@example.com": R.BOUNCED,
        "bea@example.com": R.BOUNCED,
        "cy@example.com": R.BOUNCED,
        "di@example.com": R.INVALID,
        "ed@example.com": R.COMPLAINED,
        "fay@example.com": R.UNSUBSCRIBED,
    }


def test_an_address_on_two_lists_keeps_the_more_severe_reason(
    database: Database, mailer: FakeMailer
) -> None:
    for pages in ([blocked("spam_reports", ANN)], [blocked("unsubscribes", ANN)]):
        mailer.suppression_pages = pages
        pull(database, mailer)

    assert suppressed(database) == {ANN: R.COMPLAINED}


def test_an_unsubscribe_at_the_provider_unsubscribes_from_our_lists_and_a_bounce_does_not(
    database: Database, mailer: FakeMailer
) -> None:
    with database.transaction() as session:
        mailing_list = a_list(session)
        for address in (ANN, BEA):
            a_subscription(session, mailing_list, address)
    mailer.suppression_pages = [blocked("unsubscribes", ANN.upper()), blocked("bounces", BEA)]
    pull(database, mailer)

    with database.reading() as session:
        found = session.scalars(select(Subscription.state).order_by(Subscription.subscriber_id))
        assert found.all() == [SubscriptionState.UNSUBSCRIBED, SubscriptionState.CONFIRMED]


def test_each_pull_overlaps_the_last_one(database: Database, mailer: FakeMailer) -> None:
    for number in range(3):
        pull(database, mailer, NOON + number * DAY)

    first, *later = mailer.pull_times
    assert first < NOON - timedelta(days=3000)
    assert later == [NOON - PULL_OVERLAP, NOON + DAY - PULL_OVERLAP]


@pytest.mark.parametrize(
    "error", [AccountLocked("no such key", 401), Uncertain("SendGrid answered 500")]
)
def test_a_failure_is_recorded_and_the_next_pull_starts_from_the_last_success(
    database: Database, mailer: FakeMailer, error: NotAccepted | Uncertain
) -> None:
    pull(database, mailer)
    mailer.suppression_pages, mailer.failure = [blocked("bounces", ANN)], error
    with pytest.raises(type(error)):
        pull(database, mailer, NOON + DAY)
    with database.reading() as session:
        chore = periodic_tasks.find_task(session, PULL_TASK)
    assert chore is not None
    assert (chore.error, chore.succeeded_at) == (str(error), NOON)
    assert suppressed(database) == {ANN: R.BOUNCED}

    mailer.failure = None
    pull(database, mailer, NOON + 2 * DAY)
    assert mailer.pull_times[-1] == NOON - PULL_OVERLAP


def test_suppressions_are_pulled_once_a_day_by_one_worker(
    database: Database, mailer: FakeMailer
) -> None:
    mailer.suppression_pages = [blocked("bounces", ANN)]
    hours = (0, 1, 23, 24, 25)
    seen = [
        suppression_sync.pull_suppressions_if_due(
            database.transaction, mailer, now=NOON + timedelta(hours=each)
        )
        for each in hours
    ]

    assert seen == [1, None, None, 1, None]
    assert len(mailer.pull_times) == 2


def test_no_transaction_is_open_while_the_provider_is_asked(
    database: Database, mailer: FakeMailer
) -> None:
    class Nosy(FakeMailer):
        def list_suppressions(self, since):  # type: ignore[no-untyped-def]
            for address in (ANN, BEA):
                with database.transaction() as session:  # On SQLite, a second writer would wait.
                    periodic_tasks.record_task_result(session, PULL_TASK, "looked", now=NOON)
                yield blocked("bounces", address)

    assert pull(database, Nosy()) == 2
    assert set(suppressed(database)) == {ANN, BEA}


def test_a_pull_by_a_clock_that_was_ahead_leaves_no_gap(
    database: Database, mailer: FakeMailer
) -> None:
    pull(database, mailer, NOON + 3 * DAY)

    pull(database, mailer, NOON + DAY)

    assert mailer.pull_times[-1] == NOON + DAY - PULL_OVERLAP
