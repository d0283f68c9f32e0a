"""Turning a frozen edition into a send: who gets it, in which batches.

Who of a list wants an edition: those who chose topics want none without one of these.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, insert, literal, select, text
from sqlalchemy.orm import Session, aliased

from nif.database import conflict_aware_insert
from nif.editions.correction_editions import list_corrected_edition_ids
from nif.editions.digest import LIST_IS_ARCHIVED
from nif.editions.models import Edition, EditionItem, EditionState
from nif.errors import Conflict
from nif.mail.provider import MAX_COPIES_PER_REQUEST
from nif.sends.models import Batch, BatchState, Delivery, DeliveryOutcome, Send, SendState
from nif.stories.models import Revision
from nif.subscriptions.models import Subscriber, Subscription, SubscriptionState, SubscriptionTag
from nif.subscriptions.tag_choices import has_tag_choices


def wants_edition(session: Session, edition_id: int, list_id: int) -> ColumnElement[bool]:
    """The condition on a subscription of a list that its reader wants this edition of it.

    That is who chose no topics, who chose one that a story of the edition has as it is pinned
    there, and who was mailed something wrong that the edition sets right.
    """
    chosen, other = SubscriptionTag, aliased(SubscriptionTag)
    has_its_topic = select(other.tag).where(
        other.list_id == list_id,
        other.subscriber_id == chosen.subscriber_id,
        other.tag.in_(_tags_of_stories(session, edition_id)),
    )
    had_it_wrong = select(Delivery.send_id).where(
        Delivery.send_id.in_(_sends_corrected_by(session, edition_id)),
        Delivery.subscriber_id == chosen.subscriber_id,
        Delivery.outcome.is_(None),
    )
    wants_others = select(chosen.tag).where(
        chosen.list_id == list_id,
        chosen.subscriber_id == Subscription.subscriber_id,
        ~has_its_topic.exists(),
        ~had_it_wrong.exists(),
    )
    return ~wants_others.exists()


def _tags_of_stories(session: Session, edition_id: int) -> list[str]:
    """The slugs of the tags of an edition's stories."""
    query = select(Revision.tags).join(EditionItem, EditionItem.revision_id == Revision.id)
    rows = session.scalars(query.where(EditionItem.edition_id == edition_id))
    return sorted({slug for tags in rows for slug, _ in tags})


def _sends_corrected_by(session: Session, edition_id: int) -> list[int]:
    """The sends of what an edition sets right."""
    wrong = list_corrected_edition_ids(session, edition_id)
    return list(session.scalars(select(Send.id).where(Send.edition_id.in_(wrong)))) if wrong else []


@dataclass(frozen=True)
class SendTerms:
    """How a send is to go: what a batch holds, and between which moments it may be posted.

    For the length of `undo` it can be taken back; `within` is how long after its edition was due
    it may still be posted without asking.
    """

    batch_size: int = MAX_COPIES_PER_REQUEST
    undo_period: timedelta = timedelta(0)
    max_delay: timedelta = timedelta(hours=24)


NO_SUBSCRIBERS = "Nobody has confirmed a subscription to this list yet, so there is nobody to mail."

IMMEDIATE_TERMS = SendTerms()

ANALYZE_FROM = 10_000
"""So many new rows make PostgreSQL's old idea of the table too wrong to read it quickly."""


def plan_send(
    session: Session,
    edition: Edition,
    terms: SendTerms = IMMEDIATE_TERMS,
    *,
    among: Select[*tuple[int]] | None = None,
    state: SubscriptionState = SubscriptionState.CONFIRMED,
    now: datetime,
) -> Send | None:
    """Write down a delivery for everyone who is confirmed now, or in another `state`, in batches.

    Who has paused has one too, which says so, and is not mailed. Who chose topics has none where
    the edition has nothing about them. Where `among` is given, only those have one whose ids it
    selects, whatever they chose. The audience is frozen here: who joins later gets the next
    edition. None where the edition has a send already. Raises Conflict for one that was never
    frozen.
    """
    if edition.state is not EditionState.FROZEN:
        raise Conflict(f"This edition is {edition.state.value}: there is nothing to send.")
    send_id = session.scalar(
        conflict_aware_insert(session, Send)
        .values(
            edition_id=edition.id,
            list_id=edition.list_id,
            state=SendState.SENDING,
            audience=0,
            refusals=0,
            high_rates_tolerated=False,
            created_at=now,
            starts_at=now + terms.undo_period,
            not_after=edition.due_at + terms.max_delay,
        )
        .on_conflict_do_nothing(index_elements=[Send.edition_id])
        .returning(Send.id)
    )
    if send_id is None:
        return None
    send = session.get_one(Send, send_id)
    send.audience = _insert_deliveries(session, send, among, state, now)
    if send.audience >= ANALYZE_FROM and session.get_bind().dialect.name == "postgresql":
        # PostgreSQL would find out by itself, but only after the send.
        session.execute(text("ANALYZE delivery"))
    ranges = _batch_ranges(send.id, terms.batch_size)
    session.execute(insert(Batch).from_select(_BATCH_COLUMNS, ranges))
    if send.audience == 0:
        send.state, send.finished_at = SendState.FINISHED, now
    return send


def plan_manual_send(
    session: Session, edition: Edition, terms: SendTerms, *, at: datetime, now: datetime
) -> Send:
    """Plan a send that a person asked for, to begin at `at` or when it cannot be undone any more.

    It is news from then on. Raises Conflict where nobody would get it, it has a send, or its list
    is archived.
    """
    if edition.mailing_list.archived_at is not None:
        raise Conflict(LIST_IS_ARCHIVED)
    if edition.mailing_list.confirmed_count == 0:
        raise Conflict(NO_SUBSCRIBERS)
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
    among: Select[*tuple[int]] | None,
    state: SubscriptionState,
    now: datetime,
) -> int:
    """One delivery for each subscriber in that state; returns how many there are now."""
    paused = select(Subscriber.id).where(Subscriber.paused_until > now)
    has_paused = Subscription.subscriber_id.in_(paused)
    outcome = case((has_paused, literal(DeliveryOutcome.PAUSED, Delivery.outcome.type)))
    found = select(literal(send.id), Subscription.subscriber_id, outcome).where(
        Subscription.list_id == send.list_id,
        Subscription.state == state,
    )
    if among is not None:
        found = found.where(Subscription.subscriber_id.in_(among))
    elif has_tag_choices(session, send.list_id):
        found = found.where(wants_edition(session, send.edition_id, send.list_id))
    session.execute(insert(Delivery).from_select(_DELIVERY_COLUMNS, found))
    count = select(func.count()).select_from(Delivery).where(Delivery.send_id == send.id)
    return session.scalar(count) or 0


_DELIVERY_COLUMNS = ["send_id", "subscriber_id", "outcome"]
_BATCH_COLUMNS = [
    "send_id",
    "first_subscriber_id",
    "last_subscriber_id",
    "size",
    "skipped",
    "refused",
    "render_failed",
    "attempt_count",
    "state",
]


def _batch_ranges(send_id: int, batch_size: int) -> Select[*tuple[Any, ...]]:
    number = func.row_number().over(order_by=Delivery.subscriber_id) - 1
    numbered = (
        select(Delivery.subscriber_id, Delivery.outcome, (number // batch_size).label("n"))
        .where(Delivery.send_id == send_id)
        .subquery()
    )
    return (
        select(
            literal(send_id),
            func.min(numbered.c.subscriber_id),
            func.max(numbered.c.subscriber_id),
            func.count(),
            func.count(numbered.c.outcome),
            literal(0),
            literal(0),
            literal(0),
            literal(BatchState.PLANNED, Batch.state.type),
        )
        .group_by(numbered.c.n)
        .order_by(numbered.c.n)
    )
