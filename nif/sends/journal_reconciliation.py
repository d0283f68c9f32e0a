"""Settling attempts that the database does not know, after a person has looked at them.

Each becomes a row of `attempt` again, and the batch that it posted is accepted or awaits a
person's decision. Where the database does not even know the send, the slot of its edition is
recorded as mailed, so that no worker makes it again.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from nif.database import add_counts, insert_if_new, raise_next_id, table_of
from nif.editions.models import (
    REPLACED_OCCASION_PREFIX,
    Edition,
    EditionItem,
    EditionNote,
    EditionState,
    correction_occasion_of,
)
from nif.sends import outcomes
from nif.sends.batches import split_batch
from nif.sends.evidence import AttemptResult, Belief, believe
from nif.sends.models import Attempt, Batch, BatchState, ProviderEvent, Send, SendEventCount
from nif.sends.unknown_attempts import (
    UnknownAttempt,
    UnknownAttemptResolution,
    UnknownAttemptSource,
    list_unknown_attempts,
)
from nif.stories.corrections import StoryNote
from nif.stories.models import Revision
from nif.subscriptions.models import MailingList, Subscriber

POSTED_AGAIN = "it was posted again later, so it was known that it had not left"
NOT_KNOWN = "this database did not know it; the journal or its events did"


def reconcile_unknown_attempts(
    session: Session, resolution: UnknownAttemptResolution, *, now: datetime
) -> Sequence[UnknownAttempt]:
    """Settle all open unknown attempts by a person's word; returns them.

    Those of which an event came in are accepted, whatever the word. With UNCERTAIN the others await
    a decision, batch by batch; no silence decides about them, since their events may have come in
    before the database went back.
    """
    # A range is posted again as it was or in parts, so the wider one is the earlier one.
    unknown = sorted(list_unknown_attempts(session), key=_width_of_range, reverse=True)
    for number, one in enumerate(unknown):
        send = _find_send(session, one)
        if send is None:
            _record_mailed_edition(session, one, now)
        else:
            later = any(_covers(other, one) for other in unknown[number + 1 :])
            _record_attempt(session, send, one, resolution, posted_again=later, now=now)
        one.resolved_at, one.resolution = now, resolution
    raise_next_id(session, Send, max((one.send_id or 0 for one in unknown), default=0))
    last_ids = (one.last_subscriber_id or 0 for one in unknown)
    raise_next_id(session, Subscriber, max(last_ids, default=0))
    return unknown


def _width_of_range(unknown: UnknownAttempt) -> int:
    return (unknown.last_subscriber_id or 0) - (unknown.first_subscriber_id or 0)


def _covers(later: UnknownAttempt, earlier: UnknownAttempt) -> bool:
    """Was a part of an attempt posted once more? NIF does so only where it certainly did not leave,
    which the lost part of the database knew.
    """
    if later.send_id != earlier.send_id or None in (
        *(later.first_subscriber_id, earlier.first_subscriber_id),
        *(later.started_at, earlier.started_at),
    ):
        return False
    starts_before_end = (later.first_subscriber_id or 0) <= (earlier.last_subscriber_id or 0)
    return starts_before_end and (earlier.first_subscriber_id or 0) <= (
        later.last_subscriber_id or 0
    )


def _find_send(session: Session, unknown: UnknownAttempt) -> Send | None:
    """The send of an attempt, where the database knows it: the id may be that of another one."""
    send = session.get(Send, unknown.send_id) if unknown.send_id else None
    if send is None or unknown.source is UnknownAttemptSource.EVENTS:
        return send
    edition = send.edition
    is_same = (send.mailing_list.slug, edition.slot) == (unknown.list_slug, unknown.slot)
    # An edition that was taken back gave up its occasion.
    was_replaced = edition.occasion.startswith(REPLACED_OCCASION_PREFIX)
    return send if is_same and (was_replaced or edition.occasion == unknown.occasion) else None


def _record_attempt(
    session: Session,
    send: Send,
    unknown: UnknownAttempt,
    resolution: UnknownAttemptResolution,
    *,
    posted_again: bool,
    now: datetime,
) -> None:
    batches = _cut_out_batches(session, send, unknown, now)
    if not batches:
        return
    result = AttemptResult.NOT_ACCEPTED if posted_again else AttemptResult.UNCERTAIN
    if resolution is UnknownAttemptResolution.ACCEPTED and not posted_again:
        result = AttemptResult.ACCEPTED
    values = {
        "id": unknown.id,
        "send_id": send.id,
        "batch_id": batches[0].id,
        "lease_id": "",
        "first_subscriber_id": batches[0].first_subscriber_id,
        "last_subscriber_id": batches[-1].last_subscriber_id,
        "copies": unknown.copies or sum(batch.to_mail for batch in batches),
        "started_at": unknown.started_at or unknown.found_at,
        "ended_at": now,
        "result": result,
        "reason": POSTED_AGAIN if posted_again else NOT_KNOWN,
        "event_seen_at": unknown.found_at if unknown.events else None,
        "uncertain_since": now,
    }
    session.execute(insert(table_of(Attempt)), values)
    _count_stored_events(session, send.id, unknown.id)
    belief = believe(result, is_reported=unknown.events > 0)
    if belief is Belief.DID_NOT_LEAVE:
        return
    for batch in batches:
        if batch.state is not BatchState.PLANNED:
            continue
        batch.state, batch.attempt_id = BatchState.AWAITING_DECISION, unknown.id
        batch.attempt_count += 1
        if belief is Belief.LEFT:
            batch.state, batch.settled_at = BatchState.ACCEPTED, now
    session.flush()


def _cut_out_batches(
    session: Session, send: Send, unknown: UnknownAttempt, now: datetime
) -> Sequence[Batch]:
    """The batches that hold exactly the range of an attempt, oldest first.

    What is known by events alone was a whole batch. A batch that is still undecided about an
    earlier attempt was posted again, so it is released from that one.
    """
    first, last = unknown.first_subscriber_id, unknown.last_subscriber_id
    if first is None or last is None:
        heard = select(func.min(ProviderEvent.subscriber_id), func.max(ProviderEvent.subscriber_id))
        row = session.execute(heard.where(ProviderEvent.attempt_id == unknown.id)).one()
        first, last = (row[0] or 0), (row[1] or 0)
    overlap = (
        select(Batch)
        .where(
            Batch.send_id == send.id,
            Batch.first_subscriber_id <= last,
            Batch.last_subscriber_id >= first,
        )
        .order_by(Batch.first_subscriber_id)
        .execution_options(populate_existing=True)
    )
    for batch in session.scalars(overlap).all():
        if batch.state in outcomes.UNSETTLED_STATES and batch.attempt_id:
            outcomes.release_batch(session, batch.attempt_id, POSTED_AGAIN, now=now)
            session.flush()
        if batch.state is BatchState.PLANNED and unknown.first_subscriber_id is not None:
            if batch.first_subscriber_id < first:
                split_batch(session, batch.id, first)
            elif batch.last_subscriber_id > last:
                split_batch(session, batch.id, last + 1)
    return _cut_end(session, overlap, last, is_exact=unknown.first_subscriber_id is not None)


def _cut_end(session: Session, overlap: Any, last: int, *, is_exact: bool) -> Sequence[Batch]:
    """Cut what is past `last` off the last batch; a batch cut at its start has both parts left."""
    for batch in session.scalars(overlap).all():
        if is_exact and batch.state is BatchState.PLANNED and batch.last_subscriber_id > last:
            split_batch(session, batch.id, last + 1)
    return session.scalars(overlap).all()


def _count_stored_events(session: Session, send_id: int, attempt_id: str) -> None:
    """The events came in when the attempt was unknown, so they were not counted for its send."""
    query = select(ProviderEvent.kind, func.count()).where(ProviderEvent.attempt_id == attempt_id)
    rows = session.execute(query.group_by(ProviderEvent.kind).order_by(ProviderEvent.kind)).all()
    counts = [{"send_id": send_id, "kind": kind, "count": count} for kind, count in rows]
    add_counts(session, SendEventCount, counts)


def _record_mailed_edition(session: Session, unknown: UnknownAttempt, now: datetime) -> None:
    """Record that a list's slot was mailed, and with which stories and notes."""
    query = select(MailingList).where(MailingList.slug == unknown.list_slug)
    mailing_list = session.scalar(query)
    if mailing_list is None or unknown.slot is None or unknown.occasion is None:
        return
    edition = _find_edition(session, mailing_list.id, unknown.slot, unknown.occasion)
    if edition is None:
        edition = insert_if_new(
            session,
            Edition,
            list_id=mailing_list.id,
            slot=unknown.slot,
            due_at=unknown.started_at,
            made_at=now,
            state=EditionState.UNRECORDED,
            occasion=unknown.occasion,
            note_id=_find_note_of(session, unknown.occasion),
        )
    if edition is None or edition.state is EditionState.FROZEN:
        return
    edition.state = EditionState.UNRECORDED
    _record_content(session, edition, unknown.content or {})


def _find_note_of(session: Session, occasion: str) -> int | None:
    """The note of a correction edition, where the database knows it."""
    number = occasion.removeprefix(correction_occasion_of(0)[:-1])
    query = select(StoryNote.id).where(StoryNote.id == int(number if number.isdecimal() else 0))
    return session.scalar(query)


def _find_edition(session: Session, list_id: int, slot: date, occasion: str) -> Edition | None:
    query = select(Edition).where(Edition.list_id == list_id, Edition.slot == slot)
    return session.scalar(query.where(Edition.occasion == occasion))


def _record_content(session: Session, edition: Edition, content: dict[str, Any]) -> None:
    """What the list was mailed: it does not get these stories and notes again."""
    for position, (story_id, revision_id) in enumerate(content.get("stories", ()), start=1):
        revision = session.get(Revision, revision_id)
        if revision is not None and revision.story_id == story_id:
            insert_if_new(
                session,
                EditionItem,
                edition_id=edition.id,
                position=position,
                list_id=edition.list_id,
                story_id=story_id,
                revision_id=revision_id,
            )
    for note_id in content.get("notes", ()):
        if session.scalar(select(StoryNote.id).where(StoryNote.id == note_id)):
            values = {"note_id": note_id, "list_id": edition.list_id, "edition_id": edition.id}
            insert_if_new(session, EditionNote, **values)
