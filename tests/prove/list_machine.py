"""Subscribers of two lists and a clock that is moved by hand, beside a model of the promises."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nif.limits import RateLimitCount
from nif.subscriptions import lifecycle
from nif.subscriptions.models import MailingList, Subscriber, Subscription
from nif.tokens import Tokens
from tests.prove.databases import OpenDatabase
from tests.prove.list_records import ListRecords, RecordHistory, disagreements, read_list_records
from tests.prove.promises import Key, Promises

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TOKENS = Tokens([b"a key"])
SLUGS = ("daily", "weekly")
SPELLINGS = {
    "ann@example.com": ["ann@example.com", "Ann@Example.COM", " <ANN@example.com> "],
    "bob@example.com": ["bob@example.com", "mailto:BOB@example.com"],
    "cy@xn--bcher-kva.example": ["cy@bücher.example", "Cy@xn--BCHER-kva.example"],
    "di@example.com": ["di@example.com", "DI@example.com"],
    "ed@example.com": ["ed@example.com"],
}
EVERY = "every list"

WHO, SLUG = st.sampled_from(sorted(SPELLINGS)), st.sampled_from(SLUGS)
TYPED = st.sampled_from([(who, typed) for who in SPELLINGS for typed in SPELLINGS[who]])
PAUSE = st.sampled_from([0, 20, 60, 61, 24 * 60]).map(lambda minutes: timedelta(minutes=minutes))
EDGE = st.sampled_from([None, None, timedelta(0), timedelta(seconds=1)])
"""None for at once; otherwise this much after the last moment at which something is allowed."""
NETWORK = st.sampled_from(["192.0.2.0/24", "2001:db8:1::/48"])


class ListMachine(RuleBasedStateMachine):
    """Two empty lists. `came_up` counts what happened, over all histories of a proof."""

    def __init__(
        self, opening: AbstractContextManager[OpenDatabase], came_up: Counter[str]
    ) -> None:
        super().__init__()
        self.opening, self.came_up = opening, came_up
        self.database = opening.__enter__()
        self.promises = Promises(START)
        self.growth = RecordHistory()
        came_up["examples"] += 1
        with self.database.transaction() as session:
            self.ids = {slug: _found(session, slug) for slug in SLUGS}

    def teardown(self) -> None:
        self.opening.__exit__(None, None, None)

    @property
    def now(self) -> datetime:
        return self.promises.now

    def wait(self, time: timedelta) -> None:
        """Let time pass, and drop the expired counts of limits, which must change nothing."""
        self.promises.now += time
        with self.database.transaction() as session:
            is_expired = RateLimitCount.window_started_at < self.now - timedelta(days=31)
            session.execute(delete(RateLimitCount).where(is_expired))

    def wait_until(self, moment: datetime) -> None:
        """Wait until a moment; nothing where it has passed."""
        self.wait(max(moment - self.now, timedelta(0)))

    def note(self, what: str) -> None:
        self.came_up["steps"] += 1
        self.came_up[what] += 1

    def keys(self, who: str, slug: str) -> list[Key]:
        """The subscriptions that an unsubscribe link is about, as far as is known."""
        return [key for key in self.promises.of(who) if slug in {key[1], EVERY}]

    def by_link(self, session: Session, who: str, slug: str) -> Sequence[Subscription]:
        list_id = lifecycle.ALL_LISTS if slug == EVERY else self.ids[slug]
        token = lifecycle.unsubscribe_token(self.id_of(session, who), list_id, TOKENS)
        return lifecycle.get_subscriptions_to_unsubscribe(session, token, TOKENS)

    def id_of(self, session: Session, who: str) -> int:
        return session.scalars(select(Subscriber.id).where(Subscriber.canonical == who)).one()

    def records(self) -> ListRecords:
        with self.database.reading() as session:
            return read_list_records(session)

    @invariant()
    def records_agree_with_the_promises(self) -> None:
        books = self.records()
        wrong = disagreements(books, self.promises) + self.growth.offences(
            books, self.promises.erased
        )
        assert not wrong, wrong


def _found(session: Session, slug: str) -> int:
    words = {"title": "NIF", "schedule": "daily 07:30", "zone": "Europe/London"}
    times = dict.fromkeys(("created_at", "scheduled_at", "news_from"), START)
    mailing_list = MailingList(slug=slug, **words, **times)
    session.add(mailing_list)
    session.flush()
    return mailing_list.id
