"""Inactive subscribers: who counts, who is mailed, and who is unsubscribed in the end."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.editions.archive import list_sent_editions
from nif.errors import Conflict, Expired, Invalid
from nif.sends import planning
from nif.sends.certificates import certify_send
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import Attempt, ProviderEvent
from nif.sends.repermission import (
    RECOUNT_EVERY,
    RepermissionCampaign,
    RepermissionState,
    recount_campaign_answers,
    send_of_campaign,
)
from nif.sends.reports import list_deliverable_sends
from nif.services import Services
from nif.subscribers import sunset_policy
from nif.subscribers.sunset_policy import MoreThanExpected, RepermissionPlan
from nif.subscriptions import lifecycle, preferences
from nif.subscriptions.consent import ConsentContext, list_consent_receipts, record_consent
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
from nif.tokens import TokenPurpose
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock

DAY = timedelta(days=1)
LONG_AGO = NOON - 900 * DAY
TERMS = planning.SendTerms()
PLAN = RepermissionPlan(months=12, wait_days=14, per_hour=1200, expected_count=1000)
REPERMISSION_LINK = ConsentContext(lifecycle.STAY_SOURCE)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def context(services: Services, mailer: FakeMailer, clock: Clock) -> DeliveryContext:
    return replace(services.delivery_context, mailer=mailer, clock=clock, concurrency=1)


def add_confirmed(
    session: Session, daily: MailingList, name: str, *, at: datetime = LONG_AGO
) -> int:
    """A subscriber who was added and confirmed at that time, with the consent."""
    subscription = a_subscription(session, daily, f"{name}@example.com")
    subscription.requested_at = subscription.confirmed_at = at
    subscription.subscriber.created_at = at
    record_consent(session, subscription, ConsentAction.CONFIRMED, HERE, now=at)
    session.flush()
    return subscription.subscriber_id


def add_event(session: Session, subscriber_id: int, at: datetime, kind: str = "click") -> None:
    attempts = select(Attempt.id).where(
        Attempt.first_subscriber_id <= subscriber_id, Attempt.last_subscriber_id >= subscriber_id
    )
    attempt_id = session.scalar(attempts.order_by(Attempt.id))
    event_id = f"{kind}-{subscriber_id}-{at:%Y%m%d}"
    session.add(
        ProviderEvent(
            id=event_id,
            kind=kind,
            attempt_id=attempt_id,
            subscriber_id=subscriber_id,
            happened_at=at,
            received_at=at,
            detail=None,
        )
    )
    session.flush()


def subscription_of(session: Session, subscriber_id: int) -> Subscription:
    return session.scalars(
        select(Subscription).where(Subscription.subscriber_id == subscriber_id)
    ).one()


def states_by_name(session: Session) -> dict[str, str]:
    query = select(Subscriber.address, Subscription.state).join(
        Subscription, Subscription.subscriber_id == Subscriber.id
    )
    return {
        address.partition("@")[0]: state.value
        for address, state in session.execute(query.order_by(Subscriber.id))
    }


def start_campaign(services: Services, *names: str) -> RepermissionCampaign:
    """Add inactive subscribers and start a campaign to them."""
    with services.database.transaction() as session:
        daily = a_list(session)
        for name in names:
            add_confirmed(session, daily, name)
        return sunset_policy.start_repermission(
            session, daily, PLAN, services.mail_writer, TERMS, now=NOON
        )


def mail_all(context: DeliveryContext, clock: Clock) -> None:
    for _ in range(60):
        with context.transaction() as session:
            due = list_deliverable_sends(session, now=clock())
        for send_id in due:
            deliver_send(context, send_id)
        clock.advance(minutes=1)


@contextmanager
def reload(
    services: Services, campaign: RepermissionCampaign
) -> Iterator[tuple[Session, RepermissionCampaign]]:
    with services.database.transaction() as session:
        yield session, session.get_one(RepermissionCampaign, campaign.id)


def unsubscribe_all(services: Services, campaign: RepermissionCampaign, *, now: datetime) -> None:
    with reload(services, campaign) as (session, found):
        people = sunset_policy.count_nonresponders(session, found, now=now)
        sunset_policy.start_unsubscribing_nonresponders(session, found, expected=people, now=now)
    advance_campaigns(services, now)


def advance_campaigns(services: Services, now: datetime) -> None:
    """Do all that is due, as the worker does."""
    while sunset_policy.advance_next_campaign(services.database.transaction, now=now):
        pass


def test_inactive_subscribers_are_long_confirmed_without_reader_activity(session: Session) -> None:
    daily = a_list(session)
    quiet = add_confirmed(session, daily, "quiet")
    imported = add_confirmed(session, daily, "imported", at=NOON - 5 * DAY)
    subscription_of(session, imported).confirmed_at = LONG_AGO
    taken = subscription_of(session, add_confirmed(session, daily, "taken"))
    by_admin = ConsentContext("/admin/subscribers")
    record_consent(session, taken, ConsentAction.CHANGED, by_admin, now=NOON - DAY)
    add_confirmed(session, daily, "new", at=NOON - 100 * DAY)
    changed = subscription_of(session, add_confirmed(session, daily, "changed"))
    record_consent(session, changed, ConsentAction.CHANGED, HERE, now=NOON - 30 * DAY)
    add_event(session, add_confirmed(session, daily, "clicked"), NOON - 30 * DAY)
    add_event(session, add_confirmed(session, daily, "opened"), NOON - 30 * DAY, "open")
    add_event(session, add_confirmed(session, daily, "once"), NOON - 400 * DAY)
    paused = session.get_one(Subscriber, add_confirmed(session, daily, "paused"))
    paused.paused_until = NOON + DAY
    suppress_address(session, "gone@example.com", SuppressionReason.BOUNCED, source="x", now=NOON)
    add_confirmed(session, daily, "gone")
    left = subscription_of(session, add_confirmed(session, daily, "left"))
    lifecycle.unsubscribe_from_list(session, left, HERE, now=NOON - 500 * DAY)
    session.flush()

    found = session.scalars(sunset_policy.select_inactive(daily.id, 12, now=NOON)).all()

    names = {session.get_one(Subscriber, one).address.partition("@")[0] for one in found}
    assert names == {"quiet", "taken", "opened", "once"}
    counts = [
        sunset_policy.count_inactive(session, daily.id, months, now=NOON)
        for months in sunset_policy.INACTIVITY_PERIODS
    ]
    assert counts == [4, 4, 3]
    assert quiet in found


def test_only_reached_non_responders_are_unsubscribed(
    services: Services, context: DeliveryContext, clock: Clock, mailer: FakeMailer
) -> None:
    names = [*("silent", "stays", "clicks", "changes", "pauses", "leaves"), *("bounced", "blocked")]
    names += ["late", "spam", "put_off"]
    mailer.refuses.add("refused@example.com")
    campaign = start_campaign(services, *names, "refused", "early")
    with services.database.transaction() as session:
        ids = {name: subscription_of(session, one).subscriber_id for one, name in _ids(session)}
        # This one is active before being mailed.
        record_consent(
            session, subscription_of(session, ids["early"]), ConsentAction.CHANGED, HERE, now=NOON
        )

    mail_all(context, clock)

    assert sorted(mailer.addresses()) == sorted(f"{name}@example.com" for name in names)
    assert len(mailer.posted[0][1].headers) == 1
    then = clock()
    with services.database.transaction() as session:
        assert list_sent_editions(session, get_list(session, "daily")) == []
        stay = subscription_of(session, ids["stays"])
        lifecycle.keep_subscription(session, stay, REPERMISSION_LINK, now=then)
        add_event(session, ids["clicks"], then)
        record_consent(
            session, subscription_of(session, ids["changes"]), ConsentAction.CHANGED, HERE, now=then
        )
        reader = session.get_one(Subscriber, ids["pauses"])
        preferences.pause_mail(session, reader, then + 60 * DAY, HERE, now=then)
        lifecycle.unsubscribe_from_list(
            session, subscription_of(session, ids["leaves"]), HERE, now=then
        )
        add_event(session, ids["bounced"], then, "bounce")
        add_event(session, ids["blocked"], then, "blocked")
        add_event(session, ids["put_off"], then, "deferred")
        add_event(session, ids["late"], then, "deferred")
        add_event(session, ids["late"], then, "delivered")
        spam = SuppressionReason.COMPLAINED
        suppress_address(session, "spam@example.com", spam, source="x", now=then)
        found = session.get_one(RepermissionCampaign, campaign.id)
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

    unsubscribe_all(services, campaign, now=then + 15 * DAY)

    with reload(services, campaign) as (session, found):
        gone = {name for name, state in states_by_name(session).items() if state == "unsubscribed"}
        assert gone == {"silent", "late", "leaves"}
        assert (found.state, found.unsubscribed_by_policy) == (RepermissionState.DONE, 2)
        why = session.scalars(
            select(Consent.source).where(
                Consent.subscriber_id == ids["silent"], Consent.action == ConsentAction.UNSUBSCRIBED
            )
        ).one()
        assert why == f"repermission:{campaign.id}, no answer in 14 days"
        assert session.get(Suppression, "silent@example.com") is None
        daily = get_list(session, "daily")
        assert (daily.confirmed_count, daily.unsubscribed_count) == (10, 3)
        recount_campaign_answers(session, found, now=then)
        assert (found.answered, found.unsubscribed_themselves) == (1, 1)
        # NIF unsubscribed them: that is no activity of theirs.
        assert not sunset_policy.is_repermission_under_way(found)
    made = certify_send(services.database, _send_id(services, campaign), now=then)
    assert (made.contradictions, made.already_active, sum(made.refused.values())) == ([], 1, 1)


def _ids(session: Session) -> list[tuple[int, str]]:
    query = select(Subscriber.id, Subscriber.address)
    return [(one, address.partition("@")[0]) for one, address in session.execute(query)]


def _send_id(services: Services, campaign: RepermissionCampaign) -> int:
    with reload(services, campaign) as (session, found):
        return send_of_campaign(session, found).id


def test_a_late_response_resubscribes_non_responders_but_not_those_who_unsubscribed(
    services: Services, context: DeliveryContext, clock: Clock, mailer: FakeMailer
) -> None:
    campaign = start_campaign(services, "silent", "leaves")
    mail_all(context, clock)
    tokens = {
        copy.address.partition("@")[0]: copy.substitutions["%nif.answer%"].rpartition("/")[2]
        for _, _, copies in mailer.posted
        for copy in copies
    }
    with services.database.transaction() as session:
        leaves = lifecycle.get_subscription_to_keep(session, tokens["leaves"], services.tokens)
        lifecycle.unsubscribe_from_list(session, leaves, HERE, now=clock())
    unsubscribe_all(services, campaign, now=NOON + 20 * DAY)

    with services.database.transaction() as session:
        late = lifecycle.get_subscription_to_keep(session, tokens["silent"], services.tokens)
        assert late.state is SubscriptionState.UNSUBSCRIBED
        told = list_consent_receipts(session, late.subscriber_id)[-1]
        assert told["proof"].startswith("by us: we asked")
        lifecycle.keep_subscription(session, late, REPERMISSION_LINK, now=NOON + 30 * DAY)
        leaves = lifecycle.get_subscription_to_keep(session, tokens["leaves"], services.tokens)
        with pytest.raises(Expired):
            lifecycle.keep_subscription(session, leaves, REPERMISSION_LINK, now=NOON + 30 * DAY)
        assert states_by_name(session) == {"silent": "confirmed", "leaves": "unsubscribed"}
        assert get_list(session, "daily").confirmed_count == 1
        assert sunset_policy.count_inactive(session, late.list_id, 12, now=NOON + 200 * DAY) == 0


def test_unsubscribing_resumes_after_a_kill_and_spares_those_who_respond_meanwhile(
    services: Services, context: DeliveryContext, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sunset_policy, "DELIVERIES_PER_BATCH", 2)
    campaign = start_campaign(services, *(f"r{n}" for n in range(6)))
    mail_all(context, clock)
    then = NOON + 20 * DAY
    with reload(services, campaign) as (session, found):
        sunset_policy.start_unsubscribing_nonresponders(session, found, expected=6, now=then)
    transactions = iter([services.database.transaction, lambda: Session(services.database.engine)])
    assert sunset_policy.advance_next_campaign(services.database.transaction, now=then)
    # Its claim is committed, and its work is not.
    assert sunset_policy.advance_next_campaign(lambda: next(transactions)(), now=then)
    then += RECOUNT_EVERY
    with reload(services, campaign) as (session, found):
        assert list(states_by_name(session).values()) == ["unsubscribed"] * 2 + ["confirmed"] * 4
        with pytest.raises(Conflict, match="under way"):
            sunset_policy.start_unsubscribing_nonresponders(session, found, expected=6, now=then)
        fourth = session.scalars(select(Subscriber.id).order_by(Subscriber.id)).all()[3]
        lifecycle.keep_subscription(
            session, subscription_of(session, fourth), REPERMISSION_LINK, now=then
        )
    advance_campaigns(services, then)

    with reload(services, campaign) as (session, found):
        expected = ["unsubscribed"] * 3 + ["confirmed"] + ["unsubscribed"] * 2
        assert list(states_by_name(session).values()) == expected
        assert (found.unsubscribed_by_policy, found.state) == (5, RepermissionState.DONE)
        daily = get_list(session, "daily")
        assert (daily.confirmed_count, daily.unsubscribed_count) == (1, 5)


def test_a_campaign_whose_step_fails_holds_up_no_other(
    services: Services, context: DeliveryContext, clock: Clock
) -> None:
    broken = start_campaign(services, "ann")
    with services.database.transaction() as session:
        weekly = a_list(session, "weekly")
        add_confirmed(session, weekly, "bo")
        sound = sunset_policy.start_repermission(
            session, weekly, PLAN, services.mail_writer, TERMS, now=NOON
        )

    @contextmanager
    def failing() -> Iterator[Session]:
        raise ZeroDivisionError
        yield

    transactions = iter([services.database.transaction, failing])
    with pytest.raises(ZeroDivisionError):
        sunset_policy.advance_next_campaign(lambda: next(transactions)(), now=NOON)
    advance_campaigns(services, NOON)

    counted = {}
    for campaign in (broken, sound):
        with reload(services, campaign) as (_, found):
            counted[campaign.id] = found.counted_at
    assert counted == {broken.id: None, sound.id: NOON}


def test_responding_while_being_unsubscribed_ends_confirmed(
    services: Services, context: DeliveryContext, clock: Clock
) -> None:
    campaign = start_campaign(services, "ann")
    mail_all(context, clock)
    then = NOON + 20 * DAY
    with reload(services, campaign) as (session, found):
        sunset_policy.start_unsubscribing_nonresponders(session, found, expected=1, now=then)
        subscriber_id = session.scalars(select(Subscriber.id)).one()
        token = services.tokens.make(TokenPurpose.REPERMISSION, subscriber_id, found.list_id)

    def answer() -> None:
        with services.database.transaction() as session:
            mine = lifecycle.get_subscription_to_keep(session, token, services.tokens)
            lifecycle.keep_subscription(session, mine, REPERMISSION_LINK, now=then)

    with ThreadPoolExecutor(1) as pool:

        @contextmanager
        def answered_before_the_commit() -> Iterator[Session]:
            with services.database.transaction() as session:
                yield session
                # It waits for the locked row, and then finds itself unsubscribed.
                answering.append(pool.submit(answer))

        answering: list[Future[None]] = []
        transactions = iter([services.database.transaction, answered_before_the_commit])
        assert sunset_policy.advance_next_campaign(lambda: next(transactions)(), now=then)
        answering[0].result()

    with services.database.transaction() as session:
        assert states_by_name(session) == {"ann": "confirmed"}
        daily = get_list(session, "daily")
        assert (daily.confirmed_count, daily.unsubscribed_count) == (1, 0)


def test_a_stopped_campaign_unsubscribes_nobody_and_a_new_one_can_start(
    services: Services, context: DeliveryContext, clock: Clock, mailer: FakeMailer
) -> None:
    campaign = start_campaign(services, "ann", "bo")
    with (
        reload(services, campaign) as (session, _),
        pytest.raises(Conflict, match="under way already"),
    ):
        sunset_policy.start_repermission(
            session, get_list(session, "daily"), PLAN, services.mail_writer, TERMS, now=NOON + DAY
        )
    with reload(services, campaign) as (session, found):
        sunset_policy.stop_repermission(session, found, now=NOON)
        with pytest.raises(Conflict):
            sunset_policy.stop_repermission(session, found, now=NOON)
    mail_all(context, clock)
    assert mailer.addresses() == []

    with reload(services, campaign) as (session, found):
        with pytest.raises(Conflict):
            sunset_policy.start_unsubscribing_nonresponders(
                session, found, expected=9, now=NOON + 300 * DAY
            )
        daily = get_list(session, "daily")
        few, hasty = replace(PLAN, expected_count=1), replace(PLAN, wait_days=3)
        with pytest.raises(MoreThanExpected):
            sunset_policy.start_repermission(
                session, daily, few, services.mail_writer, TERMS, now=NOON + DAY
            )
        with pytest.raises(Invalid):
            sunset_policy.start_repermission(
                session, daily, hasty, services.mail_writer, TERMS, now=NOON + DAY
            )
        assert sunset_policy.start_repermission(
            session, daily, PLAN, services.mail_writer, TERMS, now=NOON + DAY
        )
        assert get_list(session, "daily").confirmed_count == 2
