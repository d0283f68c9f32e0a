"""The jobs. Each asks the database what is due, so that any number of workers may run them all."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from nif.clock import utc_now
from nif.editions.composing import due_slots, keep_slot
from nif.editions.models import EditionState
from nif.importing import claiming
from nif.importing.running import Bench, work
from nif.jobs.rounds import Rounds
from nif.ledger.checkpointing import checkpoint
from nif.mail.posting import post_letters
from nif.media.preparing import due, prepare
from nif.parts import Parts
from nif.sends import correcting, feedback, leasing
from nif.sends.delivering import deliver
from nif.sends.planning import plan
from nif.sends.reading import deliverable_sends
from nif.sends.reconciling import reconcile
from nif.stories.drafting import get_story
from nif.stories.reviewing import due_stories, publish_due
from nif.subscriptions.reading import all_lists, get_list

log = structlog.get_logger(__name__)

WAKE_AGAIN_AFTER = 30.0
"""Seconds after which a wake-up counts as lost."""

Job = Callable[[], None]


class Worker(Rounds):
    """The jobs over one set of parts, and how they are set going."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._delivering: dict[int, threading.Lock] = {}
        self._woken: dict[int, float] = {}
        self._watch = leasing.Watch(parts.settings.send_lease)
        self.stopping = threading.Event()
        self._importing = threading.Lock()
        folder = parts.settings.imports
        self._bench = Bench(parts.database.transaction, folder, utc_now, self.stopping)

    def letters(self) -> None:
        post_letters(self._parts.database.transaction, self._parts.mailer, clock=utc_now)

    def stories(self) -> None:
        """Publish what is scheduled and due, each in a transaction of its own."""
        with self._parts.database.reading() as session:
            due = due_stories(session, now=utc_now())
        for story_id in due:
            with self._parts.database.transaction() as session:
                story = get_story(session, story_id, lock=True)
                revision = publish_due(session, story, now=utc_now())
            log.info("a story's time came", story=story_id, published=revision is not None)

    def digests(self) -> None:
        self.keep_slots(utc_now())

    def keep_slots(self, now: datetime) -> list[dict[str, Any]]:
        """Keep every slot that has come by `now`; returns what became of each.

        One list's trouble is not another's.
        """
        with self._parts.database.reading() as session:
            slugs = [mailing_list.slug for mailing_list in all_lists(session)]
        kept: list[dict[str, Any]] = []
        for slug in slugs:
            try:
                kept += self._keep_slots_of(slug, now)
            except Exception:
                log.exception("a digest could not be made", list=slug)
        return kept

    def corrections(self) -> None:
        """Mail what was seriously wrong to those who had it, each note in its own transaction."""
        now = utc_now()
        with self._parts.database.reading() as session:
            due = correcting.notes_to_mail(session, now=now)
        for note_id in due:
            try:
                with self._parts.database.transaction() as session:
                    made = correcting.mail_note(
                        session, note_id, self._parts.desk, self._parts.terms_by_hand, now=now
                    )
            except Exception:
                log.exception("a correction could not be mailed", note=note_id)
                continue
            for send in made:
                log.info("a correction goes out", note=note_id, send=send.id, to=send.audience)

    def sends(self) -> None:
        """Have every send delivered of which something can be posted.

        By way of the queue, so that a short tick is never held up; where the queue is broken, here
        and now.
        """
        with self._parts.database.reading() as session:
            ready = deliverable_sends(session, now=utc_now())
        for send_id in ready:
            if self._is_at_it(send_id):
                continue
            self._woken[send_id] = time.monotonic()
            if not self._parts.queue.wake("deliver", send_id):
                self.deliver(send_id)

    def deliver(self, send_id: int) -> None:
        """Deliver a send, unless this process is at it already."""
        self._woken.pop(send_id, None)
        lock = self._lock(send_id)
        if lock.acquire(blocking=False):
            try:
                deliver(replace(self._parts.courier, stopping=self.stopping), send_id)
            finally:
                lock.release()

    def _is_at_it(self, send_id: int) -> bool:
        """Is the send under way in this process, or was the queue asked for it just now?"""
        woken = self._woken.get(send_id, -WAKE_AGAIN_AFTER)
        return self._lock(send_id).locked() or time.monotonic() - woken < WAKE_AGAIN_AFTER

    def events(self) -> None:
        """Empty the webhook's tray."""
        while True:
            with self._parts.database.transaction() as session:
                if not feedback.process(session, now=utc_now()):
                    return

    def reconcile(self) -> None:
        reconcile(
            self._parts.database.transaction,
            self._parts.mailer,
            self._watch,
            self._parts.patience,
            now=utc_now(),
        )

    def pictures(self) -> None:
        """Have the queue make the files that pictures lack: it takes longer than a tick."""
        if self._parts.database.look_up(due(now=utc_now())) is None:
            return
        if not self._parts.queue.wake("prepare"):
            self.prepare()

    def prepare(self) -> None:
        prepare(self._parts.database.transaction, self._parts.storage, clock=utc_now)

    def imports(self) -> None:
        """Have the queue do what is to be done on imports: it takes longer than a tick."""
        with self._parts.database.reading() as session:
            if claiming.due(session, now=utc_now()) is None:
                return
        if not self._importing.locked() and not self._parts.queue.wake("run_imports"):
            self.run_imports()

    def run_imports(self) -> None:
        """Unless this process is at it already."""
        if self._importing.acquire(blocking=False):
            try:
                work(self._bench)
            finally:
                self._importing.release()

    def checkpoint(self) -> None:
        """Sign the ledger where it has grown."""
        settings, now = self._parts.settings, utc_now()
        with self._parts.database.transaction() as session:
            may_make = not settings.in_production
            checkpoint(session, settings.ledger_key, may_make_key=may_make, now=now)

    def _keep_slots_of(self, slug: str, now: datetime) -> list[dict[str, Any]]:
        kept = []
        with self._parts.database.transaction() as session:
            mailing_list = get_list(session, slug)
            for slot in due_slots(session, mailing_list, now=now):
                edition = keep_slot(session, mailing_list, slot, self._parts.desk, now=now)
                if edition is None:
                    continue
                send = None
                if edition.state is EditionState.FROZEN:
                    # A slot may be kept ahead of its time; its send begins by the real clock.
                    begun_at = min(now, utc_now())
                    send = plan(session, edition, self._parts.terms, now=begun_at)
                kept.append(
                    {
                        "list": slug,
                        "slot": slot.day,
                        "state": edition.state.value,
                        "audience": send.audience if send else 0,
                    }
                )
        for one in kept:
            log.info("a slot came", **one)
        return kept

    def _lock(self, send_id: int) -> threading.Lock:
        return self._delivering.setdefault(send_id, threading.Lock())
