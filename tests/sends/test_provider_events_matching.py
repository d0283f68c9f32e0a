"""Events that do not say which mail they are about: the last mail to that address."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.mail.provider import ProviderProblem, Refused
from nif.mail.transactional import TransactionalEmail
from nif.sends.batches import ClaimedBatch
from nif.sends.models import Attempt, ProviderEvent
from nif.sends.planning import plan_send
from nif.sends.reputation import count_send_events
from nif.subscriptions.models import (
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from tests.conftest import NOON
from tests.factories import a_list, a_plain_edition, a_subscription, subscriptions
from tests.fakes import FakeMailer
from tests.sends.helpers import (
    accept,
    claimed_batch,
    fail_attempt,
    make_uncertain,
    post_events,
    reconcile,
    sendgrid_event,
    states,
)

ANN = "Ann@example.com"
DAY = timedelta(days=1)


@pytest.fixture
def sends(database: Database) -> list[ClaimedBatch]:
    """Two sends to Ann and two others, a day apart, both accepted."""
    with database.transaction() as session:
        mailing_list = a_list(session)
        a_subscription(session, mailing_list, ANN)
        subscriptions(session, mailing_list, 2)
    return [mailed(database, NOON + number * DAY) for number in range(2)]


def mailed(database: Database, now: datetime, *, end: str = "accepted") -> ClaimedBatch:
    """An edition to everyone, posted now."""
    with database.transaction() as session:
        mailing_list = session.scalars(select(Subscription)).first().mailing_list  # type: ignore[union-attr]
        send = plan_send(session, a_plain_edition(session, mailing_list, now=now), now=now)
        assert send is not None
    claimed = claimed_batch(database, send.id, now=now)
    if end == "accepted":
        accept(database, claimed, now=now)
    elif end == "uncertain":
        make_uncertain(database, claimed, now=now)
    return claimed


def bounce(**given: Any) -> dict[str, Any]:
    """A bounce that came back by mail, hours later, without our custom arguments."""
    bare = {"event": "bounce", "type": "bounce", "email": ANN, "at": NOON + 1.5 * DAY}
    return sendgrid_event(None, 0, **{"sg_event_id": "late", "nif_d": None, **bare, **given})


def suppressed(database: Database) -> dict[str, SuppressionReason]:
    with database.reading() as session:
        return {one.canonical: one.reason for one in session.scalars(select(Suppression))}


def counts(database: Database, send_id: int) -> dict[str, int]:
    with database.reading() as session:
        return count_send_events(session, send_id)


def heard(database: Database, claimed: ClaimedBatch) -> datetime | None:
    with database.reading() as session:
        return session.get_one(Attempt, claimed.attempt_id).event_seen_at


@pytest.mark.parametrize("address", [ANN, "ann@example.com", "ANN@EXAMPLE.COM"])
def test_an_unmarked_bounce_is_attributed_to_the_last_mail(
    database: Database, sends: list[ClaimedBatch], address: str
) -> None:
    post_events(database, bounce(email=address), now=NOON + 2 * DAY)

    assert suppressed(database) == {"ann@example.com": SuppressionReason.BOUNCED}
    assert [counts(database, one.send_id) for one in sends] == [{}, {"bounce": 1}]
    with database.reading() as session:
        kept = session.get_one(ProviderEvent, "late")
    assert (kept.attempt_id, kept.subscriber_id) == (
        sends[1].attempt_id,
        sends[1].subscribers[0][0],
    )


def test_an_event_posted_again_after_another_send_is_counted_once(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    post_events(database, bounce(), now=NOON + 2 * DAY)
    third = mailed(database, NOON + 3 * DAY)
    post_events(database, bounce(), now=NOON + 3 * DAY)

    assert [counts(database, one.send_id) for one in [*sends, third]] == [{}, {"bounce": 1}, {}]


def test_an_event_about_an_unknown_address_changes_nothing(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    with database.transaction() as session:
        session.add(Subscriber(address="new@e.com", canonical="new@e.com", created_at=NOON))
    post_events(database, bounce(email="noone@e.com"), bounce(email="new@e.com", sg_event_id="b"))

    assert suppressed(database) == {}
    assert counts(database, sends[1].send_id) == {}


def test_a_bounce_is_not_attributed_to_a_mail_of_long_ago(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    post_events(database, bounce(), now=NOON + 32 * DAY)

    assert (suppressed(database), counts(database, sends[1].send_id)) == ({}, {})


def test_a_bounce_of_a_skipped_subscriber_is_attributed_to_the_send_before(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    third = mailed(database, NOON + 2 * DAY, end="")
    bad = ProviderProblem("Bad.", "personalizations.0.to.0.email", 0)
    fail_attempt(database, third, Refused(400, [bad]))
    accept(database, claimed_batch(database, third.send_id, now=NOON + 2 * DAY))
    post_events(database, bounce(), now=NOON + 3 * DAY)

    assert counts(database, third.send_id) == {}
    assert counts(database, sends[1].send_id) == {"bounce": 1}


def test_an_unmarked_bounce_is_no_proof_of_an_attempt(
    database: Database, mailer: FakeMailer, sends: list[ClaimedBatch]
) -> None:
    later = NOON + 2 * DAY
    doubted = mailed(database, later, end="uncertain")
    post_events(database, bounce(), now=later)
    reconcile(database, mailer, later)

    assert suppressed(database) == {"ann@example.com": SuppressionReason.BOUNCED}
    assert heard(database, doubted) is None
    assert states(database, doubted.send_id) == ["awaiting_proof"]


@pytest.mark.parametrize("kind", ["delivered", "processed", "open", "deferred"])
def test_only_suppressing_events_are_matched_by_address(
    database: Database, sends: list[ClaimedBatch], kind: str
) -> None:
    post_events(database, bounce(event=kind, type=None), now=NOON + 2 * DAY)

    assert suppressed(database) == {}
    assert counts(database, sends[1].send_id) == {}


def test_custom_arguments_take_precedence_over_the_address(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    reader, address = sends[0].subscribers[1]
    marked = {"nif_a": sends[0].attempt_id, "nif_d": f"1.{reader}"}
    post_events(database, bounce(**marked), now=NOON + 2 * DAY)

    assert suppressed(database) == {address: SuppressionReason.BOUNCED}
    assert [counts(database, one.send_id) for one in sends] == [{"bounce": 1}, {}]


@pytest.mark.parametrize("sent", [True, False])
def test_a_bounced_transactional_email_suppresses_its_address(
    database: Database, sent: bool
) -> None:
    with database.transaction() as session:
        session.add(Subscriber(address=ANN, canonical=ANN.lower(), created_at=NOON))
        email = {"message": None, "queued_at": NOON, "sent_at": NOON if sent else None}
        session.add(TransactionalEmail(address=ANN, **email))
    post_events(database, bounce(nif_l="1"), now=NOON)

    expected = {"ann@example.com": SuppressionReason.BOUNCED} if sent else {}
    assert suppressed(database) == expected


def test_a_transactional_bounce_is_not_counted_for_a_send(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    with database.transaction() as session:
        session.add(TransactionalEmail(address=ANN, message=None, queued_at=NOON, sent_at=NOON))
    post_events(database, bounce(nif_l="1"), now=NOON + 2 * DAY)

    assert suppressed(database) == {"ann@example.com": SuppressionReason.BOUNCED}
    assert [counts(database, one.send_id) for one in sends] == [{}, {}]


@pytest.mark.parametrize("kind", ["unsubscribe", "group_unsubscribe"])
def test_an_unsubscribe_at_the_provider_unsubscribes_from_our_lists(
    database: Database, sends: list[ClaimedBatch], kind: str
) -> None:
    reader, _ = sends[0].subscribers[0]
    with database.transaction() as session:
        weekly = a_list(session, "weekly")
        state = SubscriptionState.CONFIRMED
        session.add(
            Subscription(subscriber_id=reader, list_id=weekly.id, state=state, requested_at=NOON)
        )
    post_events(database, sendgrid_event(sends[0].attempt_id, reader, event=kind))

    with database.reading() as session:
        mine = select(Subscription.state).where(Subscription.subscriber_id == reader)
        assert session.scalars(mine).all() == [SubscriptionState.UNSUBSCRIBED] * 2
        others = select(Subscription.state).where(Subscription.subscriber_id != reader)
        assert session.scalars(others).all() == [SubscriptionState.CONFIRMED] * 2
