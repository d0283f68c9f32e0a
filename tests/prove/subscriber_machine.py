"""All that subscribers and providers may do to a list, and the time that passes in between."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from nif.errors import Expired, NotFound
from nif.mail.addresses import parse_address
from nif.privacy.data_map import erase_person, person_at_address
from nif.subscriptions import lifecycle, preferences, suppression_list
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.models import Subscriber, SuppressionReason
from tests.prove.list_machine import EDGE, EVERY, SLUG, SLUGS, TOKENS, WHO
from tests.prove.promises import DAY, HOUR, OWN_WISH
from tests.prove.signup_machine import WEEK, SignupMachine

SECOND = timedelta(seconds=1)
TIME = st.one_of(
    st.sampled_from([HOUR - SECOND, HOUR, HOUR + SECOND, DAY - SECOND, DAY, WEEK, WEEK + SECOND]),
    st.integers(1, 10 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
)
REASON = st.sampled_from(SuppressionReason)
REPORTED = st.sampled_from(["ann@example.com", "cy@xn--bcher-kva.example"])
"""The other addresses get no reports, so that their histories can be longer."""

FORGETTABLE = ("di@example.com", "ed@example.com")
"""Only these are erased, and only once one of them was on a list."""

NO_FILES = Path("no imports here")


class SubscriberMachine(SignupMachine):
    """Present and former subscribers, and what the provider reports about them."""

    @rule(who=WHO, wanted=st.sets(SLUG))
    def choose_on_the_preferences_page(self, who, wanted):
        """Set one's lists on the preferences page; an unconfirmed sign-up stays."""
        if not self.promises.has_confirmed(who):
            return
        where = ConsentContext("/preferences", "192.0.2.0/24")
        with self.database.transaction() as session:
            token = preferences.preferences_token(self.id_of(session, who), TOKENS)
            subscriber = preferences.get_subscriber_by_token(session, token, TOKENS)
            preferences.save_preferences(session, subscriber, wanted, where, now=self.now)
        for slug in SLUGS:
            is_on = self.promises.standing((who, slug)).state == "confirmed"
            if is_on and slug not in wanted:
                self.promises.unsubscribe((who, slug))
            if slug in wanted and not is_on:
                self.promises.record((who, slug), "confirmed")
        self.note("chooses")

    @rule(who=WHO, slug=st.sampled_from([*SLUGS, EVERY]), clicks=st.integers(1, 4))
    def unsubscribe_with_one_click(self, who, slug, clicks):
        """Unsubscribe at once from one list or all, however often the button is pressed."""
        keys = self.keys(who, slug)
        if not self.promises.of(who):
            return
        for _ in range(clicks):
            with suppress(NotFound), self.database.transaction() as session:
                for one in self.by_link(session, who, slug):
                    lifecycle.unsubscribe_from_list(
                        session, one, ConsentContext("/unsubscribe"), now=self.now
                    )
        for key in keys:
            self.note(f"{self.promises.standings[key].state} leaves")
            self.promises.unsubscribe(key)

    @rule(who=WHO, slug=st.sampled_from([*SLUGS, EVERY]), edge=EDGE)
    def come_back(self, who, slug, edge):
        """Come back within the hour after unsubscribing, to all lists or none."""
        keys = self.keys(who, slug)
        if not keys:
            return
        standings = [self.promises.standings[key] for key in keys]
        if edge is not None and (
            left := [one.unsubscribed_at for one in standings if one.unsubscribed_at]
        ):
            self.wait_until(max(left) + HOUR + edge)
        may = all(one.state == "confirmed" or one.may_come_back(self.now) for one in standings)
        try:
            with self.database.transaction() as session:
                for one in self.by_link(session, who, slug):
                    lifecycle.undo_unsubscribe(
                        session, one, ConsentContext("/unsubscribe"), now=self.now
                    )
        except Expired:
            assert not may, "who left a moment ago may not come back"
        else:
            assert may, "a link to leave became one to join"
        for key, standing in zip(keys, standings, strict=True):
            if may and standing.state == "unsubscribed":
                self.promises.record(key, "confirmed")
        self.note("comes back" if may else "comes back too late")

    @rule(who=REPORTED, reason=REASON)
    def be_suppressed(self, who, reason):
        """In any order of reasons the most severe stays, and the first of equals."""
        with self.database.transaction() as session:
            suppression_list.suppress_address(session, who, reason, source="event", now=self.now)
        self.promises.suppress(who, reason.value)
        self.note(f"is {reason.value}")

    @rule(who=WHO)
    def unsubscribe_at_the_provider(self, who):
        """Unsubscribe at the provider: off every list and suppressed."""
        reason = SuppressionReason(OWN_WISH)
        with self.database.transaction() as session:
            suppression_list.suppress_address(session, who, reason, source="event", now=self.now)
            if keys := self.promises.of(who):
                for one in self.by_link(session, who, EVERY):
                    lifecycle.unsubscribe_from_list(
                        session, one, ConsentContext("event"), now=self.now
                    )
        self.promises.suppress(who, reason.value)
        for key in keys:
            self.promises.unsubscribe(key)
        self.note("unsubscribes at the provider")

    @precondition(lambda self: self.promises.standings)
    @rule(who=WHO, days=st.sampled_from([0, 7, 28]))
    def pause(self, who, days):
        """Pause for some days, or resume; no list is left by it."""
        if not self.promises.of(who):
            return
        where = ConsentContext("/preferences", "192.0.2.0/24")
        with self.database.transaction() as session:
            reader = session.get_one(Subscriber, self.id_of(session, who))
            was_paused = preferences.is_paused(reader, now=self.now)
            if days:
                until = self.now + timedelta(days=days)
                preferences.pause_mail(session, reader, until, where, now=self.now)
            else:
                preferences.resume_mail(session, reader, where, now=self.now)
        if days or was_paused:
            self.promises.record_on_lists(who, "paused" if days else "resumed")
        self.note("pauses" if days else "goes on")

    @precondition(lambda self: any(map(self.promises.has_confirmed, FORGETTABLE)))
    @rule(who=st.sampled_from(FORGETTABLE))
    def be_erased(self, who):
        """Erase a subscriber: only a hash is left, and no form brings them back."""
        with self.database.transaction() as session:
            person = person_at_address(session, parse_address(who))
            erase_person(session, person, NO_FILES, source="the reader's own page", now=self.now)
        self.promises.forget(who)
        self.note("is erased")

    @rule(time=TIME)
    def let_time_pass(self, time):
        self.wait(time)
        self.note("time passes")
