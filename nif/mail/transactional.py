"""Transactional email: single mails that somebody asked for by an action, sent moments later.

Such a mail is queued in the transaction that makes it necessary and posted by the worker, so
neither a slow provider nor a crash loses it. Sending it twice does little harm and not sending it
does, so an attempt with an uncertain outcome is repeated.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.claims import WorkRow, claim_next, lock_claimed_row
from nif.clock import Clock
from nif.database import Base, BigId, Transaction
from nif.mail.message import Message, MessageCopy
from nif.mail.provider import AccountLocked, Mailer, Refused, Unavailable, Uncertain

EMAIL_LEASE = timedelta(minutes=2)
MAX_RETRY_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=2)


class TransactionalEmail(WorkRow, Base):
    """A mail to one person. Once it is accepted or given up, only its row stays, without content.

    It is not due from then on.
    """

    __tablename__ = "transactional_email"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    address: Mapped[str]
    message: Mapped[dict[str, Any] | None]
    queued_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None]


def queue_transactional_email(
    session: Session, address: str, message: Message, *, now: datetime
) -> None:
    """Queue a mail; `send_transactional_emails` posts it once the transaction is committed."""
    content = {**asdict(message), "headers": dict(message.headers)}
    session.add(TransactionalEmail(address=address, message=content, queued_at=now, due_at=now))


def send_transactional_emails(
    transaction: Transaction,
    mailer: Mailer,
    *,
    clock: Clock,
    from_address: str | None = None,
    most: int = 100,
) -> int:
    """Post the mails that are due; returns how many the provider accepted.

    They come from `from_address`, and not from the address that was right when they were queued.
    """
    accepted = 0
    for _ in range(most):
        with transaction() as session:
            email = claim_next(session, TransactionalEmail, lease=EMAIL_LEASE, now=clock())
            if email is not None:
                email.attempts += 1
        if email is None:
            break
        if email.message is not None and from_address is not None:
            email.message = {**email.message, "from_address": from_address}
        accepted += _send_email(transaction, mailer, email, clock)
    return accepted


def _send_email(
    transaction: Transaction, mailer: Mailer, email: TransactionalEmail, clock: Clock
) -> int:
    copy = MessageCopy(email.address, {"nif_l": str(email.id)}, {}, {})
    error, is_final = None, True
    is_late = clock() - email.queued_at > GIVE_UP_AFTER
    try:
        message = Message(**(email.message or {}))
        mailer.post(mailer.build_request(message, [copy], attempt=uuid4().hex))
    except Refused as refusal:
        error = str(refusal)
    except (Unavailable, AccountLocked, Uncertain) as failure:
        error, is_final = str(failure), is_late
    except Exception as bug:
        # A bug in NIF must not stop the mails queued behind this one.
        error, is_final = type(bug).__name__, is_late
    with transaction() as session:
        # The subscriber may have been erased meanwhile, and the mail with them.
        if (stored := lock_claimed_row(session, email)) is not None:
            stored.error = error
            stored.sent_at = clock() if error is None else None
            if is_final:
                # The content holds a link that proves the subscriber's identity: delete it.
                stored.due_at, stored.message = None, None
            else:
                wait = timedelta(seconds=5 * 2 ** min(stored.attempts, 12))
                stored.due_at = clock() + min(wait, MAX_RETRY_WAIT)
    return error is None


def list_undeliverable_emails(
    session: Session, since: datetime, *, most: int = 20
) -> Sequence[TransactionalEmail]:
    """The mails queued since `since` that were given up without being accepted, newest first."""
    query = select(TransactionalEmail).where(
        TransactionalEmail.queued_at >= since,
        TransactionalEmail.due_at.is_(None),
        TransactionalEmail.sent_at.is_(None),
        TransactionalEmail.error.is_not(None),
    )
    return session.scalars(query.order_by(TransactionalEmail.id.desc()).limit(most)).all()


def delete_transactional_emails_to(session: Session, canonical: str, *, also_waiting: bool) -> None:
    to_address = func.lower(TransactionalEmail.address) == canonical
    is_done = TransactionalEmail.due_at.is_(None)
    session.execute(
        delete(TransactionalEmail).where(to_address if also_waiting else to_address & is_done)
    )
