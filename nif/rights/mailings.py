"""What the house mailed to a person or heard about it: how it is shown, and how it is let go."""

import re
from collections.abc import Callable
from typing import Any

import orjson
from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import Session

from nif.audience.models import Segment
from nif.mail import outbox, posting
from nif.mail.outbox import OutboxMail
from nif.mail.posting import Letter
from nif.rights.holdings import Rows
from nif.rights.people import Person
from nif.sends.events import Event, EventPost
from nif.sends.models import Attempt, Batch, Delivery, Send
from nif.stories.reporting import ReaderReport
from nif.subscriptions.forgetting import ERASED
from nif.subscriptions.models import MailingList


def show_deliveries(session: Session, person: Person) -> Rows:
    """Every edition that was planned for this person, and what became of it."""
    query = (
        select(Send, MailingList.slug, Delivery.outcome, Batch.state)
        .join(MailingList, MailingList.id == Send.list_id)
        .join(Delivery, Delivery.send_id == Send.id)
        .join(
            Batch,
            (Batch.send_id == Send.id) & (Batch.first <= person.id) & (Batch.last >= person.id),
        )
        .where(Delivery.subscriber_id == person.id)
        .order_by(Send.id)
    )
    return [
        {
            "list": slug,
            "subject": (send.edition.message or {}).get("subject"),
            "planned_at": send.created_at,
            "fate": (outcome or state).value,
        }
        for send, slug, outcome, state in session.execute(query)
    ]


def forget_deliveries(session: Session, person: Person) -> None:
    """The rows stay, without anybody behind their number: past sends go on adding up."""
    _scrub(session, person, Delivery.why, _theirs(Delivery, person))


def show_events(session: Session, person: Person) -> Rows:
    query = _events(person).order_by(Event.happened_at, Event.id)
    return [
        {"kind": one.kind, "at": one.happened_at, "detail": one.detail}
        for one in session.scalars(query)
    ]


def forget_events(session: Session, person: Person) -> None:
    """What was said of their mailbox goes; that something was said stays, for the figures."""
    for one in session.scalars(_events(person).where(Event.detail.is_not(None))):
        one.detail = None


def forget_posts(session: Session, person: Person) -> None:
    """Take the address out of what the webhook posted and is not understood yet.

    The events stay: they may prove that a batch was taken.
    """
    for post in session.scalars(select(EventPost).with_for_update()):
        clean = without(post.body, person)
        if clean != post.body:
            post.body = clean
    _scrub(session, person, EventPost.trouble)


def without(body: bytes, person: Person) -> bytes:
    """JSON without an address, in whatever spelling and however it is escaped."""
    if person.canonical.encode() not in body.lower() and b"\\" not in body:
        return body
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        pattern = re.compile(re.escape(person.canonical.encode()), re.IGNORECASE)
        return pattern.sub(ERASED.encode(), body)
    clean = _cleaned(data, person.spellings)
    return body if clean == data else orjson.dumps(clean)


def _cleaned(value: Any, spellings: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return spellings.sub(ERASED, value)
    if isinstance(value, list):
        return [_cleaned(one, spellings) for one in value]
    if isinstance(value, dict):
        return {_cleaned(k, spellings): _cleaned(v, spellings) for k, v in value.items()}
    return value


def show_letters(session: Session, person: Person) -> Rows:
    mine = select(Letter).where(func.lower(Letter.address) == person.canonical)
    return [
        {
            "subject": (one.message or {}).get("subject"),
            "written_at": one.written_at,
            "sent_at": one.sent_at,
        }
        for one in session.scalars(mine.order_by(Letter.id))
    ]


def forget_letters(session: Session, person: Person) -> None:
    posting.forget_letters_to(session, person.canonical, also_waiting=True)
    _scrub(session, person, Letter.trouble)


def show_outbox(session: Session, person: Person) -> Rows:
    mine = select(OutboxMail).where(func.lower(OutboxMail.address) == person.canonical)
    return [
        {"subject": one.subject, "posted_at": one.post.posted_at}
        for one in session.scalars(mine.order_by(OutboxMail.id))
    ]


def forget_outbox(session: Session, person: Person) -> None:
    outbox.forget_mails_to(session, person.canonical)


def show_reports(session: Session, person: Person) -> Rows:
    mine = select(ReaderReport).where(func.lower(ReaderReport.contact) == person.canonical)
    return [
        {"kind": one.kind.value, "text": one.text, "at": one.at}
        for one in session.scalars(mine.order_by(ReaderReport.id))
    ]


def forget_reports(session: Session, person: Person) -> None:
    """The report stays without an address to answer to, and without the address in its words."""
    session.execute(
        update(ReaderReport)
        .where(func.lower(ReaderReport.contact) == person.canonical)
        .values(contact=None)
    )
    for column in (ReaderReport.text, ReaderReport.answer):
        _scrub(session, person, column)


def forget_segments(session: Session, person: Person) -> None:
    """Somebody may have looked for exactly this reader, and saved it."""
    for segment in session.scalars(select(Segment)):
        segment.name = person.spellings.sub(ERASED, segment.name)
        segment.conditions = _cleaned(segment.conditions, person.spellings)


def forget_troubles(column: Any) -> Callable[[Session, Person], None]:
    """Take the address out of what went wrong: providers like to repeat it."""
    return lambda session, person: _scrub(session, person, column)


def _scrub(session: Session, person: Person, column: Any, *where: Any) -> None:
    """Take the address, in any spelling, out of a column of text."""
    escaped = re.sub(r"([\\%_])", r"\\\1", person.canonical)
    mentions = func.lower(column).like(f"%{escaped}%", escape="\\")
    for row in session.scalars(select(column.class_).where(mentions, *where)):
        setattr(row, column.key, person.spellings.sub(ERASED, getattr(row, column.key)))
    session.flush()


def _theirs(model: type[Delivery], person: Person) -> Any:
    return (model.subscriber_id == person.id) & model.send_id.in_(select(Send.id))


def _events(person: Person) -> Select[Event]:
    """By way of the attempts that were for them: an index leads from there to the events."""
    attempts = select(Attempt.id).where(Attempt.first <= person.id, Attempt.last >= person.id)
    about = or_(Event.attempt_id.in_(attempts), Event.attempt_id.is_(None))
    return select(Event).where(about, Event.subscriber_id == person.id)
