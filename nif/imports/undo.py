"""Undoing an import: what it did goes, where it is still as the import left it.

Who has done anything themselves since, or was mailed, stays as they are.
"""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nif.imports.models import ImportedSubscription, ImportRun, ImportState
from nif.sends.models import Delivery, Send
from nif.subscriptions.models import (
    Consent,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)
from nif.subscriptions.statistics import StateChange, count_state_changes
from nif.subscriptions.suppression_list import lift_suppressions

BULK_WRITE = {"synchronize_session": False}


def undo_import_batch(session: Session, run: ImportRun, size: int, *, now: datetime) -> bool:
    """Undo the next `size` of what a run did; True once nothing is left.

    `undo_counts` then holds how many subscribers were `undone` and `kept`.
    """
    rows = session.scalars(
        select(ImportedSubscription)
        .where(
            ImportedSubscription.import_id == run.id,
            ImportedSubscription.subscriber_id > run.undone_through_id,
        )
        .order_by(ImportedSubscription.subscriber_id)
        .limit(size)
    ).all()
    if not rows:
        _finish_undo(session, run, now)
        return True
    first, last = rows[0].subscriber_id, rows[-1].subscriber_id
    undone = set(session.scalars(_select_unchanged(run, first, last)))
    moves = Counter[StateChange](
        (row.state_after, row.state_before) for row in rows if row.subscriber_id in undone
    )
    for before, after in {(row.state_before, row.state_after) for row in rows}:
        ids = [
            row.subscriber_id
            for row in rows
            if (row.state_before, row.state_after) == (before, after)
            and row.subscriber_id in undone
        ]
        _restore_subscriptions(session, run.list_id, ids, before, after)
    _delete_consents(session, run, undone)
    _delete_subscribers(
        session,
        [r.subscriber_id for r in rows if r.created_subscriber and r.subscriber_id in undone],
    )
    count_state_changes(session, run.list_id, moves, source=run.source, now=now)
    run.undone_through_id = last
    counts = {"undone": len(undone), "kept": len(rows) - len(undone)}
    run.undo_counts = {key: run.undo_counts.get(key, 0) + counts[key] for key in counts}
    return False


def _select_unchanged(run: ImportRun, first: int, last: int) -> Any:
    """The ids of those whose subscription is as the run left it, and who were not mailed since."""
    theirs = Subscription.subscriber_id == ImportedSubscription.subscriber_id
    spoke = select(Consent.id).where(
        Consent.subscriber_id == ImportedSubscription.subscriber_id,
        Consent.list_id == run.list_id,
        Consent.source != run.source,
        Consent.at >= run.started_at,
    )
    mailed = (
        select(Delivery.send_id)
        .join(Send, Send.id == Delivery.send_id)
        .where(
            Send.list_id == run.list_id,
            Send.created_at >= run.started_at,
            Delivery.subscriber_id == ImportedSubscription.subscriber_id,
        )
    )
    return (
        select(ImportedSubscription.subscriber_id)
        .join(Subscription, theirs & (Subscription.list_id == run.list_id))
        .where(
            ImportedSubscription.import_id == run.id,
            ImportedSubscription.subscriber_id.between(first, last),
            Subscription.state == ImportedSubscription.state_after,
            ~spoke.exists(),
            ~mailed.exists(),
        )
    )


def _restore_subscriptions(
    session: Session,
    list_id: int,
    ids: list[int],
    before: SubscriptionState | None,
    after: SubscriptionState,
) -> None:
    for page in _split_ids(ids):
        theirs = (Subscription.list_id == list_id, Subscription.subscriber_id.in_(page))
        if before is None:
            session.execute(delete(Subscription).where(*theirs), execution_options=BULK_WRITE)
            continue
        values: dict[str, Any] = {"state": before}
        if after is SubscriptionState.CONFIRMED:
            values["confirmed_at"] = None
        if after is SubscriptionState.UNSUBSCRIBED:
            values["unsubscribed_at"] = None
        if before is SubscriptionState.PENDING:
            values["confirmed_at"] = None
        session.execute(
            update(Subscription).where(*theirs).values(values), execution_options=BULK_WRITE
        )


def _delete_consents(session: Session, run: ImportRun, ids: Collection[int]) -> None:
    """They tell of a mistake of ours, not of anybody's wish; that it was undone is on record."""
    for page in _split_ids(ids):
        session.execute(
            delete(Consent).where(Consent.subscriber_id.in_(page), Consent.source == run.source),
            execution_options=BULK_WRITE,
        )


def _delete_subscribers(session: Session, ids: Collection[int]) -> None:
    """Delete those of whom nothing else is kept."""
    for page in _split_ids(ids):
        elsewhere = (
            select(Subscription.subscriber_id).where(Subscription.subscriber_id == Subscriber.id),
            select(Consent.id).where(Consent.subscriber_id == Subscriber.id),
        )
        session.execute(
            delete(Subscriber).where(
                Subscriber.id.in_(page), *(~query.exists() for query in elsewhere)
            ),
            execution_options=BULK_WRITE,
        )


def _finish_undo(session: Session, run: ImportRun, now: datetime) -> None:
    lift_suppressions(session, Suppression.source == run.source, now=now)
    session.execute(delete(ImportedSubscription).where(ImportedSubscription.import_id == run.id))
    run.state, run.finished_at = ImportState.UNDONE, now


def _split_ids(ids: Collection[int], size: int = 5_000) -> list[list[int]]:
    listed = sorted(ids)
    return [listed[n : n + size] for n in range(0, len(listed), size)]
