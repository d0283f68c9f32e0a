"""Re-permission mail to imported subscribers: one each, at the chosen rate, also after a pause."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from nif.errors import Conflict, Expired, Invalid
from nif.imports.models import ImportRun
from nif.imports.repermission import (
    check_per_hour,
    find_repermission_obstacle,
    max_campaign_duration,
    start_import_repermission,
)
from nif.mail.addresses import parse_address
from nif.mail.provider import Unavailable, Uncertain
from nif.privacy.retention import delete_unconfirmed
from nif.sends import control, planning
from nif.sends.batches import ClaimTerms, claim_batch
from nif.sends.certificates import certify_send
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import Delivery, DeliveryOutcome
from nif.sends.repermission import (
    find_campaign_of_import,
    recount_campaign_answers,
    send_of_campaign,
)
from nif.sends.reports import list_deliverable_sends
from nif.services import Services
from nif.subscriptions.lifecycle import (
    confirm_subscription,
    request_subscription,
    unsubscribe_from_list,
)
from nif.subscriptions.lists import get_list
from nif.subscriptions.models import Subscriber, Subscription, SuppressionReason
from nif.subscriptions.suppression_list import suppress_address
from tests.conftest import NOON
from tests.factories import HERE
from tests.fakes import FakeMailer
from tests.imports.conftest import CONSENT_SOURCE, Importer
from tests.sends.conftest import Clock

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TERMS = planning.SendTerms()
NAMES = [f"r{n}@example.com" for n in range(10)]
FILE = ("Email,Since\n" + "".join(f"{name},2021-03-04\n" for name in NAMES)).encode()


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def context(services: Services, mailer: FakeMailer, clock: Clock) -> DeliveryContext:
    return replace(services.delivery_context, mailer=mailer, clock=clock, concurrency=1)


@pytest.fixture
def run(importer: Importer) -> ImportRun:
    return importer.import_file(FILE, confirmed=False)


def start_campaign(services: Services, run: ImportRun, *, per_hour: int = 24) -> int:
    """Start the campaign; the id of its send. Batches have two subscribers at this rate."""
    with services.database.transaction() as session:
        known = session.get_one(ImportRun, run.id)
        campaign = start_import_repermission(
            session, known, services.mail_writer, per_hour, TERMS, now=NOON
        )
        return send_of_campaign(session, campaign).id


def deliver_for(context: DeliveryContext, clock: Clock, *, hours: float) -> None:
    """Deliver what is due, every minute for so many hours."""
    for _ in range(int(hours * 60)):
        with context.transaction() as session:
            due = list_deliverable_sends(session, now=clock())
        for send_id in due:
            deliver_send(context, send_id)
        clock.advance(minutes=1)


def subscription_of(session, name: str) -> Subscription:
    query = select(Subscription).join(Subscriber).where(Subscriber.address == name)
    return session.scalars(query).one()


def confirmation_tokens(mailer: FakeMailer) -> dict[str, str]:
    """The token in the last mail of each subscriber."""
    return {
        copy.address: copy.substitutions["%nif.answer%"].rpartition("/")[2]
        for _, _, copies in mailer.posted
        for copy in copies
    }


def test_each_subscriber_is_mailed_once_at_the_chosen_rate_and_can_confirm(
    importer: Importer,
    run: ImportRun,
    services: Services,
    context: DeliveryContext,
    clock: Clock,
    mailer: FakeMailer,
) -> None:
    send_id = start_campaign(services, run)

    deliver_for(context, clock, hours=0.2)
    assert len(mailer.addresses()) == 6, "two every five minutes"
    deliver_for(context, clock, hours=1)

    assert sorted(mailer.addresses()) == NAMES
    assert certify_send(services.database, send_id, now=clock()).is_complete
    message = mailer.posted[0][1]
    assert CONSENT_SOURCE in " ".join(message.text.split())
    assert "Somebody, most likely you" not in message.text
    assert "%nif.answer%" in message.html
    with services.database.transaction() as session:
        confirm_subscription(
            session, confirmation_tokens(mailer)[NAMES[9]], services.tokens, HERE, now=clock()
        )
        unsubscribe_from_list(session, subscription_of(session, NAMES[8]), HERE, now=clock())
        campaign = find_campaign_of_import(session, run.id)
        recount_campaign_answers(session, campaign, now=clock())
        assert (campaign.answered, campaign.unsubscribed_themselves) == (1, 1)
    assert importer.list_counters() == {"pending": 8, "confirmed": 1, "unsubscribed": 1}


def test_the_time_to_confirm_starts_with_each_subscribers_mail(
    run: ImportRun, services: Services, context: DeliveryContext, clock: Clock, mailer: FakeMailer
) -> None:
    with services.database.transaction() as session:
        assert delete_unconfirmed(session, NOON - 30 * DAY) == 0, "although they subscribed in 2021"
    clock.now = NOON + 20 * DAY
    with services.database.transaction() as session:
        start_import_repermission(
            session,
            session.get_one(ImportRun, run.id),
            services.mail_writer,
            24,
            TERMS,
            now=clock(),
        )
    deliver_for(context, clock, hours=1)
    asked = clock()

    with services.database.transaction() as session:
        assert delete_unconfirmed(session, asked - 30 * DAY) == 0
        confirm_subscription(
            session,
            confirmation_tokens(mailer)[NAMES[0]],
            services.tokens,
            HERE,
            now=asked + 6 * DAY,
        )
        with pytest.raises(Expired):
            confirm_subscription(
                session,
                confirmation_tokens(mailer)[NAMES[1]],
                services.tokens,
                HERE,
                now=asked + 8 * DAY,
            )
        assert delete_unconfirmed(session, asked) == 9


def test_unsubscribed_suppressed_and_newly_signed_up_addresses_are_not_mailed(
    run: ImportRun, services: Services, context: DeliveryContext, clock: Clock, mailer: FakeMailer
) -> None:
    with services.database.transaction() as session:
        suppress_address(session, NAMES[0], SuppressionReason.BOUNCED, source="test", now=NOON)
    send_id = start_campaign(services, run)
    with services.database.transaction() as session:
        suppress_address(session, NAMES[1], SuppressionReason.COMPLAINED, source="test", now=NOON)
        unsubscribe_from_list(session, subscription_of(session, NAMES[2]), HERE, now=NOON)
        daily = get_list(session, "daily")
        assert request_subscription(session, daily, parse_address(NAMES[3]), HERE, now=NOON).pending
        assert not request_subscription(
            session, daily, parse_address(NAMES[1]), HERE, now=NOON
        ).pending

    deliver_for(context, clock, hours=1)

    assert sorted(mailer.addresses()) == NAMES[4:]
    with services.database.transaction() as session:
        outcomes = select(Subscriber.address, Delivery.outcome).join(
            Subscriber, Subscriber.id == Delivery.subscriber_id
        )
        found = dict(session.execute(outcomes.where(Delivery.outcome.is_not(None))).all())
        # The sign-up form does not mail them a second time on the same day.
        asked_again = request_subscription(
            session, daily, parse_address(NAMES[4]), HERE, now=clock()
        )
        assert asked_again.pending is None
    assert found == {
        NAMES[1]: DeliveryOutcome.SUPPRESSED,
        NAMES[2]: DeliveryOutcome.SUPPRESSED,
        NAMES[3]: DeliveryOutcome.ALREADY_ACTIVE,
    }
    made = certify_send(services.database, send_id, now=clock())
    assert (made.contradictions, made.already_active, made.audience) == ([], 1, 9)


def test_a_campaign_starts_once_unless_its_send_is_undone(
    run: ImportRun, services: Services
) -> None:
    send_id = start_campaign(services, run)

    with pytest.raises(Conflict, match="asked already"):
        start_campaign(services, run)
    with services.database.transaction() as session:
        control.undo_send(session, control.get_send(session, send_id), now=NOON)
        assert find_repermission_obstacle(session, session.get_one(ImportRun, run.id)) is None


def test_rates_out_of_bounds_and_imports_confirmed_elsewhere_are_refused(
    importer: Importer, run: ImportRun, services: Services
) -> None:
    with pytest.raises(Invalid, match="20 an hour or more"):
        start_campaign(services, run, per_hour=1)
    with pytest.raises(Invalid, match="fewer than 28 an hour it would take over 14 days"):
        check_per_hour(27, 9_300, max_campaign_duration(30 * DAY))
    with pytest.raises(Invalid, match="At most"):
        start_campaign(services, run, per_hour=1_000_000)
    sure = importer.import_file(b"Email\nsure@example.com\n", confirmed=True)
    with pytest.raises(Conflict, match="nothing to confirm"):
        start_campaign(services, sure)


def test_two_workers_do_not_post_in_the_same_time_slot(
    run: ImportRun, services: Services, clock: Clock
) -> None:
    send_id = start_campaign(services, run)
    terms = ClaimTerms("one", timedelta(seconds=90))
    with services.database.transaction() as session:
        first = claim_batch(session, send_id, terms, now=NOON)
    with services.database.transaction() as session:
        second = claim_batch(session, send_id, terms, now=NOON)

    assert len(first.subscribers) == 2
    assert second.retry_at == NOON + timedelta(minutes=5)


def test_provider_faults_mail_nobody_twice_and_skip_nobody(
    run: ImportRun, services: Services, context: DeliveryContext, clock: Clock, mailer: FakeMailer
) -> None:
    """The provider is unavailable, then accepts a batch whose response is lost."""
    send_id = start_campaign(services, run)
    mailer.raises.extend([Unavailable("no connection"), Uncertain("no answer")])
    mailer.accepts_when_uncertain = True

    deliver_for(context, clock, hours=2)

    held = certify_send(services.database, send_id, now=clock())
    assert (held.accepted, held.undecided, held.contradictions) == (8, 2, [])
    assert sorted(mailer.addresses()) == NAMES
    with services.database.transaction() as session:
        # Subscribers can also answer a mail whose outcome is undecided.
        for name in NAMES:
            confirm_subscription(
                session, confirmation_tokens(mailer)[name], services.tokens, HERE, now=clock()
            )


def test_a_paused_campaign_stops_and_mails_the_rest_when_resumed(
    run: ImportRun, services: Services, context: DeliveryContext, clock: Clock, mailer: FakeMailer
) -> None:
    send_id = start_campaign(services, run)
    deliver_for(context, clock, hours=0.05)
    with services.database.transaction() as session:
        control.pause_send(session, control.get_send(session, send_id))
    deliver_for(context, clock, hours=1)
    assert len(mailer.addresses()) == 2

    clock.advance(days=3)
    with services.database.transaction() as session:
        control.resume_send(session, control.get_send(session, send_id), now=clock())
        session.execute(update(Subscriber).values(paused_until=None))
    deliver_for(context, clock, hours=1)

    assert sorted(mailer.addresses()) == NAMES
