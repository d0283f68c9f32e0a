"""Letters: single mails that someone asked for by doing something, sent a moment later.

A letter is written in the transaction that makes it necessary and posted by the worker, so that
neither a slow provider nor a crash loses it. Twice is harmless here and never is not: an attempt
whose end is uncertain is made again.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import Base, BigId, Transaction
from nif.mail.message import Message, MessageCopy
from nif.mail.provider import AccountLocked, Mailer, Refused, Unavailable, Uncertain

Clock = Callable[[], datetime]
EMAIL_LEASE = timedelta(minutes=2)
MAX_RETRY_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=2)


class TransactionalEmail(Base):
    """A mail to one person, until it is taken or given up; then only the trace of it."""

    __tablename__ = "letter"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    address: Mapped[str]
    message: Mapped[dict[str, Any] | None]
    written_at: Mapped[datetime]
    next_try_at: Mapped[datetime | None] = mapped_column(index=True)
    tries: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None]
    trouble: Mapped[str | None]


def queue_transactional_email(
    session: Session, address: str, message: Message, *, now: datetime
) -> None:
    """Put a letter into the tray; `post_letters` takes it from there."""
    content = {**asdict(message), "headers": dict(message.headers)}
    session.add(
        TransactionalEmail(address=address, message=content, written_at=now, next_try_at=now)
    )


def send_transactional_emails(
    transaction: Transaction, mailer: Mailer, *, clock: Clock, most: int = 100
) -> int:
    """Post the letters that are due; returns how many were taken."""
    taken = 0
    for _ in range(most):
        with transaction() as session:
            letter = _claim_email(session, clock())
        if letter is None:
            break
        taken += _send_email(transaction, mailer, letter, clock)
    return taken


def _claim_email(session: Session, now: datetime) -> TransactionalEmail | None:
    letter = session.scalar(
        select(TransactionalEmail)
        .where(TransactionalEmail.next_try_at <= now)
        .order_by(TransactionalEmail.next_try_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if letter is not None:
        letter.tries += 1
        letter.next_try_at = now + EMAIL_LEASE
    return letter


def _send_email(
    transaction: Transaction, mailer: Mailer, letter: TransactionalEmail, clock: Clock
) -> int:
    copy = MessageCopy(letter.address, {"nif_l": str(letter.id)}, {}, {})
    trouble = None
    is_late = clock() - letter.written_at > GIVE_UP_AFTER
    final = False
    try:
        message = Message(**(letter.message or {}))
        mailer.post(mailer.pack(message, [copy], attempt=uuid4().hex))
    except Refused as error:
        trouble, final = str(error), True
    except (Unavailable, AccountLocked, Uncertain) as error:
        trouble, final = str(error), is_late
    except Exception as error:
        # A fault of ours: the letter behind this one is posted all the same.
        trouble, final = type(error).__name__, is_late
    with transaction() as session:
        # Whoever it went to may have been forgotten meanwhile, and the letter with them.
        if (still_there := session.get(TransactionalEmail, letter.id)) is not None:
            _record_result(still_there, trouble, final, clock())
    return trouble is None


def _record_result(
    letter: TransactionalEmail, trouble: str | None, final: bool, now: datetime
) -> None:
    letter.trouble = trouble
    if trouble is None:
        letter.sent_at = now
    if trouble is None or final:
        # The letter holds a link that proves who its reader is; nobody needs it any more.
        letter.next_try_at, letter.message = None, None
    else:
        letter.next_try_at = now + min(
            timedelta(seconds=5 * 2 ** min(letter.tries, 12)), MAX_RETRY_WAIT
        )


def list_undeliverable_emails(
    session: Session, since: datetime, *, most: int = 20
) -> Sequence[TransactionalEmail]:
    """The letters written since then that nobody took and nobody tries again, newest first."""
    query = select(TransactionalEmail).where(
        TransactionalEmail.written_at >= since,
        TransactionalEmail.next_try_at.is_(None),
        TransactionalEmail.sent_at.is_(None),
        TransactionalEmail.trouble.is_not(None),
    )
    return session.scalars(query.order_by(TransactionalEmail.id.desc()).limit(most)).all()


def delete_transactional_emails_to(session: Session, canonical: str, *, also_waiting: bool) -> None:
    """Drop the traces of letters to an address; those that are under way only where asked to."""
    theirs = func.lower(TransactionalEmail.address) == canonical
    done = TransactionalEmail.next_try_at.is_(None)
    session.execute(delete(TransactionalEmail).where(theirs if also_waiting else theirs & done))


def delete_transactional_emails_before(session: Session, *, before: datetime) -> None:
    """Drop the traces of letters written before `before` that are no longer under way."""
    session.execute(
        delete(TransactionalEmail).where(
            TransactionalEmail.written_at < before, TransactionalEmail.next_try_at.is_(None)
        )
    )
