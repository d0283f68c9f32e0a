"""Turning a frozen edition into a send: who gets it, in which batches."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, insert, literal, select, text
from sqlalchemy.orm import Session, aliased

from nif.database import insert_if_new
from nif.editions.correction_editions import list_corrected_edition_ids
from nif.editions.digest import LIST_IS_ARCHIVED
from nif.editions.models import Edition, EditionItem, EditionState
from nif.errors import Conflict
from nif.mail.provider import MAX_COPIES_PER_REQUEST
from nif.sends.models import Batch, BatchState, Delivery, DeliveryOutcome, Send, SendState
from nif.sends.unknown_attempts import require_known_attempts
from nif.sends.withdrawals import find_earlier_send
from nif.stories.models import Revision
from nif.subscriptions.models import Subscriber, Subscription, SubscriptionState, SubscriptionTag
from nif.subscriptions.preferences import has_tag_choices


@dataclass(frozen=True)
class SendTerms:
    """How a send goes out: the size of a batch, and when it may be posted.

    During `undo_period` the send can be undone; for `max_delay` after its edition was due it may
    still be posted without a person's decision.
    """

    batch_size: int = MAX_COPIES_PER_REQUEST
    undo_period: timedelta = timedelta(0)
    max_delay: timedelta = timedelta(hours=24)


NO_SUBSCRIBERS = "Nobody has confirmed a subscription to this list yet, so there is nobody to mail."

SLOT_WAS_MAILED = (
    "Some of send {} of this slot was accepted after all, or may have been. Nothing more was sent."
)

IMMEDIATE_TERMS = SendTerms()

ANALYZE_FROM = 10_000
"""From so many new rows on, PostgreSQL's statistics of the table are too stale for a good plan."""


def plan_send(
    session: Session,
    edition: Edition,
    terms: SendTerms = IMMEDIATE_TERMS,
    *,
    only_ids: Select[*tuple[int]] | None = None,
    state: SubscriptionState = SubscriptionState.CONFIRMED,
    now: datetime,
) -> Send | None:
    """Create the send of an edition, with a delivery for each subscriber in `state`, in batches.

    Paused subscribers get a delivery too, which says so, and are not mailed. Subscribers who chose
    topics get none where the edition has no story about them. With `only_ids`, exactly the
    subscribers whose ids it selects get one, whatever topics they chose. The audience is frozen
    here: later subscribers get the next edition.

    Returns None where the edition already has a send. Raises Conflict where it is not frozen, or
    the database went back in time.
    """
    require_known_attempts(session)
    if edition.state is not EditionState.FROZEN:
        raise Conflict(f"This edition is {edition.state.value}: there is nothing to send.")
    send = insert_if_new(
        session,
        Send,
        edition_id=edition.id,
        list_id=edition.list_id,
        state=SendState.SENDING,
        audience=0,
        created_at=now,
        starts_at=now + terms.undo_period,
        not_after=edition.due_at + terms.max_delay,
    )
    if send is None:
        return None
    send.audience = _insert_deliveries(session, send, only_ids, state, now)
    if send.audience >= ANALYZE_FROM and session.get_bind().dialect.name == "postgresql":
        # Autovacuum would analyse the table only after the send.
        session.execute(text("ANALYZE delivery"))
    ranges = _batch_ranges(send.id, terms.batch_size)
    session.execute(insert(Batch).from_select(ranges.selected_columns.keys(), ranges))
    if send.audience == 0:
        send.state, send.finished_at = SendState.FINISHED, now
    return send


def plan_manual_send(
    session: Session, edition: Edition, terms: SendTerms, *, at: datetime, now: datetime
) -> Send:
    """Plan a send that a person asked for. It starts at `at`, but not before its undo period ends.

    Its `max_delay` counts from its start. Raises Conflict where the list is archived or has no
    confirmed subscriber, the edition already has a send, or an earlier one of its slot left.
    """
    if edition.mailing_list.archived_at is not None:
        raise Conflict(LIST_IS_ARCHIVED)
    if edition.mailing_list.confirmed_count == 0:
        raise Conflict(NO_SUBSCRIBERS)
    if (earlier := find_earlier_send(session, edition)) is not None:
        raise Conflict(SLOT_WAS_MAILED.format(earlier.id))
    send = plan_send(
        session, edition, replace(terms, undo_period=max(terms.undo_period, at - now)), now=now
    )
    if send is None:
        raise Conflict("This edition has a send already. Nothing more was sent.")
    send.not_after = send.starts_at + terms.max_delay
    return send


def _insert_deliveries(
    session: Session,
    send: Send,
    only_ids: Select[*tuple[int]] | None,
    state: SubscriptionState,
    now: datetime,
) -> int:
    """Insert a delivery for each subscriber in that state; return how many the send has."""
    paused = select(Subscriber.id).where(Subscriber.paused_until > now)
    has_paused = Subscription.subscriber_id.in_(paused)
    outcome = case((has_paused, literal(DeliveryOutcome.PAUSED, Delivery.outcome.type)))
    audience = select(literal(send.id), Subscription.subscriber_id, outcome).where(
        Subscription.list_id == send.list_id, Subscription.state == state
    )
    if only_ids is not None:
        audience = audience.where(Subscription.subscriber_id.in_(only_ids))
    elif has_tag_choices(session, send.list_id):
        audience = audience.where(wants_edition(session, send.edition_id, send.list_id))
    columns = ["send_id", "subscriber_id", "outcome"]
    session.execute(insert(Delivery).from_select(columns, audience))
    count = select(func.count()).select_from(Delivery).where(Delivery.send_id == send.id)
    return session.scalar(count) or 0


def _batch_ranges(send_id: int, batch_size: int) -> Select[*tuple[Any, ...]]:
    """The rows of `batch` for the deliveries of a send, `batch_size` to a batch."""
    number = func.row_number().over(order_by=Delivery.subscriber_id) - 1
    numbered = (
        select(Delivery.subscriber_id, Delivery.outcome, (number // batch_size).label("n"))
        .where(Delivery.send_id == send_id)
        .subquery()
    )
    return (
        select(
            literal(send_id).label("send_id"),
            func.min(numbered.c.subscriber_id).label("first_subscriber_id"),
            func.max(numbered.c.subscriber_id).label("last_subscriber_id"),
            func.count().label("size"),
            func.count(numbered.c.outcome).label("skipped"),
            literal(0).label("refused"),
            literal(0).label("render_failed"),
            literal(0).label("attempt_count"),
            literal(BatchState.PLANNED, Batch.state.type).label("state"),
        )
        .group_by(numbered.c.n)
        .order_by(numbered.c.n)
    )


def wants_edition(session: Session, edition_id: int, list_id: int) -> ColumnElement[bool]:
    """The condition on a subscription of a list that its subscriber wants this edition.

    True for subscribers who chose no topics, who chose a topic of one of the edition's stories (as
    pinned there), or who were mailed an error that the edition corrects.
    """
    chosen, other = SubscriptionTag, aliased(SubscriptionTag)
    tags_of_stories = (
        select(Revision.tags)
        .join(EditionItem, EditionItem.revision_id == Revision.id)
        .where(EditionItem.edition_id == edition_id)
    )
    topics = {slug for tags in session.scalars(tags_of_stories) for slug, _ in tags}
    has_its_topic = select(other.tag).where(
        other.list_id == list_id,
        other.subscriber_id == chosen.subscriber_id,
        other.tag.in_(sorted(topics)),
    )
    wrong_editions = list_corrected_edition_ids(session, edition_id)
    wrong_sends = session.scalars(select(Send.id).where(Send.edition_id.in_(wrong_editions))).all()
    was_mailed_the_error = select(Delivery.send_id).where(
        Delivery.send_id.in_(wrong_sends),
        Delivery.subscriber_id == chosen.subscriber_id,
        Delivery.has_content(),
    )
    wants_others = select(chosen.tag).where(
        chosen.list_id == list_id,
        chosen.subscriber_id == Subscription.subscriber_id,
        ~has_its_topic.exists(),
        ~was_mailed_the_error.exists(),
    )
    return ~wants_others.exists()
