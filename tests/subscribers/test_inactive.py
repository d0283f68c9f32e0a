"""Quiet readers: who counts as one, who is asked, and who is let go after all that."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.editions.archive import list_sent_editions
from nif.errors import Conflict, Expired, Invalid
from nif.privacy.consent_receipts import list_consent_receipts
from nif.sends import planning
from nif.sends.certificates import certify_send
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import Attempt, ProviderEvent
from nif.sends.repermission import (
    RepermissionCampaign,
    RepermissionState,
    recount_campaign_answers,
    send_of_campaign,
)
from nif.sends.reports import list_deliverable_sends
from nif.services import Services
from nif.subscribers import inactive, sunset_policy
from nif.subscribers.inactive import MoreThanExpected, RepermissionPlan
from nif.subscriptions import preferences, repermission, unsubscribe
from nif.subscriptions.consent import ConsentContext, record_consent
from nif.subscriptions.lists import get_list
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.suppression_list import suppress_address
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock

DAY = timedelta(days=1)
LONG_AGO = NOON - 900 * DAY
TERMS = planning.SendTerms()
PLAN = RepermissionPlan(months=12, wait_days=14, per_hour=1200, expected_count=1000)
BY_LINK = ConsentContext(repermission.STAY_SOURCE)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def courier(services: Services, mailer: FakeMailer, clock: Clock) -> DeliveryContext:
    return replace(services.delivery_context, mailer=mailer, clock=clock, concurrency=1)


def a_reader(session: Session, daily: MailingList, name: str, *, at: datetime = LONG_AGO) -> int:
    """Somebody who came and confirmed at that time, as the record has it."""
    one = a_subscription(session, daily, f"{name}@example.com")
    one.requested_at = one.confirmed_at = one.subscriber.created_at = at
    record_consent(session, one, ConsentAction.CONFIRMED, HERE, now=at)
    session.flush()
    return one.subscriber_id


def click(session: Session, who: int, at: datetime, kind: str = "click") -> None:
    attempts = select(Attempt.id).where(
        Attempt.first_subscriber_id <= who, Attempt.last_subscriber_id >= who
    )
    attempt_id = session.scalar(attempts.order_by(Attempt.id))
    number = f"{kind}-{who}-{at:%Y%m%d}"
    session.add(
        ProviderEvent(
            id=number,
            kind=kind,
            attempt_id=attempt_id,
            subscriber_id=who,
            happened_at=at,
            received_at=at,
            detail=None,
        )
    )
    session.flush()


def on(session: Session, who: int) -> Subscription:
    return session.scalars(select(Subscription).where(Subscription.subscriber_id == who)).one()


def states(session: Session) -> dict[str, str]:
    query = select(Subscriber.address, Subscription.state).join(
        Subscription, Subscription.subscriber_id == Subscriber.id
    )
    return {
        address.partition("@")[0]: state.value
        for address, state in session.execute(query.order_by(Subscriber.id))
    }


def asked(services: Services, *names: str) -> RepermissionCampaign:
    """These readers, who are quiet, are being asked."""
    with services.database.transaction() as session:
        daily = a_list(session)
        for name in names:
            a_reader(session, daily, name)
        return inactive.start_repermission(
            session, daily, PLAN, services.mail_writer, TERMS, now=NOON
        )


def mail_all(courier: DeliveryContext, clock: Clock) -> None:
    for _ in range(60):
        with courier.transaction() as session:
            due = list_deliverable_sends(session, now=clock())
        for send_id in due:
            deliver_send(courier, send_id)
        clock.advance(minutes=1)


@contextmanager
def again(
    services: Services, asking: RepermissionCampaign
) -> Iterator[tuple[Session, RepermissionCampaign]]:
    with services.database.transaction() as session:
        yield session, session.get_one(RepermissionCampaign, asking.id)


def let_go(services: Services, asking: RepermissionCampaign, *, now: datetime) -> None:
    with again(services, asking) as (session, found):
        people = sunset_policy.count_nonresponders(session, found, now=now)
        sunset_policy.start_unsubscribing_nonresponders(session, found, expected=people, now=now)
    sunset_policy.unsubscribe_nonresponders(services.database.transaction, asking.id, now=now)


def test_quiet_is_who_was_here_for_long_and_did_nothing_that_only_a_reader_does(
    session: Session,
) -> None:
    daily = a_list(session)
    quiet = a_reader(session, daily, "quiet")
    imported = a_reader(session, daily, "imported", at=NOON - 5 * DAY)
    on(session, imported).confirmed_at = LONG_AGO
    taken = on(session, a_reader(session, daily, "taken"))
    by_admin = ConsentContext("/admin/subscribers")
    record_consent(session, taken, ConsentAction.CHANGED, by_admin, now=NOON - DAY)
    a_reader(session, daily, "new", at=NOON - 100 * DAY)
    changed = on(session, a_reader(session, daily, "changed"))
    record_consent(session, changed, ConsentAction.CHANGED, HERE, now=NOON - 30 * DAY)
    click(session, a_reader(session, daily, "clicked"), NOON - 30 * DAY)
    click(session, a_reader(session, daily, "opened"), NOON - 30 * DAY, "open")
    click(session, a_reader(session, daily, "once"), NOON - 400 * DAY)
    paused = session.get_one(Subscriber, a_reader(session, daily, "paused"))
    paused.paused_until = NOON + DAY
    suppress_address(session, "gone@example.com", SuppressionReason.BOUNCED, source="x", now=NOON)
    a_reader(session, daily, "gone")
    left = on(session, a_reader(session, daily, "left"))
    unsubscribe.unsubscribe_from_list(session, left, HERE, now=NOON - 500 * DAY)
    session.flush()

    found = session.scalars(inactive.select_inactive(daily.id, 12, now=NOON)).all()

    names = {session.get_one(Subscriber, one).address.partition("@")[0] for one in found}
    assert names == {"quiet", "taken", "opened", "once"}
    counts = [
        inactive.count_inactive(session, daily.id, months, now=NOON)
        for months in inactive.INACTIVITY_PERIODS
    ]
    assert counts == [4, 4, 3]
    assert quiet in found


def test_who_did_not_answer_is_let_go_and_nobody_else(
    services: Services, courier: DeliveryContext, clock: Clock, mailer: FakeMailer
) -> None:
    names = [*("silent", "stays", "clicks", "changes", "pauses", "leaves"), *("bounced", "blocked")]
    names += ["late", "spam", "put_off"]
    mailer.refuses.add("refused@example.com")
    asking = asked(services, *names, "refused", "early")
    with services.database.transaction() as session:
        ids = {name: on(session, one).subscriber_id for one, name in _ids(session)}
        # Before their turn came.
        record_consent(session, on(session, ids["early"]), ConsentAction.CHANGED, HERE, now=NOON)

    mail_all(courier, clock)

    assert sorted(mailer.addresses()) == sorted(f"{name}@example.com" for name in names)
    assert len(mailer.posted[0][1].headers) == 1
    then = clock()
    with services.database.transaction() as session:
        assert list_sent_editions(session, get_list(session, "daily")) == []
        stay = on(session, ids["stays"])
        repermission.keep_subscription(session, stay, BY_LINK, now=then)
        click(session, ids["clicks"], then)
        record_consent(session, on(session, ids["changes"]), ConsentAction.CHANGED, HERE, now=then)
        reader = session.get_one(Subscriber, ids["pauses"])
        preferences.pause_mail(session, reader, then + 60 * DAY, HERE, now=then)
        unsubscribe.unsubscribe_from_list(session, on(session, ids["leaves"]), HERE, now=then)
        click(session, ids["bounced"], then, "bounce")
        click(session, ids["blocked"], then, "blocked")
        click(session, ids["put_off"], then, "deferred")
        click(session, ids["late"], then, "deferred")
        click(session, ids["late"], then, "delivered")
        spam = SuppressionReason.COMPLAINED
        suppress_address(session, "spam@example.com", spam, source="x", now=then)
        found = session.get_one(RepermissionCampaign, asking.id)
        with pytest.raises(Conflict, match="not over"):
            sunset_policy.start_unsubscribing_nonresponders(
                session, found, expected=99, now=then + 13 * DAY
            )
        assert sunset_policy.count_nonresponders(session, found, now=then + 15 * DAY) == 2
        with pytest.raises(MoreThanExpected):
            sunset_policy.start_unsubscribing_nonresponders(
                session, found, expected=1, now=then + 15 * DAY
            )
        recount_campaign_answers(session, found, now=then)
        assert (found.answered, found.unsubscribed_themselves) == (1, 1)

    let_go(services, asking, now=then + 15 * DAY)

    with again(services, asking) as (session, found):
        gone = {name for name, state in states(session).items() if state == "unsubscribed"}
        assert gone == {"silent", "late", "leaves"}
        assert (found.state, found.unsubscribed_by_policy) == (RepermissionState.DONE, 2)
        why = session.scalars(
            select(Consent.source).where(
                Consent.subscriber_id == ids["silent"], Consent.action == ConsentAction.UNSUBSCRIBED
            )
        ).one()
        assert why == f"repermission:{asking.id}, no answer in 14 days"
        assert session.get(Suppression, "silent@example.com") is None
        daily = get_list(session, "daily")
        assert (daily.confirmed_count, daily.unsubscribed_count) == (10, 3)
        recount_campaign_answers(session, found, now=then)
        assert (found.answered, found.unsubscribed_themselves) == (1, 1)
        # It was our doing, and no sign of theirs.
        assert not inactive.is_repermission_under_way(found)
    made = certify_send(services.database, _send_id(services, asking), now=then)
    assert (made.contradictions, made.already_active, sum(made.refused.values())) == ([], 1, 1)


def _ids(session: Session) -> list[tuple[int, str]]:
    query = select(Subscriber.id, Subscriber.address)
    return [(one, address.partition("@")[0]) for one, address in session.execute(query)]


def _send_id(services: Services, asking: RepermissionCampaign) -> int:
    with again(services, asking) as (session, found):
        return send_of_campaign(session, found).id


def test_a_late_answer_brings_back_who_was_let_go_but_not_who_left(
    services: Services, courier: DeliveryContext, clock: Clock, mailer: FakeMailer
) -> None:
    asking = asked(services, "silent", "leaves")
    mail_all(courier, clock)
    tokens = {
        copy.address.partition("@")[0]: copy.substitutions["%nif.answer%"].rpartition("/")[2]
        for _, _, copies in mailer.posted
        for copy in copies
    }
    with services.database.transaction() as session:
        leaves = repermission.get_subscription_to_keep(session, tokens["leaves"], services.tokens)
        unsubscribe.unsubscribe_from_list(session, leaves, HERE, now=clock())
    let_go(services, asking, now=NOON + 20 * DAY)

    with services.database.transaction() as session:
        late = repermission.get_subscription_to_keep(session, tokens["silent"], services.tokens)
        assert late.state is SubscriptionState.UNSUBSCRIBED
        told = list_consent_receipts(session, late.subscriber_id)[-1]
        assert told["proof"].startswith("by us: we asked")
        repermission.keep_subscription(session, late, BY_LINK, now=NOON + 30 * DAY)
        leaves = repermission.get_subscription_to_keep(session, tokens["leaves"], services.tokens)
        with pytest.raises(Expired):
            repermission.keep_subscription(session, leaves, BY_LINK, now=NOON + 30 * DAY)
        assert states(session) == {"silent": "confirmed", "leaves": "unsubscribed"}
        assert get_list(session, "daily").confirmed_count == 1
        assert inactive.count_inactive(session, late.list_id, 12, now=NOON + 200 * DAY) == 0


def test_killed_between_two_pieces_it_goes_on_and_who_answers_meanwhile_stays(
    services: Services,
    courier: DeliveryContext,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sunset_policy, "DELIVERIES_PER_BATCH", 2)
    asking = asked(services, *(f"r{n}" for n in range(6)))
    mail_all(courier, clock)
    then = NOON + 20 * DAY
    with again(services, asking) as (session, found):
        sunset_policy.start_unsubscribing_nonresponders(session, found, expected=6, now=then)
    with again(services, asking) as (session, found):
        assert sunset_policy.unsubscribe_nonresponder_batch(session, asking.id, now=then)
    with Session(services.database.engine) as killed:
        sunset_policy.unsubscribe_nonresponder_batch(killed, asking.id, now=then)
    with again(services, asking) as (session, found):
        assert list(states(session).values()) == ["unsubscribed"] * 2 + ["confirmed"] * 4
        with pytest.raises(Conflict, match="under way"):
            sunset_policy.start_unsubscribing_nonresponders(session, found, expected=6, now=then)
        fourth = session.scalars(select(Subscriber.id).order_by(Subscriber.id)).all()[3]
        repermission.keep_subscription(session, on(session, fourth), BY_LINK, now=then)

        assert sunset_policy.list_unsubscribing_campaigns(session) == [asking.id]
    sunset_policy.unsubscribe_nonresponders(services.database.transaction, asking.id, now=then)

    with again(services, asking) as (session, found):
        expected = ["unsubscribed"] * 3 + ["confirmed"] + ["unsubscribed"] * 2
        assert list(states(session).values()) == expected
        assert (found.unsubscribed_by_policy, found.state) == (5, RepermissionState.DONE)
        daily = get_list(session, "daily")
        assert (daily.confirmed_count, daily.unsubscribed_count) == (1, 5)


def test_who_answers_in_the_very_moment_of_being_let_go_is_a_reader_in_the_end(
    services: Services, courier: DeliveryContext, clock: Clock
) -> None:
    asking = asked(services, "ann")
    mail_all(courier, clock)
    then = NOON + 20 * DAY
    with again(services, asking) as (session, found):
        sunset_policy.start_unsubscribing_nonresponders(session, found, expected=1, now=then)
        token = repermission.repermission_token(
            session.scalars(select(Subscriber.id)).one(), found.list_id, services.tokens
        )

    def answer() -> None:
        with services.database.transaction() as session:
            mine = repermission.get_subscription_to_keep(session, token, services.tokens)
            repermission.keep_subscription(session, mine, BY_LINK, now=then)

    with ThreadPoolExecutor(1) as pool:
        with services.database.transaction() as session:
            sunset_policy.unsubscribe_nonresponder_batch(session, asking.id, now=then)
            # It waits for the row, and finds itself let go.
            answering = pool.submit(answer)
        answering.result()

    with services.database.transaction() as session:
        assert states(session) == {"ann": "confirmed"}
        daily = get_list(session, "daily")
        assert (daily.confirmed_count, daily.unsubscribed_count) == (1, 0)


def test_stopping_lets_nobody_go_and_then_it_can_be_begun_anew(
    services: Services, courier: DeliveryContext, clock: Clock, mailer: FakeMailer
) -> None:
    asking = asked(services, "ann", "bo")
    with (
        again(services, asking) as (session, _),
        pytest.raises(Conflict, match="under way already"),
    ):
        inactive.start_repermission(
            session, get_list(session, "daily"), PLAN, services.mail_writer, TERMS, now=NOON + DAY
        )
    with again(services, asking) as (session, found):
        inactive.stop_repermission(session, found, now=NOON)
        with pytest.raises(Conflict):
            inactive.stop_repermission(session, found, now=NOON)
    mail_all(courier, clock)
    assert mailer.addresses() == []

    with again(services, asking) as (session, found):
        with pytest.raises(Conflict):
            sunset_policy.start_unsubscribing_nonresponders(
                session, found, expected=9, now=NOON + 300 * DAY
            )
        daily = get_list(session, "daily")
        few, hasty = replace(PLAN, expected_count=1), replace(PLAN, wait_days=3)
        with pytest.raises(MoreThanExpected):
            inactive.start_repermission(
                session, daily, few, services.mail_writer, TERMS, now=NOON + DAY
            )
        with pytest.raises(Invalid):
            inactive.start_repermission(
                session, daily, hasty, services.mail_writer, TERMS, now=NOON + DAY
            )
        assert inactive.start_repermission(
            session, daily, PLAN, services.mail_writer, TERMS, now=NOON + DAY
        )
        assert get_list(session, "daily").confirmed_count == 2
