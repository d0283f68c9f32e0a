"""What subscribers are promised about lists, as a model in plain Python to test NIF against.

It is a model and no copy: where a promise leaves room, as in when a limit begins to count, it says
what must not happen and what must, and accepts anything between the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONTH = 30 * DAY
NETWORK_AN_HOUR, DOMAIN_AN_HOUR = 20, 100
THREE = 3

OWN_WISH = "unsubscribed"
BY_SEVERITY = ("unsubscribed", "manual", "invalid", "bounced", "complained", "erased")
"""Reasons of suppressions, each more severe than the one before it."""

Key = tuple[str, str]
"""The canonical address of a subscriber, and the slug of a list."""


@dataclass
class PromisedSubscription:
    """The state of a subscription, and every consent entry about it, in order."""

    state: str = "new"
    asked_at: datetime | None = None
    unsubscribed_at: datetime | None = None
    said: list[tuple[str, datetime]] = field(default_factory=list)

    def may_come_back(self, now: datetime) -> bool:
        """A confirmed subscriber who just unsubscribed may come back within the hour."""
        said = [action for action, _ in self.said if action not in {"paused", "resumed"}]
        whole = said[-2:] == ["confirmed", "unsubscribed"]
        return (
            self.state == "unsubscribed" and whole and now - (self.unsubscribed_at or now) <= HOUR
        )


@dataclass(frozen=True)
class MailRequest:
    """A sign-up for a list, or a request for the link to one's preferences page."""

    who: str
    slug: str
    network: str
    at: datetime
    answered: bool


@dataclass
class Promises:
    now: datetime
    standings: dict[Key, PromisedSubscription] = field(default_factory=dict)
    suppressed: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    signups: list[MailRequest] = field(default_factory=list)
    requests: list[MailRequest] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)

    def standing(self, key: Key) -> PromisedSubscription:
        return self.standings.get(key, PromisedSubscription())

    def of(self, who: str) -> list[Key]:
        return sorted(key for key in self.standings if key[0] == who)

    def has_confirmed(self, who: str) -> bool:
        return any("confirmed" in dict(self.standings[key].said) for key in self.of(who))

    def record(self, key: Key, action: str) -> None:
        """Record a sign-up, a confirmation or an unsubscribe."""
        standing = self.standings.setdefault(key, PromisedSubscription())
        standing.said.append((action, self.now))
        standing.state = "pending" if action == "requested" else action
        if action == "requested":
            standing.asked_at = self.now
        if action == "unsubscribed":
            standing.unsubscribed_at = self.now
        if action == "confirmed" and self.reason(key[0]) == OWN_WISH:
            del self.suppressed[key[0]]

    def unsubscribe(self, key: Key) -> None:
        """Unsubscribe at once; without a confirmation they must not be asked again."""
        if self.standings[key].state == "pending" and not self.has_confirmed(key[0]):
            self.suppress(key[0], "manual")
        if self.standings[key].state != "unsubscribed":
            self.record(key, "unsubscribed")

    def record_on_lists(self, who: str, action: str) -> None:
        """Record a pause or its end for each list that they are on."""
        for key in self.of(who):
            if self.standings[key].state == "confirmed":
                self.standings[key].said.append((action, self.now))

    def forget(self, who: str) -> None:
        """Forget everything about them; they are never mailed again."""
        for key in self.of(who):
            del self.standings[key]
        self.suppressed.pop(who, None)
        self.spelled.pop(who, None)
        self.erased.add(who)

    def suppress(self, who: str, reason: str) -> None:
        """A reason is replaced only by a more severe one; erased addresses are not recorded."""
        if who in self.erased:
            return
        known = self.reason(who)
        if known is None or BY_SEVERITY.index(reason) > BY_SEVERITY.index(known):
            self.suppressed[who] = (reason, self.now)

    def reason(self, who: str) -> str | None:
        return "erased" if who in self.erased else self.suppressed.get(who, (None, None))[0]

    def may_answer(self, signup: MailRequest) -> bool:
        """One mail a day by any form, three in thirty days, twenty an hour for a network.

        A window begins with its first mail, so the last mail of one and the first of the next may
        be close together. Only addresses suppressed by unsubscribing may be asked to confirm.
        """
        mails = [one for one in self.signups if one.answered]
        to_address = [one for one in mails if one.who == signup.who]
        return (
            self.reason(signup.who) in {None, OWN_WISH}
            and self._may_be_mailed(signup)
            and _in_window(to_address, MONTH, signup.at) < THREE
        )

    def must_answer(self, signup: MailRequest) -> bool:
        """No limit stands against it, however the limits are counted."""
        to_address = [one for one in self.signups if one.who == signup.who]
        return (
            self.reason(signup.who) in {None, OWN_WISH}
            and self._must_be_mailed(signup)
            and len(_since(signup.at - MONTH, to_address)) < THREE
        )

    def may_send_link(self, request: MailRequest) -> bool:
        """Only to addresses that confirmed once and are not suppressed, within the same limits."""
        return (
            self.has_confirmed(request.who)
            and self.reason(request.who) is None
            and self._may_be_mailed(request)
        )

    def must_send_link(self, request: MailRequest) -> bool:
        return (
            any(self.standings[key].state == "confirmed" for key in self.of(request.who))
            and self.reason(request.who) is None
            and self._must_be_mailed(request)
        )

    def _may_be_mailed(self, request: MailRequest) -> bool:
        mails = [one for one in (*self.signups, *self.requests) if one.answered]
        to_address = [one for one in mails if one.who == request.who]
        recent = _since(request.at - HOUR, _through(request, mails))
        return not _since(request.at - DAY, to_address) and len(recent) < 2 * NETWORK_AN_HOUR - 1

    def _must_be_mailed(self, request: MailRequest) -> bool:
        all_ = [*self.signups, *self.requests]
        to_address = [one for one in all_ if one.who == request.who]
        recent = _since(request.at - HOUR, all_)
        return (
            not _since(request.at - DAY, to_address)
            and len(_through(request, recent)) < NETWORK_AN_HOUR
            and len(recent) < DOMAIN_AN_HOUR
        )


def _through(request: MailRequest, earlier: Iterable[MailRequest]) -> list[MailRequest]:
    return [one for one in earlier if one.network == request.network]


def _since(moment: datetime, requests: Iterable[MailRequest]) -> list[MailRequest]:
    return [one for one in requests if one.at > moment]


def _in_window(mails: Iterable[MailRequest], length: timedelta, now: datetime) -> int:
    """How many mails are in the current window, where each window begins with a mail."""
    began, count = None, 0
    for mail in mails:
        if began is None or mail.at - began >= length:
            began, count = mail.at, 0
        count += 1
    return count if began is not None and now - began < length else 0
