"""Inactive subscribers of a list: counting, asking whether they want to stay, the sunset policy.

A subscriber is inactive after 6, 12 or 24 months without an action that only a reader can take.
A person starts each campaign. Unsubscribing those who did not respond is a second decision, which a
worker carries out batch by batch; each consent record gives the reason. They are not suppressed:
they can subscribe again, also by the link in the mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, insert, or_, select, update
from sqlalchemy.orm import Session

from nif.claims import claim_next, lock_claimed_row
from nif.database import Transaction, count_rows, put_row, table_of
from nif.editions.messages import freeze_repermission_edition, write_inactive_repermission_message
from nif.errors import Conflict, Invalid
from nif.mail.message import MailWriter
from nif.sends import control
from nif.sends.models import Attempt, Delivery, ProviderEvent, SendState
from nif.sends.planning import SendTerms
from nif.sends.repermission import (
    MAX_MAILS_PER_HOUR,
    MIN_MAILS_PER_HOUR,
    RECOUNT_EVERY,
    InactiveCounts,
    RepermissionCampaign,
    RepermissionKind,
    RepermissionSettings,
    RepermissionState,
    recount_campaign_answers,
    send_of_campaign,
    start_campaign,
)
from nif.sends.subscriber_activity import was_inactive_since, was_inactive_since_in_range
from nif.subscriptions.consent import REPERMISSION_SOURCE
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)
from nif.subscriptions.statistics import StateChange, count_state_changes

INACTIVITY_PERIODS = {6: timedelta(days=183), 12: timedelta(days=365), 24: timedelta(days=730)}
"""The inactivity periods to choose from, by months."""

DEFAULT_WAIT_DAYS = 30
MIN_WAIT_DAYS = 14
MAX_WAIT_DAYS = 365
DEFAULT_PER_HOUR = 2_000

DELIVERIES_PER_BATCH = 2_000
"""Deliveries of the campaign handled in one transaction."""

UNREACHED_EVENTS = ("bounce", "blocked", "dropped")

_subscribed_at = func.coalesce(Subscription.confirmed_at, Subscription.requested_at)

IdSpan = tuple[int, int]
ALL_IDS: IdSpan = (0, 2**63 - 1)


class MoreThanExpected(Invalid):
    """More subscribers are affected than the person saw before pressing the button."""

    def __init__(self, people: int) -> None:
        super().__init__({"expected_count": f"There are {people:,} of them by now."})


@dataclass(frozen=True)
class RepermissionPlan:
    """The settings of a re-permission campaign to inactive subscribers.

    `expected_count` is how many there were when the person decided.
    """

    months: int = 12
    wait_days: int = DEFAULT_WAIT_DAYS
    per_hour: int = DEFAULT_PER_HOUR
    expected_count: int = 0

    def check(self) -> None:
        """Raises Invalid."""
        problems = {}
        if self.months not in INACTIVITY_PERIODS:
            problems["months"] = "Choose 6, 12 or 24 months."
        if not MIN_WAIT_DAYS <= self.wait_days <= MAX_WAIT_DAYS:
            problems["wait_days"] = f"Allow {MIN_WAIT_DAYS} to {MAX_WAIT_DAYS} days."
        if not MIN_MAILS_PER_HOUR <= self.per_hour <= MAX_MAILS_PER_HOUR:
            problems["per_hour"] = (
                f"Choose {MIN_MAILS_PER_HOUR} to {MAX_MAILS_PER_HOUR:,} mails an hour."
            )
        if problems:
            raise Invalid(problems)


def select_inactive(list_id: int, months: int, *, now: datetime) -> Select[*tuple[int]]:
    """The confirmed subscribers of a list who have been inactive for `months`.

    Subscribers who were not on the list for that long are left out, and so are paused and
    suppressed ones, because no mail reaches them anyway.
    """
    since = now - INACTIVITY_PERIODS[months]
    return (
        select(Subscription.subscriber_id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .outerjoin(Suppression, Suppression.canonical == Subscriber.canonical)
        .where(
            Subscription.list_id == list_id,
            *_is_reachable(now),
            _subscribed_at < since,
            Subscriber.created_at < since,
            was_inactive_since(Subscription.subscriber_id, since),
        )
    )


def _is_reachable(now: datetime) -> Sequence[ColumnElement[bool]]:
    """The conditions that mail to a list reaches a subscriber: it may be sent, and they get it."""
    return (
        Subscription.state == SubscriptionState.CONFIRMED,
        or_(Subscriber.paused_until.is_(None), Subscriber.paused_until <= now),
        Suppression.canonical.is_(None),
    )


def count_inactive(session: Session, list_id: int, months: int, *, now: datetime) -> int:
    """Count a list's inactive subscribers. Reads every subscription of the list."""
    return count_rows(session, select_inactive(list_id, months, now=now))


def store_inactive_counts(
    session: Session, list_id: int, counts: list[int], *, now: datetime
) -> None:
    """Store the counts for 6, 12 and 24 months."""
    names = ("half_a_year", "a_year", "two_years")
    values = dict(zip(names, counts, strict=True))
    put_row(session, InactiveCounts, list_id=list_id, counted_at=now, **values)


def find_last_repermission(session: Session, list_id: int) -> RepermissionCampaign | None:
    """The latest campaign to the inactive subscribers of a list."""
    campaigns = select(RepermissionCampaign).where(
        RepermissionCampaign.list_id == list_id, RepermissionCampaign.kind == RepermissionKind.STAY
    )
    return session.scalar(campaigns.order_by(RepermissionCampaign.id.desc()).limit(1))


def is_repermission_under_way(campaign: RepermissionCampaign | None) -> bool:
    return campaign is not None and campaign.state in {
        RepermissionState.OPEN,
        RepermissionState.UNSUBSCRIBING,
    }


def start_repermission(
    session: Session,
    mailing_list: MailingList,
    plan: RepermissionPlan,
    mail_writer: MailWriter,
    terms: SendTerms,
    *,
    now: datetime,
) -> RepermissionCampaign:
    """Start a campaign: each inactive subscriber of a list gets one re-permission mail.

    Raises Invalid for an invalid plan; MoreThanExpected if more than `plan.expected_count` are
    inactive; Conflict if a campaign is under way, or nobody is inactive.
    """
    plan.check()
    if is_repermission_under_way(find_last_repermission(session, mailing_list.id)):
        raise Conflict("A re-permission campaign on this list is under way already.")
    people = count_inactive(session, mailing_list.id, plan.months, now=now)
    if people > plan.expected_count:
        raise MoreThanExpected(people)
    if not people:
        raise Conflict("No subscriber of this list is inactive.")
    message = write_inactive_repermission_message(
        mail_writer, mailing_list, months=plan.months, wait_days=plan.wait_days
    )
    edition = freeze_repermission_edition(session, mailing_list, message, now=now)
    if edition is None:
        raise Conflict("Another mail to this list was started in this second. Press again.")
    settings = RepermissionSettings(
        RepermissionKind.STAY,
        plan.per_hour,
        activity_since=now,
        months=plan.months,
        wait_days=plan.wait_days,
    )
    inactive = select_inactive(mailing_list.id, plan.months, now=now)
    return start_campaign(session, edition, settings, terms, only_ids=inactive, now=now)


def answers_due_at(session: Session, campaign: RepermissionCampaign) -> datetime | None:
    """When the time to respond ends; None until the last subscriber is mailed."""
    send = send_of_campaign(session, campaign)
    if send.state is not SendState.FINISHED or send.finished_at is None:
        return None
    return send.finished_at + timedelta(days=campaign.wait_days or DEFAULT_WAIT_DAYS)


def stop_repermission(session: Session, campaign: RepermissionCampaign, *, now: datetime) -> None:
    """Stop mailing, and stop unsubscribing non-responders. Raises Conflict if it has ended."""
    session.refresh(campaign, with_for_update=True)
    if not is_repermission_under_way(campaign):
        raise Conflict("This re-permission campaign has ended already.")
    send = send_of_campaign(session, campaign)
    if send.state in {SendState.SENDING, SendState.PAUSED}:
        control.cancel_send(session, send, now=now)
    campaign.state, campaign.ended_at = RepermissionState.STOPPED, now


def count_nonresponders(session: Session, campaign: RepermissionCampaign, *, now: datetime) -> int:
    """How many subscribers would be unsubscribed now."""
    send_id = send_of_campaign(session, campaign).id
    is_inactive = was_inactive_since(Delivery.subscriber_id, campaign.activity_since)
    unanswered = _select_unanswered(campaign, send_id, ALL_IDS, now)
    return count_rows(session, unanswered.where(is_inactive))


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


def advance_next_campaign(transaction: Transaction, *, now: datetime) -> bool:
    """Do the next step of a campaign that is due; False where none is.

    A step unsubscribes the non-responders among the next deliveries, or counts the answers again.
    The claim is committed first: a campaign whose step fails holds up no other.
    """
    with transaction() as session:
        claimed = claim_next(session, RepermissionCampaign, lease=RECOUNT_EVERY, now=now)
    if claimed is None:
        return False
    with transaction() as session:
        if claimed.state is not RepermissionState.UNSUBSCRIBING:
            recount_campaign_answers(session, claimed, now=now)
            return True
        campaign = lock_claimed_row(session, claimed)
        if campaign is not None and campaign.state is RepermissionState.UNSUBSCRIBING:
            _unsubscribe_next_nonresponders(session, campaign, now)
            campaign.due_at = now
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
            *_is_reachable(now),
            _subscribed_at <= campaign.created_at,
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
