"""The jobs. Each asks the database what is due, so that any number of workers may run them all.

What is done about readers, round by round: each is short, and keeps nothing between two.

What sets the jobs going. The scheduler ticks and the queue wakes; neither decides anything.
"""

import gc
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from huey import Huey
from huey.consumer import Consumer

from nif.clock import utc_now
from nif.editions.digest import list_due_slots, make_digest_of_slot
from nif.editions.models import EditionState
from nif.imports import imports, runner
from nif.imports.files import delete_import_file
from nif.imports.runner import ImportContext, run_due_imports
from nif.ledger.checkpoints import create_checkpoint
from nif.mail.transactional import send_transactional_emails
from nif.media.renditions import make_due_renditions, select_due_picture
from nif.privacy.retention import run_retention_if_due
from nif.sends import correction_sends, leases, provider_events, repermission
from nif.sends.delivery import deliver_send
from nif.sends.planning import plan_send
from nif.sends.reconciliation import reconcile_batches
from nif.sends.repermission import RepermissionCampaign
from nif.sends.reports import list_deliverable_sends
from nif.sends.suppression_sync import pull_suppressions_if_due, push_suppressions_if_due
from nif.services import Services
from nif.signups import attack_mode, held, proof_of_work, requests
from nif.stories.drafts import get_story
from nif.stories.review import list_due_stories, publish_scheduled_story
from nif.subscribers import sunset_policy
from nif.subscribers.address_index import index_new_addresses
from nif.subscriptions.lists import all_lists, get_list

subscriber_jobs_log = structlog.get_logger(__name__)


class SubscriberJobs:
    """The jobs that need no more than the parts."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def sign_ups(self) -> None:
        """Answer what was asked for at the doors; the letters go with the next tick of theirs."""
        requests.process_signups(
            self._services.database.transaction, self._services.mail_writer, clock=utc_now
        )

    def doors(self) -> None:
        """Have them ask for proof while unusually many come, and answer who could give none."""
        with self._services.database.transaction() as session:
            requests.watch_for_attack(session, self._services.mail_writer, now=utc_now())
            held.trickle_held_signups(session, now=utc_now())

    def askings(self) -> None:
        """Let go who did not answer, and count anew who did, each asking by itself."""
        now = utc_now()
        with self._services.database.reading() as session:
            silent = sunset_policy.list_unsubscribing_campaigns(session)
        for asking_id in silent:
            sunset_policy.unsubscribe_nonresponders(
                self._services.database.transaction, asking_id, now=now
            )
        with self._services.database.reading() as session:
            due = repermission.list_campaigns_to_recount(session, now=now)
        for asking_id in due:
            with self._services.database.transaction() as session:
                repermission.recount_campaign_answers(
                    session, session.get_one(RepermissionCampaign, asking_id), now=now
                )

    def suppressions(self) -> None:
        """Once a day, mirror the provider's own lists of whom it mails no more."""
        pull_suppressions_if_due(
            self._services.database.transaction, self._services.mailer, now=utc_now()
        )

    def tell(self) -> None:
        """Tell the provider whom the house mails no more, and whom it mails again."""
        push_suppressions_if_due(
            self._services.database.transaction, self._services.mailer, clock=utc_now
        )

    def addresses(self) -> None:
        """Make those who came since findable by parts of their address."""
        index_new_addresses(self._services.database.transaction, now=utc_now())

    def forget(self) -> None:
        """Drop used proofs, old rates, and the files of imports that nobody needs any more."""
        now = utc_now()
        with self._services.database.transaction() as session:
            proof_of_work.delete_expired_proofs(session, now=now)
            attack_mode.delete_old_signup_counts(session, now=now)
            files = imports.detach_expired_files(session, now=now)
        for name in files:
            delete_import_file(self._services.settings.imports, name)
        # What was deleted stands in SQLite's log until somebody clears it.
        self._services.database.truncate_wal()

    def retain(self) -> None:
        """Once a day, let go what has had its time."""
        gone = run_retention_if_due(
            self._services.database.transaction, self._services.retention_periods, now=utc_now()
        )
        if gone and any(gone.values()):
            subscriber_jobs_log.info("what had its time is gone", **gone)


WAKE_UP_LOST_AFTER = 30.0
"""Seconds after which a wake-up counts as lost."""

Job = Callable[[], None]


class Worker(SubscriberJobs):
    """The jobs over one set of parts, and how they are set going."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._delivering: dict[int, threading.Lock] = {}
        self._woken: dict[int, float] = {}
        self._watch = leases.LeaseWatch(services.settings.send_lease)
        self.stopping = threading.Event()
        self._importing = threading.Lock()
        folder = services.settings.imports
        self._bench = ImportContext(services.database.transaction, folder, utc_now, self.stopping)

    def letters(self) -> None:
        send_transactional_emails(
            self._services.database.transaction, self._services.mailer, clock=utc_now
        )

    def stories(self) -> None:
        """Publish what is scheduled and due, each in a transaction of its own."""
        with self._services.database.reading() as session:
            due = list_due_stories(session, now=utc_now())
        for story_id in due:
            with self._services.database.transaction() as session:
                story = get_story(session, story_id, lock=True)
                revision = publish_scheduled_story(session, story, now=utc_now())
            subscriber_jobs_log.info(
                "a story's time came", story=story_id, published=revision is not None
            )

    def digests(self) -> None:
        self.keep_slots(utc_now())

    def keep_slots(self, now: datetime) -> list[dict[str, Any]]:
        """Keep every slot that has come by `now`; returns what became of each.

        One list's trouble is not another's.
        """
        with self._services.database.reading() as session:
            slugs = [mailing_list.slug for mailing_list in all_lists(session)]
        kept: list[dict[str, Any]] = []
        for slug in slugs:
            try:
                kept += self._keep_slots_of(slug, now)
            except Exception:
                subscriber_jobs_log.exception("a digest could not be made", list=slug)
        return kept

    def corrections(self) -> None:
        """Mail what was seriously wrong to those who had it, each note in its own transaction."""
        now = utc_now()
        with self._services.database.reading() as session:
            due = correction_sends.list_notes_to_mail(session, now=now)
        for note_id in due:
            try:
                with self._services.database.transaction() as session:
                    made = correction_sends.plan_correction_sends(
                        session,
                        note_id,
                        self._services.mail_writer,
                        self._services.manual_send_terms,
                        now=now,
                    )
            except Exception:
                subscriber_jobs_log.exception("a correction could not be mailed", note=note_id)
                continue
            for send in made:
                subscriber_jobs_log.info(
                    "a correction goes out", note=note_id, send=send.id, to=send.audience
                )

    def sends(self) -> None:
        """Have every send delivered of which something can be posted.

        By way of the queue, so that a short tick is never held up; where the queue is broken, here
        and now.
        """
        with self._services.database.reading() as session:
            ready = list_deliverable_sends(session, now=utc_now())
        for send_id in ready:
            if self._is_at_it(send_id):
                continue
            self._woken[send_id] = time.monotonic()
            if not self._services.queue.wake("deliver", send_id):
                self.deliver(send_id)

    def deliver(self, send_id: int) -> None:
        """Deliver a send, unless this process is at it already."""
        self._woken.pop(send_id, None)
        lock = self._lock(send_id)
        if lock.acquire(blocking=False):
            try:
                deliver_send(
                    replace(self._services.delivery_context, stopping=self.stopping), send_id
                )
            finally:
                lock.release()

    def _is_at_it(self, send_id: int) -> bool:
        """Is the send under way in this process, or was the queue asked for it just now?"""
        woken = self._woken.get(send_id, -WAKE_UP_LOST_AFTER)
        return self._lock(send_id).locked() or time.monotonic() - woken < WAKE_UP_LOST_AFTER

    def events(self) -> None:
        """Empty the webhook's tray."""
        while True:
            with self._services.database.transaction() as session:
                if not provider_events.process_next_event_post(session, now=utc_now()):
                    return

    def reconcile(self) -> None:
        reconcile_batches(
            self._services.database.transaction,
            self._services.mailer,
            self._watch,
            self._services.reconciliation_timing,
            now=utc_now(),
        )

    def pictures(self) -> None:
        """Have the queue make the files that pictures lack: it takes longer than a tick."""
        if self._services.database.fetch_value(select_due_picture(now=utc_now())) is None:
            return
        if not self._services.queue.wake("prepare"):
            self.prepare()

    def prepare(self) -> None:
        make_due_renditions(
            self._services.database.transaction, self._services.storage, clock=utc_now
        )

    def imports(self) -> None:
        """Have the queue do what is to be done on imports: it takes longer than a tick."""
        with self._services.database.reading() as session:
            if runner.find_due_import(session, now=utc_now()) is None:
                return
        if not self._importing.locked() and not self._services.queue.wake("run_imports"):
            self.run_imports()

    def run_imports(self) -> None:
        """Unless this process is at it already."""
        if self._importing.acquire(blocking=False):
            try:
                run_due_imports(self._bench)
            finally:
                self._importing.release()

    def checkpoint(self) -> None:
        """Sign the ledger where it has grown."""
        settings, now = self._services.settings, utc_now()
        with self._services.database.transaction() as session:
            may_make = not settings.in_production
            create_checkpoint(session, settings.ledger_key, may_make_key=may_make, now=now)

    def _keep_slots_of(self, slug: str, now: datetime) -> list[dict[str, Any]]:
        kept = []
        with self._services.database.transaction() as session:
            mailing_list = get_list(session, slug)
            for slot in list_due_slots(session, mailing_list, now=now):
                edition = make_digest_of_slot(
                    session, mailing_list, slot, self._services.mail_writer, now=now
                )
                if edition is None:
                    continue
                send = None
                if edition.state is EditionState.FROZEN:
                    # A slot may be kept ahead of its time; its send begins by the real clock.
                    begun_at = min(now, utc_now())
                    send = plan_send(session, edition, self._services.send_terms, now=begun_at)
                kept.append(
                    {
                        "list": slug,
                        "slot": slot.day,
                        "state": edition.state.value,
                        "audience": send.audience if send else 0,
                    }
                )
        for one in kept:
            subscriber_jobs_log.info("a slot came", **one)
        return kept

    def _lock(self, send_id: int) -> threading.Lock:
        return self._delivering.setdefault(send_id, threading.Lock())


PERIODIC_JOBS = (
    ("sign_ups", timedelta(seconds=2)),
    ("letters", timedelta(seconds=2)),
    ("stories", timedelta(seconds=5)),
    ("digests", timedelta(seconds=5)),
    ("corrections", timedelta(seconds=5)),
    ("sends", timedelta(seconds=2)),
    ("events", timedelta(seconds=2)),
    ("reconcile", timedelta(seconds=5)),
    ("pictures", timedelta(seconds=5)),
    ("imports", timedelta(seconds=2)),
    ("doors", timedelta(seconds=30)),
    ("askings", timedelta(seconds=5)),
    ("addresses", timedelta(minutes=1)),
    ("suppressions", timedelta(minutes=10)),
    ("tell", timedelta(seconds=15)),
    ("forget", timedelta(hours=1)),
    ("retain", timedelta(minutes=30)),
    ("checkpoint", timedelta(hours=1)),
)
"""What ticks, and how often. The queue wakes the same jobs sooner."""


def tune_garbage_collector() -> None:
    """Have Python look for garbage in circles seldom, and never among what was there at the start.

    Making the copies of a batch leaves none, and the looking took a sixth of a send's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def run_worker(services: Services) -> None:
    """Run the scheduler and the queue until the process is told to stop."""
    worker = Worker(services)
    tune_garbage_collector()
    services.queue.handlers.update(
        letters=worker.letters,
        sends=worker.sends,
        deliver=worker.deliver,
        events=worker.events,
        prepare=worker.prepare,
        run_imports=worker.run_imports,
    )
    scheduler = BackgroundScheduler(
        timezone=UTC,
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for name, every in PERIODIC_JOBS:
        scheduler.add_job(
            _logging_failures(name, getattr(worker, name)),
            "interval",
            seconds=every.total_seconds(),
        )
    scheduler.start()
    subscriber_jobs_log.info("the worker is at work")
    try:
        # SIGTERM lets what is under way settle; the ledger bears whatever is stronger.
        StoppableConsumer(
            services.queue.huey, worker.stopping, workers=4, periodic=False, graceful_signal="TERM"
        ).run()
    finally:
        scheduler.shutdown()


class StoppableConsumer(Consumer):  # type: ignore[misc]
    """Tells deliveries to claim no more before it waits for them."""

    def __init__(self, huey: Huey, stopping: threading.Event, **options: Any) -> None:
        super().__init__(huey, initial_delay=0.05, **options)
        self._stopping = stopping

    def stop(self, graceful: bool = False) -> None:
        self._stopping.set()
        super().stop(graceful=graceful)


def _logging_failures(name: str, job: Job) -> Job:
    """A job whose failure is noted and ends nothing: the next tick tries again."""

    def run() -> None:
        try:
            job()
        except Exception:
            subscriber_jobs_log.exception("a job failed", job=name)

    return run
