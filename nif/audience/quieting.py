"""Readers of whom there was no sign for long: counting them, and asking whether they still read.

Nothing here happens by itself: a person begins the asking, and a person lets go who did not answer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.editions.asking import freeze_asking
from nif.editions.writing import Desk, staying_message
from nif.errors import Conflict, Invalid
from nif.mail.message import Message
from nif.sends import steering
from nif.sends.asking import LEAST_AN_HOUR, MOST_AN_HOUR, Question, ask, send_of
from nif.sends.askings import Asking, AskingKind, AskingState, QuietFigures
from nif.sends.living import shown_none
from nif.sends.models import SendState
from nif.sends.planning import Terms
from nif.subscriptions.models import (
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)

MONTHS = {6: timedelta(days=183), 12: timedelta(days=365), 24: timedelta(days=730)}
"""After so many months without a sign of life somebody can be asked."""

WAIT_DAYS = 30
LEAST_WAIT = 14
MOST_WAIT = 365
AN_HOUR = 2_000


class Grown(Conflict):
    """There are more people now than the person saw who pressed the button."""


@dataclass(frozen=True)
class Plan:
    """Whom to ask, for how long to wait for them, and how many to ask an hour.

    `people` is how many there were when somebody decided it.
    """

    months: int = 12
    wait_days: int = WAIT_DAYS
    per_hour: int = AN_HOUR
    people: int = 0

    def check(self) -> None:
        """Raises Invalid."""
        problems = {}
        if self.months not in MONTHS:
            problems["months"] = "Choose 6, 12 or 24 months."
        if not LEAST_WAIT <= self.wait_days <= MOST_WAIT:
            problems["wait_days"] = f"Give them {LEAST_WAIT} to {MOST_WAIT} days."
        if not LEAST_AN_HOUR <= self.per_hour <= MOST_AN_HOUR:
            problems["per_hour"] = f"Choose {LEAST_AN_HOUR} to {MOST_AN_HOUR:,} an hour."
        if problems:
            raise Invalid(problems)


def quiet_readers(list_id: int, months: int, *, now: datetime) -> Select[*tuple[int]]:
    """The confirmed readers of a list who are here for so long, and have shown no sign of life.

    Who has paused now or is suppressed is none of them: no mail reaches them in any case.
    """
    since = now - MONTHS[months]
    return (
        select(Subscription.subscriber_id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .outerjoin(Suppression, Suppression.canonical == Subscriber.canonical)
        .where(
            Subscription.list_id == list_id,
            Subscription.state == SubscriptionState.CONFIRMED,
            func.coalesce(Subscription.confirmed_at, Subscription.asked_at) < since,
            Subscriber.created_at < since,
            or_(Subscriber.paused_until.is_(None), Subscriber.paused_until <= now),
            Suppression.canonical.is_(None),
            shown_none(Subscription.subscriber_id, since),
        )
    )


def count(session: Session, list_id: int, months: int, *, now: datetime) -> int:
    """How many quiet readers a list has. It looks at each of its readers."""
    people = quiet_readers(list_id, months, now=now).subquery()
    return session.scalar(select(func.count()).select_from(people)) or 0


def keep_figures(session: Session, list_id: int, figures: list[int], *, now: datetime) -> None:
    """Keep what was counted, for 6, 12 and 24 months."""
    names = ("half_a_year", "a_year", "two_years")
    values = {**dict(zip(names, figures, strict=True)), "counted_at": now}
    session.execute(
        insert_into(session, QuietFigures)
        .values(list_id=list_id, **values)
        .on_conflict_do_update(index_elements=[QuietFigures.list_id], set_=values)
    )


def find_figures(session: Session, list_id: int) -> QuietFigures | None:
    return session.get(QuietFigures, list_id)


def find_last(session: Session, list_id: int) -> Asking | None:
    """The last asking of a list's quiet readers."""
    asked = select(Asking).where(Asking.list_id == list_id, Asking.kind == AskingKind.STAY)
    return session.scalar(asked.order_by(Asking.id.desc()).limit(1))


def is_under_way(asking: Asking | None) -> bool:
    return asking is not None and asking.state in {AskingState.OPEN, AskingState.LETTING_GO}


def letter(desk: Desk, mailing_list: MailingList, plan: Plan) -> Message:
    """What they would get."""
    return staying_message(desk, mailing_list, months=plan.months, wait_days=plan.wait_days)


def begin(
    session: Session,
    mailing_list: MailingList,
    plan: Plan,
    desk: Desk,
    terms: Terms,
    *,
    now: datetime,
) -> Asking:
    """Ask a list's quiet readers, one mail each.

    Raises Invalid; Grown where they are more than it was decided for; Conflict where they are being
    asked, and where there are none.
    """
    plan.check()
    if is_under_way(find_last(session, mailing_list.id)):
        raise Conflict("The quiet readers of this list are being asked already.")
    people = count(session, mailing_list.id, plan.months, now=now)
    if people > plan.people:
        raise Grown(f"There are {people:,} of them by now.")
    if not people:
        raise Conflict("There is nobody to ask.")
    edition = freeze_asking(session, mailing_list, letter(desk, mailing_list, plan), now=now)
    if edition is None:
        raise Conflict("Another question to this list was begun this very second. Press again.")
    question = Question(
        AskingKind.STAY,
        plan.per_hour,
        since=now,
        months=plan.months,
        wait_days=plan.wait_days,
    )
    readers = quiet_readers(mailing_list.id, plan.months, now=now)
    return ask(session, edition, question, terms, among=readers, now=now)


def over_at(session: Session, asking: Asking) -> datetime | None:
    """Until when those who were asked can answer; None as long as some are still to be mailed."""
    send = send_of(session, asking)
    if send.state is not SendState.FINISHED or send.finished_at is None:
        return None
    return send.finished_at + timedelta(days=asking.wait_days or WAIT_DAYS)


def stop(session: Session, asking: Asking, *, now: datetime) -> None:
    """Ask nobody more, and let nobody more go. Raises Conflict where it is over."""
    session.refresh(asking, with_for_update=True)
    if not is_under_way(asking):
        raise Conflict("This is over already.")
    send = send_of(session, asking)
    if send.state in {SendState.SENDING, SendState.PAUSED}:
        steering.cancel(session, send, now=now)
    asking.state, asking.ended_at = AskingState.STOPPED, now
