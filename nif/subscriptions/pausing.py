"""A pause: nothing is mailed for a while, and no list is left for it."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Invalid
from nif.subscriptions.consenting import Circumstances, record
from nif.subscriptions.models import (
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
)

WEEKS = (1, 2, 4)
LONGEST = timedelta(days=366)

NO_DAY = "Give a day as year, month and day, such as 2027-01-15."
TOO_SOON = "Choose a day after today: mail comes again from that day on."
TOO_LATE = "A pause is a year at most. To get nothing at all, leave the lists."


def after_weeks(weeks: str, *, now: datetime) -> datetime:
    """The moment so many weeks from now. Raises Invalid for a number that is not offered."""
    if weeks not in {str(one) for one in WEEKS}:
        raise Invalid({"weeks": "Choose one of these."})
    return now + timedelta(weeks=int(weeks))


def until_day(typed: str, zone: str, *, now: datetime) -> datetime:
    """The beginning of a day, by the clocks of `zone`. Raises Invalid, for the field `until`."""
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError:
        raise Invalid({"until": NO_DAY}) from None
    clock = ZoneInfo(zone)
    today = now.astimezone(clock).date()
    if day <= today:
        raise Invalid({"until": TOO_SOON})
    if day - today > LONGEST:
        raise Invalid({"until": TOO_LATE})
    return datetime.combine(day, time(), clock)


def pause(
    session: Session,
    subscriber: Subscriber,
    until: datetime,
    where: Circumstances,
    *,
    now: datetime,
) -> None:
    """Mail nothing before `until`. It ends by itself; a second pause takes the place of a first."""
    subscriber.paused_until = until
    _note(session, subscriber, ConsentAction.PAUSED, where, now)


def go_on(session: Session, subscriber: Subscriber, where: Circumstances, *, now: datetime) -> None:
    """End a pause before its time; nothing where there is none."""
    if is_paused(subscriber, now=now):
        _note(session, subscriber, ConsentAction.RESUMED, where, now)
    subscriber.paused_until = None


def is_paused(subscriber: Subscriber, *, now: datetime) -> bool:
    return subscriber.paused_until is not None and subscriber.paused_until > now


def _note(
    session: Session,
    subscriber: Subscriber,
    action: ConsentAction,
    where: Circumstances,
    now: datetime,
) -> None:
    """The record has it for each list that the reader is on."""
    mine = select(Subscription).where(
        Subscription.subscriber_id == subscriber.id,
        Subscription.state == SubscriptionState.CONFIRMED,
    )
    for one in session.scalars(mine.order_by(Subscription.list_id)):
        record(session, one, action, where, now=now)
