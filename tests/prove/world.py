"""A list, its sends, a provider and a clock: the world in which sends are tested."""

from collections import Counter, deque
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import select

from nif.database import Database
from nif.links import Links
from nif.mail.provider import BatchRequest
from nif.sends import leases, outcomes
from nif.sends.batches import ClaimedBatch, ClaimTerms, claim_batch
from nif.sends.canaries import post_canary_if_due, write_canary
from nif.sends.certificates import certify_send, stream_delivery_statuses
from nif.sends.delivery import DeliveryContext, deliver_send, make_personalizer
from nif.sends.evidence import CANARY_EVERY, ReconciliationTiming
from nif.sends.leases import SAFE_PART_OF_LEASE, LeaseWatch
from nif.sends.models import Batch, BatchState, Send, SendState
from nif.sends.planning import SendTerms as Planned
from nif.sends.planning import plan_send
from nif.sends.reconciliation import reconcile_batches, restart_watch
from nif.sends.reports import list_deliverable_sends
from nif.subscriptions.models import MailingList
from nif.tokens import Tokens
from tests.conftest import NOON
from tests.factories import a_list, a_plain_edition, subscriptions
from tests.fakes import FakeMailer
from tests.sends import helpers

READERS, BATCH = 11, 4
HEARD_WITHIN = 15 * 60
"""Seconds. The provider is assumed to report what it accepted within half a quiet period."""

CANARY_SECONDS = CANARY_EVERY.total_seconds()

STOPPED_WITHIN = 60
"""Seconds after an unsubscribe from which on nobody is mailed, not even by a started request."""

_number = count(1)


@dataclass
class SleepingWorker:
    """A worker that sleeps with a claimed batch, which it may have posted or not."""

    taken: ClaimedBatch
    since: float
    has_posted: bool


class World:
    """What the promises are about. `mailed` counts accepted copies by send and subscriber."""

    def __init__(self, opening: AbstractContextManager[Database]) -> None:
        self.stack = ExitStack()
        self.database = self.stack.enter_context(opening)
        self.mailer = FakeMailer()
        self.context = DeliveryContext(
            self.database.transaction,
            self.mailer,
            Tokens([b"a key for proofs that is long enough"]),
            Links("https://news.example.com"),
            clock=self.clock,
            concurrency=1,
        )
        self.watch = LeaseWatch(helpers.LEASE, ticks=lambda: self.ticks)
        self.patience = ReconciliationTiming(helpers.QUIET)
        self.ticks, self.stream_since = 0.0, 0.0
        self.clock_is_off = timedelta(0)
        self.is_stream_alive = True
        self.posted_at: dict[str, float] = {}
        self.told: set[str] = set()
        self.gone: dict[int, float] = {}
        self.left: set[int] = set()
        self.audiences: dict[int, set[int]] = {}
        with self.database.transaction() as session:
            mailing_list = a_list(session, slug=f"world-{next(_number)}")
            self.readers = subscriptions(session, mailing_list, READERS)
            self.list_id = mailing_list.id

    @property
    def sends(self) -> list[int]:
        return list(self.audiences)

    def clock(self) -> datetime:
        return NOON + timedelta(seconds=self.ticks) + self.clock_is_off

    def let_the_clock_jump(self, by: timedelta) -> None:
        """The clock is set back or forward, and a worker notices it."""
        before = self.clock()
        self.clock_is_off += by
        with self.database.transaction() as session:
            restart_watch(session, self.patience, before=before, now=self.clock())

    def plan(self, undo: timedelta) -> None:
        with self.database.transaction() as session:
            day = NOON + timedelta(days=len(self.sends))
            mailing_list = session.get_one(MailingList, self.list_id)
            edition = a_plain_edition(session, mailing_list, now=day)
            terms = Planned(BATCH, undo_period=undo, max_delay=timedelta(days=9999))
            sent = plan_send(session, edition, terms, now=self.clock())
            assert sent is not None
            self.audiences[sent.id] = set(self.readers) - self.left

    def deliver(self) -> int:
        """One run of a worker; returns how many sends it found."""
        with self.database.reading() as session:
            ready = list_deliverable_sends(session, now=self.clock())
        for send_id in ready:
            deliver_send(self.context, send_id)
        self.record_posts()
        return len(ready)

    def fall_asleep(self, *, after_posting: bool) -> SleepingWorker | None:
        """A worker claims a batch, perhaps posts it, and then sleeps."""
        for send_id in self.sends:
            with self.database.transaction() as session:
                lease_id = leases.begin_lease(session, send_id, now=self.clock())
                terms = ClaimTerms(lease_id, helpers.LEASE)
                taken = claim_batch(session, send_id, terms, now=self.clock())
            if isinstance(taken, ClaimedBatch):
                if after_posting:
                    FakeMailer.post(self.mailer, self._request(taken))
                    self.record_posts()
                return SleepingWorker(taken, self.ticks, after_posting)
        return None

    def wake(self, sleeper: SleepingWorker) -> None:
        """The worker goes on: it posts where it thinks that safe, and records the result."""
        safe = self.ticks - sleeper.since < helpers.LEASE.total_seconds() * SAFE_PART_OF_LEASE
        if not sleeper.has_posted and safe:
            FakeMailer.post(self.mailer, self._request(sleeper.taken))
            self.record_posts()
        with self.database.transaction() as session:
            if sleeper.has_posted or safe:
                outcomes.record_accepted(session, sleeper.taken, None, now=self.clock())
            else:
                late = outcomes.WorkerTooLate("too late")
                outcomes.record_failed(session, sleeper.taken, late, now=self.clock())

    def record_posts(self) -> None:
        """Record when each request was accepted, and that no copy went to a former subscriber."""
        for attempt, _, copies in self.mailer.posted:
            if attempt in self.posted_at:
                continue
            self.posted_at[attempt] = self.ticks
            for copy in copies:
                reader = int(copy.custom_args["nif_d"].partition(".")[2])
                late = self.ticks - self.gone.get(reader, self.ticks)
                assert late <= STOPPED_WITHIN, f"{reader} had left {late} s before"

    def report_events(self, attempts: list[str], *, times: int = 1) -> None:
        """Events about these attempts come in, perhaps more than once."""
        self.told.update(attempts)
        events = [helpers.sendgrid_event(attempt, at=self.clock()) for attempt in attempts * times]
        helpers.post_events(self.database, *events, now=self.clock())

    def let_time_pass_by(self, seconds: float) -> None:
        """Time passes; the provider reports in time all that it accepted.

        While a batch awaits proof a worker posts canaries, of which one hears where events come in.
        """
        end = self.ticks + seconds
        while self._post_canary() and self.ticks + CANARY_SECONDS < end:
            self.ticks += CANARY_SECONDS
        self.ticks = end
        due = [
            attempt
            for attempt, at in self.posted_at.items()
            if attempt not in self.told and self.ticks - max(at, self.stream_since) >= HEARD_WITHIN
        ]
        if self.is_stream_alive:
            self.report_events(due)

    def _post_canary(self) -> bool:
        """Post a canary where one is due; does a batch await proof?"""
        awaits_proof = select(Batch.id).where(Batch.state == BatchState.AWAITING_PROOF).limit(1)
        with self.database.reading() as session:
            if session.scalar(awaits_proof) is None:
                return False
        every = timedelta(seconds=CANARY_SECONDS)
        message = write_canary("NIF", "news@example.com")
        raises, self.mailer.raises = self.mailer.raises, deque()
        post_canary_if_due(
            *(self.database.transaction, self.mailer, message, "news@example.com"),
            every=every,
            clock=self.clock,
        )
        self.mailer.raises = raises
        marks, self.mailer.canaries = self.mailer.canaries, []
        if self.is_stream_alive and marks:
            events = [helpers.sendgrid_event(m, nif_c="1", at=self.clock()) for m in marks]
            helpers.post_events(self.database, *events, now=self.clock())
        return True

    def reconcile(self) -> None:
        reconcile_batches(
            self.database.transaction, self.mailer, self.watch, self.patience, now=self.clock()
        )

    def mailed(self) -> Counter[tuple[int, int]]:
        """How often each subscriber of each send was mailed, by the provider's record."""
        marks = (
            copy.custom_args["nif_d"] for _, _, copies in self.mailer.posted for copy in copies
        )
        return Counter(
            (int(send), int(reader)) for send, _, reader in (m.partition(".") for m in marks)
        )

    def unfinished(self) -> list[int]:
        over = (SendState.FINISHED, SendState.CANCELLED)
        with self.database.reading() as session:
            query = select(Send.id).where(Send.id.in_(self.sends), Send.state.not_in(over))
            return list(session.scalars(query))

    def check(self) -> None:
        """Nobody was mailed twice, and the database agrees with the provider."""
        mailed = self.mailed()
        assert not [one for one, times in mailed.items() if times > 1]
        for send_id in self.sends:
            assert certify_send(self.database, send_id, now=self.clock()).contradictions == []

    def check_the_end(self) -> None:
        mailed = self.mailed()
        for send_id in self.sends:
            with self.database.reading() as session:
                fates = {
                    one.subscriber_id: one.status
                    for one in stream_delivery_statuses(session, send_id)
                }
            assert set(fates) == self.audiences[send_id]
            for reader, fate in fates.items():
                assert mailed[send_id, reader] == (fate == "accepted"), (send_id, reader, fate)

    def _request(self, taken: ClaimedBatch) -> BatchRequest:
        with self.database.reading() as session:
            message = session.get_one(Send, taken.send_id).edition.as_message()
        make = make_personalizer(
            (taken.send_id, self.list_id), self.context.links, self.context.tokens
        )
        return self.mailer.build_request(
            message, make(taken.subscribers, taken.started_at), attempt=taken.attempt_id
        )
