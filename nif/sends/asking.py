"""Asking readers something by mail: an edition of its own, at a pace of its own.

All that holds of an edition's send holds of this one: nobody is mailed twice, nobody is passed
over, and who left or was suppressed meanwhile is dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, delete, func, select, update
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.editions.models import Edition
from nif.errors import Conflict
from nif.links import Links
from nif.sends.askings import Asking, AskingKind, AskingState
from nif.sends.models import Delivery, Send
from nif.sends.planning import Terms, plan
from nif.subscriptions.budgeting import note_asked
from nif.subscriptions.joining import confirmation_key
from nif.subscriptions.models import Consent, Subscription, SubscriptionState
from nif.subscriptions.staying import STAYED, stay_tokens
from nif.tokens import Purpose, Tokens

LEAST_AN_HOUR = 20
MOST_AN_HOUR = 20_000
PIECES_AN_HOUR = 12
"""Into so many batches an hour's share is cut: one every five minutes."""

ASKED = "They are being asked already. Nothing more was sent."
NOTHING_YET = dict.fromkeys(("answered", "gone", "let_go", "cursor"), 0)

COUNT_EVERY = timedelta(minutes=2)
COUNTED_FOR = timedelta(days=180)

STATE_OF = {
    AskingKind.CONFIRM: SubscriptionState.PENDING,
    AskingKind.STAY: SubscriptionState.CONFIRMED,
}
"""Who is asked what: the state of their subscription."""

Answers = Callable[[datetime], Callable[[int], str]]
"""Of the moment of an attempt: a function from a subscriber's id to their link to answer by."""


@dataclass(frozen=True)
class Question:
    """What is asked, how fast, and since when what somebody did themselves is an answer."""

    kind: AskingKind
    per_hour: int
    since: datetime
    run_id: int | None = None
    months: int | None = None
    wait_days: int | None = None


def ask(
    session: Session,
    edition: Edition,
    question: Question,
    terms: Terms,
    *,
    among: Select[*tuple[int]],
    now: datetime,
) -> Asking:
    """Plan an edition that asks those whose ids `among` selects. Raises Conflict where it has gone.

    It is no news, so it never gets too old to be sent.
    """
    size = min(terms.batch_size, max(1, question.per_hour // PIECES_AN_HOUR))
    asking_id = session.scalar(
        insert_into(session, Asking)
        .values(
            edition_id=edition.id,
            list_id=edition.list_id,
            state=AskingState.OPEN,
            made_at=now,
            free_at=now,
            **NOTHING_YET,
            **vars(question),
        )
        .on_conflict_do_nothing()
        .returning(Asking.id)
    )
    if asking_id is None:
        raise Conflict(ASKED)
    state = STATE_OF[question.kind]
    send = plan(
        session, edition, replace(terms, batch_size=size), among=among, state=state, now=now
    )
    if send is None:
        raise Conflict(ASKED)
    send.not_after = None
    if question.kind is AskingKind.CONFIRM:
        # They wait for our question now, and what is never confirmed lapses by when it was asked.
        planned = select(Delivery.subscriber_id).where(Delivery.send_id == send.id)
        _asked_at(session, send.list_id, Subscription.subscriber_id.in_(planned), now)
    return session.get_one(Asking, asking_id)


def find_of_run(session: Session, run_id: int) -> Asking | None:
    """The asking of an import."""
    return session.scalar(select(Asking).where(Asking.run_id == run_id))


def send_of(session: Session, asking: Asking) -> Send:
    """The send by which an asking goes out."""
    return session.scalars(select(Send).where(Send.edition_id == asking.edition_id)).one()


def end(session: Session, edition: Edition, *, now: datetime) -> None:
    """An edition was cancelled: nobody is let go because of it."""
    session.execute(
        update(Asking)
        .where(Asking.edition_id == edition.id, Asking.state == AskingState.OPEN)
        .values(state=AskingState.STOPPED, ended_at=now)
    )


def forget(session: Session, edition: Edition) -> None:
    """An edition was taken back before anybody was asked: it may be asked anew."""
    session.execute(delete(Asking).where(Asking.edition_id == edition.id))


def its_turn(session: Session, batch: Row[Any], *, now: datetime) -> datetime | None:
    """From when on the next batch of an asking may go; None where that is now, or it is none.

    The pace is locked then, so that two workers do not both take the same turn.
    """
    if batch.asking_id is None:
        return None
    pace = select(Asking.free_at).where(Asking.id == batch.asking_id).with_for_update()
    free_at = session.scalars(pace).one()
    return free_at if free_at > now else None


def note_begun(
    session: Session, batch: Row[Any], readers: list[tuple[int, str]], *, now: datetime
) -> None:
    """An attempt is recorded that asks these readers: the next one has to wait for its turn.

    For pending people this is when they are asked: their link, and what becomes of them without an
    answer, count from here.
    """
    if batch.asking_id is None:
        return
    wait = timedelta(hours=len(readers) / batch.per_hour)
    pace = update(Asking).where(Asking.id == batch.asking_id).values(free_at=now + wait)
    session.execute(pace.execution_options(synchronize_session=False))
    if batch.asking_kind is not AskingKind.CONFIRM:
        return
    ids = [subscriber_id for subscriber_id, _ in readers]
    _asked_at(session, batch.list_id, Subscription.subscriber_id.in_(ids), now)
    if not batch.tries:
        # A second attempt is the same question still.
        canonicals = [address.lower() for _, address in readers]
        note_asked(session, canonicals, now=now)


def answers_to(session: Session, send: Send, links: Links, tokens: Tokens) -> Answers | None:
    """How the links to answer a send by are made; None where it asks nothing."""
    kind = session.scalar(select(Asking.kind).where(Asking.edition_id == send.edition_id))
    if kind is None:
        return None
    if kind is AskingKind.STAY:
        stay, stay_at = stay_tokens(send.list_id, tokens), links.stay("")
        return lambda _at: lambda reader: stay_at + stay(reader)
    list_id, confirm_at = send.list_id, links.confirm("")

    def confirmations(at: datetime) -> Callable[[int], str]:
        make = tokens.maker(Purpose.CONFIRM, int(at.timestamp()))
        return lambda reader: confirm_at + make(confirmation_key(reader, list_id))

    return confirmations


def count_answers(session: Session, asking: Asking, *, now: datetime) -> None:
    """Count anew how many have answered, and how many have left by themselves."""
    send = send_of(session, asking)
    counts: dict[SubscriptionState, int] = dict(
        session.execute(
            select(Subscription.state, func.count())
            .join(Delivery, Delivery.subscriber_id == Subscription.subscriber_id)
            .where(Delivery.send_id == send.id, Subscription.list_id == asking.list_id)
            .group_by(Subscription.state)
        ).all()
    )
    left = counts.get(SubscriptionState.LEFT, 0)
    if asking.kind is AskingKind.CONFIRM:
        asking.answered, asking.gone = counts.get(SubscriptionState.CONFIRMED, 0), left
    else:
        asking.answered, asking.gone = _stayed(session, asking), max(0, left - asking.let_go)
    asking.counted_at = now


def to_count(session: Session, *, now: datetime) -> list[int]:
    """The askings whose answers are to be counted anew: the larger, the less often."""
    query = (
        select(Asking.id, Asking.counted_at, Send.audience)
        .join(Send, Send.edition_id == Asking.edition_id)
        .where(Asking.made_at > now - COUNTED_FOR, Send.starts_at <= now)
        .order_by(Asking.id)
    )
    due = []
    for asking_id, counted_at, audience in session.execute(query):
        every = COUNT_EVERY + timedelta(seconds=audience / 500)
        if counted_at is None or counted_at <= now - every:
            due.append(asking_id)
    return due


def _stayed(session: Session, asking: Asking) -> int:
    stays = select(func.count(Consent.subscriber_id.distinct())).where(
        Consent.source == STAYED,
        Consent.list_id == asking.list_id,
        Consent.at >= asking.made_at,
    )
    return session.scalar(stays) or 0


def _asked_at(session: Session, list_id: int, who: Any, now: datetime) -> None:
    session.execute(
        update(Subscription)
        .where(
            Subscription.list_id == list_id,
            Subscription.state == SubscriptionState.PENDING,
            who,
        )
        .values(asked_at=now)
        .execution_options(synchronize_session=False)
    )
