"""Whatever readers do, in whatever order: counters, states and the record of consent agree."""

from collections import Counter
from datetime import timedelta
from zoneinfo import ZoneInfo

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from nif.errors import Expired
from nif.mail.addresses import parse_address
from nif.subscriptions.lifecycle import (
    UNDO_WITHIN,
    confirm_subscription,
    confirmation_token,
    request_subscription,
    undo_unsubscribe,
    unsubscribe_from_list,
)
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    DailyListCount,
    DailySourceCount,
    ListMetric,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    SuppressionReason,
)
from nif.subscriptions.preferences import save_preferences
from nif.subscriptions.suppression_list import suppress_address
from nif.tokens import Tokens
from tests.conftest import NOON
from tests.factories import HERE, a_list

TOKENS = Tokens([b"a key"])
PENDING, CONFIRMED, UNSUBSCRIBED = SubscriptionState
ACTIONS = {PENDING: "requested", CONFIRMED: "confirmed", UNSUBSCRIBED: "unsubscribed"}
SLUGS = ("daily", "weekly")
LONDON = ZoneInfo("Europe/London")
METRICS = {
    ConsentAction.REQUESTED: ListMetric.REQUESTED,
    ConsentAction.CONFIRMED: ListMetric.SUBSCRIBED,
    ConsentAction.UNSUBSCRIBED: ListMetric.UNSUBSCRIBED,
}
DIRECTIONS = {ListMetric.SUBSCRIBED: 1, ListMetric.UNSUBSCRIBED: -1}
ADDRESSES = st.sampled_from(["ann@example.com", "bob@example.com"])
A_SLUG = st.sampled_from(SLUGS)


class Readers(RuleBasedStateMachine):
    """Random actions of readers, compared with a model: the states and the consent journal."""

    links = Bundle("links")

    def __init__(self, session):
        super().__init__()
        session.rollback()
        self.session, self.now = session, NOON
        self.lists = {slug: a_list(session, slug=slug) for slug in SLUGS}
        self.states, self.newest, self.unsubscribed_at, self.journal = {}, {}, {}, {}

    def set_state(self, key, state):
        self.states[key] = state
        self.journal.setdefault(key, []).append(ACTIONS[state])
        if state is CONFIRMED:
            self.unsubscribed_at.pop(key, None)
        if state is UNSUBSCRIBED:
            self.unsubscribed_at[key] = self.now

    def find_subscription(self, address, slug):
        return self.session.scalar(
            select(Subscription)
            .join(Subscriber)
            .where(Subscriber.canonical == address, Subscription.list_id == self.lists[slug].id)
        )

    @rule(target=links, address=ADDRESSES, slug=A_SLUG)
    def request(self, address, slug):
        key, address = (address, slug), parse_address(address)
        result = request_subscription(self.session, self.lists[slug], address, HERE, now=self.now)
        assert result.already_subscribed is None or self.states[key] is CONFIRMED
        if result.added is not None:
            self.set_state(key, PENDING)
            self.newest[key] = self.now
        if result.pending is None:
            return multiple()
        self.set_state(key, PENDING)
        self.newest[key] = self.now
        return key, self.now, confirmation_token(result.pending, TOKENS)

    @rule(link=links)
    def confirm(self, link):
        key, requested_at, token = link
        is_valid = self.newest[key] == requested_at and self.now - requested_at <= timedelta(days=7)
        if self.states[key] is PENDING and is_valid:
            self.set_state(key, CONFIRMED)
        try:
            confirm_subscription(self.session, token, TOKENS, HERE, now=self.now)
        except Expired:
            assert self.states[key] is not CONFIRMED
        else:
            assert self.states[key] is CONFIRMED

    @rule(link=consumes(links))
    def ignore_link(self, link):
        """Most links are never used."""

    @rule(address=ADDRESSES, slug=A_SLUG)
    def unsubscribe(self, address, slug):
        if subscription := self.find_subscription(address, slug):
            before = self.states[address, slug]
            assert unsubscribe_from_list(self.session, subscription, HERE, now=self.now) is (
                before is not UNSUBSCRIBED
            )
            if before is not UNSUBSCRIBED:
                self.set_state((address, slug), UNSUBSCRIBED)

    @rule(address=ADDRESSES, slug=A_SLUG)
    def undo(self, address, slug):
        key, subscription = (address, slug), self.find_subscription(address, slug)
        if subscription is None:
            return
        was_confirmed = self.journal[key][-2:] == ["confirmed", "unsubscribed"]
        ended_at = self.unsubscribed_at.get(key) if was_confirmed else None
        is_in_time = ended_at is not None and self.now - ended_at <= UNDO_WITHIN
        try:
            undo_unsubscribe(self.session, subscription, HERE, now=self.now)
        except Expired:
            assert not is_in_time
        else:
            assert is_in_time or self.states[key] is CONFIRMED
            if self.states[key] is not CONFIRMED:
                self.set_state(key, CONFIRMED)

    @rule(address=ADDRESSES, slugs=st.sets(A_SLUG))
    def choose_lists(self, address, slugs):
        subscriber = self.session.scalar(select(Subscriber).where(Subscriber.canonical == address))
        if subscriber is None:
            return
        save_preferences(self.session, subscriber, slugs, HERE, now=self.now)
        for slug in SLUGS:
            on = self.states.get((address, slug)) is CONFIRMED
            if on != (slug in slugs):
                self.set_state((address, slug), UNSUBSCRIBED if on else CONFIRMED)

    @rule(address=ADDRESSES, reason=st.sampled_from(SuppressionReason))
    def suppress(self, address, reason):
        suppress_address(self.session, address, reason, source="event", now=self.now)

    @rule(hours=st.sampled_from([0.5, 1, 25, 7 * 24, 31 * 24]))
    def let_time_pass(self, hours):
        self.now += timedelta(hours=hours)

    @invariant()
    def the_database_agrees_with_the_model(self):
        slugs = {mailing_list.id: slug for slug, mailing_list in self.lists.items()}
        rows = self.session.execute(select(Subscription, Subscriber).join(Subscriber))
        found = {(address.canonical, slugs[one.list_id]): one.state for one, address in rows}
        assert found == self.states

    @invariant()
    def counters_equal_a_recount(self):
        recount = Counter((slug, state) for (_, slug), state in self.states.items())
        names = (
            MailingList.pending_count,
            MailingList.confirmed_count,
            MailingList.unsubscribed_count,
        )
        for slug, *counters in self.session.execute(select(MailingList.slug, *names)):
            assert counters == [recount[slug, state] for state in SubscriptionState]

    @invariant()
    def the_journal_has_every_change_in_order(self):
        slugs = {mailing_list.id: slug for slug, mailing_list in self.lists.items()}
        journal = {}
        rows = self.session.execute(
            select(Consent, Subscriber.canonical)
            .join(Subscriber, Subscriber.id == Consent.subscriber_id)
            .order_by(Consent.id)
        )
        for consent, address in rows:
            journal.setdefault((address, slugs[consent.list_id]), []).append(str(consent.action))
        assert journal == self.journal

    @invariant()
    def daily_counts_equal_a_recount_of_the_journal(self):
        days, last = Counter(), {}
        for one in self.session.scalars(select(Consent).order_by(Consent.id)):
            key = (one.subscriber_id, one.list_id)
            metric = METRICS[one.action]
            if metric is not ListMetric.UNSUBSCRIBED or last.get(key) is ConsentAction.CONFIRMED:
                days[one.list_id, one.at.astimezone(LONDON).date(), metric] += 1
            last[key] = one.action
        assert day_counts(self.session) == days

    @invariant()
    def arrivals_less_departures_are_the_confirmed(self):
        net = Counter()
        for (list_id, _, metric), count in day_counts(self.session).items():
            net[list_id] += count * DIRECTIONS.get(metric, 0)
        for mailing_list_id, confirmed in self.session.execute(
            select(MailingList.id, MailingList.confirmed_count)
        ):
            assert net[mailing_list_id] == confirmed

    @invariant()
    def every_arrival_and_departure_has_a_source(self):
        by_source = Counter()
        for one in self.session.scalars(select(DailySourceCount)):
            assert one.source == HERE.source
            by_source[one.list_id, one.day, one.metric] += one.count
        moved = day_counts(self.session).items()
        assert by_source == {key: count for key, count in moved if key[2] in DIRECTIONS}


def day_counts(session):
    rows = session.execute(
        select(
            DailyListCount.list_id, DailyListCount.day, DailyListCount.metric, DailyListCount.count
        )
    )
    return {(list_id, day, metric): count for list_id, day, metric, count in rows}


def test_counters_states_and_consents_agree_whatever_subscribers_do(session):
    run_state_machine_as_test(
        lambda: Readers(session),
        settings=hypothesis.settings(
            max_examples=8, stateful_step_count=25, deadline=None, derandomize=True
        ),
    )
