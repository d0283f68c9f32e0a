"""The life of a subscription: requested, confirmed by double opt-in, kept, ended, restored.

The confirmation, by the link in a mail, proves that the person who typed the address also reads it.
So does the answer to a re-permission mail, which confirms that a subscriber still wants the list.
Unsubscribing takes effect at once, without a question, however often the button is pressed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from nif.database import get_row, insert_if_new
from nif.errors import Expired, NotFound
from nif.limits import DAY, allow_confirmation, allow_mail
from nif.mail.addresses import EmailAddress
from nif.subscriptions.consent import (
    REPERMISSION_SOURCE,
    ConsentContext,
    find_last_source,
    has_ever_confirmed,
    record_consent,
)
from nif.subscriptions.models import (
    ConsentAction,
    ListMetric,
    MailingList,
    SignupRefusal,
    Subscriber,
    Subscription,
    SubscriptionState,
    SubscriptionTag,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.statistics import change_subscription_state, record_list_metrics
from nif.subscriptions.suppression_list import (
    SUBSCRIBER_GONE,
    allows_signups,
    lift_suppressions,
    suppress_address,
)
from nif.tokens import UNKNOWN_LINK, TokenPurpose, Tokens

CONFIRM_WITHIN = timedelta(days=7)

STAY_SOURCE = "/stay"
"""The source of a consent given by the link in a re-permission mail."""

LATE_ANSWER_WITHIN = timedelta(days=365)
"""How long after NIF has unsubscribed a subscriber their answer still subscribes them again."""

ALL_LISTS = 0
"""The list id in the token of a mail that belongs to no single list: it ends all subscriptions."""

UNDO_WITHIN = timedelta(hours=1)

ONE_CLICK = "List-Unsubscribe=One-Click"
"""The value that RFC 8058 section 3.1 prescribes."""

ONE_CLICK_SOURCE = "/unsubscribe, one click"
"""The source of a consent where a mail program unsubscribed its user (RFC 8058)."""


class AddressMailLimit(StrEnum):
    """The limits of mail to one address: all mail in a day, confirmations in a month."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True)
class SubscriptionRequestResult:
    """What a subscription request led to. Pages never show the difference; only a mail may.

    `pending`: a subscription for which a confirmation mail is due. `already_subscribed`: the
    subscriber, who is on the list and may be mailed so. `added`: a subscription that an earlier
    confirmation mail will confirm, so that none is due. `exceeded`: the limit that allows no mail
    now. All are None where nothing may be mailed at all.
    """

    pending: Subscription | None = None
    already_subscribed: Subscriber | None = None
    added: Subscription | None = None
    exceeded: AddressMailLimit | None = None


def request_subscription(
    session: Session,
    mailing_list: MailingList,
    address: EmailAddress,
    context: ConsentContext,
    *,
    now: datetime,
    approved: bool = False,
) -> SubscriptionRequestResult:
    """Record that an address asks for a list, and return which mail that calls for.

    An address gets one mail a day, and three confirmations in thirty days unless a person approved
    the request. A request for a second list on the same day is added to the pending one: the
    confirmation page of the link that is already sent offers both. Addresses that bounced,
    complained, were erased, or refused sign-ups are not mailed. An archived list accepts nobody.
    """
    is_refused = session.get(SignupRefusal, address.canonical) is not None
    is_archived = mailing_list.archived_at is not None
    if is_archived or is_refused or not allows_signups(session, address.canonical):
        return SubscriptionRequestResult()
    if not allow_mail(session, address.canonical, now=now):
        return _request_without_mail(session, mailing_list, address, context, now)
    if not (allow_confirmation(session, address.canonical, now=now) or approved):
        return SubscriptionRequestResult(exceeded=AddressMailLimit.MONTH)
    names = {"address": address.written, "canonical": address.canonical}
    created = insert_if_new(session, Subscriber, **names, created_at=now)
    known = select(Subscriber).filter_by(canonical=address.canonical)
    subscriber = created or session.scalars(known).one()
    subscription = get_or_create_subscription(session, subscriber, mailing_list, now=now)
    if subscription.state is SubscriptionState.CONFIRMED:
        return SubscriptionRequestResult(already_subscribed=subscriber)
    _set_pending(session, subscription, context, now)
    return SubscriptionRequestResult(pending=subscription)


def confirmation_key(subscriber_id: int, list_id: int) -> int:
    """The subscriber and the list of a confirmation, as one number."""
    return subscriber_id << 20 | list_id


def confirmation_token(subscription: Subscription, tokens: Tokens) -> str:
    """The token of the confirmation link. It is valid for this request only, not for later ones."""
    return tokens.make(
        TokenPurpose.CONFIRM,
        confirmation_key(subscription.subscriber_id, subscription.list_id),
        int(subscription.requested_at.timestamp()),
    )


def get_subscription_to_confirm(
    session: Session, token: str, tokens: Tokens, *, now: datetime
) -> Subscription:
    """The pending or confirmed subscription of a confirmation link, locked.

    Raises NotFound for a token that NIF did not issue and for an erased subscriber; Expired for one
    that is older than 7 days, was replaced by a newer one, or whose subscription has ended since.
    """
    key, requested_at = tokens.open(TokenPurpose.CONFIRM, token)
    row = {"subscriber_id": key >> 20, "list_id": key & 0xFFFFF}
    subscription = get_row(session, Subscription, row, SUBSCRIBER_GONE, lock=True)
    if subscription.state is SubscriptionState.CONFIRMED:
        return subscription
    is_newest = int(subscription.requested_at.timestamp()) == requested_at
    is_too_old = now - datetime.fromtimestamp(requested_at, UTC) > CONFIRM_WITHIN
    has_ended = subscription.state is SubscriptionState.UNSUBSCRIBED
    if is_too_old or not is_newest or has_ended:
        raise Expired("This link is too old, or a newer one has replaced it.")
    return subscription


def confirm_subscription(
    session: Session, token: str, tokens: Tokens, context: ConsentContext, *, now: datetime
) -> Subscription:
    """Confirm a pending subscription and record the consent.

    A token works once and for 7 days. Confirming twice is no error: a reader who presses the button
    again is told that they are subscribed. Raises as `get_subscription_to_confirm` does.
    """
    subscription = get_subscription_to_confirm(session, token, tokens, now=now)
    if subscription.state is SubscriptionState.PENDING:
        activate_subscription(session, subscription, context, now=now)
    return subscription


def subscriptions_of(
    session: Session, subscriber_id: int, *which: ColumnElement[bool], lock: bool = False
) -> Sequence[Subscription]:
    """A subscriber's subscriptions that meet the conditions, in the order of the lists."""
    theirs = select(Subscription).where(Subscription.subscriber_id == subscriber_id, *which)
    query = theirs.order_by(Subscription.list_id)
    return session.scalars(query.with_for_update() if lock else query).all()


def list_other_requests(
    session: Session, subscription: Subscription, *, now: datetime
) -> Sequence[Subscription]:
    """The other pending subscriptions of the same address, except on archived lists.

    A confirmation link proves that its reader owns the address, so it may confirm these too, for as
    long as it is valid itself.
    """
    since = now - CONFIRM_WITHIN
    if subscription.requested_at < since:
        return []
    return subscriptions_of(
        session,
        subscription.subscriber_id,
        Subscription.mailing_list.has(MailingList.archived_at.is_(None)),
        Subscription.list_id != subscription.list_id,
        Subscription.state == SubscriptionState.PENDING,
        Subscription.requested_at >= since,
    )


def activate_subscription(
    session: Session, subscription: Subscription, context: ConsentContext, *, now: datetime
) -> None:
    """Confirm a subscription whose subscriber has just proved to own the address.

    A pending subscription loses tags that were chosen in an earlier one: it carries everything.
    """
    source = context.source
    if subscription.state is SubscriptionState.PENDING:
        # The page on which the subscription was requested.
        source = find_last_source(session, subscription, ConsentAction.REQUESTED) or source
        clear_chosen_tags(session, subscription)
    change_subscription_state(
        session, subscription, SubscriptionState.CONFIRMED, source=source, now=now
    )
    subscription.confirmed_at, subscription.unsubscribed_at = now, None
    record_consent(session, subscription, ConsentAction.CONFIRMED, context, now=now)
    # Lift what the subscriber themselves had asked for, and no other suppression.
    canonical = session.get_one(Subscriber, subscription.subscriber_id).canonical
    session.execute(delete(SignupRefusal).where(SignupRefusal.canonical == canonical))
    unsubscribed = Suppression.reason == SuppressionReason.UNSUBSCRIBED
    lift_suppressions(session, Suppression.canonical == canonical, unsubscribed, now=now)


def get_subscription_to_keep(session: Session, token: str, tokens: Tokens) -> Subscription:
    """The subscription of a link in a re-permission mail, locked. Raises NotFound.

    The link never expires and gives no access to data.
    """
    subscriber_id, list_id = tokens.open(TokenPurpose.REPERMISSION, token)
    key = {"subscriber_id": subscriber_id, "list_id": list_id}
    return get_row(session, Subscription, key, SUBSCRIBER_GONE, lock=True)


def may_keep_subscription(session: Session, subscription: Subscription, *, now: datetime) -> bool:
    """Is the subscription confirmed, or did NIF end it within a year for want of an answer?"""
    if subscription.state is SubscriptionState.CONFIRMED:
        return True
    unsubscribed_at = subscription.unsubscribed_at
    if subscription.state is not SubscriptionState.UNSUBSCRIBED or unsubscribed_at is None:
        return False
    source = find_last_source(session, subscription, ConsentAction.UNSUBSCRIBED) or ""
    return now - unsubscribed_at <= LATE_ANSWER_WITHIN and source.startswith(REPERMISSION_SOURCE)


def keep_subscription(
    session: Session, subscription: Subscription, context: ConsentContext, *, now: datetime
) -> None:
    """Record that a subscriber still wants a list, and subscribe them again where NIF had
    unsubscribed them.

    Raises Expired for a subscriber who unsubscribed themselves: they need a new confirmation.
    """
    if not may_keep_subscription(session, subscription, now=now):
        raise Expired("You have unsubscribed from this newsletter. To get it, subscribe again.")
    if subscription.state is SubscriptionState.UNSUBSCRIBED:
        activate_subscription(session, subscription, context, now=now)
    else:
        record_consent(session, subscription, ConsentAction.CONFIRMED, context, now=now)


def _request_without_mail(
    session: Session,
    mailing_list: MailingList,
    address: EmailAddress,
    context: ConsentContext,
    now: datetime,
) -> SubscriptionRequestResult:
    """Handle a request from an address that may get no more mail today."""
    is_theirs = Subscriber.canonical == address.canonical
    theirs = select(Subscription).join(Subscriber).where(is_theirs)
    by_list = {known.list_id: known for known in session.scalars(theirs)}
    known = by_list.get(mailing_list.id)
    if known is not None and known.state is SubscriptionState.CONFIRMED:
        return SubscriptionRequestResult()
    mailed_today = [one for one in by_list.values() if _is_pending(one, since=now - DAY)]
    if not mailed_today:
        return SubscriptionRequestResult(exceeded=AddressMailLimit.DAY)
    if known is not None and _is_pending(known, since=now - CONFIRM_WITHIN):
        return SubscriptionRequestResult()
    subscriber = mailed_today[0].subscriber
    subscription = get_or_create_subscription(session, subscriber, mailing_list, now=now)
    _set_pending(session, subscription, context, now)
    return SubscriptionRequestResult(added=subscription)


def _is_pending(subscription: Subscription, *, since: datetime) -> bool:
    return subscription.state is SubscriptionState.PENDING and subscription.requested_at > since


def _set_pending(
    session: Session, subscription: Subscription, context: ConsentContext, now: datetime
) -> None:
    subscription.requested_at = now
    if subscription.state is SubscriptionState.UNSUBSCRIBED:
        change_subscription_state(
            session, subscription, SubscriptionState.PENDING, source=context.source, now=now
        )
        subscription.confirmed_at = None
    record_list_metrics(session, subscription.list_id, {ListMetric.REQUESTED: 1}, now=now)
    record_consent(session, subscription, ConsentAction.REQUESTED, context, now=now)


def get_or_create_subscription(
    session: Session, subscriber: Subscriber, mailing_list: MailingList, *, now: datetime
) -> Subscription:
    """The subscription, locked. A new one is pending and counted."""
    key = {"subscriber_id": subscriber.id, "list_id": mailing_list.id}
    state = SubscriptionState.PENDING
    created = insert_if_new(session, Subscription, **key, state=state, requested_at=now)
    subscription = session.get_one(Subscription, key, with_for_update={"of": Subscription})
    if created is not None:
        change_subscription_state(session, subscription, None, source="", now=now)
    return subscription


def clear_chosen_tags(session: Session, subscription: Subscription) -> None:
    session.execute(
        delete(SubscriptionTag).where(
            SubscriptionTag.list_id == subscription.list_id,
            SubscriptionTag.subscriber_id == subscription.subscriber_id,
        )
    )


def unsubscribe_token(subscriber_id: int, list_id: int, tokens: Tokens) -> str:
    return tokens.make(TokenPurpose.UNSUBSCRIBE, subscriber_id, list_id)


def list_unsubscribe_headers(link: str) -> dict[str, str]:
    """The mail headers for unsubscribing with one click (RFC 2369, RFC 8058)."""
    return {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": ONE_CLICK}


def get_subscriptions_to_unsubscribe(
    session: Session, token: str, tokens: Tokens
) -> Sequence[Subscription]:
    """The subscriptions of an unsubscribe link, locked: one, or all of a subscriber.

    Raises NotFound for a token that NIF did not issue, and where there is no subscription.
    """
    subscriber_id, list_id = tokens.open(TokenPurpose.UNSUBSCRIBE, token)
    on_list = () if list_id == ALL_LISTS else (Subscription.list_id == list_id,)
    found = subscriptions_of(session, subscriber_id, *on_list, lock=True)
    if not found:
        raise NotFound(SUBSCRIBER_GONE)
    return found


def unsubscribe_from_list(
    session: Session, subscription: Subscription, context: ConsentContext, *, now: datetime
) -> bool:
    """End a subscription; False where it had ended before.

    A subscriber who never confirmed anything thereby says that somebody else had typed their
    address: it is suppressed.
    """
    if subscription.state is SubscriptionState.UNSUBSCRIBED:
        return False
    pending = subscription.state is SubscriptionState.PENDING
    if pending and not has_ever_confirmed(session, subscription.subscriber_id):
        suppress_address(
            session,
            subscription.subscriber.canonical,
            SuppressionReason.MANUAL,
            source="sign-up refused by the recipient",
            now=now,
        )
    end_subscription(session, subscription, context, now=now)
    return True


def end_subscription(
    session: Session, subscription: Subscription, context: ConsentContext, *, now: datetime
) -> None:
    """End a subscription that has not ended; nothing is suppressed."""
    change_subscription_state(
        session, subscription, SubscriptionState.UNSUBSCRIBED, source=context.source, now=now
    )
    subscription.unsubscribed_at = now
    record_consent(session, subscription, ConsentAction.UNSUBSCRIBED, context, now=now)


def may_undo_unsubscribe(subscription: Subscription, *, now: datetime) -> bool:
    """Did it end within the last hour, after it had been confirmed?"""
    unsubscribed_at = subscription.unsubscribed_at
    was_confirmed = subscription.confirmed_at is not None
    is_recent = unsubscribed_at is not None and now - unsubscribed_at <= UNDO_WITHIN
    return was_confirmed and is_recent


def undo_unsubscribe(
    session: Session, subscription: Subscription, context: ConsentContext, *, now: datetime
) -> None:
    """Confirm a subscription again that was ended by mistake within the last hour.

    Raises Expired otherwise: an unsubscribe link must not become a link to subscribe.
    """
    if subscription.state is SubscriptionState.CONFIRMED:
        return
    if not may_undo_unsubscribe(subscription, now=now):
        raise Expired("It is too late to undo this here. Subscribe again, and confirm by mail.")
    activate_subscription(session, subscription, context, now=now)


def get_refusing_subscriber(session: Session, token: str, tokens: Tokens) -> Subscriber:
    """The subscriber of a link "it was not me". Raises NotFound."""
    subscriber_id, _ = tokens.open(TokenPurpose.REPORT_SIGNUP, token)
    return get_row(session, Subscriber, subscriber_id, UNKNOWN_LINK)


def refuse_signups(
    session: Session, subscriber: Subscriber, context: ConsentContext, *, now: datetime
) -> None:
    """End what waits for confirmation, and refuse all later sign-ups with this address.

    A subscriber who never confirmed anything is suppressed, as by unsubscribing. Confirmed
    subscriptions continue; choosing more on their preferences page ends the refusal.
    """
    is_pending = Subscription.state == SubscriptionState.PENDING
    for subscription in subscriptions_of(session, subscriber.id, is_pending, lock=True):
        unsubscribe_from_list(session, subscription, context, now=now)
    if allows_signups(session, subscriber.canonical):
        insert_if_new(session, SignupRefusal, canonical=subscriber.canonical, at=now)
