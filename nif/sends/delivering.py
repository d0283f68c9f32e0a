"""Posting a send: one thread claims and packs, a few post, and no transaction is open meanwhile."""

import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.mail.mailer import NotTaken, Parcel, Uncertain
from nif.sends import leasing, settling
from nif.sends.claiming import Claim, Later
from nif.sends.courier import Courier, Load, take_on
from nif.sends.leasing import Heart
from nif.sends.loading import pack, take

PAUSES = (0.2, 1.0, 5.0)
"""Seconds between tries to write down an answer."""

LONGEST_REQUEST = timedelta(seconds=35)
"""Five to connect and thirty for an answer: an answer that drips in for longer is none."""

PATIENCE = timedelta(seconds=10)
"""So long the pace is waited for; for longer, the next tick of the worker's clock is enough."""

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
            _deliver(courier, take_on(courier, send_id, heart))
    finally:
        with courier.transaction() as session:
            leasing.end(session, lease_id, was_used=heart.was_used, now=courier.clock())
    with courier.transaction() as session:
        settling.finish_if_done(session, send_id, now=courier.clock())


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
        while len(under_way) < room and (taken := take(courier, load)) is not None:
            if isinstance(taken, Later):
                later = taken
                break
            if parcel := pack(courier, load, taken):
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
