"""Posting a send: one thread claims and packs, a few post, and no transaction is open meanwhile.

What delivering takes: the ledger, the provider, what links are made of, and one send's share.

Taking a send's next batch, behind a fence where there are fences, and packing its request.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.database import Transaction
from nif.editions.models import Edition
from nif.links import Links
from nif.mail.message import Message
from nif.mail.provider import BatchRequest, Fence, Mailer, NotAccepted, Uncertain
from nif.sends import circuit_breaker, leases, outcomes
from nif.sends.batches import ClaimedBatch, ClaimTerms, RetryLater, claim_batch
from nif.sends.leases import Heartbeat
from nif.sends.models import Batch, BatchState, Send
from nif.sends.personalization import Personalizer, SubscriberAddress, make_personalizer
from nif.sends.repermission import answer_links_of_send
from nif.sends.send_quota import NO_SEND_LIMITS, SendLimits
from nif.tokens import Tokens


@dataclass(frozen=True)
class DeliveryContext:
    """What it takes to deliver: the ledger, the provider, and what links are made of.

    Once `stopping` is set no batch is claimed any more; what is under way is settled. With
    `fence_ahead` each attempt waits so long at the provider, where it can be recalled.
    """

    transaction: Transaction
    mailer: Mailer
    tokens: Tokens
    links: Links
    clock: Callable[[], datetime]
    concurrency: int = 8
    lease: timedelta = timedelta(seconds=90)
    limits: SendLimits = NO_SEND_LIMITS
    fence_ahead: timedelta | None = None
    stopping: Event = field(default_factory=Event)


@dataclass(frozen=True)
class DeliveryRun:
    """A send in a courier's hands: what all its batches have in common, and the lease on it."""

    send_id: int
    message: Message
    personalize: Personalizer
    heartbeat: Heartbeat
    terms: ClaimTerms


def begin_delivery_run(courier: DeliveryContext, send_id: int, heart: Heartbeat) -> DeliveryRun:
    """Read once what all batches of a send have in common."""
    with courier.transaction() as session:
        send = session.get_one(Send, send_id)
        message = session.get_one(Edition, send.edition_id).as_message()
        copies = make_personalizer(
            (send_id, send.list_id),
            courier.links,
            courier.tokens,
            answer_links_of_send(session, send, courier.links, courier.tokens),
        )
    terms = ClaimTerms(heart.lease_id, courier.lease, courier.limits)
    return DeliveryRun(send_id, message, copies, heart, terms)


def claim_next_batch(
    courier: DeliveryContext, load: DeliveryRun
) -> ClaimedBatch | RetryLater | None:
    """The next batch; None where there is none, or nothing may be begun now."""
    if courier.stopping.is_set() or not load.heartbeat.is_safe():
        return None
    try:
        fence = _request_fence(courier, load.send_id)
    except (NotAccepted, Uncertain) as error:
        with courier.transaction() as session:
            circuit_breaker.record_provider_failure(session, error, now=courier.clock())
        return None
    used_before, load.heartbeat.was_used = load.heartbeat.was_used, True
    with courier.transaction() as session:
        taken = claim_batch(session, load.send_id, load.terms, fence=fence, now=courier.clock())
    # Only now: a claim whose commit nobody saw end needs its lease.
    load.heartbeat.was_used = used_before or isinstance(taken, ClaimedBatch)
    return taken


def _request_fence(courier: DeliveryContext, send_id: int) -> Fence | None:
    """A fence for the next attempt, where attempts have one and may be made now."""
    if courier.fence_ahead is None:
        return None
    with courier.transaction() as session:
        is_open = circuit_breaker.read_breaker_state(session, now=courier.clock()).allows_posting
        planned = select(Batch.id).where(
            Batch.send_id == send_id, Batch.state == BatchState.PLANNED
        )
        if not is_open or session.scalar(planned.limit(1)) is None:
            return None
    fence_id = courier.mailer.create_fence()
    return Fence(fence_id, courier.clock() + courier.fence_ahead) if fence_id else None


def build_batch_request(
    courier: DeliveryContext, load: DeliveryRun, taken: ClaimedBatch
) -> BatchRequest | None:
    """The request for a batch; None where some of its copies cannot be written."""
    try:
        return _build_request_for(courier, load, taken, taken.subscribers)
    except Exception as fault:
        why = {
            reader[0]: _render_error(courier, load, taken, reader) for reader in taken.subscribers
        }
        bad = [(subscriber_id, fault) for subscriber_id, fault in why.items() if fault]
        with courier.transaction() as session:
            # Where each one can be written and all together cannot, it is no reader's fault.
            bad = bad or [(reader[0], type(fault).__name__) for reader in taken.subscribers]
            outcomes.record_render_failures(session, taken, bad, now=courier.clock())
        return None


def _build_request_for(
    courier: DeliveryContext,
    load: DeliveryRun,
    taken: ClaimedBatch,
    readers: list[SubscriberAddress],
) -> BatchRequest:
    return courier.mailer.build_request(
        load.message,
        load.personalize(readers, taken.started_at),
        attempt=taken.attempt_id,
        fence=taken.fence,
    )


def _render_error(
    courier: DeliveryContext, load: DeliveryRun, taken: ClaimedBatch, reader: SubscriberAddress
) -> str | None:
    try:
        _build_request_for(courier, load, taken, [reader])
    except Exception as fault:
        return type(fault).__name__
    return None


RECORD_RETRY_SECONDS = (0.2, 1.0, 5.0)
"""Seconds between tries to write down an answer."""

MAX_REQUEST_TIME = timedelta(seconds=35)
"""Five to connect and thirty for an answer: an answer that drips in for longer is none."""

MAX_QUOTA_WAIT = timedelta(seconds=10)
"""So long the pace is waited for; for longer, the next tick of the worker's clock is enough."""

PendingPost = Future[str | None]


@dataclass(frozen=True)
class InFlightPost:
    claimed: ClaimedBatch
    overdue_at: float


def deliver_send(courier: DeliveryContext, send_id: int) -> None:
    """Post what can be posted of a send now; returns when nothing is left or it has to wait.

    Any number of workers may do this at once: each batch is one worker's, by its claim. Whatever
    goes wrong with the ledger meanwhile, answers that came are written down.
    """
    with courier.transaction() as session:
        lease_id = leases.begin_lease(session, send_id, now=courier.clock())
    heart = Heartbeat(courier.transaction, lease_id, courier.lease, courier.clock)
    try:
        with heart:
            _run_delivery(courier, begin_delivery_run(courier, send_id, heart))
    finally:
        with courier.transaction() as session:
            leases.end_lease(session, lease_id, was_used=heart.was_used, now=courier.clock())
    with courier.transaction() as session:
        outcomes.finish_send_if_done(session, send_id, now=courier.clock())


def _run_delivery(courier: DeliveryContext, load: DeliveryRun) -> None:
    under_way: dict[PendingPost, InFlightPost] = {}
    pool = ThreadPoolExecutor(courier.concurrency, thread_name_prefix="post")
    try:
        _post_batches(courier, load, pool, under_way)
    finally:
        while under_way:
            _record_results_with_retries(courier, _wait_for_ended_posts(under_way))
        pool.shutdown(wait=False)


def _post_batches(
    courier: DeliveryContext,
    load: DeliveryRun,
    pool: ThreadPoolExecutor,
    under_way: dict[PendingPost, InFlightPost],
) -> None:
    room = 1
    while True:
        later = None
        while len(under_way) < room and (taken := claim_next_batch(courier, load)) is not None:
            if isinstance(taken, RetryLater):
                later = taken
                break
            if parcel := build_batch_request(courier, load, taken):
                posting = pool.submit(_post_request, courier, load.heartbeat, parcel)
                overdue_at = time.monotonic() + MAX_REQUEST_TIME.total_seconds()
                under_way[posting] = InFlightPost(taken, overdue_at)
        if under_way:
            well = _record_results_with_retries(courier, _wait_for_ended_posts(under_way))
            # One batch is enough to find out whether the mail is taken, or a failure over.
            room = courier.concurrency if well else 1
        elif later is None or not _wait_for_quota(courier, later):
            return


def _wait_for_quota(courier: DeliveryContext, later: RetryLater) -> bool:
    """Wait until the pace allows more; False where that is too far away, or the worker stops."""
    wait_for = later.retry_at - courier.clock()
    if wait_for > MAX_QUOTA_WAIT:
        return False
    return not courier.stopping.wait(max(0.0, wait_for.total_seconds()))


def _post_request(courier: DeliveryContext, heart: Heartbeat, parcel: BatchRequest) -> str | None:
    if not heart.is_safe():
        raise outcomes.WorkerTooLate("the worker was held up for too long to post safely")
    return courier.mailer.post(parcel)


def _wait_for_ended_posts(
    under_way: dict[PendingPost, InFlightPost],
) -> dict[PendingPost, ClaimedBatch]:
    """Wait until something ends, or is overdue, and take that out."""
    soonest = min(one.overdue_at for one in under_way.values())
    wait(under_way, soonest - time.monotonic(), FIRST_COMPLETED)
    now = time.monotonic()
    ended = [p for p, one in under_way.items() if p.done() or one.overdue_at <= now]
    return {posting: under_way.pop(posting).claimed for posting in ended}


def _record_results_with_retries(
    courier: DeliveryContext, ended: Mapping[PendingPost, ClaimedBatch]
) -> bool:
    """Write down how some attempts ended; True where all of them were accepted.

    An answer is not to be had twice, so a ledger that cannot be written is tried again.
    """
    for pause in RECORD_RETRY_SECONDS:
        try:
            with courier.transaction() as session:
                return _record_results(session, ended, courier.clock())
        except OperationalError:
            time.sleep(pause)
    with courier.transaction() as session:
        return _record_results(session, ended, courier.clock())


def _record_results(
    session: Session, ended: Mapping[PendingPost, ClaimedBatch], now: datetime
) -> bool:
    well = True
    for posting, taken in ended.items():
        error = posting.exception() if posting.done() else Uncertain("no whole answer in time")
        if error is None:
            outcomes.record_accepted(session, taken, posting.result(), now=now)
            continue
        well = False
        if isinstance(error, NotAccepted | Uncertain):
            outcomes.record_failed(session, taken, error, now=now)
        else:
            outcomes.record_fault(session, taken, error, now=now)
    return well
