"""Mailing a serious correction to exactly the subscribers who were mailed the error."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from nif.editions.correction_editions import (
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
from nif.subscriptions.models import MailingList


def list_notes_to_mail(session: Session, *, now: datetime) -> Sequence[int]:
    """The serious notes that some list is still owed, oldest first.

    An index finds the few recent ones. Each is looked up in a query of its own: from one note the
    database finds its lists quickly, from all mailed editions it would not.
    """
    serious = session.scalars(select_serious_note_ids(now=now).order_by(StoryNote.id)).all()
    return [
        note_id
        for note_id in serious
        if session.execute(_owed_lists(note_id, now).limit(1)).first()
    ]


def plan_correction_sends(
    session: Session, note_id: int, mail_writer: MailWriter, terms: SendTerms, *, now: datetime
) -> list[Send]:
    """Write and plan the mails of one serious note, one for each list that is owed it.

    A subscriber who got the error from two lists gets the correction from the first one only. All
    of it happens in the caller's transaction, under a lock on the note, so that no subscriber is
    planned for twice.
    """
    note = session.get_one(
        StoryNote, note_id, with_for_update={"of": StoryNote}, populate_existing=True
    )
    note_in_context, sends = load_note_in_context(session, note), []
    for mailing_list, mailed, wrong_send in session.execute(_owed_lists(note_id, now)).all():
        edition = freeze_correction_edition(
            session, note_in_context, mailing_list, mailed, mail_writer, now=now
        )
        if edition is None:
            continue
        # The sends of this note that are planned already.
        told_by = session.scalars(
            select(Send.id)
            .join(Edition, Edition.id == Send.edition_id)
            .where(Edition.note_id == note.id)
        ).all()
        only_ids = _subscribers_mailed_the_error(session, wrong_send, told_by=told_by)
        send = plan_send(session, edition, terms, only_ids=only_ids, now=now)
        if send is not None:
            sends.append(send)
    return sends


def _owed_lists(note_id: int, now: datetime) -> Select[*tuple[Any, ...]]:
    """The lists that are owed a note, with the send of the error, oldest list first.

    Only sends that have started: before that a person can still undo them.
    """
    return (
        select_lists_owed_note(note_id)
        .join(Send, Send.edition_id == Edition.id)
        .where(Send.starts_at <= now)
        .add_columns(Send)
        .order_by(MailingList.id)
    )


def _subscribers_mailed_the_error(
    session: Session, send: Send, *, told_by: Sequence[int]
) -> Select[*tuple[int]]:
    """The subscribers who got a send, may have got it or will, and are in no send of `told_by`.

    Skipped and refused subscribers were certainly not mailed. Of a cancelled
    send the batches that were never posted are left out too.
    """
    query = select(Delivery.subscriber_id).where(
        Delivery.send_id == send.id, Delivery.has_content()
    )
    if send.state is SendState.CANCELLED:
        ranges = _posted_ranges(session, send)
        was_posted = [Delivery.subscriber_id.between(*ids) for ids in ranges]
        # These have it already, whatever became of their batch.
        query = query.where(or_(Delivery.outcome.is_not(None), *was_posted))
    if told_by:
        other = aliased(Delivery)
        is_told = select(other.subscriber_id).where(
            other.send_id.in_(told_by), other.subscriber_id == Delivery.subscriber_id
        )
        query = query.where(~is_told.exists())
    return query


def _posted_ranges(session: Session, send: Send) -> Iterator[tuple[int, int]]:
    """The ranges of subscriber ids that a cancelled send posted, as first and last id.

    Batches are posted in order, so the ranges are few.
    """
    query = select(Batch.state, Batch.first_subscriber_id, Batch.last_subscriber_id).where(
        Batch.send_id == send.id
    )
    rows = session.execute(query.order_by(Batch.first_subscriber_id))
    for was_posted, group in groupby(rows, lambda row: row.state is not BatchState.PLANNED):
        if was_posted:
            batches = list(group)
            yield batches[0].first_subscriber_id, batches[-1].last_subscriber_id


def count_correction_reach(session: Session, note_ids: Sequence[int]) -> dict[int, int]:
    """For each mailed note, how many copies of the editions that carried it were accepted.

    A subscriber of two lists whose digests both carried the note counts twice.
    """
    query = (
        select(EditionNote.note_id, func.sum(Batch.to_mail))
        .join(Send, Send.edition_id == EditionNote.edition_id)
        .join(Batch, Batch.send_id == Send.id)
        .where(EditionNote.note_id.in_(note_ids), Batch.state == BatchState.ACCEPTED)
        .group_by(EditionNote.note_id)
    )
    return {note_id: int(count) for note_id, count in session.execute(query)}
