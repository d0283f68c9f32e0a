"""The sweep: whatever happens at the n-th operation of a send, everyone is mailed once.

SQLite tests itself like this: the first operation fails, then the second, until a run passes
untouched. Here each operation fails, is the last one of its worker, or returns to a worker that
slept past its lease while another one took its place.
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
from nif.sends.evidence import ReconciliationTiming
from nif.sends.leases import LeaseWatch
from nif.sends.models import Send, SendState
from nif.sends.planning import SendTerms, plan_send
from nif.sends.reconciliation import reconcile_batches
from nif.subscriptions.models import Subscriber
from tests.conftest import NOON
from tests.factories import a_list, a_plain_edition, subscriptions
from tests.fakes import FakeMailer
from tests.sends import helpers

READERS = 18
BATCH = 7
PATIENCE = ReconciliationTiming(timedelta(minutes=30))
MAX_TURNS = 6

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
    """The process is dead: nothing that it still does has any effect."""


class Worker:
    """A worker to which one thing happens at one operation, and its mailer."""

    def __init__(self, run: "SweepRun", commit: tuple[int, str], request: tuple[int, str]) -> None:
        self._run = run
        self._at_commit, self._at_request = commit, request
        self._commits, self._requests = count(1), count(1)
        self.is_dead = self.was_hit = False

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        self._expect_alive()
        with self._run.database.transaction() as session:
            yield session
            self._expect_alive()
            turn = self._turn(self._commits, self._at_commit)
            if turn == "fails":
                raise OperationalError("COMMIT", None, Exception("disk I/O error"))
            self._die_if(turn == "dies before")
        self._die_if(turn == "dies after")
        if turn == "sleeps after":
            self._run.sleep()

    def post(self, request: BatchRequest) -> str | None:
        self._expect_alive()
        turn = self._turn(self._requests, self._at_request)
        self._die_if(turn == "dies before")
        if turn == "sleeps before":
            self._run.sleep()
        if turn == "is refused":
            raise Unavailable("no connection")
        if turn == "is lost":
            raise Uncertain("no answer")
        taken = FakeMailer.post(self._run.mailer, request)
        self._die_if(turn == "dies after")
        if turn == "sleeps after":
            self._run.sleep()
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


class SweepRun:
    """A send, and the workers that deliver it one after the other until it is finished."""

    def __init__(self, database: Database, context: DeliveryContext) -> None:
        self.database, self.mailer = database, FakeMailer()
        self._context = replace(context, clock=self.clock, concurrency=1)
        self._now, self._ticks, self._is_asleep = NOON, 0.0, False
        with database.transaction() as session:
            mailing_list = a_list(session, slug=f"sweep-{next(_number)}")
            self.readers = subscriptions(session, mailing_list, READERS)
            self.edition_id = a_plain_edition(session, mailing_list).id

    def clock(self) -> datetime:
        return self._now

    def let_time_pass_by(self, **seconds: float) -> None:
        self._now += timedelta(**seconds)
        self._ticks += timedelta(**seconds).total_seconds()

    def live(self, worker: Worker) -> None:
        """Run all jobs of a worker once."""
        mailer = FakeMailer()
        mailer.post, mailer.allows_recall = worker.post, False
        context = replace(self._context, mailer=mailer, transaction=worker.transaction)
        with worker.transaction() as session:
            edition = session.get_one(Edition, self.edition_id)
            plan_send(session, edition, SendTerms(BATCH), now=self.clock())
        deliver_send(context, self._send().id)
        self._hear()
        self._look(worker, mailer)

    def sleep(self) -> None:
        """A worker sleeps past its lease, and another one does all the work meanwhile."""
        if self._is_asleep:
            return
        self._is_asleep = True
        watch = LeaseWatch(helpers.LEASE, ticks=lambda: self._ticks)
        other = Worker(self, (0, ""), (0, ""))
        for _ in range(2):
            with self.database.transaction() as session:
                watch.end_stale_leases(session, now=self.clock())
            self.let_time_pass_by(seconds=100)
        self.live(other)

    def watch_stream(self) -> None:
        """Forty minutes pass, in which every canary is heard of."""
        later = self._now + timedelta(minutes=40)
        helpers.watch_stream(self.database, self._now, later)
        self.let_time_pass_by(minutes=40)

    def check(self) -> dict[str, int]:
        """Who was mailed twice or left out, and whether everything is accounted for."""
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
        """An event for each accepted request, posted repeatedly as SendGrid does."""
        events = (
            helpers.sendgrid_event(attempt, at=self._now) for attempt, _, _ in self.mailer.posted
        )
        helpers.post_events(self.database, *events, now=self._now)

    def _look(self, worker: Worker, mailer: FakeMailer) -> None:
        watch = LeaseWatch(helpers.LEASE, ticks=lambda: self._ticks)
        with self.database.transaction() as session:
            watch.end_stale_leases(session, now=self.clock())
        self.let_time_pass_by(seconds=100)
        reconcile_batches(worker.transaction, mailer, watch, PATIENCE, now=self.clock())


def sweep(database: Database, context: DeliveryContext, at: str, turn: str) -> dict[str, Any]:
    """Let one thing happen at the first commit or request, then at the second, and so on."""
    worst = Counter[str]()
    for n in count(1):
        run = SweepRun(database, context)
        place = (n, turn)
        first = Worker(run, *((place, (0, "")) if at == "commit" else ((0, ""), place)))
        worst.update(_finish_run(run, first))
        if not first.was_hit:
            return {"at": at, "turn": turn, "places": n - 1, **worst}
    raise AssertionError


def _finish_run(run: SweepRun, first: Worker) -> dict[str, int]:
    worker = first
    for _ in range(MAX_TURNS):
        with suppress(Killed, OperationalError):
            run.live(worker)
        worker = Worker(run, (0, ""), (0, ""))
        if run.is_over():
            return run.check()
        run.watch_stream()
    return {"unfinished": 1}


def prove_sweep(database: Database, context: DeliveryContext) -> dict[str, Any]:
    """Everything at every place; returns the figures."""
    began = time.monotonic()
    turns = [("commit", turn) for turn in COMMITS] + [("request", turn) for turn in REQUESTS]
    found = [sweep(database, context, at, turn) for at, turn in turns]
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
