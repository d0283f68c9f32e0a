"""Asking readers something by mail: an edition of its own, at a pace of its own.

All that holds of an edition's send holds of this one: nobody is mailed twice, nobody is passed
over, and who left or was suppressed meanwhile is dropped.

Askings: editions that ask their readers something, how fast they go, and what came of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
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

from nif.database import Base, BigId, conflict_aware_insert
from nif.editions.models import Edition
from nif.errors import Conflict
from nif.links import Links
from nif.sends.models import Delivery, Send
from nif.sends.planning import SendTerms, plan_send
from nif.subscriptions.double_opt_in import confirmation_key
from nif.subscriptions.models import Consent, MailingList, Subscription, SubscriptionState
from nif.subscriptions.repermission import STAY_SOURCE, repermission_tokens
from nif.subscriptions.signup_limits import count_repermission_mails
from nif.tokens import TokenPurpose, Tokens


class RepermissionKind(StrEnum):
    """CONFIRM asks pending people whether they want a list, STAY readers whether they still do."""

    CONFIRM = "confirm"
    STAY = "stay"


class RepermissionState(StrEnum):
    """OPEN while it is mailed and waits for answers; STOPPED lets nobody go, whatever comes."""

    OPEN = "open"
    UNSUBSCRIBING = "unsubscribing"
    DONE = "done"
    STOPPED = "stopped"


_STAY_CAMPAIGN_UNDER_WAY = text("kind = 'stay' AND state IN ('open', 'unsubscribing')")
"""A list asks its quiet readers once at a time."""


class RepermissionCampaign(Base):
    """A question to a frozen audience, which goes out as an edition's send, so many an hour.

    Whoever did something themselves since `since` is not asked, and not let go. Nothing more is
    posted before `free_at`. An asking of CONFIRM is of one import, which has one at most. One of
    STAY is to those of whom there was no sign for `months`; who has not answered `wait_days` after
    the last was mailed may be let go, and `cursor` is how far that is. `answered` and `gone`
    (left by themselves) were counted at `counted_at`; `let_go` is kept by the rule that lets go.
    """

    __tablename__ = "repermission_campaign"
    __table_args__ = (
        UniqueConstraint("edition_id"),
        UniqueConstraint("import_run_id"),
        Index(
            "uq_repermission_campaign_stay_under_way",
            "list_id",
            unique=True,
            sqlite_where=_STAY_CAMPAIGN_UNDER_WAY,
            postgresql_where=_STAY_CAMPAIGN_UNDER_WAY,
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
    """How many readers of a list had shown no sign of life for 6, 12 and 24 months, at a time."""

    __tablename__ = "inactive_counts"

    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    half_a_year: Mapped[int]
    a_year: Mapped[int]
    two_years: Mapped[int]
    counted_at: Mapped[datetime]


MIN_MAILS_PER_HOUR = 20
MAX_MAILS_PER_HOUR = 20_000
BATCHES_PER_HOUR = 12
"""Into so many batches an hour's share is cut: one every five minutes."""

ALREADY_ASKED = "They are being asked already. Nothing more was sent."
_ZERO_COUNTS = dict.fromkeys(
    ("answered", "unsubscribed_themselves", "unsubscribed_by_policy", "cursor"), 0
)

RECOUNT_EVERY = timedelta(minutes=2)
RECOUNT_FOR = timedelta(days=180)

AUDIENCE_STATE = {
    RepermissionKind.CONFIRM: SubscriptionState.PENDING,
    RepermissionKind.STAY: SubscriptionState.CONFIRMED,
}
"""Who is asked what: the state of their subscription."""

AnswerLinks = Callable[[datetime], Callable[[int], str]]
"""Of the moment of an attempt: a function from a subscriber's id to their link to answer by."""


@dataclass(frozen=True)
class RepermissionSettings:
    """What is asked, how fast, and since when what somebody did themselves is an answer."""

    kind: RepermissionKind
    per_hour: int
    activity_since: datetime
    import_run_id: int | None = None
    months: int | None = None
    wait_days: int | None = None


def start_campaign(
    session: Session,
    edition: Edition,
    question: RepermissionSettings,
    terms: SendTerms,
    *,
    among: Select[*tuple[int]],
    now: datetime,
) -> RepermissionCampaign:
    """Plan an edition that asks those whose ids `among` selects. Raises Conflict where it has gone.

    It is no news, so it never gets too old to be sent.
    """
    size = min(terms.batch_size, max(1, question.per_hour // BATCHES_PER_HOUR))
    asking_id = session.scalar(
        conflict_aware_insert(session, RepermissionCampaign)
        .values(
            edition_id=edition.id,
            list_id=edition.list_id,
            state=RepermissionState.OPEN,
            created_at=now,
            available_at=now,
            **_ZERO_COUNTS,
            **vars(question),
        )
        .on_conflict_do_nothing()
        .returning(RepermissionCampaign.id)
    )
    if asking_id is None:
        raise Conflict(ALREADY_ASKED)
    state = AUDIENCE_STATE[question.kind]
    send = plan_send(
        session, edition, replace(terms, batch_size=size), among=among, state=state, now=now
    )
    if send is None:
        raise Conflict(ALREADY_ASKED)
    send.not_after = None
    if question.kind is RepermissionKind.CONFIRM:
        # They wait for our question now, and what is never confirmed lapses by when it was asked.
        planned = select(Delivery.subscriber_id).where(Delivery.send_id == send.id)
        _set_asked_at(session, send.list_id, Subscription.subscriber_id.in_(planned), now)
    return session.get_one(RepermissionCampaign, asking_id)


def find_campaign_of_import(session: Session, run_id: int) -> RepermissionCampaign | None:
    """The asking of an import."""
    return session.scalar(
        select(RepermissionCampaign).where(RepermissionCampaign.import_run_id == run_id)
    )


def send_of_campaign(session: Session, asking: RepermissionCampaign) -> Send:
    """The send by which an asking goes out."""
    return session.scalars(select(Send).where(Send.edition_id == asking.edition_id)).one()


def stop_campaign(session: Session, edition: Edition, *, now: datetime) -> None:
    """An edition was cancelled: nobody is let go because of it."""
    session.execute(
        update(RepermissionCampaign)
        .where(
            RepermissionCampaign.edition_id == edition.id,
            RepermissionCampaign.state == RepermissionState.OPEN,
        )
        .values(state=RepermissionState.STOPPED, ended_at=now)
    )


def delete_campaign(session: Session, edition: Edition) -> None:
    """An edition was taken back before anybody was asked: it may be asked anew."""
    session.execute(
        delete(RepermissionCampaign).where(RepermissionCampaign.edition_id == edition.id)
    )


def find_next_turn(session: Session, batch: Row[Any], *, now: datetime) -> datetime | None:
    """From when on the next batch of an asking may go; None where that is now, or it is none.

    The pace is locked then, so that two workers do not both take the same turn.
    """
    if batch.asking_id is None:
        return None
    pace = (
        select(RepermissionCampaign.available_at)
        .where(RepermissionCampaign.id == batch.asking_id)
        .with_for_update()
    )
    free_at = session.scalars(pace).one()
    return free_at if free_at > now else None


def record_campaign_batch(
    session: Session, batch: Row[Any], readers: list[tuple[int, str]], *, now: datetime
) -> None:
    """An attempt is recorded that asks these readers: the next one has to wait for its turn.

    For pending people this is when they are asked: their link, and what becomes of them without an
    answer, count from here.
    """
    if batch.asking_id is None:
        return
    wait = timedelta(hours=len(readers) / batch.per_hour)
    pace = (
        update(RepermissionCampaign)
        .where(RepermissionCampaign.id == batch.asking_id)
        .values(available_at=now + wait)
    )
    session.execute(pace.execution_options(synchronize_session=False))
    if batch.asking_kind is not RepermissionKind.CONFIRM:
        return
    ids = [subscriber_id for subscriber_id, _ in readers]
    _set_asked_at(session, batch.list_id, Subscription.subscriber_id.in_(ids), now)
    if not batch.attempt_count:
        # A second attempt is the same question still.
        canonicals = [address.lower() for _, address in readers]
        count_repermission_mails(session, canonicals, now=now)


def answer_links_of_send(
    session: Session, send: Send, links: Links, tokens: Tokens
) -> AnswerLinks | None:
    """How the links to answer a send by are made; None where it asks nothing."""
    kind = session.scalar(
        select(RepermissionCampaign.kind).where(RepermissionCampaign.edition_id == send.edition_id)
    )
    if kind is None:
        return None
    if kind is RepermissionKind.STAY:
        stay, stay_at = repermission_tokens(send.list_id, tokens), links.repermission("")
        return lambda _at: lambda reader: stay_at + stay(reader)
    list_id, confirm_at = send.list_id, links.confirm("")

    def confirmations(at: datetime) -> Callable[[int], str]:
        make = tokens.maker(TokenPurpose.CONFIRM, int(at.timestamp()))
        return lambda reader: confirm_at + make(confirmation_key(reader, list_id))

    return confirmations


def recount_campaign_answers(
    session: Session, asking: RepermissionCampaign, *, now: datetime
) -> None:
    """Count anew how many have answered, and how many have left by themselves."""
    send = send_of_campaign(session, asking)
    counts: dict[SubscriptionState, int] = dict(
        session.execute(
            select(Subscription.state, func.count())
            .join(Delivery, Delivery.subscriber_id == Subscription.subscriber_id)
            .where(Delivery.send_id == send.id, Subscription.list_id == asking.list_id)
            .group_by(Subscription.state)
        ).all()
    )
    left = counts.get(SubscriptionState.UNSUBSCRIBED, 0)
    if asking.kind is RepermissionKind.CONFIRM:
        asking.answered, asking.unsubscribed_themselves = (
            counts.get(SubscriptionState.CONFIRMED, 0),
            left,
        )
    else:
        asking.answered, asking.unsubscribed_themselves = (
            _count_stayed(session, asking),
            max(0, left - asking.unsubscribed_by_policy),
        )
    asking.counted_at = now


def list_campaigns_to_recount(session: Session, *, now: datetime) -> list[int]:
    """The askings whose answers are to be counted anew: the larger, the less often."""
    query = (
        select(RepermissionCampaign.id, RepermissionCampaign.counted_at, Send.audience)
        .join(Send, Send.edition_id == RepermissionCampaign.edition_id)
        .where(RepermissionCampaign.created_at > now - RECOUNT_FOR, Send.starts_at <= now)
        .order_by(RepermissionCampaign.id)
    )
    due = []
    for asking_id, counted_at, audience in session.execute(query):
        every = RECOUNT_EVERY + timedelta(seconds=audience / 500)
        if counted_at is None or counted_at <= now - every:
            due.append(asking_id)
    return due


def _count_stayed(session: Session, asking: RepermissionCampaign) -> int:
    stays = select(func.count(Consent.subscriber_id.distinct())).where(
        Consent.source == STAY_SOURCE,
        Consent.list_id == asking.list_id,
        Consent.at >= asking.created_at,
    )
    return session.scalar(stays) or 0


def _set_asked_at(session: Session, list_id: int, who: Any, now: datetime) -> None:
    session.execute(
        update(Subscription)
        .where(
            Subscription.list_id == list_id,
            Subscription.state == SubscriptionState.PENDING,
            who,
        )
        .values(requested_at=now)
        .execution_options(synchronize_session=False)
    )
