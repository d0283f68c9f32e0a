"""Re-permission campaigns: mail that asks subscribers whether they want to get a list's mail.

A campaign is an edition of its own with an hourly limit of its own. It goes out as a send, so
everything that holds for sends holds for it: nobody is mailed twice or left out, and subscribers
who unsubscribed or were suppressed meanwhile are skipped.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Row,
    Select,
    UniqueConstraint,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from nif.claims import WorkRow, lock_claimed_row
from nif.database import Base, BigId, insert_if_new, partial_index
from nif.editions.models import Edition
from nif.errors import Conflict
from nif.limits import count_repermission_mails
from nif.links import Links
from nif.sends.models import Delivery, Send
from nif.sends.planning import SendTerms, plan_send
from nif.subscriptions.lifecycle import STAY_SOURCE, confirmation_key
from nif.subscriptions.models import Consent, MailingList, Subscription, SubscriptionState
from nif.tokens import TokenPurpose, Tokens


class RepermissionKind(StrEnum):
    """CONFIRM asks pending subscribers to confirm, STAY asks inactive ones whether to stay."""

    CONFIRM = "confirm"
    STAY = "stay"


class RepermissionState(StrEnum):
    """OPEN: mailing, or waiting for answers. STOPPED: nobody is unsubscribed because of it."""

    OPEN = "open"
    UNSUBSCRIBING = "unsubscribing"
    DONE = "done"
    STOPPED = "stopped"


_STAY_CAMPAIGN_UNDER_WAY = text("kind = 'stay' AND state IN ('open', 'unsubscribing')")
"""A list has at most one campaign to its inactive subscribers at a time."""


class RepermissionCampaign(WorkRow, Base):
    """A question to a frozen audience, mailed at most `per_hour` times an hour.

    Subscribers who were active since `activity_since` are neither asked nor unsubscribed. Nothing
    more is posted before `available_at`.

    A CONFIRM campaign belongs to one import, which has at most one. A STAY campaign asks
    subscribers who were inactive for `months`; those without an answer `wait_days` after the last
    mail may be unsubscribed, and `cursor` is the last subscriber id that was handled.

    `answered` and `unsubscribed_themselves` were counted at `counted_at`; `unsubscribed_by_policy`
    is kept by the sunset policy. It is due when the worker counts its answers again, or
    unsubscribes more of its subscribers.
    """

    __tablename__ = "repermission_campaign"
    __table_args__ = (
        UniqueConstraint("edition_id"),
        UniqueConstraint("import_run_id"),
        partial_index(
            "uq_repermission_campaign_stay_under_way",
            "list_id",
            where=_STAY_CAMPAIGN_UNDER_WAY,
            unique=True,
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey(Edition.id))
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), index=True)
    kind: Mapped[RepermissionKind]
    state: Mapped[RepermissionState] = mapped_column(index=True)
    import_run_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    activity_since: Mapped[datetime]
    per_hour: Mapped[int]
    available_at: Mapped[datetime]
    months: Mapped[int | None]
    wait_days: Mapped[int | None]
    answered: Mapped[int] = mapped_column(default=0)
    unsubscribed_themselves: Mapped[int] = mapped_column(default=0)
    unsubscribed_by_policy: Mapped[int] = mapped_column(default=0)
    counted_at: Mapped[datetime | None]
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    ended_at: Mapped[datetime | None]

    edition: Mapped[Edition] = relationship()


class InactiveCounts(Base):
    """How many subscribers of a list were inactive for 6, 12 and 24 months at `counted_at`."""

    __tablename__ = "inactive_counts"

    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    half_a_year: Mapped[int]
    a_year: Mapped[int]
    two_years: Mapped[int]
    counted_at: Mapped[datetime]


MIN_MAILS_PER_HOUR = 20
MAX_MAILS_PER_HOUR = 20_000
BATCHES_PER_HOUR = 12
"""An hour's mails are split into so many batches: one every five minutes."""

ALREADY_ASKED = "They are already being asked. Nothing more was sent."

RECOUNT_EVERY = timedelta(minutes=2)
RECOUNT_FOR = timedelta(days=180)

AUDIENCE_STATE = {
    RepermissionKind.CONFIRM: SubscriptionState.PENDING,
    RepermissionKind.STAY: SubscriptionState.CONFIRMED,
}
"""The state of the subscriptions that a campaign of each kind asks."""

AnswerLinks = Callable[[datetime], Callable[[int], str]]
"""From the time of an attempt to a function that makes the answer link of a subscriber id."""


@dataclass(frozen=True)
class RepermissionSettings:
    """What a campaign asks, how fast, and from when on activity counts as an answer."""

    kind: RepermissionKind
    per_hour: int
    activity_since: datetime
    import_run_id: int | None = None
    months: int | None = None
    wait_days: int | None = None


def start_campaign(
    session: Session,
    edition: Edition,
    settings: RepermissionSettings,
    terms: SendTerms,
    *,
    only_ids: Select[*tuple[int]],
    now: datetime,
) -> RepermissionCampaign:
    """Plan the campaign of an edition, to the subscribers whose ids `only_ids` selects.

    Its send has no deadline. Raises Conflict where they are already being asked.
    """
    size = min(terms.batch_size, max(1, settings.per_hour // BATCHES_PER_HOUR))
    campaign = insert_if_new(
        session,
        RepermissionCampaign,
        edition_id=edition.id,
        list_id=edition.list_id,
        state=RepermissionState.OPEN,
        created_at=now,
        available_at=now,
        **vars(settings),
    )
    if campaign is None:
        raise Conflict(ALREADY_ASKED)
    terms, state = replace(terms, batch_size=size), AUDIENCE_STATE[settings.kind]
    send = plan_send(session, edition, terms, only_ids=only_ids, state=state, now=now)
    if send is None:
        raise Conflict(ALREADY_ASKED)
    send.not_after = None
    campaign.due_at = send.starts_at
    if settings.kind is RepermissionKind.CONFIRM:
        # Pending subscriptions expire by `requested_at`; theirs counts from the campaign.
        planned = select(Delivery.subscriber_id).where(Delivery.send_id == send.id)
        _set_asked_at(session, send.list_id, planned, now)
    return campaign


def find_campaign_of_import(session: Session, run_id: int) -> RepermissionCampaign | None:
    query = select(RepermissionCampaign).where(RepermissionCampaign.import_run_id == run_id)
    return session.scalar(query)


def send_of_campaign(session: Session, campaign: RepermissionCampaign) -> Send:
    return session.scalars(select(Send).where(Send.edition_id == campaign.edition_id)).one()


def stop_campaign(session: Session, edition: Edition, *, now: datetime) -> None:
    """Stop the campaign of a cancelled edition: nobody is unsubscribed because of it."""
    session.execute(
        update(RepermissionCampaign)
        .where(
            RepermissionCampaign.edition_id == edition.id,
            RepermissionCampaign.state == RepermissionState.OPEN,
        )
        .values(state=RepermissionState.STOPPED, ended_at=now)
    )


def delete_campaign(session: Session, edition: Edition) -> None:
    """Delete the campaign of an edition that was undone before anybody was asked."""
    is_its = RepermissionCampaign.edition_id == edition.id
    session.execute(delete(RepermissionCampaign).where(is_its))


def find_next_turn(session: Session, batch: Row[Any], *, now: datetime) -> datetime | None:
    """When the next batch of a campaign may go; None where it may go now.

    The campaign's row stays locked, so that two workers do not both take the same turn.
    """
    query = select(RepermissionCampaign.available_at).with_for_update()
    available_at = session.scalars(query.where(RepermissionCampaign.id == batch.campaign_id)).one()
    return available_at if available_at > now else None


def end_waits(session: Session, *, longer_than: timedelta, now: datetime) -> None:
    """The clock was set back: end waits for a turn that end after `now + longer_than`."""
    waits_long = RepermissionCampaign.available_at > now + longer_than
    session.execute(update(RepermissionCampaign).where(waits_long).values(available_at=now))


def record_campaign_batch(
    session: Session, batch: Row[Any], subscribers: list[tuple[int, str]], *, now: datetime
) -> None:
    """Record that an attempt asks these subscribers: the campaign's next batch waits its turn.

    Pending subscribers are asked from now on: their link and their expiry count from here.
    """
    wait = timedelta(hours=len(subscribers) / batch.per_hour)
    session.execute(
        update(RepermissionCampaign)
        .where(RepermissionCampaign.id == batch.campaign_id)
        .values(available_at=now + wait)
        .execution_options(synchronize_session=False)
    )
    if batch.campaign_kind is not RepermissionKind.CONFIRM:
        return
    ids = [subscriber_id for subscriber_id, _ in subscribers]
    _set_asked_at(session, batch.list_id, ids, now)
    if not batch.attempt_count:
        # A second attempt repeats the same mail, so it is not counted again.
        canonicals = [address.lower() for _, address in subscribers]
        count_repermission_mails(session, canonicals, now=now)


def answer_links_of_send(
    session: Session, send: Send, links: Links, tokens: Tokens
) -> AnswerLinks | None:
    """How a send's answer links are made; None where it is not a campaign's send."""
    kind = session.scalar(
        select(RepermissionCampaign.kind).where(RepermissionCampaign.edition_id == send.edition_id)
    )
    if kind is None:
        return None
    if kind is RepermissionKind.STAY:
        token_for = tokens.maker(TokenPurpose.REPERMISSION, send.list_id)
        stay_at = links.repermission("")
        return lambda _at: lambda subscriber_id: stay_at + token_for(subscriber_id)
    list_id, confirm_at = send.list_id, links.confirm("")

    def confirmations(at: datetime) -> Callable[[int], str]:
        make = tokens.maker(TokenPurpose.CONFIRM, int(at.timestamp()))
        return lambda subscriber_id: confirm_at + make(confirmation_key(subscriber_id, list_id))

    return confirmations


def recount_campaign_answers(
    session: Session, claimed: RepermissionCampaign, *, now: datetime
) -> None:
    """Count again how many have answered, and how many unsubscribed themselves.

    Due again later, after a large campaign less soon, as long as answers may come. The campaign is
    locked only once they are counted, so that its batches go out meanwhile. Nothing is recorded
    where the claim was lost.
    """
    send = send_of_campaign(session, claimed)
    by_state = (
        select(Subscription.state, func.count())
        .join(Delivery, Delivery.subscriber_id == Subscription.subscriber_id)
        .where(Delivery.send_id == send.id, Subscription.list_id == claimed.list_id)
        .group_by(Subscription.state)
    )
    counts: dict[SubscriptionState, int] = dict(session.execute(by_state).all())
    answered = counts.get(SubscriptionState.CONFIRMED, 0)
    if claimed.kind is RepermissionKind.STAY:
        stays = select(func.count(Consent.subscriber_id.distinct())).where(
            Consent.source == STAY_SOURCE,
            Consent.list_id == claimed.list_id,
            Consent.at >= claimed.created_at,
        )
        answered = session.scalar(stays) or 0
    campaign = lock_claimed_row(session, claimed)
    if campaign is None:
        return
    unsubscribed = counts.get(SubscriptionState.UNSUBSCRIBED, 0) - campaign.unsubscribed_by_policy
    campaign.answered, campaign.unsubscribed_themselves = answered, max(0, unsubscribed)
    next_at = now + RECOUNT_EVERY + timedelta(seconds=send.audience / 500)
    campaign.counted_at = now
    campaign.due_at = next_at if next_at < campaign.created_at + RECOUNT_FOR else None


def _set_asked_at(session: Session, list_id: int, ids: Any, now: datetime) -> None:
    session.execute(
        update(Subscription)
        .where(
            Subscription.list_id == list_id,
            Subscription.state == SubscriptionState.PENDING,
            Subscription.subscriber_id.in_(ids),
        )
        .values(requested_at=now)
        .execution_options(synchronize_session=False)
    )
