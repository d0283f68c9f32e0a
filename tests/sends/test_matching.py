"""Whom an event is about where it does not say: whoever was mailed at that address last."""

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
from tests.sends.ledger import accept, claimed, doubt, event, fail, look, report, states

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
    taken = claimed(database, send.id, now=now)
    if end == "accepted":
        accept(database, taken, now=now)
    elif end == "uncertain":
        doubt(database, taken, now=now)
    return taken


def bounce(**given: Any) -> dict[str, Any]:
    """A bounce that came back by mail, hours later: nothing in it is ours."""
    bare = {"event": "bounce", "type": "bounce", "email": ANN, "at": NOON + 1.5 * DAY}
    return event(None, 0, **{"sg_event_id": "late", "nif_d": None, **bare, **given})


def suppressed(database: Database) -> dict[str, SuppressionReason]:
    with database.reading() as session:
        return {one.canonical: one.reason for one in session.scalars(select(Suppression))}


def counts(database: Database, send_id: int) -> dict[str, int]:
    with database.reading() as session:
        return count_send_events(session, send_id)


def heard(database: Database, taken: ClaimedBatch) -> datetime | None:
    with database.reading() as session:
        return session.get_one(Attempt, taken.attempt_id).event_seen_at


@pytest.mark.parametrize("address", [ANN, "ann@example.com", "ANN@EXAMPLE.COM"])
def test_a_bounce_without_a_mark_is_that_of_the_last_mail(
    database: Database, sends: list[ClaimedBatch], address: str
) -> None:
    report(database, bounce(email=address), now=NOON + 2 * DAY)

    assert suppressed(database) == {"ann@example.com": SuppressionReason.BOUNCED}
    assert [counts(database, one.send_id) for one in sends] == [{}, {"bounce": 1}]
    with database.reading() as session:
        kept = session.get_one(ProviderEvent, "late")
    assert (kept.attempt_id, kept.subscriber_id) == (
        sends[1].attempt_id,
        sends[1].subscribers[0][0],
    )


def test_posted_again_after_another_send_it_is_counted_once(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    report(database, bounce(), now=NOON + 2 * DAY)
    third = mailed(database, NOON + 3 * DAY)
    report(database, bounce(), now=NOON + 3 * DAY)

    assert [counts(database, one.send_id) for one in [*sends, third]] == [{}, {"bounce": 1}, {}]


def test_an_address_that_we_never_mailed_changes_nothing(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    with database.transaction() as session:
        session.add(Subscriber(address="new@e.com", canonical="new@e.com", created_at=NOON))
    report(database, bounce(email="noone@e.com"), bounce(email="new@e.com", sg_event_id="b"))

    assert suppressed(database) == {}
    assert counts(database, sends[1].send_id) == {}


def test_a_mail_of_long_ago_is_not_taken_for_the_one_that_bounced(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    report(database, bounce(), now=NOON + 32 * DAY)

    assert (suppressed(database), counts(database, sends[1].send_id)) == ({}, {})


def test_who_was_not_mailed_by_the_last_send_bounced_from_the_one_before(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    third = mailed(database, NOON + 2 * DAY, end="")
    bad = ProviderProblem("Bad.", "personalizations.0.to.0.email", 0)
    fail(database, third, Refused(400, [bad]))
    accept(database, claimed(database, third.send_id, now=NOON + 2 * DAY))
    report(database, bounce(), now=NOON + 3 * DAY)

    assert counts(database, third.send_id) == {}
    assert counts(database, sends[1].send_id) == {"bounce": 1}


def test_a_bounce_that_does_not_say_of_what_is_no_proof_of_an_attempt(
    database: Database, mailer: FakeMailer, sends: list[ClaimedBatch]
) -> None:
    later = NOON + 2 * DAY
    doubted = mailed(database, later, end="uncertain")
    report(database, bounce(), now=later)
    look(database, mailer, later)

    assert suppressed(database) == {"ann@example.com": SuppressionReason.BOUNCED}
    assert heard(database, doubted) is None
    assert states(database, doubted.send_id) == ["awaiting_proof"]


@pytest.mark.parametrize("kind", ["delivered", "processed", "open", "deferred"])
def test_only_what_lasts_is_looked_up_by_address(
    database: Database, sends: list[ClaimedBatch], kind: str
) -> None:
    report(database, bounce(event=kind, type=None), now=NOON + 2 * DAY)

    assert suppressed(database) == {}
    assert counts(database, sends[1].send_id) == {}


def test_a_mark_counts_for_more_than_the_address(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    reader, address = sends[0].subscribers[1]
    marked = {"nif_a": sends[0].attempt_id, "nif_d": f"1.{reader}"}
    report(database, bounce(**marked), now=NOON + 2 * DAY)

    assert suppressed(database) == {address: SuppressionReason.BOUNCED}
    assert [counts(database, one.send_id) for one in sends] == [{"bounce": 1}, {}]


@pytest.mark.parametrize("sent", [True, False])
def test_a_letter_that_bounced_suppresses_whom_it_was_sent_to(
    database: Database, sent: bool
) -> None:
    with database.transaction() as session:
        session.add(Subscriber(address=ANN, canonical=ANN.lower(), created_at=NOON))
        letter = {"message": None, "queued_at": NOON, "sent_at": NOON if sent else None}
        session.add(TransactionalEmail(address=ANN, **letter))
    report(database, bounce(nif_l="1"), now=NOON)

    expected = {"ann@example.com": SuppressionReason.BOUNCED} if sent else {}
    assert suppressed(database) == expected


def test_a_letters_bounce_is_not_counted_to_a_send(
    database: Database, sends: list[ClaimedBatch]
) -> None:
    with database.transaction() as session:
        session.add(TransactionalEmail(address=ANN, message=None, queued_at=NOON, sent_at=NOON))
    report(database, bounce(nif_l="1"), now=NOON + 2 * DAY)

    assert suppressed(database) == {"ann@example.com": SuppressionReason.BOUNCED}
    assert [counts(database, one.send_id) for one in sends] == [{}, {}]


@pytest.mark.parametrize("kind", ["unsubscribe", "group_unsubscribe"])
def test_who_left_at_the_provider_has_left_our_lists(
    database: Database, sends: list[ClaimedBatch], kind: str
) -> None:
    reader, _ = sends[0].subscribers[0]
    with database.transaction() as session:
        weekly = a_list(session, "weekly")
        state = SubscriptionState.CONFIRMED
        session.add(
            Subscription(subscriber_id=reader, list_id=weekly.id, state=state, requested_at=NOON)
        )
    report(database, event(sends[0].attempt_id, reader, event=kind))

    with database.reading() as session:
        mine = select(Subscription.state).where(Subscription.subscriber_id == reader)
        assert session.scalars(mine).all() == [SubscriptionState.UNSUBSCRIBED] * 2
        others = select(Subscription.state).where(Subscription.subscriber_id != reader)
        assert session.scalars(others).all() == [SubscriptionState.CONFIRMED] * 2
