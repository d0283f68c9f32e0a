"""A reader's own page: the lists to be on, reached by a link that only their inbox holds."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import NotFound
from nif.subscriptions.addresses import Address
from nif.subscriptions.consenting import Circumstances, has_ever_confirmed
from nif.subscriptions.counting import move
from nif.subscriptions.forgetting import GONE
from nif.subscriptions.joining import enter
from nif.subscriptions.leaving import leave
from nif.subscriptions.models import (
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from nif.subscriptions.reading import all_lists
from nif.subscriptions.suppressing import is_suppressed
from nif.tokens import Purpose, Tokens


def preferences_token(subscriber_id: int, tokens: Tokens) -> str:
    """What the link to a reader's own page carries. It never expires."""
    return tokens.make(Purpose.PREFERENCES, subscriber_id)


def preferences_tokens(tokens: Tokens) -> Callable[[int], str]:
    """The same in bulk: a function from a subscriber's id to the token."""
    return tokens.maker(Purpose.PREFERENCES)


def get_subscriber(session: Session, token: str, tokens: Tokens) -> Subscriber:
    """Raises NotFound."""
    subscriber_id, _ = tokens.open(Purpose.PREFERENCES, token)
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None:
        raise NotFound(GONE)
    return subscriber


def find_reader(session: Session, address: Address) -> Subscriber | None:
    """Who gets the link to their own page when it is asked for at this address; None for nobody.

    Somebody who confirmed once and whose address is not suppressed.
    """
    known = select(Subscriber).where(Subscriber.canonical == address.canonical)
    subscriber = session.scalar(known)
    if subscriber is None or not has_ever_confirmed(session, subscriber.id):
        return None
    return None if is_suppressed(session, subscriber.canonical) else subscriber


def choices(session: Session, subscriber: Subscriber) -> Sequence[tuple[MailingList, bool]]:
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
class Family:
    """Lists of which a reader chooses one: the same news at different paces."""

    slug: str
    lists: Sequence[tuple[MailingList, bool]]

    @property
    def chosen(self) -> str:
        """The slug of the list that the reader is on; empty for none."""
        return next((one.slug for one, on in self.lists if on), "")


def by_family(
    choices: Sequence[tuple[MailingList, bool]],
) -> tuple[list[tuple[MailingList, bool]], list[Family]]:
    """The lists that stand for themselves, and the families of two lists and more."""
    families: dict[str, list[tuple[MailingList, bool]]] = {}
    for one in choices:
        families.setdefault(one[0].family or "", []).append(one)
    whole = {name: of for name, of in families.items() if name and len(of) > 1}
    alone = [one for one in choices if one[0].family not in whole]
    return alone, [Family(name, of) for name, of in sorted(whole.items())]


def prefer(
    session: Session,
    subscriber: Subscriber,
    wanted: Collection[str],
    where: Circumstances,
    *,
    now: datetime,
) -> None:
    """Put a subscriber on the lists whose slugs are `wanted` and take them off all others.

    Of a family the first that is wanted counts, and the others are left. Joining here needs no
    second mail: who holds the link holds the inbox.
    """
    offered = choices(session, subscriber)
    for family in by_family(offered)[1]:
        mine = [one.slug for one, _ in family.lists if one.slug in wanted]
        wanted = set(wanted) - set(mine[1:])
    for mailing_list, on in offered:
        wants = mailing_list.slug in wanted
        if on and not wants:
            leave(session, _get(session, subscriber, mailing_list), where, now=now)
        elif wants and not on:
            subscription = _find(session, subscriber, mailing_list)
            if subscription is None:
                subscription = _ask(session, subscriber, mailing_list, now)
            enter(session, subscription, where, now=now)


def subscriptions_of(session: Session, subscriber: Subscriber) -> Sequence[Subscription]:
    """What a subscriber is confirmed on, in the order of the lists."""
    query = select(Subscription).where(
        Subscription.subscriber_id == subscriber.id,
        Subscription.state == SubscriptionState.CONFIRMED,
    )
    return session.scalars(query.order_by(Subscription.list_id)).all()


def _ask(
    session: Session, subscriber: Subscriber, mailing_list: MailingList, now: datetime
) -> Subscription:
    subscription = Subscription(
        subscriber_id=subscriber.id,
        list_id=mailing_list.id,
        state=SubscriptionState.PENDING,
        asked_at=now,
    )
    session.add(subscription)
    session.flush()
    move(session, subscription, None)
    return subscription


def _find(
    session: Session, subscriber: Subscriber, mailing_list: MailingList
) -> Subscription | None:
    key = {"subscriber_id": subscriber.id, "list_id": mailing_list.id}
    return session.get(Subscription, key, with_for_update={"of": Subscription})


def _get(session: Session, subscriber: Subscriber, mailing_list: MailingList) -> Subscription:
    subscription = _find(session, subscriber, mailing_list)
    if subscription is None:
        raise NotFound("You are not on this list.")
    return subscription
