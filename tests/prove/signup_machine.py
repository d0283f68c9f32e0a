"""Signing up, confirming, and requesting the link to one's preferences page."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, multiple, precondition, rule

from nif.errors import Expired, NotFound
from nif.limits import allow_mail, find_exceeded_limit
from nif.mail.addresses import parse_address
from nif.subscriptions import lifecycle, preferences
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.lists import get_list
from nif.tokens import TokenPurpose, Tokens
from tests.prove.list_machine import EDGE, NETWORK, PAUSE, SLUG, TOKENS, TYPED, ListMachine
from tests.prove.promises import HOUR, NETWORK_AN_HOUR, Key, MailRequest

WEEK = timedelta(days=7)
FORGED = st.sampled_from(["cut", "in swapped case", "of another key", "for another purpose"])


class Link(NamedTuple):
    """A link in a confirmation mail."""

    key: Key
    asked_at: datetime
    token: str


class SignupMachine(ListMachine):
    """People who enter an address into a form, and people who read the mail that follows."""

    links = Bundle("links")
    strangers = 0

    @rule(target=links, typed=TYPED, slug=SLUG, network=NETWORK, pause=PAUSE)
    def sign_up(self, typed, slug, network, pause):
        """Within the limits a sign-up is answered by mail, which asks them to confirm."""
        self.wait(pause)
        before = self.promises.standing((typed[0], slug)).state
        link = self._sign_up(*typed, slug, network)
        is_answered = self.promises.signups[-1].answered
        self.note(f"{before} asks" if is_answered else f"{before} asks in vain")
        return multiple() if link is None else link

    @rule(target=links, typed=TYPED, slug=SLUG, network=NETWORK, pause=PAUSE)
    def sign_up_and_confirm(self, typed, slug, network, pause):
        """Most people press the link soon; it stays in their inbox."""
        link = self._sign_up(*typed, slug, network)
        self.note("joins" if link else "joins in vain")
        if link is None:
            return multiple()
        self.wait(pause)
        self._press_one_or_more_times(link, 1)
        return link

    def _sign_up(self, who: str, typed: str, slug: str, network: str) -> Link | None:
        before, address = self.promises.standing((who, slug)).state, parse_address(typed)
        where = ConsentContext("/subscribe", network, "I would like to be mailed.")
        assert address.canonical == who
        asked = lifecycle.SubscriptionRequestResult(None)
        with self.database.transaction() as session:
            newsletter = get_list(session, slug)
            if find_exceeded_limit(session, who, network, now=self.now) is None:
                asked = lifecycle.request_subscription(
                    session, newsletter, address, where, now=self.now
                )
            named = asked.pending.subscriber if asked.pending else asked.already_subscribed
        signup = MailRequest(who, slug, network, self.now, named is not None)
        assert self.promises.may_answer(signup) or not signup.answered, "mailed beyond the limits"
        assert signup.answered or not self.promises.must_answer(signup), "a signup was lost"
        self.promises.signups.append(signup)
        if asked.added is not None:
            assert asked.added.list_id == self.ids[slug], "the wrong list"
            assert before != "confirmed", "who is on it has nothing to confirm"
            self.promises.record((who, slug), "requested")
        if named is None:
            return None
        assert named.canonical == who, "somebody else is mailed"
        is_on = (asked.pending is None, asked.already_subscribed is not None)
        assert is_on == (before == "confirmed",) * 2, "the wrong mail"
        self.promises.spelled.setdefault(who, address.written)
        if asked.pending is None:
            return None
        assert asked.pending.list_id == self.ids[slug], "the wrong list"
        self.promises.record((who, slug), "requested")
        return Link((who, slug), self.now, lifecycle.confirmation_token(asked.pending, TOKENS))

    @precondition(lambda self: not self.strangers and len(self.promises.signups) > 2)
    @rule(network=NETWORK, slug=SLUG, size=st.integers(28, 33))
    def a_crowd_signs_up(self, network, slug, size):
        """Of many sign-ups at once from one network, twenty are answered."""
        asked = (*self.promises.signups, *self.promises.requests)
        is_first = not any(one.network == network and self.now - one.at < HOUR for one in asked)
        names = [f"reader{self.strangers + n}@crowd.example" for n in range(size)]
        answered = [self._sign_up(name, name, slug, network) is not None for name in names]
        self.strangers += size
        most = min(size, NETWORK_AN_HOUR)
        is_right = sum(answered) == most if is_first else sum(answered) <= most
        assert is_right, f"{sum(answered)} of {size} were answered"
        self.note("a crowd asks")

    @rule(link=links, times=st.integers(1, 3), edge=EDGE, forged=FORGED)
    def press_confirm(self, link, times, edge, forged):
        """The newest link works once and for seven days; a confirmed subscriber is told so."""
        if edge is not None:
            self.wait_until(link.asked_at + WEEK + edge)
        self._press_forged(link, forged)
        state = self.promises.standing(link.key).state
        fresh = self._press_one_or_more_times(link, times)
        self.note(f"{state} presses a {'fresh' if fresh else 'stale'} link")

    def _press_one_or_more_times(self, link: Link, times: int) -> bool:
        standing = self.promises.standing(link.key)
        fresh = standing.asked_at == link.asked_at and self.now - link.asked_at <= WEEK
        is_good = standing.state == "confirmed" or (standing.state == "pending" and fresh)
        if link.key[0] in self.promises.erased:
            with suppress(NotFound):
                self._press(link.token)
                raise AssertionError("a link of somebody who was erased is good for something")
            return False
        for _ in range(times):
            came_out = self._press(link.token)
            assert came_out == ("confirmed" if is_good else "expired"), came_out
        if is_good and standing.state == "pending":
            self.promises.record(link.key, "confirmed")
        return fresh

    def _press(self, token: str) -> str:
        where = ConsentContext("/confirm", "192.0.2.0/24", "I would like to be mailed.")
        try:
            with self.database.transaction() as session:
                return lifecycle.confirm_subscription(
                    session, token, TOKENS, where, now=self.now
                ).state.value
        except Expired:
            return "expired"

    def _press_forged(self, link: Link, how: str) -> None:
        """A forged link does nothing."""
        numbers = TOKENS.open(TokenPurpose.CONFIRM, link.token)
        token = {
            "cut": link.token[:-1],
            "in swapped case": link.token.swapcase(),
            "of another key": Tokens([b"another key"]).make(TokenPurpose.CONFIRM, *numbers),
            "for another purpose": TOKENS.make(TokenPurpose.UNSUBSCRIBE, *numbers),
        }[how]
        with suppress(NotFound):
            self._press(token)
            raise AssertionError(f"a link {how} is good for something")

    @precondition(lambda self: self.promises.standings)
    @rule(typed=TYPED, network=NETWORK, times=st.integers(1, 7))
    def request_preferences_link(self, typed, network, times):
        """The link to the preferences page is mailed only to addresses that confirmed once."""
        is_answered = [self._request_preferences_link(*typed, network) for _ in range(times)]
        self.note("asks for the own page" + ("" if any(is_answered) else " in vain"))

    def _request_preferences_link(self, who: str, typed: str, network: str) -> bool:
        with self.database.transaction() as session:
            found = None
            if find_exceeded_limit(session, who, network, now=self.now) is None:
                found = preferences.find_mailable_subscriber(session, parse_address(typed))
            if found is not None and not allow_mail(session, who, now=self.now):
                found = None
        request = MailRequest(who, "", network, self.now, found is not None)
        assert self.promises.may_send_link(request) or not request.answered, "mailed too much"
        assert request.answered or not self.promises.must_send_link(request), "a link was lost"
        assert found is None or found.canonical == who, "somebody else's page"
        self.promises.requests.append(request)
        return request.answered
