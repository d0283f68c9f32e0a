"""A change of address: requested on the preferences page, completed by a link mailed to the new
address."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nif import limits
from nif.database import get_row, lock_row
from nif.errors import Expired
from nif.limits import DAY, MONTH, allow_mail, find_exceeded_limit
from nif.mail import outbox, transactional
from nif.mail.addresses import EmailAddress
from nif.subscriptions.consent import ConsentContext, record_consent
from nif.subscriptions.lifecycle import subscriptions_of
from nif.subscriptions.models import (
    AddressChange,
    Consent,
    ConsentAction,
    ListMetric,
    SignupRefusal,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from nif.subscriptions.preferences import transfer_chosen_tags
from nif.subscriptions.statistics import (
    change_state_without_statistics,
    record_list_metrics,
    uncount_subscription,
)
from nif.subscriptions.suppression_list import SUBSCRIBER_GONE, is_suppressed
from nif.tokens import TokenPurpose, Tokens


class CarryOver(Protocol):
    """Transfers what a package above this one knows of a subscriber, `of`, to another one, `to`."""

    def __call__(self, session: Session, *, of: int, to: int) -> None: ...


CONFIRM_CHANGE_WITHIN = timedelta(days=7)
REQUESTS_A_DAY = 3
MAILS_PER_NEW_ADDRESS_A_MONTH = 3
CHANGE_LIMIT, NEW_ADDRESS_LIMIT = "address_change", "address_change.to"

STALE_LINK = (
    "This link is too old, was used, or a newer one has replaced it. Your address is unchanged."
)


def request_address_change(
    session: Session,
    subscriber: Subscriber,
    to: EmailAddress,
    context: ConsentContext,
    *,
    now: datetime,
) -> tuple[bool, AddressChange | None]:
    """Record that a subscriber wants to be mailed at another address.

    Returns whether to mail a notice to the old address, and the change whose confirmation to mail
    to the new one. The change is None where the new address may not be mailed: because it is
    suppressed or erased, refused sign-ups, or was mailed today or three times in thirty days. The
    page says the same in each case. A subscriber may ask three times a day.
    """
    exceeds_limit = find_exceeded_limit(session, to.canonical, context.network, now=now)
    if exceeds_limit or not limits.allow_attempt(
        session, CHANGE_LIMIT, str(subscriber.id), most=REQUESTS_A_DAY, per=DAY, now=now
    ):
        return False, None
    is_notice_due = not is_suppressed(session, subscriber.canonical)
    if not _may_be_mailed(session, to.canonical, now):
        return is_notice_due, None
    values = {"address": to.written, "canonical": to.canonical, "requested_at": now}
    change = lock_row(session, AddressChange, subscriber.id, subscriber_id=subscriber.id, **values)
    for name, value in values.items():
        setattr(change, name, value)
    return is_notice_due, change


def cancel_address_change(session: Session, subscriber: Subscriber) -> None:
    """Delete the requested change of a subscriber, if there is one."""
    session.execute(delete(AddressChange).where(AddressChange.subscriber_id == subscriber.id))


def address_change_token(change: AddressChange, tokens: Tokens) -> str:
    """The token of the link mailed to the new address. It is valid for this request only."""
    requested_at = int(change.requested_at.timestamp())
    return tokens.make(TokenPurpose.ADDRESS_CHANGE, change.subscriber_id, requested_at)


def get_address_change(
    session: Session, token: str, tokens: Tokens, *, now: datetime
) -> AddressChange:
    """The change of a link.

    Raises NotFound for a token that NIF did not issue and for an erased subscriber; Expired for one
    that is older than 7 days, was used or replaced, or whose address must not be mailed any more.
    """
    subscriber_id, requested_at = tokens.open(TokenPurpose.ADDRESS_CHANGE, token)
    get_row(session, Subscriber, subscriber_id, SUBSCRIBER_GONE, lock=True)
    change = session.get(AddressChange, subscriber_id)
    is_too_old = now - datetime.fromtimestamp(requested_at, UTC) > CONFIRM_CHANGE_WITHIN
    if is_too_old or change is None or int(change.requested_at.timestamp()) != requested_at:
        raise Expired(STALE_LINK)
    if is_suppressed(session, change.canonical):
        raise Expired(STALE_LINK)
    return change


def complete_address_change(
    session: Session,
    token: str,
    tokens: Tokens,
    context: ConsentContext,
    carry_over: CarryOver,
    *,
    now: datetime,
) -> Subscriber:
    """Give a subscriber their new address.

    Another subscriber with that address is the same person, because both inboxes are theirs. Their
    subscriptions and consents are transferred to the subscriber with the old address, whose links
    continue to work; `carry_over` transfers what sends know of them. Raises as
    `get_address_change` does.
    """
    change = get_address_change(session, token, tokens, now=now)
    subscriber = session.get_one(Subscriber, change.subscriber_id)
    at_new_address = select(Subscriber).where(Subscriber.canonical == change.canonical)
    other = session.scalar(at_new_address.with_for_update())
    if other is not None and other is not subscriber:
        carry_over(session, of=other.id, to=subscriber.id)
        _merge_subscriber(session, subscriber, other, now=now)
    # An erasure of the subscriber would not find mails to their old address any more.
    transactional.delete_transactional_emails_to(session, subscriber.canonical, also_waiting=False)
    outbox.delete_outbox_mails_to(session, subscriber.canonical)
    subscriber.address, subscriber.canonical = change.address, change.canonical
    session.delete(change)
    session.flush()
    is_confirmed = Subscription.state == SubscriptionState.CONFIRMED
    for subscription in subscriptions_of(session, subscriber.id, is_confirmed, lock=True):
        record_consent(session, subscription, ConsentAction.CHANGED, context, now=now)
    return subscriber


def _may_be_mailed(session: Session, canonical: str, now: datetime) -> bool:
    """May the new address be mailed? Its owner has proved nothing yet, so the limits of sign-ups
    apply."""
    if is_suppressed(session, canonical) or session.get(SignupRefusal, canonical) is not None:
        return False
    most = MAILS_PER_NEW_ADDRESS_A_MONTH
    return limits.allow_attempt(
        session, NEW_ADDRESS_LIMIT, canonical, most=most, per=MONTH, now=now
    ) and allow_mail(session, canonical, now=now)


def _merge_subscriber(
    session: Session, subscriber: Subscriber, other: Subscriber, *, now: datetime
) -> None:
    """Transfer the subscriptions and consents of `other` to `subscriber`, and delete `other`.

    A list that both were confirmed on loses one subscription.
    """
    confirmed = SubscriptionState.CONFIRMED
    own = {one.list_id: one for one in subscriptions_of(session, subscriber.id, lock=True)}
    others = subscriptions_of(session, other.id, lock=True)
    decided_by_other = [
        theirs.list_id
        for theirs in others
        if (kept := own.get(theirs.list_id)) is None or theirs.state is confirmed is not kept.state
    ]
    transfer_chosen_tags(session, of=other.id, to=subscriber.id, lists=decided_by_other)
    for theirs in others:
        kept = own.get(theirs.list_id)
        if kept is None:
            theirs.subscriber_id = subscriber.id
            continue
        uncount_subscription(session, theirs)
        session.delete(theirs)
        if theirs.state is confirmed is not kept.state:
            change_state_without_statistics(session, kept, confirmed)
            kept.confirmed_at, kept.unsubscribed_at = theirs.confirmed_at, None
        elif theirs.state is confirmed:
            record_list_metrics(session, theirs.list_id, {ListMetric.REMOVED: 1}, now=now)
    session.flush()
    session.execute(
        update(Consent)
        .where(Consent.subscriber_id == other.id)
        .values(subscriber_id=subscriber.id)
        .execution_options(synchronize_session=False)
    )
    session.execute(delete(AddressChange).where(AddressChange.subscriber_id == other.id))
    session.delete(other)
    session.flush()
