"""Inactive subscribers of a list: counting them, and asking by mail whether they want to stay.

A subscriber is inactive after 6, 12 or 24 months without an action that only a reader can take.
A person starts each campaign; unsubscribing those who did not respond is a second decision, see
`sunset_policy`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.editions.messages import freeze_repermission_edition, write_inactive_repermission_message
from nif.errors import Conflict, Invalid
from nif.mail.message import MailWriter, Message
from nif.sends import control
from nif.sends.models import SendState
from nif.sends.planning import SendTerms
from nif.sends.repermission import (
    MAX_MAILS_PER_HOUR,
    MIN_MAILS_PER_HOUR,
    InactiveCounts,
    RepermissionCampaign,
    RepermissionKind,
    RepermissionSettings,
    RepermissionState,
    send_of_campaign,
    start_campaign,
)
from nif.sends.subscriber_activity import was_inactive_since
from nif.subscriptions.models import (
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)

INACTIVITY_PERIODS = {6: timedelta(days=183), 12: timedelta(days=365), 24: timedelta(days=730)}
"""The inactivity periods to choose from, by months."""

DEFAULT_WAIT_DAYS = 30
MIN_WAIT_DAYS = 14
MAX_WAIT_DAYS = 365
DEFAULT_PER_HOUR = 2_000


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
            Subscription.state == SubscriptionState.CONFIRMED,
            func.coalesce(Subscription.confirmed_at, Subscription.requested_at) < since,
            Subscriber.created_at < since,
            or_(Subscriber.paused_until.is_(None), Subscriber.paused_until <= now),
            Suppression.canonical.is_(None),
            was_inactive_since(Subscription.subscriber_id, since),
        )
    )


def count_inactive(session: Session, list_id: int, months: int, *, now: datetime) -> int:
    """Count a list's inactive subscribers. Reads every subscription of the list."""
    inactive = select_inactive(list_id, months, now=now).subquery()
    return session.scalar(select(func.count()).select_from(inactive)) or 0


def store_inactive_counts(
    session: Session, list_id: int, counts: list[int], *, now: datetime
) -> None:
    """Store the counts for 6, 12 and 24 months."""
    names = ("half_a_year", "a_year", "two_years")
    values = {**dict(zip(names, counts, strict=True)), "counted_at": now}
    session.execute(
        conflict_aware_insert(session, InactiveCounts)
        .values(list_id=list_id, **values)
        .on_conflict_do_update(index_elements=[InactiveCounts.list_id], set_=values)
    )


def find_inactive_counts(session: Session, list_id: int) -> InactiveCounts | None:
    return session.get(InactiveCounts, list_id)


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


def draft_repermission_message(
    mail_writer: MailWriter, mailing_list: MailingList, plan: RepermissionPlan
) -> Message:
    """The message that the campaign would send."""
    return write_inactive_repermission_message(
        mail_writer, mailing_list, months=plan.months, wait_days=plan.wait_days
    )


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
    message = draft_repermission_message(mail_writer, mailing_list, plan)
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
