"""The sunset policy: unsubscribing those who did not respond to a re-permission mail.

A worker does it batch by batch after a person decided it. Each consent record gives the reason. The
subscribers are not suppressed: they can subscribe again, also by the link in the mail.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, case, func, insert, or_, select, update
from sqlalchemy.orm import Session

from nif.claims import claim_next
from nif.database import table_of
from nif.errors import Conflict
from nif.sends.models import Attempt, Delivery, ProviderEvent
from nif.sends.repermission import (
    RECOUNT_EVERY,
    RepermissionCampaign,
    RepermissionState,
    recount_campaign_answers,
    send_of_campaign,
)
from nif.sends.subscriber_activity import was_inactive_since, was_inactive_since_in_range
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
"""Deliveries of the campaign handled in one transaction."""

UNREACHED_EVENTS = ("bounce", "blocked", "dropped")

IdSpan = tuple[int, int]
ALL_IDS: IdSpan = (0, 2**63 - 1)


def count_nonresponders(session: Session, campaign: RepermissionCampaign, *, now: datetime) -> int:
    """How many subscribers would be unsubscribed now."""
    send_id = send_of_campaign(session, campaign).id
    is_inactive = was_inactive_since(Delivery.subscriber_id, campaign.activity_since)
    nonresponders = (
        _select_unanswered(campaign, send_id, ALL_IDS, now).where(is_inactive).subquery()
    )
    return session.scalar(select(func.count()).select_from(nonresponders)) or 0


def start_unsubscribing_nonresponders(
    session: Session, campaign: RepermissionCampaign, *, expected: int, now: datetime
) -> None:
    """Have a worker unsubscribe the non-responders.

    Raises Conflict before the time to respond is over, and if it was started already;
    MoreThanExpected if there are more than `expected`.
    """
    session.refresh(campaign, with_for_update=True)
    if campaign.state is not RepermissionState.OPEN:
        raise Conflict("This is under way, or over, already.")
    due_at = answers_due_at(session, campaign)
    if due_at is None or due_at > now:
        raise Conflict("Their time to answer is not over yet.")
    people = count_nonresponders(session, campaign, now=now)
    if people > expected:
        raise MoreThanExpected(people)
    campaign.state, campaign.due_at = RepermissionState.UNSUBSCRIBING, now
    campaign.cursor = 0


def advance_next_campaign(session: Session, *, now: datetime) -> bool:
    """Do the next step of a campaign that is due; False where none is.

    A step unsubscribes the non-responders among the next deliveries, or counts the answers again.
    """
    campaign = claim_next(session, RepermissionCampaign, lease=RECOUNT_EVERY, now=now)
    if campaign is None:
        return False
    if campaign.state is RepermissionState.UNSUBSCRIBING:
        _unsubscribe_next_nonresponders(session, campaign, now)
        campaign.due_at = now
    else:
        recount_campaign_answers(session, campaign, now=now)
    return True


def _unsubscribe_next_nonresponders(
    session: Session, campaign: RepermissionCampaign, now: datetime
) -> None:
    """Unsubscribe the non-responders among the next deliveries; after the last ones it is DONE.

    Locks the subscriptions before it looks for responses. So a subscriber who responds at the same
    moment either counts as having responded, or subscribes again by responding.
    """
    send_id = send_of_campaign(session, campaign).id
    ids = session.scalars(
        select(Delivery.subscriber_id)
        .where(Delivery.send_id == send_id, Delivery.subscriber_id > campaign.cursor)
        .order_by(Delivery.subscriber_id)
        .limit(DELIVERIES_PER_BATCH)
    ).all()
    if not ids:
        campaign.state, campaign.ended_at = RepermissionState.DONE, now
        return
    on_list = (Subscription.list_id == campaign.list_id, Subscription.subscriber_id.in_(ids))
    locked = select(Subscription.subscriber_id).where(*on_list)
    session.execute(locked.order_by(Subscription.subscriber_id).with_for_update()).all()
    span = (ids[0], ids[-1])
    is_inactive = was_inactive_since_in_range(Delivery.subscriber_id, span, campaign.activity_since)
    nonresponders = session.scalars(
        _select_unanswered(campaign, send_id, span, now).where(is_inactive)
    ).all()
    _unsubscribe(session, campaign, nonresponders, now)
    campaign.cursor = ids[-1]


def _unsubscribe(session: Session, campaign: RepermissionCampaign, ids: Any, now: datetime) -> None:
    unsubscribed = session.scalars(
        update(Subscription)
        .where(
            Subscription.list_id == campaign.list_id,
            Subscription.subscriber_id.in_(ids),
            Subscription.state == SubscriptionState.CONFIRMED,
        )
        .values(state=SubscriptionState.UNSUBSCRIBED, unsubscribed_at=now)
        .returning(Subscription.subscriber_id)
        .execution_options(synchronize_session=False)
    ).all()
    if not unsubscribed:
        return
    source = f"{REPERMISSION_SOURCE}{campaign.id}"
    consent = {
        "list_id": campaign.list_id,
        "action": ConsentAction.UNSUBSCRIBED,
        "at": now,
        "wording": None,
        "source": f"{source}, no answer in {campaign.wait_days} days",
        "network": "unknown",
    }
    session.execute(
        insert(table_of(Consent)),
        [{"subscriber_id": id_, **consent} for id_ in sorted(unsubscribed)],
    )
    changes: dict[StateChange, int] = {
        (SubscriptionState.CONFIRMED, SubscriptionState.UNSUBSCRIBED): len(unsubscribed)
    }
    count_state_changes(session, campaign.list_id, changes, source=source, now=now)
    campaign.unsubscribed_by_policy += len(unsubscribed)


def _select_unanswered(
    campaign: RepermissionCampaign, send_id: int, span: IdSpan, now: datetime
) -> Select[*tuple[int]]:
    """The subscribers in a span of ids who were mailed and reached and are still on the list.

    The caller adds the test for activity. The send is finished, so every delivery without an
    outcome of its own was accepted. Subscribers who have paused, subscribed again since, are
    suppressed or could not be reached are left out.
    """
    return (
        select(Delivery.subscriber_id)
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .join(
            Subscription,
            (Subscription.subscriber_id == Delivery.subscriber_id)
            & (Subscription.list_id == campaign.list_id),
        )
        .outerjoin(Suppression, Suppression.canonical == Subscriber.canonical)
        .where(
            Delivery.send_id == send_id,
            # With a bound on one table only, PostgreSQL reads the other tables in full.
            Delivery.subscriber_id.between(*span),
            Subscriber.id.between(*span),
            Subscription.subscriber_id.between(*span),
            Delivery.outcome.is_(None),
            Subscription.state == SubscriptionState.CONFIRMED,
            func.coalesce(Subscription.confirmed_at, Subscription.requested_at)
            <= campaign.created_at,
            or_(Subscriber.paused_until.is_(None), Subscriber.paused_until <= now),
            Suppression.canonical.is_(None),
            Delivery.subscriber_id.not_in(_select_unreached(send_id, span)),
        )
    )


def _select_unreached(send_id: int, span: IdSpan) -> Select[*tuple[int | None]]:
    """The subscribers whose mail bounced or was blocked, or was deferred and never delivered."""
    first, last = span

    def has_event(*kinds: str) -> Any:
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
        .having(
            or_(
                has_event(*UNREACHED_EVENTS) == 1,
                and_(has_event("deferred") == 1, has_event("delivered") == 0),
            )
        )
    )
