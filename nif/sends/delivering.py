"""Posting a send: one thread claims and packs, a few post, and no transaction is open meanwhile."""

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
from nif.mail.mailer import Fence, Mailer, NotTaken, Parcel, Uncertain
from nif.mail.message import Message
from nif.sends import braking, leasing, settling
from nif.sends.claiming import Claim, Later, Terms, claim
from nif.sends.copying import Copyist, Reader, copyist
from nif.sends.leasing import Heart
from nif.sends.models import Batch, BatchState, Send
from nif.sends.pacing import NO_LIMITS, Limits
from nif.tokens import Tokens

PAUSES = (0.2, 1.0, 5.0)
"""Seconds between tries to write down an answer."""

LONGEST_REQUEST = timedelta(seconds=35)
"""Five to connect and thirty for an answer: an answer that drips in for longer is none."""

PATIENCE = timedelta(seconds=10)
"""So long the pace is waited for; for longer, the next tick of the worker's clock is enough."""


@dataclass(frozen=True)
class Courier:
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
    limits: Limits = NO_LIMITS
    fence_ahead: timedelta | None = None
    stopping: Event = field(default_factory=Event)


@dataclass(frozen=True)
class Load:
    """A send in a courier's hands: what all its batches have in common, and the lease on it."""

    send_id: int
    message: Message
    copies: Copyist
    heart: Heart
    terms: Terms


Posting = Future[str | None]


@dataclass(frozen=True)
class UnderWay:
    taken: Claim
    overdue_at: float


def deliver(courier: Courier, send_id: int) -> None:
    """Post what can be posted of a send now; returns when nothing is left or it has to wait.

    Any number of workers may do this at once: each batch is one worker's, by its claim. Whatever
    goes wrong with the ledger meanwhile, answers that came are written down.
    """
    with courier.transaction() as session:
        lease_id = leasing.begin(session, send_id, now=courier.clock())
    heart = Heart(courier.transaction, lease_id, courier.lease, courier.clock)
    try:
        with heart:
            _deliver(courier, _load(courier, send_id, heart))
    finally:
        with courier.transaction() as session:
            leasing.end(session, lease_id, was_used=heart.was_used, now=courier.clock())
    with courier.transaction() as session:
        settling.finish_if_done(session, send_id, now=courier.clock())


def _load(courier: Courier, send_id: int, heart: Heart) -> Load:
    with courier.transaction() as session:
        send = session.get_one(Send, send_id)
        message = session.get_one(Edition, send.edition_id).as_message()
        copies = copyist(send_id, send.list_id, courier.links, courier.tokens)
    terms = Terms(heart.lease_id, courier.lease, courier.limits)
    return Load(send_id, message, copies, heart, terms)


def _deliver(courier: Courier, load: Load) -> None:
    under_way: dict[Posting, UnderWay] = {}
    pool = ThreadPoolExecutor(courier.concurrency, thread_name_prefix="post")
    try:
        _keep_posting(courier, load, pool, under_way)
    finally:
        while under_way:
            _settle(courier, _ended(under_way))
        pool.shutdown(wait=False)


def _keep_posting(
    courier: Courier, load: Load, pool: ThreadPoolExecutor, under_way: dict[Posting, UnderWay]
) -> None:
    room = 1
    while True:
        later = None
        while len(under_way) < room and (taken := _take(courier, load)) is not None:
            if isinstance(taken, Later):
                later = taken
                break
            if parcel := _pack(courier, load, taken):
                posting = pool.submit(_post, courier, load.heart, parcel)
                overdue_at = time.monotonic() + LONGEST_REQUEST.total_seconds()
                under_way[posting] = UnderWay(taken, overdue_at)
        if under_way:
            well = _settle(courier, _ended(under_way))
            # One batch is enough to find out whether the mail is taken, or a failure over.
            room = courier.concurrency if well else 1
        elif later is None or not _wait_for(courier, later):
            return


def _wait_for(courier: Courier, later: Later) -> bool:
    """Wait until the pace allows more; False where that is too far away, or the worker stops."""
    wait_for = later.at - courier.clock()
    if wait_for > PATIENCE:
        return False
    return not courier.stopping.wait(max(0.0, wait_for.total_seconds()))


def _take(courier: Courier, load: Load) -> Claim | Later | None:
    if courier.stopping.is_set() or not load.heart.is_safe():
        return None
    try:
        fence = _fence(courier, load.send_id)
    except (NotTaken, Uncertain) as error:
        with courier.transaction() as session:
            braking.note_failure(session, error, now=courier.clock())
        return None
    used_before, load.heart.was_used = load.heart.was_used, True
    with courier.transaction() as session:
        taken = claim(session, load.send_id, load.terms, fence=fence, now=courier.clock())
    # Only now: a claim whose commit nobody saw end needs its lease.
    load.heart.was_used = used_before or isinstance(taken, Claim)
    return taken


def _fence(courier: Courier, send_id: int) -> Fence | None:
    """A fence for the next attempt, where attempts have one and may be made now."""
    if courier.fence_ahead is None:
        return None
    with courier.transaction() as session:
        is_open = braking.look(session, now=courier.clock()).is_open
        planned = select(Batch.id).where(
            Batch.send_id == send_id, Batch.state == BatchState.PLANNED
        )
        if not is_open or session.scalar(planned.limit(1)) is None:
            return None
    fence_id = courier.mailer.fence_id()
    return Fence(fence_id, courier.clock() + courier.fence_ahead) if fence_id else None


def _pack(courier: Courier, load: Load, taken: Claim) -> Parcel | None:
    """The request for a batch; None where some of its copies cannot be written."""
    try:
        return _pack_for(courier, load, taken, taken.readers)
    except Exception as fault:
        why = {reader[0]: _why_not(courier, load, taken, reader) for reader in taken.readers}
        bad = [(subscriber_id, fault) for subscriber_id, fault in why.items() if fault]
        with courier.transaction() as session:
            # Where each one can be written and all together cannot, it is no reader's fault.
            bad = bad or [(reader[0], type(fault).__name__) for reader in taken.readers]
            settling.unwritable(session, taken, bad, now=courier.clock())
        return None


def _pack_for(courier: Courier, load: Load, taken: Claim, readers: list[Reader]) -> Parcel:
    return courier.mailer.pack(
        load.message, load.copies(readers), attempt=taken.attempt_id, fence=taken.fence
    )


def _why_not(courier: Courier, load: Load, taken: Claim, reader: Reader) -> str | None:
    try:
        _pack_for(courier, load, taken, [reader])
    except Exception as fault:
        return type(fault).__name__
    return None


def _post(courier: Courier, heart: Heart, parcel: Parcel) -> str | None:
    if not heart.is_safe():
        raise settling.HeldUp("the worker was held up for too long to post safely")
    return courier.mailer.post(parcel)


def _ended(under_way: dict[Posting, UnderWay]) -> dict[Posting, Claim]:
    """Wait until something ends, or is overdue, and take that out."""
    soonest = min(one.overdue_at for one in under_way.values())
    wait(under_way, soonest - time.monotonic(), FIRST_COMPLETED)
    now = time.monotonic()
    ended = [p for p, one in under_way.items() if p.done() or one.overdue_at <= now]
    return {posting: under_way.pop(posting).taken for posting in ended}


def _settle(courier: Courier, ended: Mapping[Posting, Claim]) -> bool:
    """Write down how some attempts ended; True where all of them were accepted.

    An answer is not to be had twice, so a ledger that cannot be written is tried again.
    """
    for pause in PAUSES:
        try:
            with courier.transaction() as session:
                return _write_down(session, ended, courier.clock())
        except OperationalError:
            time.sleep(pause)
    with courier.transaction() as session:
        return _write_down(session, ended, courier.clock())


def _write_down(session: Session, ended: Mapping[Posting, Claim], now: datetime) -> bool:
    well = True
    for posting, taken in ended.items():
        error = posting.exception() if posting.done() else Uncertain("no whole answer in time")
        if error is None:
            settling.accepted(session, taken, posting.result(), now=now)
            continue
        well = False
        if isinstance(error, NotTaken | Uncertain):
            settling.failed(session, taken, error, now=now)
        else:
            settling.at_fault(session, taken, error, now=now)
    return well
