"""What an admin may do to one subscriber; each act is on record, without the address."""

from datetime import datetime

from sqlalchemy.orm import Session

from nif.accounts.auditing import Doer, note
from nif.errors import Conflict, Invalid, NotFound
from nif.subscriptions.consenting import BY_ADMINS, Circumstances, record
from nif.subscriptions.counting import move
from nif.subscriptions.models import (
    ConsentAction,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.suppressing import end, suppress

BY_HAND = "by hand: "
"""What the source of a suppression begins with that an admin made; only such a one is lifted."""

LONGEST_REASON = 200


def get_subscription(session: Session, subscriber: Subscriber, slug: str) -> Subscription:
    """A subscriber's subscription to a list. Raises NotFound."""
    found = (
        session.query(Subscription)
        .join(MailingList)
        .filter(Subscription.subscriber_id == subscriber.id, MailingList.slug == slug)
        .one_or_none()
    )
    if found is None:
        raise NotFound("This subscriber has never been on that list.")
    return found


def take_off(
    session: Session, subscriber: Subscriber, slug: str, *, by: Doer, now: datetime
) -> None:
    """Take a subscriber off a list, for instance because they asked by telephone.

    Unlike their own leaving it says nothing about who asked for the list, so nothing is suppressed.
    Raises NotFound; Conflict where they have left already.
    """
    known = get_subscription(session, subscriber, slug)
    key = {"subscriber_id": known.subscriber_id, "list_id": known.list_id}
    subscription = session.get_one(
        Subscription, key, with_for_update={"of": Subscription}, populate_existing=True
    )
    if subscription.state is SubscriptionState.LEFT:
        raise Conflict("This subscriber has left that list already.")
    move(session, subscription, SubscriptionState.LEFT, source=BY_ADMINS, now=now)
    subscription.left_at = now
    record(session, subscription, ConsentAction.LEFT, Circumstances(BY_ADMINS), now=now)
    _note(session, by, "subscriber_taken_off", subscriber, {"list": slug}, now)


def suppress_by_hand(
    session: Session, subscriber: Subscriber, reason: str, *, by: Doer, now: datetime
) -> None:
    """Never mail this subscriber again, because of `reason`.

    Raises Invalid for a reason that is none; Conflict where they are suppressed already, so that
    lifting it later can never lift what the reader or the provider said.
    """
    reason = reason_by_hand(reason)
    standing = session.get(Suppression, subscriber.canonical, with_for_update=True)
    if standing is not None:
        raise Conflict("This subscriber is suppressed already.")
    manual, source = SuppressionReason.MANUAL, f"{BY_HAND}{reason}"
    suppress(session, subscriber.canonical, manual, source=source, now=now)
    _note(session, by, "subscriber_suppressed", subscriber, None, now)


def reason_by_hand(typed: str) -> str:
    """The reason for which an admin suppresses an address, in one line. Raises Invalid."""
    reason = " ".join(typed.split())
    if not reason:
        raise Invalid({"reason": "Give the reason: whoever looks later has to understand it."})
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise Invalid({"reason": f"A reason has at most {LONGEST_REASON} plain characters."})
    return reason


def may_lift(suppression: Suppression | None) -> bool:
    """Did an admin make this suppression, and not the reader or the provider?"""
    if suppression is None:
        return False
    by_hand = suppression.source.startswith(BY_HAND)
    return by_hand and suppression.reason is SuppressionReason.MANUAL


def lift(session: Session, subscriber: Subscriber, *, by: Doer, now: datetime) -> None:
    """Take back what an admin suppressed. Raises Conflict for any other suppression, and none."""
    standing = session.get(
        Suppression, subscriber.canonical, with_for_update=True, populate_existing=True
    )
    if not may_lift(standing):
        raise Conflict("Only a suppression that an admin made by hand can be lifted.")
    end(session, Suppression.canonical == subscriber.canonical, now=now)
    _note(session, by, "suppression_lifted", subscriber, None, now)


def _note(
    session: Session,
    by: Doer,
    what: str,
    subscriber: Subscriber,
    detail: dict[str, object] | None,
    now: datetime,
) -> None:
    note(session, by, what, kind="subscriber", subject=subscriber.id, detail=detail, now=now)
