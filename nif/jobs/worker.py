"""The worker: its jobs, how often they run, and what wakes them.

Each job asks the database what is due, so any number of workers may run all of them. The scheduler
only ticks and the queue only wakes a job sooner; neither decides what is due. A job keeps nothing
between two runs.
"""

import gc
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from huey import Huey
from huey.consumer import Consumer

from nif.clock import SettledClock, utc_now
from nif.editions.digest import list_due_slots, make_digest_of_slot, reopen_slots
from nif.editions.models import EditionState
from nif.imports.imports import delete_import_file, detach_expired_files
from nif.imports.runner import ImportContext, run_due_imports
from nif.jobs import ticks
from nif.jobs.backoff import ConnectionBackoff, OncePerMinute, is_without_connection
from nif.jobs.clock_jumps import JumpFollower
from nif.ledger.checkpoints import create_checkpoint
from nif.mail.transactional import send_transactional_emails
from nif.media.renditions import make_due_renditions
from nif.privacy.retention import run_retention_if_due
from nif.sends import canaries, control, correction_sends, leases
from nif.sends.delivery import deliver_send
from nif.sends.planning import plan_send
from nif.sends.provider_events import process_next_event_post
from nif.sends.reconciliation import reconcile_batches
from nif.sends.reports import list_deliverable_sends, list_sends_to_pause
from nif.sends.suppression_sync import pull_suppressions_if_due, push_suppressions_if_due
from nif.sends.unknown_attempts import (
    compare_with_journal,
    has_unknown_attempts,
    tell_staff_of_unknown_attempts,
)
from nif.services import Services
from nif.signups import attack_mode, held
from nif.signups.requests import process_signups, watch_for_attack
from nif.stories.drafts import get_story
from nif.stories.publishing import list_due_stories, publish_scheduled_story
from nif.subscribers.segment_queries import index_new_addresses
from nif.subscribers.sunset_policy import advance_next_campaign
from nif.subscriptions.lists import all_lists, get_list

log = structlog.get_logger(__name__)

WAKE_UP_LOST_AFTER = 30.0
"""Seconds after which a wake-up through the queue counts as lost."""

MOST_SECONDS_TO_STOP = 8.0
"""After the signal to stop. By then deliveries have recorded how their requests ended."""

MINUTES, HOURS = 60, 60 * 60


class ClockNeed(StrEnum):
    """What a job needs of the clock.

    NOTHING: to run early, late or again does no harm. NO_JUMP: it waits for a minute after a jump,
    until no request is under way any more that was claimed by the clock before it. SETTLED: it
    does something for good because its time has come, so it waits for a minute after the start of
    the worker, too: the machine may have started with a wrong clock.
    """

    NOTHING = "nothing"
    NO_JUMP = "no_jump"
    SETTLED = "settled"


@dataclass(frozen=True)
class Job:
    """What a worker does every `seconds`, and when another process wakes it by its name.

    Without `seconds` it only does so when it is woken. `is_long` says that it may still be running
    at the next tick or wake-up, which then do nothing: in one process, one run at a time.
    """

    seconds: int | None
    run: Callable[..., object]
    is_long: bool = False
    clock: ClockNeed = ClockNeed.NOTHING


class Worker:
    """The jobs of one worker process. `stopping` ends deliveries and imports after their batch."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.stopping = threading.Event()
        self._woken_at: dict[int, float] = {}
        self._locks: defaultdict[tuple[str | int, ...], threading.Lock] = defaultdict(
            threading.Lock
        )
        self._lease_watch = leases.LeaseWatch(services.settings.send_lease)
        self.clock = SettledClock()
        self._jumps = JumpFollower(services, self.clock)
        self.backoff = ConnectionBackoff()
        self.jobs = self._all_jobs()

    def _all_jobs(self) -> dict[str, Job]:
        services, settings = self.services, self.services.settings
        transaction, mailer = services.database.transaction, services.mailer
        writer = services.mail_writer
        importing = ImportContext(transaction, settings.imports, utc_now, self.stopping)
        no_jump, settled = ClockNeed.NO_JUMP, ClockNeed.SETTLED
        return {
            "process_signups": Job(2, lambda: process_signups(transaction, writer, clock=utc_now)),
            "send_transactional_emails": Job(
                2,
                lambda: send_transactional_emails(
                    transaction, mailer, clock=utc_now, from_address=settings.mail_from
                ),
                clock=no_jump,
            ),
            "publish_due_stories": Job(5, self.publish_due_stories, clock=settled),
            "compare_with_journal": Job(5, self.is_database_current),
            "make_due_digests": Job(5, self.make_due_digests, clock=settled),
            "plan_correction_sends": Job(5, self.plan_correction_sends, clock=no_jump),
            "pause_withdrawn_sends": Job(2, self.pause_withdrawn_sends),
            "start_deliveries": Job(2, self.start_deliveries, clock=no_jump),
            "deliver_send": Job(None, self.deliver_send, is_long=True, clock=no_jump),
            "process_events": Job(2, lambda: self._repeat(process_next_event_post)),
            "reconcile_batches": Job(5, self.reconcile_batches),
            "post_canaries": Job(5, self.post_canary_if_due, is_long=True),
            "make_renditions": Job(
                5,
                lambda: make_due_renditions(transaction, services.storage, clock=utc_now),
                is_long=True,
            ),
            "run_imports": Job(2, lambda: run_due_imports(importing), is_long=True),
            "watch_signups": Job(30, self.watch_signups),
            "advance_repermission": Job(5, self.advance_campaigns, clock=settled),
            "index_addresses": Job(
                1 * MINUTES, lambda: index_new_addresses(transaction, now=utc_now())
            ),
            "pull_suppressions": Job(
                10 * MINUTES, lambda: pull_suppressions_if_due(transaction, mailer, now=utc_now())
            ),
            "push_suppressions": Job(
                15, lambda: push_suppressions_if_due(transaction, mailer, clock=utc_now)
            ),
            "delete_expired": Job(1 * HOURS, self.delete_expired, clock=settled),
            "run_retention": Job(30 * MINUTES, self.run_retention, clock=settled),
            "sign_checkpoint": Job(1 * HOURS, self.sign_checkpoint, clock=settled),
        }

    def run(self, name: str, *ids: int) -> None:
        """Run a job now, unless it is a long one that this process is running already."""
        job = self.jobs[name]
        lock = self._locks[name, *ids] if job.is_long else threading.Lock()
        if lock.acquire(blocking=False):
            try:
                job.run(*ids)
            finally:
                lock.release()

    def tick(self, name: str, *ids: int) -> None:
        """The same where clock and database allow it; the next tick tries again.

        An exception is logged, but not each one for lack of a connection.
        """
        if not (self.backoff.may_run(name) and self._has_clock_for(self.jobs[name])):
            return
        try:
            self.run(name, *ids)
        except Exception as error:
            if is_without_connection(error):
                self.backoff.record_failure(name, error)
            else:
                log.exception("job failed", job=name)
        else:
            self.backoff.record_success(name)

    def _log_unless_unconnected(self, error: Exception, message: str, **details: object) -> None:
        """Log the error of one of several things to do; without a connection the rest fails too."""
        if is_without_connection(error):
            raise error
        log.error(message, exc_info=error, **details)

    def _has_clock_for(self, job: Job) -> bool:
        # Read whatever the job needs: a clock that is not looked at notices no jump.
        now = self.clock.read(at_start=job.clock is ClockNeed.SETTLED)
        return now is not None or job.clock is ClockNeed.NOTHING

    def _repeat(self, step: Callable[..., bool]) -> None:
        """Do `step`, each time in its own transaction, until it returns False."""
        is_more = True
        while is_more:
            with self.services.database.transaction() as session:
                is_more = step(session, now=utc_now())

    def reconcile_batches(self) -> None:
        """Settle undecided batches. After the clock jumped, their quiet period begins again."""
        services = self.services
        self._jumps.follow()
        reconcile_batches(
            services.database.transaction,
            services.mailer,
            self._lease_watch,
            services.reconciliation_timing,
            now=utc_now(),
        )

    def post_canary_if_due(self) -> None:
        settings = self.services.settings
        canaries.post_canary_if_due(
            self.services.database.transaction,
            self.services.mailer,
            canaries.write_canary(settings.site_name, settings.mail_from),
            settings.canary_to or settings.mail_from,
            every=settings.canary_every,
            clock=utc_now,
        )

    def is_database_current(self) -> bool:
        """Does the database know all attempts? While it does not, staff are told of it, once."""
        services, now = self.services, utc_now()
        with services.database.transaction() as session:
            if services.journal is not None:
                compare_with_journal(session, services.journal, now=now)
            is_current = not has_unknown_attempts(session)
        if not is_current and tell_staff_of_unknown_attempts(
            services.database.transaction, services.mail_writer, now=now
        ):
            log.error("the database went back in time; nothing is sent until it is reconciled")
        return is_current

    def advance_campaigns(self) -> None:
        if not self.is_database_current():
            return
        while advance_next_campaign(self.services.database.transaction, now=utc_now()):
            pass

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
        """Make the digests that are due, once what a wrong clock recorded is corrected."""
        now = utc_now()
        try:
            self._correct_early_records(now)
        except Exception as error:
            self._log_unless_unconnected(
                error, "what a wrong clock recorded could not be corrected"
            )
        self.make_digests_until(now)

    def _correct_early_records(self, now: datetime) -> None:
        with self.services.database.transaction() as session:
            for send_id, undone in control.correct_early_sends(session, now=now).items():
                log.warning("a send had been planned ahead of time", send=send_id, undone=undone)
            for mailing_list in all_lists(session):
                for day in reopen_slots(session, mailing_list, now=now):
                    slug = mailing_list.slug
                    log.warning("a slot had been recorded ahead of time", list=slug, slot=day)

    def make_digests_until(self, now: datetime) -> list[dict[str, Any]]:
        """Make the digest of every slot due by `now`; returns what became of each.

        An error with one list does not affect the others. None is made where the database went
        back in time.
        """
        if not self.is_database_current():
            return []
        with self.services.database.reading() as session:
            slugs = [mailing_list.slug for mailing_list in all_lists(session)]
        results: list[dict[str, Any]] = []
        for slug in slugs:
            try:
                results += self._make_digests_of_list(slug, now)
            except Exception as error:
                self._log_unless_unconnected(error, "digest could not be made", list=slug)
        return results

    def plan_correction_sends(self) -> None:
        """Plan the sends of serious corrections, each note in its own transaction."""
        if not self.is_database_current():
            return
        now = utc_now()
        with self.services.database.reading() as session:
            due = correction_sends.list_notes_to_mail(session, now=now)
        for note_id in due:
            try:
                with self.services.database.transaction() as session:
                    sends = correction_sends.plan_correction_sends(
                        *(session, note_id, self.services.mail_writer),
                        self.services.manual_send_terms,
                        now=now,
                    )
            except Exception as error:
                self._log_unless_unconnected(error, "correction could not be planned", note=note_id)
                continue
            for send in sends:
                size = send.audience
                log.info("correction send planned", note=note_id, send=send.id, audience=size)

    def pause_withdrawn_sends(self) -> None:
        with self.services.database.reading() as session:
            if not list_sends_to_pause(session):
                return
        with self.services.database.transaction() as session:
            paused = control.pause_withdrawn_sends(session)
        for send_id in paused:
            log.warning("send paused: a story was withdrawn", send=send_id)

    def start_deliveries(self) -> None:
        """Have every send delivered that has a batch to post.

        Through the queue, so that several can be delivered at once; if the queue is broken, here.
        """
        with self.services.database.reading() as session:
            deliverable = list_deliverable_sends(session, now=utc_now())
        for send_id in deliverable:
            woken_at = self._woken_at.get(send_id, -WAKE_UP_LOST_AFTER)
            was_woken = time.monotonic() - woken_at < WAKE_UP_LOST_AFTER
            if was_woken or self._locks["deliver_send", send_id].locked():
                continue
            self._woken_at[send_id] = time.monotonic()
            if not self.services.queue.wake("deliver_send", send_id):
                self.run("deliver_send", send_id)

    def deliver_send(self, send_id: int) -> None:
        self._woken_at.pop(send_id, None)
        context = self.services.delivery_context
        deliver_send(
            replace(context, stopping=self.stopping, may_claim=self.may_claim_batches), send_id
        )

    def may_claim_batches(self) -> bool:
        return self.clock.read(at_start=False) is not None

    def watch_signups(self) -> None:
        with self.services.database.transaction() as session:
            watch_for_attack(session, self.services.mail_writer, now=utc_now())
            held.trickle_held_signups(session, now=utc_now())

    def delete_expired(self) -> None:
        now = utc_now()
        with self.services.database.transaction() as session:
            attack_mode.delete_expired_proofs(session, now=now)
            attack_mode.delete_old_signup_counts(session, now=now)
            canaries.delete_old_canaries(session, now=now)
            names = detach_expired_files(session, now=now)
        for name in names:
            delete_import_file(self.services.settings.imports, name)
        if self.services.journal is not None:
            self.services.journal.delete_old(now=now)
        # Until it is truncated, SQLite's write-ahead log still contains deleted rows.
        self.services.database.truncate_wal()

    def run_retention(self) -> None:
        counts = run_retention_if_due(
            self.services.database.transaction, self.services.retention_periods, now=utc_now()
        )
        if counts and any(counts.values()):
            log.info("retention finished", **counts)

    def sign_checkpoint(self) -> None:
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


def run_worker(services: Services) -> None:
    """Run the scheduler and the queue until the process is told to stop."""
    worker = Worker(services)
    tune_garbage_collector()
    services.queue.handler = worker.tick
    for name in ("Worker", "Scheduler"):
        logging.getLogger(f"huey.consumer.{name}").addFilter(OncePerMinute())
    scheduler = ticks.make_scheduler()
    for name, job in worker.jobs.items():
        if job.seconds is not None:
            # The second instance of a long job ends at once.
            most = 2 if job.is_long else 1
            scheduler.add_job(worker.tick, ticks.Every(job.seconds), [name], max_instances=most)
    worker.tick("compare_with_journal")
    scheduler.start()
    watch = ticks.JumpWatch(scheduler)
    watch.start()
    log.info("worker started")
    try:
        # SIGTERM lets requests under way finish; a harder kill is survived by the database's rows.
        StoppableConsumer(
            services.queue.huey, worker.stopping, workers=4, periodic=False, graceful_signal="TERM"
        ).run()
    finally:
        watch.stop()
        scheduler.shutdown()


def tune_garbage_collector() -> None:
    """Make Python's cyclic garbage collector run rarely, and skip the objects made at start-up.

    Making the copies of a batch creates no reference cycles, yet collecting took a sixth of a
    send's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def _end_process() -> None:
    """End at once, as a kill would: the database's rows survive that."""
    log.warning("worker ended with work under way")
    os._exit(0)


class StoppableConsumer(Consumer):  # type: ignore[misc]
    """Sets `stopping` before it waits for its threads, so that they claim no further batch."""

    def __init__(self, huey: Huey, stopping: threading.Event, **options: Any) -> None:
        super().__init__(huey, initial_delay=0.05, **options)
        self._stopping = stopping

    def stop(self, graceful: bool = False) -> None:
        self._stopping.set()
        # An answer that never ends would keep its thread, and the process with it.
        end = threading.Timer(MOST_SECONDS_TO_STOP, _end_process)
        end.daemon = True
        end.start()
        super().stop(graceful=graceful)
