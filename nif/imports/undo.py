"""Undoing an import: restores every subscription that is still as the import left it.

Subscribers who have acted themselves since, or were mailed, stay as they are.
"""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, select, update
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
    """Undo the next `size` changes of a run; True once nothing is left and the run is UNDONE.

    Adds to `undo_counts` how many subscribers were `undone` and `kept`.
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
        lift_suppressions(session, Suppression.source == run.source, now=now)
        its_changes = ImportedSubscription.import_id == run.id
        session.execute(delete(ImportedSubscription).where(its_changes))
        run.state, run.due_at, run.finished_at = ImportState.UNDONE, None, now
        return True
    first, last = rows[0].subscriber_id, rows[-1].subscriber_id
    unchanged = set(session.scalars(_select_unchanged(run, first, last)))
    undone = [row for row in rows if row.subscriber_id in unchanged]
    for before, after in {(row.state_before, row.state_after) for row in undone}:
        ids = [
            row.subscriber_id
            for row in undone
            if (row.state_before, row.state_after) == (before, after)
        ]
        _restore_subscriptions(session, run.list_id, ids, before, after)
    for chunk in _split_ids(unchanged):
        # The import was a mistake, and no subscriber ever gave these consents. The audit log keeps
        # that the import was undone.
        theirs = (Consent.subscriber_id.in_(chunk), Consent.source == run.source)
        session.execute(delete(Consent).where(*theirs), execution_options=BULK_WRITE)
    _delete_subscribers(session, [row.subscriber_id for row in undone if row.created_subscriber])
    changes = Counter[StateChange]((row.state_after, row.state_before) for row in undone)
    count_state_changes(session, run.list_id, changes, source=run.source, now=now)
    run.undone_through_id = last
    counts = {"undone": len(undone), "kept": len(rows) - len(undone)}
    run.undo_counts = {key: run.undo_counts.get(key, 0) + counts[key] for key in counts}
    return False


def _select_unchanged(run: ImportRun, first: int, last: int) -> Any:
    """The subscribers in a range of ids who did nothing themselves and were not mailed since."""
    is_same = Subscription.subscriber_id == ImportedSubscription.subscriber_id
    acted = exists().where(
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
        .join(Subscription, is_same & (Subscription.list_id == run.list_id))
        .where(
            ImportedSubscription.import_id == run.id,
            ImportedSubscription.subscriber_id.between(first, last),
            Subscription.state == ImportedSubscription.state_after,
            ~acted,
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
    for chunk in _split_ids(ids):
        chosen = (Subscription.list_id == list_id, Subscription.subscriber_id.in_(chunk))
        if before is None:
            session.execute(delete(Subscription).where(*chosen), execution_options=BULK_WRITE)
            continue
        values: dict[str, Any] = {"state": before}
        if after is SubscriptionState.CONFIRMED or before is SubscriptionState.PENDING:
            values["confirmed_at"] = None
        if after is SubscriptionState.UNSUBSCRIBED:
            values["unsubscribed_at"] = None
        session.execute(
            update(Subscription).where(*chosen).values(values), execution_options=BULK_WRITE
        )


def _delete_subscribers(session: Session, ids: Collection[int]) -> None:
    """Delete the subscribers who have no other subscription or consent."""
    for chunk in _split_ids(ids):
        has_none = [
            ~exists().where(model.subscriber_id == Subscriber.id)
            for model in (Subscription, Consent)
        ]
        lonely = delete(Subscriber).where(Subscriber.id.in_(chunk), *has_none)
        session.execute(lonely, execution_options=BULK_WRITE)


def _split_ids(ids: Collection[int], size: int = 5_000) -> list[list[int]]:
    ordered = sorted(ids)
    return [ordered[n : n + size] for n in range(0, len(ordered), size)]
