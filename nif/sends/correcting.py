"""Serious corrections go to exactly those who were mailed the error, in a mail of their own."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, aliased

from nif.editions.correcting import (
    Owed,
    freeze_correction,
    owed_to_lists,
    recent_and_serious,
    told_now,
)
from nif.editions.models import Edition
from nif.editions.writing import Desk
from nif.sends.models import Batch, BatchState, Delivery, Send, SendState
from nif.sends.planning import Terms, plan
from nif.stories.notes import Note
from nif.subscriptions.models import MailingList


def notes_to_mail(session: Session, *, now: datetime) -> Sequence[int]:
    """The serious notes that some list is still owed, oldest first.

    There are few in the time that matters, and an index finds them. Each is asked about by itself:
    from a note a database finds its way to the lists, and from all that was ever mailed it would
    be a long one.
    """
    serious = session.scalars(recent_and_serious(now=now).order_by(Note.id)).all()
    return [one for one in serious if session.execute(_owed(one, now).limit(1)).first()]


def mail_note(
    session: Session, note_id: int, desk: Desk, terms: Terms, *, now: datetime
) -> list[Send]:
    """Make and plan the mails of one serious note: one for each list that is owed it.

    Whoever two lists mailed what was wrong is told by the first of them alone. All of it happens in
    the caller's transaction, one note after the other, so that nobody is planned for twice.
    """
    note = session.get_one(Note, note_id, with_for_update={"of": Note}, populate_existing=True)
    told, sends = told_now(session, note), []
    for mailing_list, mailed, wrong in session.execute(_owed(note_id, now)).all():
        owed = Owed(told, mailing_list, mailed)
        edition = freeze_correction(session, owed, desk, now=now)
        if edition is None:
            continue
        readers = _had_it_wrong(session, wrong, told_already=_sends_of(session, note))
        send = plan(session, edition, terms, among=readers, now=now)
        if send is not None:
            sends.append(send)
    return sends


def _owed(note_id: int, now: datetime) -> Select[*tuple[Any, ...]]:
    """What is owed, where the send of what was wrong has begun: before, it can be taken back.

    Oldest list first: always in the same order.
    """
    return (
        owed_to_lists(note_id)
        .join(Send, Send.edition_id == Edition.id)
        .where(Send.starts_at <= now)
        .add_columns(Send)
        .order_by(MailingList.id)
    )


def _sends_of(session: Session, note: Note) -> Sequence[int]:
    """The sends of a note that are planned already."""
    query = select(Send.id).join(Edition, Edition.id == Send.edition_id)
    return session.scalars(query.where(Edition.note_id == note.id)).all()


def _had_it_wrong(
    session: Session, send: Send, *, told_already: Sequence[int]
) -> Select[*tuple[int]]:
    """Who got a send, may have got it, or will: and is in none of the sends of `told_already`.

    Those who were certainly not mailed, because they were dropped or refused, have an outcome of
    their own; in a cancelled send so are whole batches.
    """
    query = select(Delivery.subscriber_id).where(
        Delivery.send_id == send.id, Delivery.outcome.is_(None)
    )
    if send.state is SendState.CANCELLED:
        spans = list(_posted(session, send))
        query = query.where(or_(False, *(Delivery.subscriber_id.between(*one) for one in spans)))
    if told_already:
        other = aliased(Delivery)
        told = select(other.subscriber_id).where(
            other.send_id.in_(told_already), other.subscriber_id == Delivery.subscriber_id
        )
        query = query.where(~told.exists())
    return query


def _posted(session: Session, send: Send) -> Iterator[tuple[int, int]]:
    """The stretches of ids of which a cancelled send posted something, each from first to last.

    Batches are posted in order, so these are few.
    """
    query = select(Batch.state, Batch.first, Batch.last).where(Batch.send_id == send.id)
    rows = session.execute(query.order_by(Batch.first))
    for was_posted, stretch in groupby(rows, lambda row: row.state is not BatchState.PLANNED):
        if was_posted:
            ranges = list(stretch)
            yield ranges[0].first, ranges[-1].last
