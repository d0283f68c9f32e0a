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
from nif.editions.models import Edition, EditionItem, EditionNote
from nif.mail.message import MailWriter
from nif.sends.batches import lock_planned_batches
from nif.sends.models import Attempt, Batch, BatchState, Delivery, Send
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
    for mailing_list, mailed, last_version, wrong_send in session.execute(
        _owed_lists(note_id, now)
    ).all():
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
        # A claim that began before the note was published ends first.
        lock_planned_batches(session, wrong_send.id)
        only_ids = _subscribers_mailed_the_error(
            session, wrong_send, last_version or mailed.version, told_by=told_by
        )
        send = plan_send(session, edition, terms, only_ids=only_ids, now=now)
        if send is not None:
            sends.append(send)
    return sends


def _owed_lists(note_id: int, now: datetime) -> Select[*tuple[Any, ...]]:
    """The lists that are owed a note, each with the edition that had the error, the last version
    that had it, and its send; oldest list first.

    Only sends of which something may have left: what has not been posted has the error no more.
    """
    may_have_left = select(Attempt.id).where(
        Attempt.send_id == Send.id,
        Attempt.may_have_left,
        Attempt.version <= func.coalesce(EditionItem.last_version, Edition.version),
    )
    return (
        select_lists_owed_note(note_id)
        .join(Send, Send.edition_id == Edition.id)
        .where(Send.starts_at <= now, may_have_left.exists())
        .add_columns(EditionItem.last_version, Send)
        .order_by(MailingList.id)
    )


def _subscribers_mailed_the_error(
    session: Session, send: Send, last_version: int, *, told_by: Sequence[int]
) -> Select[*tuple[int]]:
    """The subscribers who got a version of a send up to `last_version`, or may have got it, and are
    in no send of `told_by`.

    Skipped and refused subscribers were certainly not mailed; they have an outcome. Those who are
    not mailed yet will not get the error: no batch is claimed while the edition has it.
    """
    ranges = _mailed_ranges(session, send, last_version)
    query = select(Delivery.subscriber_id).where(
        Delivery.send_id == send.id,
        Delivery.has_content(),
        # Who has an outcome and the content has it already, whatever became of their batch.
        or_(
            Delivery.outcome.is_not(None), *(Delivery.subscriber_id.between(*ids) for ids in ranges)
        ),
    )
    if told_by:
        other = aliased(Delivery)
        is_told = select(other.subscriber_id).where(
            other.send_id.in_(told_by), other.subscriber_id == Delivery.subscriber_id
        )
        query = query.where(~is_told.exists())
    return query


def _mailed_ranges(session: Session, send: Send, last_version: int) -> Iterator[tuple[int, int]]:
    """The ranges of subscriber ids, as first and last id, that may have got an early version.

    An attempt covers whole batches: batches are only ever split. Batches are posted in order, so
    the ranges are few.
    """
    attempts = select(Attempt.first_subscriber_id, Attempt.last_subscriber_id).where(
        Attempt.send_id == send.id, Attempt.may_have_left, Attempt.version <= last_version
    )
    batches = select(Batch.first_subscriber_id, Batch.last_subscriber_id).where(
        Batch.send_id == send.id
    )
    last_of = dict(session.execute(attempts.order_by(Attempt.last_subscriber_id)).all())
    covered_until, rows = 0, []
    for first, last in session.execute(batches.order_by(Batch.first_subscriber_id)):
        covered_until = max(covered_until, last_of.get(first, 0))
        rows.append((first, last, last <= covered_until))
    for was_mailed, group in groupby(rows, lambda row: row[2]):
        if was_mailed:
            found = list(group)
            yield found[0][0], found[-1][1]


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
