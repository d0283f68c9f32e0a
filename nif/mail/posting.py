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
from nif.mail.mailer import Locked, Mailer, Refused, Unavailable, Uncertain
from nif.mail.message import Copy, Message

Clock = Callable[[], datetime]
LEASE = timedelta(minutes=2)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=2)


class Letter(Base):
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


def write_letter(session: Session, address: str, message: Message, *, now: datetime) -> None:
    """Put a letter into the tray; `post_letters` takes it from there."""
    content = {**asdict(message), "headers": dict(message.headers)}
    session.add(Letter(address=address, message=content, written_at=now, next_try_at=now))


def post_letters(transaction: Transaction, mailer: Mailer, *, clock: Clock, most: int = 100) -> int:
    """Post the letters that are due; returns how many were taken."""
    taken = 0
    for _ in range(most):
        with transaction() as session:
            letter = _claim(session, clock())
        if letter is None:
            break
        taken += _post(transaction, mailer, letter, clock)
    return taken


def _claim(session: Session, now: datetime) -> Letter | None:
    letter = session.scalar(
        select(Letter)
        .where(Letter.next_try_at <= now)
        .order_by(Letter.next_try_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if letter is not None:
        letter.tries += 1
        letter.next_try_at = now + LEASE
    return letter


def _post(transaction: Transaction, mailer: Mailer, letter: Letter, clock: Clock) -> int:
    copy = Copy(letter.address, {"nif_l": str(letter.id)}, {}, {})
    trouble = None
    is_late = clock() - letter.written_at > GIVE_UP_AFTER
    final = False
    try:
        message = Message(**(letter.message or {}))
        mailer.post(mailer.pack(message, [copy], attempt=uuid4().hex))
    except Refused as error:
        trouble, final = str(error), True
    except (Unavailable, Locked, Uncertain) as error:
        trouble, final = str(error), is_late
    except Exception as error:
        # A fault of ours: the letter behind this one is posted all the same.
        trouble, final = type(error).__name__, is_late
    with transaction() as session:
        # Whoever it went to may have been forgotten meanwhile, and the letter with them.
        if (still_there := session.get(Letter, letter.id)) is not None:
            _note(still_there, trouble, final, clock())
    return trouble is None


def _note(letter: Letter, trouble: str | None, final: bool, now: datetime) -> None:
    letter.trouble = trouble
    if trouble is None:
        letter.sent_at = now
    if trouble is None or final:
        # The letter holds a link that proves who its reader is; nobody needs it any more.
        letter.next_try_at, letter.message = None, None
    else:
        letter.next_try_at = now + min(
            timedelta(seconds=5 * 2 ** min(letter.tries, 12)), LONGEST_WAIT
        )


def given_up(session: Session, since: datetime, *, most: int = 20) -> Sequence[Letter]:
    """The letters written since then that nobody took and nobody tries again, newest first."""
    query = select(Letter).where(
        Letter.written_at >= since,
        Letter.next_try_at.is_(None),
        Letter.sent_at.is_(None),
        Letter.trouble.is_not(None),
    )
    return session.scalars(query.order_by(Letter.id.desc()).limit(most)).all()


def forget_letters_to(session: Session, canonical: str, *, also_waiting: bool) -> None:
    """Drop the traces of letters to an address; those that are under way only where asked to."""
    theirs = func.lower(Letter.address) == canonical
    done = Letter.next_try_at.is_(None)
    session.execute(delete(Letter).where(theirs if also_waiting else theirs & done))


def forget_letters(session: Session, *, before: datetime) -> None:
    """Drop the traces of letters written before `before` that are no longer under way."""
    session.execute(delete(Letter).where(Letter.written_at < before, Letter.next_try_at.is_(None)))
