"""Posting a send: one thread claims and packs, a few post, and no transaction is open meanwhile."""

import html
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.database import Transaction
from nif.editions.models import Edition
from nif.editions.writing import PREFERENCES_TAG, READER_HTML_TAG, READER_TAG, UNSUBSCRIBE_TAG
from nif.links import Links
from nif.mail.mailer import Mailer, NotTaken, Parcel, Unavailable, Uncertain
from nif.mail.message import Copy, Message
from nif.sends import settling
from nif.sends.claiming import Claim, claim
from nif.sends.models import Send
from nif.subscriptions.leaving import unsubscribe_token, way_out
from nif.subscriptions.preferring import preferences_token
from nif.tokens import Tokens

PAUSES = (0.2, 1.0, 5.0)
"""Seconds between tries to write down an answer."""


@dataclass(frozen=True)
class Courier:
    """What it takes to deliver: the ledger, the provider, and what links are made of.

    Once `stopping` is set no batch is claimed any more; what is under way is settled.
    """

    transaction: Transaction
    mailer: Mailer
    tokens: Tokens
    links: Links
    clock: Callable[[], datetime]
    concurrency: int = 8
    lease: timedelta = timedelta(seconds=90)
    stopping: Event = field(default_factory=Event)


@dataclass(frozen=True)
class Load:
    """What all batches of a send have in common."""

    send_id: int
    list_id: int
    message: Message


Posting = Future[str | None]


def deliver(courier: Courier, send_id: int) -> None:
    """Post what can be posted of a send now; returns when nothing is left or it has to wait.

    Any number of workers may do this at once: each batch is one worker's, by its claim. Whatever
    goes wrong with the ledger meanwhile, answers that came are written down.
    """
    load = _load(courier, send_id)
    under_way: dict[Posting, Claim] = {}
    with ThreadPoolExecutor(courier.concurrency, thread_name_prefix="post") as pool:
        try:
            _keep_posting(courier, load, pool, under_way)
        finally:
            if under_way:
                wait(under_way)
                _settle(courier, under_way)
    with courier.transaction() as session:
        settling.finish_if_done(session, send_id, now=courier.clock())


def _keep_posting(
    courier: Courier, load: Load, pool: ThreadPoolExecutor, under_way: dict[Posting, Claim]
) -> None:
    room = 1
    while True:
        while len(under_way) < room and (taken := _take(courier, load.send_id)):
            parcel = _pack(courier, load, taken)
            under_way[pool.submit(_post, courier, parcel, taken)] = taken
        if not under_way:
            return
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        well = _settle(courier, {posting: under_way[posting] for posting in done})
        for posting in done:
            del under_way[posting]
        # One batch is enough to find out whether the mail is taken, or a failure over.
        room = courier.concurrency if well else 1


def _load(courier: Courier, send_id: int) -> Load:
    with courier.transaction() as session:
        send = session.get_one(Send, send_id)
        edition = session.get_one(Edition, send.edition_id)
        return Load(send_id, send.list_id, edition.as_message())


def _take(courier: Courier, send_id: int) -> Claim | None:
    if courier.stopping.is_set():
        return None
    with courier.transaction() as session:
        return claim(session, send_id, lease=courier.lease, now=courier.clock())


def _pack(courier: Courier, load: Load, taken: Claim) -> Parcel:
    copies = [_copy(courier, load, *reader) for reader in taken.readers]
    return courier.mailer.pack(load.message, copies, attempt=taken.attempt_id)


def _copy(courier: Courier, load: Load, subscriber_id: int, address: str) -> Copy:
    leave = courier.links.unsubscribe(
        unsubscribe_token(subscriber_id, load.list_id, courier.tokens)
    )
    return Copy(
        address,
        {"nif_d": f"{load.send_id}.{subscriber_id}"},
        way_out(leave),
        {
            UNSUBSCRIBE_TAG: leave,
            PREFERENCES_TAG: courier.links.preferences(
                preferences_token(subscriber_id, courier.tokens)
            ),
            READER_TAG: address,
            READER_HTML_TAG: html.escape(address),
        },
    )


def _post(courier: Courier, parcel: Parcel, taken: Claim) -> str | None:
    if not taken.is_fresh(courier.clock()):
        raise Unavailable("the worker was held up for too long to post safely", wait=0)
    return courier.mailer.post(parcel)


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
        error = posting.exception()
        if error is None:
            settling.accepted(session, taken.attempt_id, posting.result(), now=now)
            continue
        well = False
        if not isinstance(error, NotTaken | Uncertain):
            # A fault of our own, perhaps after the request had left.
            error = Uncertain(f"{type(error).__name__}: {error}")
        settling.failed(session, taken, error, now=now)
    return well
