"""Letting go those who were asked whether they still read, and gave no sign: in sets, by a worker.

They leave the list, with a record that says why. They are not suppressed: they can come back, even
by the link in the mail that asked them.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, case, func, insert, or_, select, update
from sqlalchemy.orm import Session

from nif.database import Transaction, table_of
from nif.errors import Conflict
from nif.sends.activity import was_inactive_since, was_inactive_since_in_range
from nif.sends.models import Attempt, Delivery, ProviderEvent
from nif.sends.repermission import RepermissionCampaign, RepermissionState, send_of_campaign
from nif.subscribers.inactive import MoreThanExpected, answers_due_at
from nif.subscriptions.consent import REPERMISSION_SOURCE
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)
from nif.subscriptions.statistics import StateChange, count_state_changes

DELIVERIES_PER_BATCH = 2_000
"""Of those who were asked; a transaction each."""

UNREACHED_EVENTS = ("bounce", "blocked", "dropped")

IdSpan = tuple[int, int]
ALL_IDS: IdSpan = (0, 2**63 - 1)


def count_nonresponders(session: Session, asking: RepermissionCampaign, *, now: datetime) -> int:
    """How many would be let go now."""
    send_id = send_of_campaign(session, asking).id
    silent = was_inactive_since(Delivery.subscriber_id, asking.activity_since)
    people = _select_unanswered(asking, send_id, ALL_IDS, now).where(silent).subquery()
    return session.scalar(select(func.count()).select_from(people)) or 0


def start_unsubscribing_nonresponders(
    session: Session, asking: RepermissionCampaign, *, expected: int, now: datetime
) -> None:
    """Have a worker let them go.

    Raises Conflict before their time to answer is over, and where it is under way or over; Grown
    where they are more than `expected`.
    """
    session.refresh(asking, with_for_update=True)
    if asking.state is not RepermissionState.OPEN:
        raise Conflict("This is under way, or over, already.")
    over = answers_due_at(session, asking)
    if over is None or over > now:
        raise Conflict("Their time to answer is not over yet.")
    people = count_nonresponders(session, asking, now=now)
    if people > expected:
        raise MoreThanExpected(f"There are {people:,} of them by now.")
    asking.state, asking.cursor = RepermissionState.UNSUBSCRIBING, 0


def list_unsubscribing_campaigns(session: Session) -> list[int]:
    """The askings of which some are to be let go."""
    query = select(RepermissionCampaign.id).where(
        RepermissionCampaign.state == RepermissionState.UNSUBSCRIBING
    )
    return list(session.scalars(query.order_by(RepermissionCampaign.id)))


def unsubscribe_nonresponders(transaction: Transaction, asking_id: int, *, now: datetime) -> None:
    """Go on until nobody is left, or somebody stops it: each piece is kept by itself."""
    more = True
    while more:
        with transaction() as session:
            more = unsubscribe_nonresponder_batch(session, asking_id, now=now)


def unsubscribe_nonresponder_batch(session: Session, asking_id: int, *, now: datetime) -> bool:
    """Let go the next of those who were asked and did not answer; False where there are none.

    Their subscriptions are locked before anyone looks for an answer, so that who answers in this
    very moment either counts as having answered, or comes back by it.
    """
    asking = session.scalar(
        select(RepermissionCampaign)
        .where(
            RepermissionCampaign.id == asking_id,
            RepermissionCampaign.state == RepermissionState.UNSUBSCRIBING,
        )
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if asking is None:
        return False
    send_id = send_of_campaign(session, asking).id
    ids = session.scalars(
        select(Delivery.subscriber_id)
        .where(Delivery.send_id == send_id, Delivery.subscriber_id > asking.cursor)
        .order_by(Delivery.subscriber_id)
        .limit(DELIVERIES_PER_BATCH)
    ).all()
    if not ids:
        asking.state, asking.ended_at = RepermissionState.DONE, now
        return False
    theirs = (Subscription.list_id == asking.list_id, Subscription.subscriber_id.in_(ids))
    locked = select(Subscription.subscriber_id).where(*theirs)
    session.execute(locked.order_by(Subscription.subscriber_id).with_for_update()).all()
    span = (ids[0], ids[-1])
    silent = was_inactive_since_in_range(Delivery.subscriber_id, span, asking.activity_since)
    quiet = session.scalars(_select_unanswered(asking, send_id, span, now).where(silent)).all()
    _unsubscribe(session, asking, quiet, now)
    asking.cursor = ids[-1]
    return True


def _unsubscribe(session: Session, asking: RepermissionCampaign, ids: Any, now: datetime) -> None:
    gone = session.scalars(
        update(Subscription)
        .where(
            Subscription.list_id == asking.list_id,
            Subscription.subscriber_id.in_(ids),
            Subscription.state == SubscriptionState.CONFIRMED,
        )
        .values(state=SubscriptionState.UNSUBSCRIBED, unsubscribed_at=now)
        .returning(Subscription.subscriber_id)
        .execution_options(synchronize_session=False)
    ).all()
    if not gone:
        return
    why = f"{REPERMISSION_SOURCE}{asking.id}, no answer in {asking.wait_days} days"
    record = {
        "list_id": asking.list_id,
        "action": ConsentAction.UNSUBSCRIBED,
        "at": now,
        "wording": None,
        "source": why,
        "network": "unknown",
    }
    session.execute(
        insert(table_of(Consent)), [{"subscriber_id": one, **record} for one in sorted(gone)]
    )
    moves: dict[StateChange, int] = {
        (SubscriptionState.CONFIRMED, SubscriptionState.UNSUBSCRIBED): len(gone)
    }
    source = f"{REPERMISSION_SOURCE}{asking.id}"
    count_state_changes(session, asking.list_id, moves, source=source, now=now)
    asking.unsubscribed_by_policy += len(gone)


def _select_unanswered(
    asking: RepermissionCampaign, send_id: int, span: IdSpan, now: datetime
) -> Select[*tuple[int]]:
    """Of those of a span of ids who were asked: on the list still, and reached. Whether
    they have shown a sign is still to be asked.

    The send is finished, so that each delivery without an outcome of its own was accepted. Who
    has paused, came back since, is suppressed or could not be reached is not let go.
    """
    return (
        select(Delivery.subscriber_id)
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .join(
            Subscription,
            (Subscription.subscriber_id == Delivery.subscriber_id)
            & (Subscription.list_id == asking.list_id),
        )
        .outerjoin(Suppression, Suppression.canonical == Subscriber.canonical)
        .where(
            Delivery.send_id == send_id,
            # Bounded on one side only, PostgreSQL reads the others whole.
            Delivery.subscriber_id.between(*span),
            Subscriber.id.between(*span),
            Subscription.subscriber_id.between(*span),
            Delivery.outcome.is_(None),
            Subscription.state == SubscriptionState.CONFIRMED,
            func.coalesce(Subscription.confirmed_at, Subscription.requested_at)
            <= asking.created_at,
            or_(Subscriber.paused_until.is_(None), Subscriber.paused_until <= now),
            Suppression.canonical.is_(None),
            Delivery.subscriber_id.not_in(_select_unreached(send_id, span)),
        )
    )


def _select_unreached(send_id: int, span: IdSpan) -> Select[*tuple[int | None]]:
    """Whose copy came back, for good or for a while, or was put off and then never delivered."""
    first, last = span

    def was(*kinds: str) -> Any:
        return func.max(case((ProviderEvent.kind.in_(kinds), 1), else_=0))

    return (
        select(ProviderEvent.subscriber_id)
        .join(Attempt, Attempt.id == ProviderEvent.attempt_id)
        .where(
            Attempt.send_id == send_id,
            Attempt.first_subscriber_id <= last,
            Attempt.last_subscriber_id >= first,
            ProviderEvent.subscriber_id.between(first, last),
        )
        .group_by(ProviderEvent.subscriber_id)
        .having(or_(was(*UNREACHED_EVENTS) == 1, and_(was("deferred") == 1, was("delivered") == 0)))
    )
