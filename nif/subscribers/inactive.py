"""Readers of whom there was no sign for long: counting them, and asking whether they still read.

Nothing here happens by itself: a person begins the asking, and a person lets go who did not answer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.editions.messages import (
    freeze_repermission_edition,
    write_inactive_repermission_message,
)
from nif.errors import Conflict, Invalid
from nif.mail.message import MailWriter, Message
from nif.sends import control
from nif.sends.activity import was_inactive_since
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
from nif.subscriptions.models import (
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)

INACTIVITY_PERIODS = {6: timedelta(days=183), 12: timedelta(days=365), 24: timedelta(days=730)}
"""After so many months without a sign of life somebody can be asked."""

DEFAULT_WAIT_DAYS = 30
MIN_WAIT_DAYS = 14
MAX_WAIT_DAYS = 365
DEFAULT_PER_HOUR = 2_000


class MoreThanExpected(Conflict):
    """There are more people now than the person saw who pressed the button."""


@dataclass(frozen=True)
class RepermissionPlan:
    """Whom to ask, for how long to wait for them, and how many to ask an hour.

    `expected_count` is how many there were when somebody decided it.
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
            problems["wait_days"] = f"Give them {MIN_WAIT_DAYS} to {MAX_WAIT_DAYS} days."
        if not MIN_MAILS_PER_HOUR <= self.per_hour <= MAX_MAILS_PER_HOUR:
            problems["per_hour"] = f"Choose {MIN_MAILS_PER_HOUR} to {MAX_MAILS_PER_HOUR:,} an hour."
        if problems:
            raise Invalid(problems)


def select_inactive(list_id: int, months: int, *, now: datetime) -> Select[*tuple[int]]:
    """The confirmed readers of a list who are here for so long, and have shown no sign of life.

    Who has paused now or is suppressed is none of them: no mail reaches them in any case.
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
    """How many quiet readers a list has. It looks at each of its readers."""
    people = select_inactive(list_id, months, now=now).subquery()
    return session.scalar(select(func.count()).select_from(people)) or 0


def store_inactive_counts(
    session: Session, list_id: int, figures: list[int], *, now: datetime
) -> None:
    """Keep what was counted, for 6, 12 and 24 months."""
    names = ("half_a_year", "a_year", "two_years")
    values = {**dict(zip(names, figures, strict=True)), "counted_at": now}
    session.execute(
        conflict_aware_insert(session, InactiveCounts)
        .values(list_id=list_id, **values)
        .on_conflict_do_update(index_elements=[InactiveCounts.list_id], set_=values)
    )


def find_inactive_counts(session: Session, list_id: int) -> InactiveCounts | None:
    return session.get(InactiveCounts, list_id)


def find_last_repermission(session: Session, list_id: int) -> RepermissionCampaign | None:
    """The last asking of a list's quiet readers."""
    asked = select(RepermissionCampaign).where(
        RepermissionCampaign.list_id == list_id, RepermissionCampaign.kind == RepermissionKind.STAY
    )
    return session.scalar(asked.order_by(RepermissionCampaign.id.desc()).limit(1))


def is_repermission_under_way(asking: RepermissionCampaign | None) -> bool:
    return asking is not None and asking.state in {
        RepermissionState.OPEN,
        RepermissionState.UNSUBSCRIBING,
    }


def draft_repermission_message(
    mail_writer: MailWriter, mailing_list: MailingList, plan: RepermissionPlan
) -> Message:
    """What they would get."""
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
    """Ask a list's quiet readers, one mail each.

    Raises Invalid; Grown where they are more than it was decided for; Conflict where they are being
    asked, and where there are none.
    """
    plan.check()
    if is_repermission_under_way(find_last_repermission(session, mailing_list.id)):
        raise Conflict("The quiet readers of this list are being asked already.")
    people = count_inactive(session, mailing_list.id, plan.months, now=now)
    if people > plan.expected_count:
        raise MoreThanExpected(f"There are {people:,} of them by now.")
    if not people:
        raise Conflict("There is nobody to ask.")
    edition = freeze_repermission_edition(
        session, mailing_list, draft_repermission_message(mail_writer, mailing_list, plan), now=now
    )
    if edition is None:
        raise Conflict("Another question to this list was begun this very second. Press again.")
    question = RepermissionSettings(
        RepermissionKind.STAY,
        plan.per_hour,
        activity_since=now,
        months=plan.months,
        wait_days=plan.wait_days,
    )
    readers = select_inactive(mailing_list.id, plan.months, now=now)
    return start_campaign(session, edition, question, terms, among=readers, now=now)


def answers_due_at(session: Session, asking: RepermissionCampaign) -> datetime | None:
    """Until when those who were asked can answer; None as long as some are still to be mailed."""
    send = send_of_campaign(session, asking)
    if send.state is not SendState.FINISHED or send.finished_at is None:
        return None
    return send.finished_at + timedelta(days=asking.wait_days or DEFAULT_WAIT_DAYS)


def stop_repermission(session: Session, asking: RepermissionCampaign, *, now: datetime) -> None:
    """Ask nobody more, and let nobody more go. Raises Conflict where it is over."""
    session.refresh(asking, with_for_update=True)
    if not is_repermission_under_way(asking):
        raise Conflict("This is over already.")
    send = send_of_campaign(session, asking)
    if send.state in {SendState.SENDING, SendState.PAUSED}:
        control.cancel_send(session, send, now=now)
    asking.state, asking.ended_at = RepermissionState.STOPPED, now
