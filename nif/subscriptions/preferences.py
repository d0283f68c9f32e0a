"""The preferences page: the lists of a subscriber, the tags chosen on each, and pauses.

Only the subscriber's inbox holds the link to it. Pages call tags topics: with a choice a subscriber
gets only the editions that contain a story with one of these tags; without one, every edition.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nif.database import get_row
from nif.errors import Invalid
from nif.mail.addresses import EmailAddress
from nif.subscriptions.consent import ConsentContext, has_ever_confirmed, record_consent
from nif.subscriptions.lifecycle import (
    activate_subscription,
    clear_chosen_tags,
    get_or_create_subscription,
    subscriptions_of,
    unsubscribe_from_list,
)
from nif.subscriptions.lists import all_lists
from nif.subscriptions.models import (
    ConsentAction,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    SubscriptionTag,
)
from nif.subscriptions.suppression_list import SUBSCRIBER_GONE, is_suppressed
from nif.tokens import TokenPurpose, Tokens

PAUSE_WEEKS = (1, 2, 4)
LONGEST_PAUSE = timedelta(days=366)

NOT_A_DATE = "Give a day as year, month and day, such as 2027-01-15."
TOO_SOON = "Choose a day after today. You get mail again from that day on."
TOO_LATE = "A pause is a year at most. To get no mail at all, unsubscribe."


def preferences_token(subscriber_id: int, tokens: Tokens) -> str:
    return tokens.make(TokenPurpose.PREFERENCES, subscriber_id)


def get_subscriber_by_token(session: Session, token: str, tokens: Tokens) -> Subscriber:
    """The subscriber of a preferences link. Raises NotFound."""
    subscriber_id, _ = tokens.open(TokenPurpose.PREFERENCES, token)
    return get_row(session, Subscriber, subscriber_id, SUBSCRIBER_GONE)


def find_mailable_subscriber(session: Session, address: EmailAddress) -> Subscriber | None:
    """The subscriber with an address, if they ever confirmed anything and are not suppressed.

    Only they are mailed a link to their preferences page.
    """
    subscriber = session.scalar(select(Subscriber).filter_by(canonical=address.canonical))
    if subscriber is None or is_suppressed(session, subscriber.canonical):
        return None
    return subscriber if has_ever_confirmed(session, subscriber.id) else None


def list_subscription_choices(
    session: Session, subscriber: Subscriber
) -> Sequence[tuple[MailingList, bool]]:
    """The lists that a subscriber may choose, each with whether they are on it.

    Those are the lists offered to everyone, and hidden or archived ones that they are on.
    """
    subscribed = {one.list_id for one in confirmed_subscriptions_of(session, subscriber)}
    return [
        (one, one.id in subscribed)
        for one in all_lists(session)
        if one.id in subscribed or (one.is_shown and one.archived_at is None)
    ]


@dataclass(frozen=True)
class ListFamily:
    """Lists with the same news at different paces. A subscriber chooses one of them."""

    slug: str
    lists: Sequence[tuple[MailingList, bool]]

    @property
    def chosen(self) -> str:
        """The slug of the list that the subscriber is on; empty for none."""
        return next((one.slug for one, is_on in self.lists if is_on), "")


def group_by_family(
    choices: Sequence[tuple[MailingList, bool]],
) -> tuple[list[tuple[MailingList, bool]], list[ListFamily]]:
    """The single lists, and the families of two or more lists."""
    by_slug: dict[str, list[tuple[MailingList, bool]]] = {}
    for choice in choices:
        by_slug.setdefault(choice[0].family or "", []).append(choice)
    families = {slug: lists for slug, lists in by_slug.items() if slug and len(lists) > 1}
    single = [choice for choice in choices if choice[0].family not in families]
    return single, [ListFamily(slug, lists) for slug, lists in sorted(families.items())]


def save_preferences(
    session: Session,
    subscriber: Subscriber,
    slugs: Collection[str],
    context: ConsentContext,
    *,
    now: datetime,
) -> None:
    """Subscribe a subscriber to the lists with these slugs, and unsubscribe them from all others.

    Of a family only the first chosen list counts. No confirmation mail is needed: the link
    proves that the subscriber reads the inbox.
    """
    choices = list_subscription_choices(session, subscriber)
    for family in group_by_family(choices)[1]:
        chosen = [one.slug for one, _ in family.lists if one.slug in slugs]
        slugs = set(slugs) - set(chosen[1:])
    for mailing_list, is_on in choices:
        is_chosen = mailing_list.slug in slugs
        if is_chosen is not is_on:
            subscription = get_or_create_subscription(session, subscriber, mailing_list, now=now)
            change = activate_subscription if is_chosen else unsubscribe_from_list
            change(session, subscription, context, now=now)


def confirmed_subscriptions_of(session: Session, subscriber: Subscriber) -> Sequence[Subscription]:
    """The confirmed subscriptions of a subscriber, in the order of the lists."""
    is_confirmed = Subscription.state == SubscriptionState.CONFIRMED
    return subscriptions_of(session, subscriber.id, is_confirmed)


def parse_pause_weeks(weeks: str, *, now: datetime) -> datetime:
    """The end of a pause of some weeks. Raises Invalid for a number that is not offered."""
    if weeks not in {str(number) for number in PAUSE_WEEKS}:
        raise Invalid({"weeks": "Choose one of these."})
    return now + timedelta(weeks=int(weeks))


def parse_pause_end(typed: str, zone: str, *, now: datetime) -> datetime:
    """The beginning of a day in a time zone. Raises Invalid for the field `until`."""
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError:
        raise Invalid({"until": NOT_A_DATE}) from None
    time_zone = ZoneInfo(zone)
    today = now.astimezone(time_zone).date()
    if day <= today:
        raise Invalid({"until": TOO_SOON})
    if day - today > LONGEST_PAUSE:
        raise Invalid({"until": TOO_LATE})
    return datetime.combine(day, time(), time_zone)


def pause_mail(
    session: Session,
    subscriber: Subscriber,
    until: datetime,
    context: ConsentContext,
    *,
    now: datetime,
) -> None:
    """Send no mail before `until`, and record that for each confirmed subscription.

    A second pause replaces the first.
    """
    subscriber.paused_until = until
    for subscription in confirmed_subscriptions_of(session, subscriber):
        record_consent(session, subscription, ConsentAction.PAUSED, context, now=now)


def resume_mail(
    session: Session, subscriber: Subscriber, context: ConsentContext, *, now: datetime
) -> None:
    """End a pause now; no effect without one."""
    if is_paused(subscriber, now=now):
        for subscription in confirmed_subscriptions_of(session, subscriber):
            record_consent(session, subscription, ConsentAction.RESUMED, context, now=now)
    subscriber.paused_until = None


def is_paused(subscriber: Subscriber, *, now: datetime) -> bool:
    return subscriber.paused_until is not None and subscriber.paused_until > now


def chosen_tags_of(session: Session, subscriber_id: int) -> dict[int, set[str]]:
    """The slugs of the tags that a subscriber chose, by list id."""
    choices = select(SubscriptionTag).where(SubscriptionTag.subscriber_id == subscriber_id)
    tags: dict[int, set[str]] = {}
    for choice in session.scalars(choices):
        tags.setdefault(choice.list_id, set()).add(choice.tag)
    return tags


def has_tag_choices(session: Session, list_id: int) -> bool:
    """Did any subscriber of this list choose tags?"""
    query = select(SubscriptionTag.list_id).where(SubscriptionTag.list_id == list_id)
    return session.scalar(query.limit(1)) is not None


def choose_tags(
    session: Session,
    subscription: Subscription,
    tags: Collection[str],
    context: ConsentContext,
    *,
    now: datetime,
) -> bool:
    """Replace the tags of a subscription; none means every edition.

    False where the subscription is not confirmed or has these tags already: then nothing is
    recorded.
    """
    if subscription.state is not SubscriptionState.CONFIRMED:
        return False
    before = chosen_tags_of(session, subscription.subscriber_id).get(subscription.list_id, set())
    if before == set(tags):
        return False
    clear_chosen_tags(session, subscription)
    key = {"list_id": subscription.list_id, "subscriber_id": subscription.subscriber_id}
    session.add_all(SubscriptionTag(**key, tag=tag) for tag in sorted(set(tags)))
    session.flush()
    record_consent(session, subscription, ConsentAction.CHANGED, context, now=now)
    return True


def transfer_chosen_tags(session: Session, *, of: int, to: int, lists: Collection[int]) -> None:
    """Replace one subscriber's choices on some lists with another's, whose choices are deleted.

    `of` and `to` are ids of subscribers.
    """
    on_lists = SubscriptionTag.list_id.in_(lists)
    session.execute(delete(SubscriptionTag).where(SubscriptionTag.subscriber_id == to, on_lists))
    session.execute(delete(SubscriptionTag).where(SubscriptionTag.subscriber_id == of, ~on_lists))
    transfer = update(SubscriptionTag).where(SubscriptionTag.subscriber_id == of)
    session.execute(
        transfer.values(subscriber_id=to), execution_options={"synchronize_session": False}
    )


def wording_of_tag_choice(site: str, title: str, names: Collection[str]) -> str:
    """The consent text that is recorded with a choice."""
    if not names:
        return f"I would like {site} to mail me all of {title}."
    return (
        f"I would like {site} to mail me {title} only when there is something about: "
        f"{', '.join(sorted(names))}."
    )
