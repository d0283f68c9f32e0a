"""The worker: its jobs, how often they run, and what wakes them.

Each job asks the database what is due, so any number of workers may run all of them. The scheduler
only ticks and the queue only wakes a job sooner; neither decides what is due. A job keeps nothing
between two runs.
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
from nif.imports.files import delete_import_file
from nif.imports.imports import detach_expired_files
from nif.imports.runner import ImportContext, find_due_import, run_due_imports
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

log = structlog.get_logger(__name__)

Job = Callable[[], None]

WAKE_UP_LOST_AFTER = 30.0
"""Seconds after which a wake-up through the queue counts as lost."""

PERIODIC_JOBS = (
    ("process_signups", timedelta(seconds=2)),
    ("send_transactional_emails", timedelta(seconds=2)),
    ("publish_due_stories", timedelta(seconds=5)),
    ("make_due_digests", timedelta(seconds=5)),
    ("plan_correction_sends", timedelta(seconds=5)),
    ("start_deliveries", timedelta(seconds=2)),
    ("process_events", timedelta(seconds=2)),
    ("reconcile_batches", timedelta(seconds=5)),
    ("start_renditions", timedelta(seconds=5)),
    ("start_imports", timedelta(seconds=2)),
    ("watch_signups", timedelta(seconds=30)),
    ("advance_repermission", timedelta(seconds=5)),
    ("index_addresses", timedelta(minutes=1)),
    ("pull_suppressions", timedelta(minutes=10)),
    ("push_suppressions", timedelta(seconds=15)),
    ("delete_expired", timedelta(hours=1)),
    ("run_retention", timedelta(minutes=30)),
    ("sign_checkpoint", timedelta(hours=1)),
)
"""The worker's methods that run periodically, and their intervals."""

QUEUED_JOBS = (
    "send_transactional_emails",
    "start_deliveries",
    "deliver_send",
    "process_events",
    "make_renditions",
    "run_imports",
)
"""The worker's methods that other processes wake through the queue."""


class Worker:
    """The jobs of one worker process. `stopping` ends deliveries and imports after their batch."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.stopping = threading.Event()
        self._delivery_locks: dict[int, threading.Lock] = {}
        self._woken_at: dict[int, float] = {}
        self._lease_watch = leases.LeaseWatch(services.settings.send_lease)
        self._import_lock = threading.Lock()

    def process_signups(self) -> None:
        """Process the queued sign-ups. Their mails go out with the next run of that job."""
        requests.process_signups(
            self.services.database.transaction, self.services.mail_writer, clock=utc_now
        )

    def watch_signups(self) -> None:
        """Switch attack mode on or off, and release some held sign-ups."""
        with self.services.database.transaction() as session:
            requests.watch_for_attack(session, self.services.mail_writer, now=utc_now())
            held.trickle_held_signups(session, now=utc_now())

    def send_transactional_emails(self) -> None:
        send_transactional_emails(
            self.services.database.transaction, self.services.mailer, clock=utc_now
        )

    def publish_due_stories(self) -> None:
        """Publish the scheduled stories that are due, each in its own transaction."""
        with self.services.database.reading() as session:
            due = list_due_stories(session, now=utc_now())
        for story_id in due:
            with self.services.database.transaction() as session:
                story = get_story(session, story_id, lock=True)
                revision = publish_scheduled_story(session, story, now=utc_now())
            log.info("scheduled story processed", story=story_id, published=revision is not None)

    def make_due_digests(self) -> None:
        self.make_digests_until(utc_now())

    def make_digests_until(self, now: datetime) -> list[dict[str, Any]]:
        """Make the digest of every slot due by `now`; returns what became of each.

        An error with one list does not affect the others.
        """
        with self.services.database.reading() as session:
            slugs = [mailing_list.slug for mailing_list in all_lists(session)]
        results: list[dict[str, Any]] = []
        for slug in slugs:
            try:
                results += self._make_digests_of_list(slug, now)
            except Exception:
                log.exception("digest could not be made", list=slug)
        return results

    def plan_correction_sends(self) -> None:
        """Plan the sends of serious corrections, each note in its own transaction."""
        now = utc_now()
        with self.services.database.reading() as session:
            due = correction_sends.list_notes_to_mail(session, now=now)
        for note_id in due:
            try:
                with self.services.database.transaction() as session:
                    sends = correction_sends.plan_correction_sends(
                        session,
                        note_id,
                        self.services.mail_writer,
                        self.services.manual_send_terms,
                        now=now,
                    )
            except Exception:
                log.exception("correction could not be planned", note=note_id)
                continue
            for send in sends:
                log.info(
                    "correction send planned", note=note_id, send=send.id, audience=send.audience
                )

    def start_deliveries(self) -> None:
        """Have every send delivered that has a batch to post.

        Through the queue, so that this short job is not held up; if the queue is broken, here.
        """
        with self.services.database.reading() as session:
            deliverable = list_deliverable_sends(session, now=utc_now())
        for send_id in deliverable:
            if self._is_being_delivered(send_id):
                continue
            self._woken_at[send_id] = time.monotonic()
            if not self.services.queue.wake("deliver_send", send_id):
                self.deliver_send(send_id)

    def deliver_send(self, send_id: int) -> None:
        """Deliver a send, unless this process is delivering it already."""
        self._woken_at.pop(send_id, None)
        lock = self._delivery_lock(send_id)
        if lock.acquire(blocking=False):
            try:
                deliver_send(
                    replace(self.services.delivery_context, stopping=self.stopping), send_id
                )
            finally:
                lock.release()

    def process_events(self) -> None:
        """Process all event posts that the webhook has stored."""
        while True:
            with self.services.database.transaction() as session:
                if not provider_events.process_next_event_post(session, now=utc_now()):
                    return

    def reconcile_batches(self) -> None:
        reconcile_batches(
            self.services.database.transaction,
            self.services.mailer,
            self._lease_watch,
            self.services.reconciliation_timing,
            now=utc_now(),
        )

    def start_renditions(self) -> None:
        """Have missing renditions made through the queue: it takes longer than a tick."""
        if self.services.database.fetch_value(select_due_picture(now=utc_now())) is None:
            return
        if not self.services.queue.wake("make_renditions"):
            self.make_renditions()

    def make_renditions(self) -> None:
        make_due_renditions(
            self.services.database.transaction, self.services.storage, clock=utc_now
        )

    def start_imports(self) -> None:
        """Have due imports run through the queue: it takes longer than a tick."""
        with self.services.database.reading() as session:
            if find_due_import(session, now=utc_now()) is None:
                return
        if not self._import_lock.locked() and not self.services.queue.wake("run_imports"):
            self.run_imports()

    def run_imports(self) -> None:
        """Run the due imports, unless this process is running them already."""
        context = ImportContext(
            self.services.database.transaction,
            self.services.settings.imports,
            utc_now,
            self.stopping,
        )
        if self._import_lock.acquire(blocking=False):
            try:
                run_due_imports(context)
            finally:
                self._import_lock.release()

    def advance_repermission(self) -> None:
        """Unsubscribe non-responders; refresh the counts of answers, campaign by campaign."""
        now = utc_now()
        with self.services.database.reading() as session:
            unsubscribing = sunset_policy.list_unsubscribing_campaigns(session)
        for campaign_id in unsubscribing:
            sunset_policy.unsubscribe_nonresponders(
                self.services.database.transaction, campaign_id, now=now
            )
        with self.services.database.reading() as session:
            due = repermission.list_campaigns_to_recount(session, now=now)
        for campaign_id in due:
            with self.services.database.transaction() as session:
                repermission.recount_campaign_answers(
                    session, session.get_one(RepermissionCampaign, campaign_id), now=now
                )

    def index_addresses(self) -> None:
        """Add new subscribers to the address index."""
        index_new_addresses(self.services.database.transaction, now=utc_now())

    def pull_suppressions(self) -> None:
        """Once a day, copy the provider's own suppression lists."""
        pull_suppressions_if_due(
            self.services.database.transaction, self.services.mailer, now=utc_now()
        )

    def push_suppressions(self) -> None:
        """Push new and lifted suppressions to the provider."""
        push_suppressions_if_due(
            self.services.database.transaction, self.services.mailer, clock=utc_now
        )

    def delete_expired(self) -> None:
        """Delete used proofs of work, old sign-up counts, and expired import files."""
        now = utc_now()
        with self.services.database.transaction() as session:
            proof_of_work.delete_expired_proofs(session, now=now)
            attack_mode.delete_old_signup_counts(session, now=now)
            names = detach_expired_files(session, now=now)
        for name in names:
            delete_import_file(self.services.settings.imports, name)
        # Until it is truncated, SQLite's write-ahead log still contains deleted rows.
        self.services.database.truncate_wal()

    def run_retention(self) -> None:
        """Once a day, delete or shorten the data whose retention period has ended."""
        counts = run_retention_if_due(
            self.services.database.transaction, self.services.retention_periods, now=utc_now()
        )
        if counts and any(counts.values()):
            log.info("retention finished", **counts)

    def sign_checkpoint(self) -> None:
        """Sign a checkpoint of the ledger if it has grown."""
        settings, now = self.services.settings, utc_now()
        with self.services.database.transaction() as session:
            may_make_key = not settings.in_production
            create_checkpoint(session, settings.ledger_key, may_make_key=may_make_key, now=now)

    def _make_digests_of_list(self, slug: str, now: datetime) -> list[dict[str, Any]]:
        results = []
        with self.services.database.transaction() as session:
            mailing_list = get_list(session, slug)
            for slot in list_due_slots(session, mailing_list, now=now):
                edition = make_digest_of_slot(
                    session, mailing_list, slot, self.services.mail_writer, now=now
                )
                if edition is None:
                    continue
                send = None
                if edition.state is EditionState.FROZEN:
                    # A digest may be made ahead of its slot; the send still starts by real time.
                    started_at = min(now, utc_now())
                    send = plan_send(session, edition, self.services.send_terms, now=started_at)
                results.append(
                    {
                        "list": slug,
                        "slot": slot.day,
                        "state": edition.state.value,
                        "audience": send.audience if send else 0,
                    }
                )
        for result in results:
            log.info("digest slot processed", **result)
        return results

    def _is_being_delivered(self, send_id: int) -> bool:
        """True if this process is delivering the send, or has just woken the queue for it."""
        woken_at = self._woken_at.get(send_id, -WAKE_UP_LOST_AFTER)
        was_woken = time.monotonic() - woken_at < WAKE_UP_LOST_AFTER
        return self._delivery_lock(send_id).locked() or was_woken

    def _delivery_lock(self, send_id: int) -> threading.Lock:
        return self._delivery_locks.setdefault(send_id, threading.Lock())


def run_worker(services: Services) -> None:
    """Run the scheduler and the queue until the process is told to stop."""
    worker = Worker(services)
    tune_garbage_collector()
    services.queue.handlers.update({name: getattr(worker, name) for name in QUEUED_JOBS})
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
    log.info("worker started")
    try:
        # SIGTERM lets requests under way finish; a harder kill is survived by the database's rows.
        StoppableConsumer(
            services.queue.huey, worker.stopping, workers=4, periodic=False, graceful_signal="TERM"
        ).run()
    finally:
        scheduler.shutdown()


def tune_garbage_collector() -> None:
    """Make Python's cyclic garbage collector run rarely, and skip the objects made at start-up.

    Making the copies of a batch creates no reference cycles, yet collecting took a sixth of a
    send's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


class StoppableConsumer(Consumer):  # type: ignore[misc]
    """Sets `stopping` before it waits for its threads, so that they claim no further batch."""

    def __init__(self, huey: Huey, stopping: threading.Event, **options: Any) -> None:
        super().__init__(huey, initial_delay=0.05, **options)
        self._stopping = stopping

    def stop(self, graceful: bool = False) -> None:
        self._stopping.set()
        super().stop(graceful=graceful)


def _logging_failures(name: str, job: Job) -> Job:
    """A job that logs its exception instead of raising it: the next run tries again."""

    def run() -> None:
        try:
            job()
        except Exception:
            log.exception("job failed", job=name)

    return run
