"""The n-th operation sweep: whatever single commit or posting fails, everyone is mailed once.

SQLite tests itself like this: the first operation fails, then the second, until a run passes
untouched. A commit that fails stands for a process that died there.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.editions.models import Edition
from nif.mail.mailer import Parcel, Uncertain
from nif.sends.delivering import Courier, deliver
from nif.sends.models import Send, SendState
from nif.sends.planning import plan
from nif.sends.reconciling import reconcile
from nif.subscriptions.models import Subscriber
from tests.factories import a_list, a_plain_edition, subscriptions
from tests.fakes import FakeMailer
from tests.sends import ledger
from tests.sends.conftest import Clock

READERS = 18
_number = count(1)
QUIET = timedelta(minutes=30)


class Crash(Exception):
    """The process ends here."""


class Failing:
    """A mailer whose n-th posting fails, and transactions whose n-th commit does."""

    def __init__(self, database: Database, mailer: FakeMailer) -> None:
        self._database, self._mailer = database, mailer
        self.commits, self.posts = count(1), count(1)
        self.commit = self.post = 0
        self.taken = False
        self.hit = False

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with self._database.transaction() as session:
            yield session
            if next(self.commits) == self.commit:
                self.hit = True
                raise Crash

    def deliver(self, parcel: Parcel) -> str | None:
        if next(self.posts) != self.post:
            return FakeMailer.post(self._mailer, parcel)
        self.hit = True
        if self.taken:
            FakeMailer.post(self._mailer, parcel)
        raise Uncertain("no answer")


class Night:
    """A send in the life of a worker that is started again whenever it dies."""

    def __init__(self, courier: Courier, database: Database, clock: Clock) -> None:
        self.mailer, self.days = FakeMailer(), count(1)
        self.failing = Failing(database, self.mailer)
        self.mailer.post = self.failing.deliver
        self.clock, self.database = clock, database
        self.courier = replace(
            courier, mailer=self.mailer, clock=clock, transaction=self.failing.transaction
        )
        with database.transaction() as session:
            mailing_list = a_list(session, slug=f"sweep-{next(_number)}")
            self.readers = subscriptions(session, mailing_list, READERS)
            self.edition_id = a_plain_edition(session, mailing_list).id

    def live(self) -> None:
        """All that the jobs of a worker do, once."""
        with self.failing.transaction() as session:
            plan(session, session.get_one(Edition, self.edition_id), now=self.clock())
        with self.database.reading() as session:
            send_id = session.scalars(
                select(Send.id).where(Send.edition_id == self.edition_id)
            ).one()
        deliver(self.courier, send_id)
        self.hear()
        reconcile(self.failing.transaction, self.mailer, quiet_period=QUIET, now=self.clock())

    def hear(self) -> None:
        """An event for each parcel that was taken, posted again and again as SendGrid does."""
        ledger.report(self.database, *(ledger.event(a) for a, _, _ in self.mailer.posted))

    def another_send(self) -> None:
        """Something that is mailed later and heard of: the proof that events still come."""
        later = ledger.claimed(
            self.database, ledger.planned(self.database, count=1), now=self.clock()
        )
        ledger.report(self.database, ledger.event(later.attempt_id))

    def pass_by(self) -> None:
        while not self.finished():
            with suppress(Crash):
                self.live()
            self.clock.advance(minutes=40)
            self.another_send()
            assert next(self.days) < 5

    def finished(self) -> bool:
        with self.database.reading() as session:
            found = select(Send.state).where(Send.edition_id == self.edition_id)
            return session.scalar(found) is SendState.FINISHED

    def check(self) -> None:
        with self.database.reading() as session:
            send = session.scalars(select(Send).where(Send.edition_id == self.edition_id)).one()
            mailed = session.scalars(
                select(Subscriber.address).where(Subscriber.id.in_(self.readers))
            ).all()
        assert Counter(self.mailer.addresses()) == Counter(mailed)
        assert ledger.count(self.database, send.id).accepted == READERS


def test_whichever_commit_fails_everyone_is_mailed_once(
    courier: Courier, database: Database, clock: Clock, by_sevens: None
) -> None:
    for n in count(1):
        night = Night(courier, database, clock)
        night.failing.commit = n
        night.pass_by()
        night.check()
        if not night.failing.hit:
            break
    assert n > 10


def sweep_posts(courier: Courier, database: Database, clock: Clock, *, taken: bool) -> None:
    for n in count(1):
        night = Night(courier, database, clock)
        night.failing.post, night.failing.taken = n, taken
        night.pass_by()
        night.check()
        if not night.failing.hit:
            break
    assert n == 4


def test_whichever_answer_is_lost_everyone_is_mailed_once(
    courier: Courier, database: Database, clock: Clock, by_sevens: None
) -> None:
    sweep_posts(courier, database, clock, taken=True)


def test_whichever_request_is_lost_everyone_is_mailed_once(
    courier: Courier, database: Database, clock: Clock, by_sevens: None
) -> None:
    sweep_posts(courier, database, clock, taken=False)
