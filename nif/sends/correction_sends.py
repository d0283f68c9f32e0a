"""Serious corrections go to exactly those who were mailed the error, in a mail of their own.

How many readers a correction reached by mail.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from nif.editions.correction_editions import (
    OwedCorrection,
    freeze_correction_edition,
    load_note_in_context,
    select_lists_owed_note,
    select_serious_note_ids,
)
from nif.editions.models import Edition, EditionNote
from nif.mail.message import MailWriter
from nif.sends.models import Batch, BatchState, Delivery, Send, SendState
from nif.sends.planning import SendTerms, plan_send
from nif.stories.corrections import StoryNote
from nif.stories.publishing import invalidate_pages
from nif.subscriptions.models import MailingList


def list_notes_to_mail(session: Session, *, now: datetime) -> Sequence[int]:
    """The serious notes that some list is still owed, oldest first.

    There are few in the time that matters, and an index finds them. Each is asked about by itself:
    from a note a database finds its way to the lists, and from all that was ever mailed it would
    be a long one.
    """
    serious = session.scalars(select_serious_note_ids(now=now).order_by(StoryNote.id)).all()
    return [one for one in serious if session.execute(_owed_lists(one, now).limit(1)).first()]


def plan_correction_sends(
    session: Session, note_id: int, mail_writer: MailWriter, terms: SendTerms, *, now: datetime
) -> list[Send]:
    """Make and plan the mails of one serious note: one for each list that is owed it.

    Whoever two lists mailed what was wrong is told by the first of them alone. All of it happens in
    the caller's transaction, one note after the other, so that nobody is planned for twice.
    """
    note = session.get_one(
        StoryNote, note_id, with_for_update={"of": StoryNote}, populate_existing=True
    )
    told, sends = load_note_in_context(session, note), []
    for mailing_list, mailed, wrong in session.execute(_owed_lists(note_id, now)).all():
        owed = OwedCorrection(told, mailing_list, mailed)
        edition = freeze_correction_edition(session, owed, mail_writer, now=now)
        if edition is None:
            continue
        readers = _subscribers_mailed_the_error(
            session, wrong, told_already=_sends_of_note(session, note)
        )
        send = plan_send(session, edition, terms, among=readers, now=now)
        if send is not None:
            sends.append(send)
    return sends


def _owed_lists(note_id: int, now: datetime) -> Select[*tuple[Any, ...]]:
    """What is owed, where the send of what was wrong has begun: before, it can be taken back.

    Oldest list first: always in the same order.
    """
    return (
        select_lists_owed_note(note_id)
        .join(Send, Send.edition_id == Edition.id)
        .where(Send.starts_at <= now)
        .add_columns(Send)
        .order_by(MailingList.id)
    )


def _sends_of_note(session: Session, note: StoryNote) -> Sequence[int]:
    """The sends of a note that are planned already."""
    query = select(Send.id).join(Edition, Edition.id == Send.edition_id)
    return session.scalars(query.where(Edition.note_id == note.id)).all()


def _subscribers_mailed_the_error(
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
        spans = list(_posted_ranges(session, send))
        query = query.where(or_(False, *(Delivery.subscriber_id.between(*one) for one in spans)))
    if told_already:
        other = aliased(Delivery)
        told = select(other.subscriber_id).where(
            other.send_id.in_(told_already), other.subscriber_id == Delivery.subscriber_id
        )
        query = query.where(~told.exists())
    return query


def _posted_ranges(session: Session, send: Send) -> Iterator[tuple[int, int]]:
    """The stretches of ids of which a cancelled send posted something, each from first to last.

    Batches are posted in order, so these are few.
    """
    query = select(Batch.state, Batch.first_subscriber_id, Batch.last_subscriber_id).where(
        Batch.send_id == send.id
    )
    rows = session.execute(query.order_by(Batch.first_subscriber_id))
    for was_posted, stretch in groupby(rows, lambda row: row.state is not BatchState.PLANNED):
        if was_posted:
            ranges = list(stretch)
            yield ranges[0].first_subscriber_id, ranges[-1].last_subscriber_id


def invalidate_pages_of_corrections(session: Session, send: Send) -> None:
    """A send is over: the pages of the stories whose notes it carried say how many it reached."""
    carries = select(EditionNote.note_id).where(EditionNote.edition_id == send.edition_id)
    if session.scalar(carries.limit(1)) is not None:
        invalidate_pages(session)


def count_correction_reach(session: Session, note_ids: Sequence[int]) -> dict[int, int]:
    """For each note that was mailed: how many copies of the editions that carried it the provider
    accepted. A reader of two lists whose digests told it counts twice."""
    mailed = Batch.size - Batch.skipped - Batch.refused - Batch.render_failed
    query = (
        select(EditionNote.note_id, func.sum(mailed))
        .join(Send, Send.edition_id == EditionNote.edition_id)
        .join(Batch, Batch.send_id == Send.id)
        .where(EditionNote.note_id.in_(note_ids), Batch.state == BatchState.ACCEPTED)
        .group_by(EditionNote.note_id)
    )
    return {note_id: int(count) for note_id, count in session.execute(query)}
