"""The n-th operation sweep: whatever happens at the n-th one, everyone is mailed once.

SQLite tests itself like this: the first operation fails, then the second, until a run passes
untouched. Here each one is failed, is the last that its worker lives to see, or comes back to a
worker that slept meanwhile, while another one took its place.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.database import Database
from nif.editions.models import Edition
from nif.mail.provider import BatchRequest, Unavailable, Uncertain
from nif.sends.certificates import certify_send
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.leases import LeaseWatch
from nif.sends.models import Send, SendState
from nif.sends.planning import SendTerms, plan_send
from nif.sends.reconciliation import ReconciliationTiming, reconcile_batches
from nif.subscriptions.models import Subscriber
from tests.conftest import NOON
from tests.factories import a_list, a_plain_edition, subscriptions
from tests.fakes import FakeMailer
from tests.sends import helpers

READERS = 18
BATCH = 7
PATIENCE = ReconciliationTiming(timedelta(minutes=30))
LONGEST_NIGHT = 6

COMMITS = ("fails", "dies before", "dies after", "sleeps after")
REQUESTS = (
    "is refused",
    "is lost",
    "is taken and its answer lost",
    "dies before",
    "dies after",
    "sleeps before",
    "sleeps after",
)
_number = count(1)


class Killed(Exception):
    """The process is no more: nothing that it still does has any effect."""


class Worker:
    """A worker whose life takes a turn at one operation, and a mailer that sees it through."""

    def __init__(self, night: "Night", commit: tuple[int, str], request: tuple[int, str]) -> None:
        self._night = night
        self._at_commit, self._at_request = commit, request
        self._commits, self._requests = count(1), count(1)
        self.is_dead = self.was_hit = False

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        self._expect_alive()
        with self._night.database.transaction() as session:
            yield session
            self._expect_alive()
            turn = self._turn(self._commits, self._at_commit)
            if turn == "fails":
                raise OperationalError("COMMIT", None, Exception("disk I/O error"))
            self._die_if(turn == "dies before")
        self._die_if(turn == "dies after")
        if turn == "sleeps after":
            self._night.sleep()

    def post(self, request: BatchRequest) -> str | None:
        self._expect_alive()
        turn = self._turn(self._requests, self._at_request)
        self._die_if(turn == "dies before")
        if turn == "sleeps before":
            self._night.sleep()
        if turn == "is refused":
            raise Unavailable("no connection")
        if turn == "is lost":
            raise Uncertain("no answer")
        taken = FakeMailer.post(self._night.mailer, request)
        self._die_if(turn == "dies after")
        if turn == "sleeps after":
            self._night.sleep()
        if turn == "is taken and its answer lost":
            raise Uncertain("no answer")
        return taken

    def _turn(self, counter: Any, at: tuple[int, str]) -> str:
        if next(counter) != at[0]:
            return ""
        self.was_hit = True
        return at[1]

    def _die_if(self, dies: bool) -> None:
        if dies:
            self.is_dead = True
            raise Killed

    def _expect_alive(self) -> None:
        if self.is_dead:
            raise Killed


class Night:
    """A send, and the workers that see to it one after the other until it is finished."""

    def __init__(self, database: Database, courier: DeliveryContext) -> None:
        self.database, self.mailer = database, FakeMailer()
        self._courier = replace(courier, clock=self.clock, concurrency=1)
        self._now, self._ticks, self._is_asleep = NOON, 0.0, False
        with database.transaction() as session:
            mailing_list = a_list(session, slug=f"sweep-{next(_number)}")
            self.readers = subscriptions(session, mailing_list, READERS)
            self.edition_id = a_plain_edition(session, mailing_list).id

    def clock(self) -> datetime:
        return self._now

    def pass_by(self, **seconds: float) -> None:
        self._now += timedelta(**seconds)
        self._ticks += timedelta(**seconds).total_seconds()

    def live(self, worker: Worker) -> None:
        """All that the jobs of a worker do, once."""
        mailer = FakeMailer()
        mailer.post, mailer.recalls = worker.post, False
        courier = replace(self._courier, mailer=mailer, transaction=worker.transaction)
        with worker.transaction() as session:
            edition = session.get_one(Edition, self.edition_id)
            plan_send(session, edition, SendTerms(BATCH), now=self.clock())
        deliver_send(courier, self._send().id)
        self._hear()
        self._look(worker, mailer)

    def sleep(self) -> None:
        """A worker sleeps past its lease, and another one does all there is to do meanwhile."""
        if self._is_asleep:
            return
        self._is_asleep = True
        watch = LeaseWatch(helpers.LEASE, ticks=lambda: self._ticks)
        other = Worker(self, (0, ""), (0, ""))
        for _ in range(2):
            with self.database.transaction() as session:
                watch.end_stale_leases(session, now=self.clock())
            self.pass_by(seconds=100)
        self.live(other)

    def another_send(self) -> None:
        """Something that happens later and is heard of: the proof that events still come."""
        self.pass_by(minutes=1)
        happened = helpers.sendgrid_event(None, 0, at=self._now, sg_event_id=f"alive-{self._now}")
        helpers.post_events(self.database, happened, now=self._now)

    def check(self) -> dict[str, int]:
        """Who was mailed twice or skipped, and whether all is accounted for."""
        with self.database.reading() as session:
            mailed = select(Subscriber.address).where(Subscriber.id.in_(self.readers))
            due = Counter(session.scalars(mailed).all())
        found = Counter(self.mailer.addresses())
        complete = certify_send(self.database, self._send().id, now=self.clock()).is_complete
        return {
            "twice": (found - due).total(),
            "skipped": (due - found).total(),
            "incomplete": int(not complete),
        }

    def is_over(self) -> bool:
        with self.database.reading() as session:
            state = select(Send.state).where(Send.edition_id == self.edition_id)
            return session.scalar(state) is SendState.FINISHED

    def _send(self) -> Send:
        with self.database.reading() as session:
            return session.scalars(select(Send).where(Send.edition_id == self.edition_id)).one()

    def _hear(self) -> None:
        """An event for each request that was taken, posted again and again as SendGrid does."""
        events = (
            helpers.sendgrid_event(attempt, at=self._now) for attempt, _, _ in self.mailer.posted
        )
        helpers.post_events(self.database, *events, now=self._now)

    def _look(self, worker: Worker, mailer: FakeMailer) -> None:
        watch = LeaseWatch(helpers.LEASE, ticks=lambda: self._ticks)
        with self.database.transaction() as session:
            watch.end_stale_leases(session, now=self.clock())
        self.pass_by(seconds=100)
        reconcile_batches(worker.transaction, mailer, watch, PATIENCE, now=self.clock())


def sweep(database: Database, courier: DeliveryContext, at: str, turn: str) -> dict[str, Any]:
    """Let one thing happen at the first commit or request, the second, and so on for every n."""
    worst = Counter[str]()
    for n in count(1):
        night = Night(database, courier)
        place = (n, turn)
        first = Worker(night, *((place, (0, "")) if at == "commit" else ((0, ""), place)))
        worst.update(_one_night(night, first))
        if not first.was_hit:
            return {"at": at, "turn": turn, "places": n - 1, **worst}
    raise AssertionError


def _one_night(night: Night, first: Worker) -> dict[str, int]:
    worker = first
    for _ in range(LONGEST_NIGHT):
        with suppress(Killed, OperationalError):
            night.live(worker)
        worker = Worker(night, (0, ""), (0, ""))
        if night.is_over():
            return night.check()
        night.another_send()
        night.pass_by(minutes=40)
    return {"unfinished": 1}


def prove_sweep(database: Database, courier: DeliveryContext) -> dict[str, Any]:
    """Every turn at every place; the figures of it."""
    began = time.monotonic()
    turns = [("commit", turn) for turn in COMMITS] + [("request", turn) for turn in REQUESTS]
    found = [sweep(database, courier, at, turn) for at, turn in turns]
    bad = {
        name: sum(one.get(name, 0) for one in found)
        for name in ("twice", "skipped", "incomplete", "unfinished")
    }
    return {
        "proof": "sweep",
        "database": database.engine.dialect.name,
        "turns": len(turns),
        "places": sum(one["places"] for one in found),
        **bad,
        "holds": not any(bad.values()),
        "seconds": round(time.monotonic() - began, 1),
    }
