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
from nif.subscriptions.double_opt_in import (
    confirm_subscription,
    confirmation_token,
    request_subscription,
)
from nif.subscriptions.email_address import parse_address
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
from nif.subscriptions.unsubscribe import UNDO_WITHIN, undo_unsubscribe, unsubscribe_from_list
from nif.tokens import Tokens
from tests.conftest import NOON
from tests.factories import HERE, a_list

TOKENS = Tokens([b"a key"])
PENDING, CONFIRMED, LEFT = SubscriptionState
WORD = {PENDING: "requested", CONFIRMED: "confirmed", LEFT: "unsubscribed"}
SLUGS = ("daily", "weekly")
LONDON = ZoneInfo("Europe/London")
DEEDS = {
    ConsentAction.REQUESTED: ListMetric.REQUESTED,
    ConsentAction.CONFIRMED: ListMetric.SUBSCRIBED,
    ConsentAction.UNSUBSCRIBED: ListMetric.UNSUBSCRIBED,
}
STEP = {ListMetric.SUBSCRIBED: 1, ListMetric.UNSUBSCRIBED: -1}
WHO = st.sampled_from(["ann@example.com", "bob@example.com"])
SLUG = st.sampled_from(SLUGS)


class Readers(RuleBasedStateMachine):
    """What readers do, beside a model of it: the state of each subscription, and its record."""

    links = Bundle("links")

    def __init__(self, session):
        super().__init__()
        session.rollback()
        self.session, self.now = session, NOON
        self.lists = {slug: a_list(session, slug=slug) for slug in SLUGS}
        self.states, self.newest, self.left, self.said = {}, {}, {}, {}

    def become(self, key, state):
        self.states[key] = state
        self.said.setdefault(key, []).append(WORD[state])
        if state is CONFIRMED:
            self.left.pop(key, None)
        if state is LEFT:
            self.left[key] = self.now

    def find(self, who, slug):
        return self.session.scalar(
            select(Subscription)
            .join(Subscriber)
            .where(Subscriber.canonical == who, Subscription.list_id == self.lists[slug].id)
        )

    @rule(target=links, who=WHO, slug=SLUG)
    def ask(self, who, slug):
        key, address = (who, slug), parse_address(who)
        asked = request_subscription(self.session, self.lists[slug], address, HERE, now=self.now)
        assert asked.already_subscribed is None or self.states[key] is CONFIRMED
        if asked.added is not None:
            self.become(key, PENDING)
            self.newest[key] = self.now
        if asked.pending is None:
            return multiple()
        self.become(key, PENDING)
        self.newest[key] = self.now
        return key, self.now, confirmation_token(asked.pending, TOKENS)

    @rule(link=links)
    def press_confirm(self, link):
        key, requested_at, token = link
        fresh = self.newest[key] == requested_at and self.now - requested_at <= timedelta(days=7)
        if self.states[key] is PENDING and fresh:
            self.become(key, CONFIRMED)
        try:
            confirm_subscription(self.session, token, TOKENS, HERE, now=self.now)
        except Expired:
            assert self.states[key] is not CONFIRMED
        else:
            assert self.states[key] is CONFIRMED

    @rule(link=consumes(links))
    def lose_a_link(self, link):
        """Links that are never pressed are the rule."""

    @rule(who=WHO, slug=SLUG)
    def press_leave(self, who, slug):
        if subscription := self.find(who, slug):
            before = self.states[who, slug]
            assert unsubscribe_from_list(self.session, subscription, HERE, now=self.now) is (
                before is not LEFT
            )
            if before is not LEFT:
                self.become((who, slug), LEFT)

    @rule(who=WHO, slug=SLUG)
    def press_undo(self, who, slug):
        key, subscription = (who, slug), self.find(who, slug)
        if subscription is None:
            return
        was_on = self.said[key][-2:] == ["confirmed", "unsubscribed"]
        in_time = was_on and key in self.left and self.now - self.left[key] <= UNDO_WITHIN
        try:
            undo_unsubscribe(self.session, subscription, HERE, now=self.now)
        except Expired:
            assert not in_time
        else:
            assert in_time or self.states[key] is CONFIRMED
            if self.states[key] is not CONFIRMED:
                self.become(key, CONFIRMED)

    @rule(who=WHO, wanted=st.sets(SLUG))
    def choose_on_the_own_page(self, who, wanted):
        subscriber = self.session.scalar(select(Subscriber).where(Subscriber.canonical == who))
        if subscriber is None:
            return
        save_preferences(self.session, subscriber, wanted, HERE, now=self.now)
        for slug in SLUGS:
            on = self.states.get((who, slug)) is CONFIRMED
            if on != (slug in wanted):
                self.become((who, slug), LEFT if on else CONFIRMED)

    @rule(who=WHO, reason=st.sampled_from(SuppressionReason))
    def be_suppressed(self, who, reason):
        suppress_address(self.session, who, reason, source="event", now=self.now)

    @rule(hours=st.sampled_from([0.5, 1, 25, 7 * 24, 31 * 24]))
    def let_time_pass(self, hours):
        self.now += timedelta(hours=hours)

    @invariant()
    def the_database_agrees_with_the_model(self):
        slugs = {mailing_list.id: slug for slug, mailing_list in self.lists.items()}
        rows = self.session.execute(select(Subscription, Subscriber).join(Subscriber))
        found = {(who.canonical, slugs[one.list_id]): one.state for one, who in rows}
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
    def the_record_tells_every_change_in_its_order(self):
        slugs = {mailing_list.id: slug for slug, mailing_list in self.lists.items()}
        told = {}
        rows = self.session.execute(
            select(Consent, Subscriber.canonical)
            .join(Subscriber, Subscriber.id == Consent.subscriber_id)
            .order_by(Consent.id)
        )
        for consent, who in rows:
            told.setdefault((who, slugs[consent.list_id]), []).append(str(consent.action))
        assert told == self.said

    @invariant()
    def the_days_equal_a_recount_of_the_record(self):
        days, last = Counter(), {}
        for one in self.session.scalars(select(Consent).order_by(Consent.id)):
            key = (one.subscriber_id, one.list_id)
            what = DEEDS[one.action]
            if what is not ListMetric.UNSUBSCRIBED or last.get(key) is ConsentAction.CONFIRMED:
                days[one.list_id, one.at.astimezone(LONDON).date(), what] += 1
            last[key] = one.action
        assert day_counts(self.session) == days

    @invariant()
    def who_came_less_who_went_is_who_is_there(self):
        net = Counter()
        for (list_id, _, what), count in day_counts(self.session).items():
            net[list_id] += count * STEP.get(what, 0)
        for mailing_list_id, confirmed in self.session.execute(
            select(MailingList.id, MailingList.confirmed_count)
        ):
            assert net[mailing_list_id] == confirmed

    @invariant()
    def every_joining_and_leaving_has_a_source(self):
        by_source = Counter()
        for one in self.session.scalars(select(DailySourceCount)):
            assert one.source == HERE.source
            by_source[one.list_id, one.day, one.metric] += one.count
        moved = day_counts(self.session).items()
        assert by_source == {key: count for key, count in moved if key[2] in STEP}


def day_counts(session):
    rows = session.execute(
        select(
            DailyListCount.list_id, DailyListCount.day, DailyListCount.metric, DailyListCount.count
        )
    )
    return {(list_id, day, what): count for list_id, day, what, count in rows}


def test_counters_states_and_consents_agree_whatever_readers_do(session):
    run_state_machine_as_test(
        lambda: Readers(session),
        settings=hypothesis.settings(
            max_examples=20, stateful_step_count=25, deadline=None, derandomize=True
        ),
    )
