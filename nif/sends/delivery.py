"""Posting a send: one thread claims batches and builds requests, a few threads post them.

No transaction is open while a request is posted.
"""

import html
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event, Thread

from sqlalchemy import select
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from nif.database import Transaction
from nif.editions import messages
from nif.editions.models import Edition, EditionItem, EditionNote
from nif.links import Links
from nif.mail.message import Message, MessageCopy, Sender
from nif.mail.provider import BatchRequest, Fence, Mailer, NotAccepted, Uncertain
from nif.sends import circuit_breaker, leases, outcomes
from nif.sends.batches import ClaimedBatch, ClaimTerms, RetryLater, claim_batch
from nif.sends.journal import EditionSign, Journal, JournalEntry, JournalFailed
from nif.sends.leases import Heartbeat
from nif.sends.models import Batch, BatchState, Send
from nif.sends.repermission import AnswerLinks, answer_links_of_send
from nif.sends.send_quota import NO_SEND_LIMITS, SendLimits
from nif.sends.unknown_attempts import compare_with_journal
from nif.subscriptions.lifecycle import list_unsubscribe_headers
from nif.tokens import TokenPurpose, Tokens

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeliveryContext:
    """What delivering needs: the database, the provider, links and tokens, and the limits.

    Once `stopping` is set no more batches are claimed; requests in flight are settled. Nor are any
    while `may_claim` says no. With `fence_ahead` each attempt waits that long at the provider,
    where it can be recalled. Mail comes from `sender`, under the list's own name for it; without
    it, from the edition's own sender.
    """

    transaction: Transaction
    mailer: Mailer
    tokens: Tokens
    links: Links
    clock: Callable[[], datetime]
    sender: Sender | None = None
    concurrency: int = 8
    lease: timedelta = timedelta(seconds=90)
    limits: SendLimits = NO_SEND_LIMITS
    fence_ahead: timedelta | None = None
    journal: Journal | None = None
    stopping: Event = field(default_factory=Event)
    may_claim: Callable[[], bool] = lambda: True


SubscriberAddress = tuple[int, str]
"""The id and address of a subscriber."""

Personalizer = Callable[[Sequence[SubscriberAddress], datetime], list[MessageCopy]]
"""Makes the copies for some subscribers, given the time of their attempt."""


@dataclass(frozen=True)
class DeliveryRun:
    """One worker's work on one send: what all batches have in common, and the worker's lease."""

    context: DeliveryContext
    send_id: int
    message: Message
    personalize: Personalizer
    heartbeat: Heartbeat
    terms: ClaimTerms
    edition: EditionSign


RECORD_RETRY_SECONDS = (0.2, 1.0, 5.0)
"""Seconds between tries to record the result of a request."""

KEPT_RESULTS_RETRY_SECONDS = 5.0
"""The same for a result that is kept because all of those tries failed."""

DATABASE_FAILURES = (OperationalError, InterfaceError, InternalError, PoolTimeout)
"""The database cannot be reached or written now, or has no free connection."""

MAX_REQUEST_TIME = timedelta(seconds=35)
"""Five seconds to connect and thirty for the answer; a slower answer counts as none."""

MAX_STOP_TIME = timedelta(seconds=4)
"""How long a worker that stops waits for open requests. What is open then is uncertain."""

STOP_CHECK_SECONDS = 0.5

MAX_QUOTA_WAIT = timedelta(seconds=10)
"""The longest wait for the quota within a delivery; after that the worker's next tick retries."""

PendingPost = Future[str | None]
Answer = tuple[ClaimedBatch, str | BaseException | None]
"""What a request for a batch returned or raised."""


@dataclass(frozen=True)
class InFlightPost:
    claimed: ClaimedBatch
    overdue_at: float


def deliver_send(context: DeliveryContext, send_id: int) -> None:
    """Post what can be posted of a send now; return when nothing is left or it has to wait.

    Any number of workers may do this at once: a claimed batch belongs to one worker. Answers that
    came in are recorded even where the delivery fails with an error.
    """
    with context.transaction() as session:
        lease_id = leases.begin_lease(session, send_id, now=context.clock())
    heartbeat = Heartbeat(context.transaction, lease_id, context.lease, context.clock)
    try:
        with heartbeat:
            _run_delivery(_begin_run(context, send_id, heartbeat))
    finally:
        with context.transaction() as session:
            leases.end_lease(session, lease_id, was_used=heartbeat.was_used, now=context.clock())
    with context.transaction() as session:
        outcomes.finish_send_if_done(session, send_id, now=context.clock())


def _begin_run(context: DeliveryContext, send_id: int, heartbeat: Heartbeat) -> DeliveryRun:
    """Read what all batches of a send have in common."""
    with context.transaction() as session:
        send = session.get_one(Send, send_id)
        edition, answer_links = session.get_one(Edition, send.edition_id), None
        sign = _sign_of_edition(session, send)
        message = edition.as_message()
        if context.sender is not None:
            # The sender is not frozen: a wrong one would be refused for ever.
            message = message.sent_by(context.sender.under(send.mailing_list.sender_name))
        if edition.is_repermission:
            answer_links = answer_links_of_send(session, send, context.links, context.tokens)
    ids = send_id, send.list_id
    personalize = make_personalizer(ids, context.links, context.tokens, answer_links)
    sender = None if message.sender == edition.as_message().sender else str(message.sender)
    lease_id, version = heartbeat.lease_id, edition.version
    terms = ClaimTerms(lease_id, context.lease, context.limits, sender=sender, version=version)
    return DeliveryRun(context, send_id, message, personalize, heartbeat, terms, sign)


def _sign_of_edition(session: Session, send: Send) -> EditionSign:
    """What the journal holds of the edition of a send."""
    edition = send.edition
    items = select(EditionItem.story_id, EditionItem.revision_id).order_by(EditionItem.position)
    notes = select(EditionNote.note_id).where(EditionNote.edition_id == edition.id)
    return EditionSign(
        send.mailing_list.slug,
        edition.slot,
        edition.occasion,
        [(row[0], row[1]) for row in session.execute(items.filter_by(edition_id=edition.id))],
        session.scalars(notes.order_by(EditionNote.note_id)).all(),
    )


def make_personalizer(
    send: tuple[int, int], links: Links, tokens: Tokens, answer_links: AnswerLinks | None = None
) -> Personalizer:
    """A function that makes the copies of a send (its id and its list's) for some subscribers.

    What the copies have in common is computed once. The rest takes four microseconds a subscriber,
    most of it for the signatures of two links.
    """
    send_id, list_id = send
    unsubscribe = tokens.maker(TokenPurpose.UNSUBSCRIBE, list_id)
    preferences = tokens.maker(TokenPurpose.PREFERENCES)
    unsubscribe_at, preferences_at = links.unsubscribe(""), links.preferences("")
    delivery_prefix = f"{send_id}."

    def copy(subscriber: SubscriberAddress) -> MessageCopy:
        subscriber_id, address = subscriber
        unsubscribe_link = unsubscribe_at + unsubscribe(subscriber_id)
        return MessageCopy(
            address,
            {"nif_d": delivery_prefix + str(subscriber_id)},
            list_unsubscribe_headers(unsubscribe_link),
            {
                messages.UNSUBSCRIBE_PLACEHOLDER: unsubscribe_link,
                messages.PREFERENCES_PLACEHOLDER: preferences_at + preferences(subscriber_id),
                messages.READER_PLACEHOLDER: address,
                messages.READER_HTML_PLACEHOLDER: html.escape(address),
            },
        )

    def personalize(subscribers: Sequence[SubscriberAddress], at: datetime) -> list[MessageCopy]:
        copies = [copy(subscriber) for subscriber in subscribers]
        if answer_links is not None:
            # The link to answer a re-permission mail contains the time of the attempt.
            answer_link = answer_links(at)
            for (subscriber_id, _), personal in zip(subscribers, copies, strict=True):
                personal.substitutions[messages.ANSWER_PLACEHOLDER] = answer_link(subscriber_id)
        return copies

    return personalize


def _run_delivery(run: DeliveryRun) -> None:
    in_flight: dict[PendingPost, InFlightPost] = {}
    pool = ThreadPoolExecutor(run.context.concurrency, thread_name_prefix="post")
    try:
        _post_batches(run, pool, in_flight)
    finally:
        while in_flight:
            ended = _wait_for_ended_posts(in_flight, run.context.stopping)
            _record_results_with_retries(run.context, ended)
        pool.shutdown(wait=False)


def _post_batches(
    run: DeliveryRun, pool: ThreadPoolExecutor, in_flight: dict[PendingPost, InFlightPost]
) -> None:
    context, room = run.context, 1
    while True:
        retry = None
        while len(in_flight) < room and (claimed := _claim_next_batch(run)) is not None:
            if isinstance(claimed, RetryLater):
                retry = claimed
                break
            if request := _build_request(run, claimed):
                post = pool.submit(_post_request, run, claimed, request)
                overdue_at = time.monotonic() + MAX_REQUEST_TIME.total_seconds()
                in_flight[post] = InFlightPost(claimed, overdue_at)
        if in_flight:
            ended = _wait_for_ended_posts(in_flight, context.stopping)
            all_accepted = _record_results_with_retries(context, ended)
            # One batch is enough to find out whether mail is accepted, or a failure is over.
            room = context.concurrency if all_accepted else 1
            if any(post.cancelled() for post in ended):
                # No thread is free: answers that never end hold them. A new delivery has others.
                room = 0
        elif retry is None or not _wait_for_quota(context, retry):
            return


def _claim_next_batch(run: DeliveryRun) -> ClaimedBatch | RetryLater | None:
    """Claim the next batch, behind a fence where attempts have one; None where none may start."""
    context, heartbeat = run.context, run.heartbeat
    if context.stopping.is_set() or not heartbeat.is_safe() or not context.may_claim():
        return None
    try:
        fence = _request_fence(context, run.send_id)
    except (NotAccepted, Uncertain) as error:
        with context.transaction() as session:
            circuit_breaker.record_provider_failure(session, error, now=context.clock())
        return None
    used_before, heartbeat.was_used = heartbeat.was_used, True
    with context.transaction() as session:
        claimed = _compare_and_claim(session, run, fence)
    # Set only after the commit: a claim whose commit may have succeeded needs its lease.
    heartbeat.was_used = used_before or isinstance(claimed, ClaimedBatch)
    return claimed


def _compare_and_claim(
    session: Session, run: DeliveryRun, fence: Fence | None
) -> ClaimedBatch | RetryLater | None:
    """Claim the next batch; None, too, where the journal knows more than the database."""
    now, journal = run.context.clock(), run.context.journal
    try:
        if journal is not None and not compare_with_journal(session, journal, now=now):
            return None
    except JournalFailed as error:
        circuit_breaker.record_provider_failure(session, error, now=now)
        return None
    return claim_batch(session, run.send_id, run.terms, fence=fence, now=now)


def _request_fence(context: DeliveryContext, send_id: int) -> Fence | None:
    """A fence for the next attempt; None where attempts have none, or none may start."""
    if context.fence_ahead is None:
        return None
    planned = select(Batch.id).where(Batch.send_id == send_id, Batch.state == BatchState.PLANNED)
    with context.transaction() as session:
        breaker = circuit_breaker.read_breaker_state(session, now=context.clock())
        if not breaker.allows_posting or session.scalar(planned.limit(1)) is None:
            return None
    fence_id = context.mailer.create_fence()
    return Fence(fence_id, context.clock() + context.fence_ahead) if fence_id else None


def _build_request(run: DeliveryRun, claimed: ClaimedBatch) -> BatchRequest | None:
    """The request for a batch; None where some of its copies cannot be rendered.

    Subscribers whose copy fails are recorded, and the batch is planned again without them.
    """
    try:
        return _build_request_for(run, claimed, claimed.subscribers)
    except Exception as error:
        failures = []
        for subscriber in claimed.subscribers:
            try:
                _build_request_for(run, claimed, [subscriber])
            except Exception as own:
                failures.append((subscriber[0], type(own).__name__))
        if not failures:
            # Each copy alone can be rendered, so no single subscriber is at fault.
            name = type(error).__name__
            failures = [(subscriber_id, name) for subscriber_id, _ in claimed.subscribers]
        context = run.context
        with context.transaction() as session:
            outcomes.record_render_failures(session, claimed, failures, now=context.clock())
        return None


def _build_request_for(
    run: DeliveryRun, claimed: ClaimedBatch, subscribers: list[SubscriberAddress]
) -> BatchRequest:
    copies = run.personalize(subscribers, claimed.started_at)
    return run.context.mailer.build_request(
        run.message, copies, attempt=claimed.attempt_id, fence=claimed.fence
    )


def _wait_for_quota(context: DeliveryContext, retry: RetryLater) -> bool:
    """Wait until the quota allows more; False where that takes too long, or the worker stops."""
    wait_for = retry.retry_at - context.clock()
    if wait_for > MAX_QUOTA_WAIT:
        return False
    return not context.stopping.wait(max(0.0, wait_for.total_seconds()))


def _post_request(run: DeliveryRun, claimed: ClaimedBatch, request: BatchRequest) -> str | None:
    if run.context.journal is not None:
        run.context.journal.append(
            JournalEntry(
                claimed.attempt_id,
                claimed.send_id,
                run.edition,
                *claimed.id_range,
                request.size,
                claimed.started_at,
            )
        )
    if not run.heartbeat.is_safe():
        raise outcomes.WorkerTooLate("the worker was held up for too long to post safely")
    return run.context.mailer.post(request)


def _wait_for_ended_posts(
    in_flight: dict[PendingPost, InFlightPost], stopping: Event
) -> dict[PendingPost, ClaimedBatch]:
    """Wait until a request has ended or is overdue; remove and return those.

    An overdue request that has not begun is cancelled, and so is each one once the worker stops.
    """
    ended: list[PendingPost] = []
    while not ended:
        if stopping.is_set():
            _hurry(in_flight)
        soonest = min(each.overdue_at for each in in_flight.values()) - time.monotonic()
        wait(in_flight, max(0.0, min(soonest, STOP_CHECK_SECONDS)), FIRST_COMPLETED)
        now = time.monotonic()
        for post, each in in_flight.items():
            if each.overdue_at <= now:
                post.cancel()
            if post.done() or each.overdue_at <= now:
                ended.append(post)
    return {post: in_flight.pop(post).claimed for post in ended}


def _hurry(in_flight: dict[PendingPost, InFlightPost]) -> None:
    """The worker stops: cancel what has not begun, and give the rest little time."""
    latest = time.monotonic() + MAX_STOP_TIME.total_seconds()
    for post, each in in_flight.items():
        post.cancel()
        in_flight[post] = replace(each, overdue_at=min(each.overdue_at, latest))


def _record_results_with_retries(
    context: DeliveryContext, ended: Mapping[PendingPost, ClaimedBatch]
) -> bool:
    """Record how some attempts ended; True where all of them were accepted.

    The provider answers once, so a database that cannot be written is tried again: here at first,
    and then by a thread of its own for as long as the process lives.
    """
    # An answer that comes in later than it was due is another one.
    answers = [(claimed, _read_answer(post)) for post, claimed in ended.items()]
    for pause in (0.0, *RECORD_RETRY_SECONDS):
        time.sleep(pause)
        with suppress(*DATABASE_FAILURES):
            return _record_results(context, answers)
    log.warning("the results of %s requests cannot be recorded yet, and are kept", len(answers))
    keeper = Thread(target=_record_when_possible, args=(context, answers), daemon=True)
    keeper.name = "kept-results"
    keeper.start()
    return False


def _record_when_possible(context: DeliveryContext, answers: Sequence[Answer]) -> None:
    """Record results once the database takes them. Until then their batches are undecided at most,
    and a result that comes late settles them."""
    while True:
        time.sleep(KEPT_RESULTS_RETRY_SECONDS)
        with suppress(*DATABASE_FAILURES):
            _record_results(context, answers)
            log.info("the results of %s requests were recorded late", len(answers))
            return


def _read_answer(post: PendingPost) -> str | BaseException | None:
    """The provider's id for a batch that it accepted, or what was raised instead."""
    if not post.done():
        return Uncertain("no whole answer in time")
    if post.cancelled():
        return outcomes.WorkerTooLate("the request was never begun")
    return post.exception() or post.result()


def _record_results(context: DeliveryContext, answers: Sequence[Answer]) -> bool:
    all_accepted, now = True, context.clock()
    with context.transaction() as session:
        for claimed, answer in answers:
            if answer is None or isinstance(answer, str):
                outcomes.record_accepted(session, claimed, answer, now=now)
                continue
            all_accepted = False
            if isinstance(answer, NotAccepted | Uncertain):
                outcomes.record_failed(session, claimed, answer, now=now)
            else:
                outcomes.record_fault(session, claimed, answer, now=now)
    return all_accepted
