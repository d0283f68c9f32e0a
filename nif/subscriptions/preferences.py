"""A reader's own page: the lists to be on, reached by a link that only their inbox holds.

A pause: nothing is mailed for a while, and no list is left for it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Invalid, NotFound
from nif.subscriptions.consent import ConsentContext, has_ever_confirmed, record_consent
from nif.subscriptions.double_opt_in import activate_subscription
from nif.subscriptions.email_address import EmailAddress
from nif.subscriptions.lists import all_lists
from nif.subscriptions.models import (
    ConsentAction,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from nif.subscriptions.statistics import change_subscription_state
from nif.subscriptions.suppression_list import SUBSCRIBER_GONE, is_suppressed
from nif.subscriptions.unsubscribe import unsubscribe_from_list
from nif.tokens import TokenPurpose, Tokens


def preferences_token(subscriber_id: int, tokens: Tokens) -> str:
    """What the link to a reader's own page carries. It never expires."""
    return tokens.make(TokenPurpose.PREFERENCES, subscriber_id)


def preferences_tokens(tokens: Tokens) -> Callable[[int], str]:
    """The same in bulk: a function from a subscriber's id to the token."""
    return tokens.maker(TokenPurpose.PREFERENCES)


def get_subscriber_by_token(session: Session, token: str, tokens: Tokens) -> Subscriber:
    """Raises NotFound."""
    subscriber_id, _ = tokens.open(TokenPurpose.PREFERENCES, token)
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None:
        raise NotFound(SUBSCRIBER_GONE)
    return subscriber


def find_mailable_subscriber(session: Session, address: EmailAddress) -> Subscriber | None:
    """Who gets the link to their own page when it is asked for at this address; None for nobody.

    Somebody who confirmed once and whose address is not suppressed.
    """
    known = select(Subscriber).where(Subscriber.canonical == address.canonical)
    subscriber = session.scalar(known)
    if subscriber is None or not has_ever_confirmed(session, subscriber.id):
        return None
    return None if is_suppressed(session, subscriber.canonical) else subscriber


def list_subscription_choices(
    session: Session, subscriber: Subscriber
) -> Sequence[tuple[MailingList, bool]]:
    """The lists that everyone is offered and those that the subscriber is on, and which these are.

    One that is hidden or archived is there for those who are on it, and for nobody else.
    """
    on = set(
        session.scalars(
            select(Subscription.list_id).where(
                Subscription.subscriber_id == subscriber.id,
                Subscription.state == SubscriptionState.CONFIRMED,
            )
        )
    )
    return [
        (one, one.id in on)
        for one in all_lists(session)
        if one.id in on or (one.is_shown and one.archived_at is None)
    ]


@dataclass(frozen=True)
class ListFamily:
    """Lists of which a reader chooses one: the same news at different paces."""

    slug: str
    lists: Sequence[tuple[MailingList, bool]]

    @property
    def chosen(self) -> str:
        """The slug of the list that the reader is on; empty for none."""
        return next((one.slug for one, on in self.lists if on), "")


def group_by_family(
    choices: Sequence[tuple[MailingList, bool]],
) -> tuple[list[tuple[MailingList, bool]], list[ListFamily]]:
    """The lists that stand for themselves, and the families of two lists and more."""
    families: dict[str, list[tuple[MailingList, bool]]] = {}
    for one in choices:
        families.setdefault(one[0].family or "", []).append(one)
    whole = {name: of for name, of in families.items() if name and len(of) > 1}
    alone = [one for one in choices if one[0].family not in whole]
    return alone, [ListFamily(name, of) for name, of in sorted(whole.items())]


def save_preferences(
    session: Session,
    subscriber: Subscriber,
    wanted: Collection[str],
    where: ConsentContext,
    *,
    now: datetime,
) -> None:
    """Put a subscriber on the lists whose slugs are `wanted` and take them off all others.

    Of a family the first that is wanted counts, and the others are left. Joining here needs no
    second mail: who holds the link holds the inbox.
    """
    offered = list_subscription_choices(session, subscriber)
    for family in group_by_family(offered)[1]:
        mine = [one.slug for one, _ in family.lists if one.slug in wanted]
        wanted = set(wanted) - set(mine[1:])
    for mailing_list, on in offered:
        wants = mailing_list.slug in wanted
        if on and not wants:
            unsubscribe_from_list(
                session, _get_subscription(session, subscriber, mailing_list), where, now=now
            )
        elif wants and not on:
            subscription = _find_subscription(session, subscriber, mailing_list)
            if subscription is None:
                subscription = _create_pending_subscription(session, subscriber, mailing_list, now)
            activate_subscription(session, subscription, where, now=now)


def confirmed_subscriptions_of(session: Session, subscriber: Subscriber) -> Sequence[Subscription]:
    """What a subscriber is confirmed on, in the order of the lists."""
    query = select(Subscription).where(
        Subscription.subscriber_id == subscriber.id,
        Subscription.state == SubscriptionState.CONFIRMED,
    )
    return session.scalars(query.order_by(Subscription.list_id)).all()


def _create_pending_subscription(
    session: Session, subscriber: Subscriber, mailing_list: MailingList, now: datetime
) -> Subscription:
    subscription = Subscription(
        subscriber_id=subscriber.id,
        list_id=mailing_list.id,
        state=SubscriptionState.PENDING,
        requested_at=now,
    )
    session.add(subscription)
    session.flush()
    change_subscription_state(session, subscription, None, source="", now=now)
    return subscription


def _find_subscription(
    session: Session, subscriber: Subscriber, mailing_list: MailingList
) -> Subscription | None:
    key = {"subscriber_id": subscriber.id, "list_id": mailing_list.id}
    return session.get(Subscription, key, with_for_update={"of": Subscription})


def _get_subscription(
    session: Session, subscriber: Subscriber, mailing_list: MailingList
) -> Subscription:
    subscription = _find_subscription(session, subscriber, mailing_list)
    if subscription is None:
        raise NotFound("You are not on this list.")
    return subscription


PAUSE_WEEKS = (1, 2, 4)
LONGEST_PAUSE = timedelta(days=366)

NOT_A_DATE = "Give a day as year, month and day, such as 2027-01-15."
TOO_SOON = "Choose a day after today: mail comes again from that day on."
TOO_LATE = "A pause is a year at most. To get nothing at all, leave the lists."


def parse_pause_weeks(weeks: str, *, now: datetime) -> datetime:
    """The moment so many weeks from now. Raises Invalid for a number that is not offered."""
    if weeks not in {str(one) for one in PAUSE_WEEKS}:
        raise Invalid({"weeks": "Choose one of these."})
    return now + timedelta(weeks=int(weeks))


def parse_pause_end(typed: str, zone: str, *, now: datetime) -> datetime:
    """The beginning of a day, by the clocks of `zone`. Raises Invalid, for the field `until`."""
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError:
        raise Invalid({"until": NOT_A_DATE}) from None
    clock = ZoneInfo(zone)
    today = now.astimezone(clock).date()
    if day <= today:
        raise Invalid({"until": TOO_SOON})
    if day - today > LONGEST_PAUSE:
        raise Invalid({"until": TOO_LATE})
    return datetime.combine(day, time(), clock)


def pause_mail(
    session: Session,
    subscriber: Subscriber,
    until: datetime,
    where: ConsentContext,
    *,
    now: datetime,
) -> None:
    """Mail nothing before `until`. It ends by itself; a second pause takes the place of a first."""
    subscriber.paused_until = until
    _record_pause_consent(session, subscriber, ConsentAction.PAUSED, where, now)


def resume_mail(
    session: Session, subscriber: Subscriber, where: ConsentContext, *, now: datetime
) -> None:
    """End a pause before its time; nothing where there is none."""
    if is_paused(subscriber, now=now):
        _record_pause_consent(session, subscriber, ConsentAction.RESUMED, where, now)
    subscriber.paused_until = None


def is_paused(subscriber: Subscriber, *, now: datetime) -> bool:
    return subscriber.paused_until is not None and subscriber.paused_until > now


def _record_pause_consent(
    session: Session,
    subscriber: Subscriber,
    action: ConsentAction,
    where: ConsentContext,
    now: datetime,
) -> None:
    """The record has it for each list that the reader is on."""
    mine = select(Subscription).where(
        Subscription.subscriber_id == subscriber.id,
        Subscription.state == SubscriptionState.CONFIRMED,
    )
    for one in session.scalars(mine.order_by(Subscription.list_id)):
        record_consent(session, one, action, where, now=now)
