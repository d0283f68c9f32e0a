"""Changing one's address: asked for on the own page, done by the link in a mail to the new one."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nif import limits
from nif.database import conflict_aware_insert
from nif.errors import Expired, NotFound
from nif.mail import outbox, transactional
from nif.subscriptions.consent import ConsentContext, record_consent
from nif.subscriptions.email_address import EmailAddress
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
from nif.subscriptions.signup_limits import DAY, MONTH, allow_mail, find_exceeded_limit
from nif.subscriptions.statistics import (
    change_state_without_statistics,
    record_list_metrics,
    uncount_subscription,
)
from nif.subscriptions.suppression_list import SUBSCRIBER_GONE, is_suppressed
from nif.subscriptions.tag_choices import transfer_chosen_tags
from nif.tokens import TokenPurpose, Tokens

CHANGE_LIMIT, NEW_ADDRESS_LIMIT = "address_change", "address_change.to"
CONFIRM_CHANGE_WITHIN = timedelta(days=7)
REQUESTS_A_DAY = 3
MAILS_PER_NEW_ADDRESS_A_MONTH = 3

STALE_LINK = (
    "This link is too old, was used, or a newer one has replaced it. Your address is as it was."
)


def request_address_change(
    session: Session,
    subscriber: Subscriber,
    to: EmailAddress,
    where: ConsentContext,
    *,
    now: datetime,
) -> tuple[bool, AddressChange | None]:
    """Note a wish to be mailed at another address.

    Gives whether the old address is to be told, and the change that is to be confirmed from the
    new one, or None where that is not to be mailed: because it is suppressed or erased, said that
    it was not them, or was written to today or three times in thirty days. Whoever asks is told
    the same in each case. A reader may ask three times a day.
    """
    if find_exceeded_limit(
        session, to.canonical, where.network, now=now
    ) or not limits.allow_attempt(
        session, CHANGE_LIMIT, str(subscriber.id), most=REQUESTS_A_DAY, per=DAY, now=now
    ):
        return False, None
    is_told = not is_suppressed(session, subscriber.canonical)
    if not _may_be_mailed(session, to.canonical, now):
        return is_told, None
    new = {"address": to.written, "canonical": to.canonical, "requested_at": now}
    session.execute(
        conflict_aware_insert(session, AddressChange)
        .values(subscriber_id=subscriber.id, **new)
        .on_conflict_do_update(index_elements=[AddressChange.subscriber_id], set_=new)
    )
    change = session.get_one(AddressChange, subscriber.id, populate_existing=True)
    return is_told, change


def _may_be_mailed(session: Session, canonical: str, now: datetime) -> bool:
    """Whoever reads at the new address has proved nothing yet: the doors' own budget holds."""
    if is_suppressed(session, canonical) or session.get(SignupRefusal, canonical) is not None:
        return False
    return limits.allow_attempt(
        session,
        NEW_ADDRESS_LIMIT,
        canonical,
        most=MAILS_PER_NEW_ADDRESS_A_MONTH,
        per=MONTH,
        now=now,
    ) and allow_mail(session, canonical, now=now)


def cancel_address_change(session: Session, subscriber: Subscriber) -> None:
    """Take back a wish to be mailed at another address; nothing where there is none."""
    mine = AddressChange.subscriber_id == subscriber.id
    session.execute(delete(AddressChange).where(mine))


def address_change_token(change: AddressChange, tokens: Tokens) -> str:
    """What the link in the mail to the new address carries: good for this asking only."""
    asked = int(change.requested_at.timestamp())
    return tokens.make(TokenPurpose.ADDRESS_CHANGE, change.subscriber_id, asked)


def get_address_change(
    session: Session, token: str, tokens: Tokens, *, now: datetime
) -> AddressChange:
    """The change that a link is about.

    Raises NotFound for a token that we never gave out or whose reader was forgotten, Expired for
    one that is too old, was used, was replaced, or whose address must not be mailed any more.
    """
    subscriber_id, asked = tokens.open(TokenPurpose.ADDRESS_CHANGE, token)
    if session.get(Subscriber, subscriber_id, with_for_update=True) is None:
        raise NotFound(SUBSCRIBER_GONE)
    change = session.get(AddressChange, subscriber_id)
    too_old = now - datetime.fromtimestamp(asked, UTC) > CONFIRM_CHANGE_WITHIN
    if too_old or change is None or int(change.requested_at.timestamp()) != asked:
        raise Expired(STALE_LINK)
    if is_suppressed(session, change.canonical):
        raise Expired(STALE_LINK)
    return change


def complete_address_change(
    session: Session, token: str, tokens: Tokens, where: ConsentContext, *, now: datetime
) -> Subscriber:
    """Mail a reader at their new address from now on.

    Whoever is a subscriber there already is the same person, for both inboxes are theirs: what
    they were on and agreed to comes along, and the reader of the old address stays the one whose
    links work. Raises NotFound and Expired as `find_change` does.
    """
    change = get_address_change(session, token, tokens, now=now)
    reader = session.get_one(Subscriber, change.subscriber_id)
    at_new = select(Subscriber).where(
        Subscriber.canonical == change.canonical, Subscriber.id != reader.id
    )
    other = session.scalar(at_new.with_for_update())
    if other is not None:
        _merge_subscriber(session, reader, other, now=now)
    # What was mailed to the old address would else be nobody's, and outlive its reader's erasure.
    transactional.delete_transactional_emails_to(session, reader.canonical, also_waiting=False)
    outbox.delete_outbox_mails_to(session, reader.canonical)
    reader.address, reader.canonical = change.address, change.canonical
    session.delete(change)
    session.flush()
    for one in _lock_subscriptions_of(session, reader):
        if one.state is SubscriptionState.CONFIRMED:
            record_consent(session, one, ConsentAction.CHANGED, where, now=now)
    return reader


def _merge_subscriber(
    session: Session, reader: Subscriber, other: Subscriber, *, now: datetime
) -> None:
    """Give a reader the subscriptions and the record of another, who then is nobody.

    Who was on a list by both addresses is one less there from then on.
    """
    mine = {one.list_id: one for one in _lock_subscriptions_of(session, reader)}
    transfer_chosen_tags(
        session, of=other.id, to=reader.id, lists=_lists_decided_by_other(session, mine, other)
    )
    for theirs in _lock_subscriptions_of(session, other):
        uncount_subscription(session, theirs)
        own = mine.get(theirs.list_id)
        values = {
            "state": theirs.state,
            "requested_at": theirs.requested_at,
            "confirmed_at": theirs.confirmed_at,
            "unsubscribed_at": theirs.unsubscribed_at,
        }
        list_id = theirs.list_id
        session.delete(theirs)
        if own is None:
            own = Subscription(subscriber_id=reader.id, list_id=list_id, **values)
            session.add(own)
            session.flush()
            change_state_without_statistics(session, own, None)
        elif theirs.state is SubscriptionState.CONFIRMED is not own.state:
            change_state_without_statistics(session, own, SubscriptionState.CONFIRMED)
            own.confirmed_at, own.unsubscribed_at = theirs.confirmed_at, None
        elif theirs.state is SubscriptionState.CONFIRMED:
            record_list_metrics(session, list_id, {ListMetric.REMOVED: 1}, now=now)
    session.flush()
    session.execute(
        update(Consent)
        .where(Consent.subscriber_id == other.id)
        .values(subscriber_id=reader.id)
        .execution_options(synchronize_session=False)
    )
    session.execute(delete(AddressChange).where(AddressChange.subscriber_id == other.id))
    session.delete(other)
    session.flush()


def _lists_decided_by_other(
    session: Session, mine: Mapping[int, Subscription], other: Subscriber
) -> list[int]:
    """The lists on which what counts from now on is how the other was on them."""
    confirmed = SubscriptionState.CONFIRMED
    return [
        theirs.list_id
        for theirs in _lock_subscriptions_of(session, other)
        if (own := mine.get(theirs.list_id)) is None or theirs.state is confirmed is not own.state
    ]


def _lock_subscriptions_of(session: Session, subscriber: Subscriber) -> Iterator[Subscription]:
    mine = select(Subscription).where(Subscription.subscriber_id == subscriber.id)
    yield from session.scalars(mine.order_by(Subscription.list_id).with_for_update()).all()
