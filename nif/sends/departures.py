"""How much of a send's mail has left and may still leave, and who was mailed twice.

Pages, messages, commands and certificates read these counts and no others. They come from the
attempts, of which `evidence` says what may be believed: a batch that is planned may have left.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from nif.sends.evidence import AttemptResult, BatchBelief, Belief, believe, believe_batch
from nif.sends.models import Attempt, Batch, BatchState, Delivery, ProviderEvent, Send, SendState
from nif.sends.reputation import count_events_of_sends

FINAL_EVENTS = ("delivered", "bounce", "blocked", "dropped")
"""The events that say what became of a copy. Until one comes in, SendGrid may try for 72 hours."""

REMEMBER_TWICE = timedelta(days=14)
"""How long a send that mailed somebody twice is listed as one that needs attention."""


@dataclass(frozen=True)
class MailedTwice:
    """The subscribers that more than one attempt mailed, and the mails beyond their first."""

    subscribers: int = 0
    surplus: int = 0


@dataclass(frozen=True)
class Departures:
    """How many subscribers of a send the mail has left for.

    For `gone` it left for certain. `waiting`: the provider accepted it and holds it back until its
    time, so that it can be recalled. `open`: it is being posted, or it is undecided. `recalled`
    counts, for a cancelled send, whose mail the provider had and did not mail. Of `ended` the
    provider reported what became of their mail.
    """

    audience: int
    gone: int = 0
    waiting: int = 0
    open: int = 0
    recalled: int = 0
    ended: int = 0
    twice: int = 0
    is_cancelled: bool = False

    @property
    def at_least(self) -> int:
        return self.gone

    @property
    def at_most(self) -> int:
        return min(self.audience, self.gone + self.waiting + self.open)

    @property
    def is_settled(self) -> bool:
        return self.at_least == self.at_most

    def __str__(self) -> str:
        """How many copies have left; while some may still leave, at least and at most how many."""
        if self.is_settled:
            return f"{self.at_least:,} of {self.audience:,} copies have left"
        span = f"at least {self.at_least:,} and up to {self.at_most:,}"
        return f"{span} of {self.audience:,} copies have left"

    @property
    def not_yet_delivered(self) -> int:
        """Accepted, but whether it was delivered has not been reported."""
        return max(0, self.gone + self.waiting - self.ended)


def count_departures(session: Session, send: Send, *, now: datetime) -> Departures:
    """How much of a send's mail has left. Nobody else is counted while its batches are locked."""
    return count_departures_of_sends(session, [send], now=now)[send.id]


def count_departures_of_sends(
    session: Session, sends: Sequence[Send], *, now: datetime
) -> dict[int, Departures]:
    """The same for several sends, by their ids."""
    ids = [send.id for send in sends]
    copies = _count_copies(session, ids, now=now)
    twice = count_mailed_twice(session, ids)
    ended = _count_ended(session, ids)
    found = {}
    for send in sends:
        gone, waiting, unknown = copies[send.id]
        surplus = twice[send.id].surplus
        found[send.id] = Departures(
            audience=send.audience,
            gone=max(0, gone - surplus),
            waiting=waiting,
            open=unknown,
            recalled=_count_recalled(session, send),
            ended=max(0, ended[send.id] - surplus),
            twice=twice[send.id].subscribers,
            is_cancelled=send.state is SendState.CANCELLED,
        )
    return found


def _count_copies(
    session: Session, send_ids: Sequence[int], *, now: datetime
) -> dict[int, tuple[int, int, int]]:
    """For each send the copies that left, wait at the provider, and may have left."""
    evidence = (
        Attempt.result,
        Attempt.event_seen_at.is_not(None),
        Attempt.fence.is_not(None) & (Attempt.goes_out_at > now),
    )
    query = (
        select(Attempt.send_id, *evidence, func.sum(Attempt.copies))
        .where(Attempt.send_id.in_(send_ids))
        .group_by(Attempt.send_id, *evidence)
    )
    found = dict.fromkeys(send_ids, (0, 0, 0))
    for send_id, result, is_reported, is_waiting, copies in session.execute(query):
        gone, waiting, unknown = found[send_id]
        belief = believe(result, is_reported=bool(is_reported))
        if belief is Belief.UNKNOWN:
            unknown += int(copies)
        elif belief is Belief.LEFT and is_waiting:
            waiting += int(copies)
        elif belief is Belief.LEFT:
            gone += int(copies)
        found[send_id] = gone, waiting, unknown
    return found


def count_mailed_twice(session: Session, send_ids: Collection[int]) -> dict[int, MailedTwice]:
    """For each send the subscribers that two or more attempts mailed.

    Only for sends with attempts that overlap are their ranges read. Who has an outcome of their own
    was left out of the later attempt.
    """
    found = dict.fromkeys(send_ids, MailedTwice())
    for send_id in session.scalars(_select_overlapping(Attempt.send_id.in_(send_ids))).all():
        attempts = (
            select(Attempt.first_subscriber_id, Attempt.last_subscriber_id)
            .where(Attempt.send_id == send_id, Attempt.left)
            .order_by(Attempt.first_subscriber_id)
        )
        ranges = ((row[0], row[1]) for row in session.execute(attempts))
        subscribers = surplus = 0
        for first, last, mails in list(find_ranges_mailed_twice(ranges)):
            deliveries = select(func.count()).where(
                Delivery.send_id == send_id,
                Delivery.subscriber_id.between(first, last),
                Delivery.outcome.is_(None),
            )
            count = session.scalar(deliveries) or 0
            subscribers += count
            surplus += count * (mails - 1)
        found[send_id] = MailedTwice(subscribers, surplus)
    return found


def list_sends_mailed_twice(session: Session, *, now: datetime) -> list[int]:
    """The ids of the sends of the last two weeks that mailed somebody twice."""
    recent = select(Send.id).where(Send.created_at > now - REMEMBER_TWICE)
    ids = session.scalars(_select_overlapping(Attempt.send_id.in_(recent))).all()
    return [id_ for id_, twice in count_mailed_twice(session, ids).items() if twice.subscribers]


def _select_overlapping(of_sends: ColumnElement[bool]) -> Select[*tuple[int]]:
    """The ids of those sends of which two attempts that left share a range of subscribers."""
    highest_before = func.max(Attempt.last_subscriber_id).over(
        partition_by=Attempt.send_id,
        order_by=(Attempt.first_subscriber_id, Attempt.id),
        rows=(None, -1),
    )
    left = (
        select(Attempt.send_id, Attempt.first_subscriber_id, highest_before.label("highest_before"))
        .where(of_sends, Attempt.left)
        .subquery()
    )
    overlaps = left.c.first_subscriber_id <= left.c.highest_before
    return select(left.c.send_id).where(overlaps).distinct().order_by(left.c.send_id)


def find_ranges_mailed_twice(attempts: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """The ranges that two or more attempts mailed: first and last id, and how many did.

    `attempts` are the first and last ids of those that left, in the order of their first ids. Only
    the ends of those that overlap are kept in memory.
    """
    ends: list[int] = []
    position = 0

    def close_before(limit: int | None) -> Iterator[tuple[int, int, int]]:
        nonlocal position
        while ends and (limit is None or ends[0] < limit):
            yield from covered_until(ends[0])
            heappop(ends)
        if limit is not None:
            yield from covered_until(limit - 1)
            position = limit

    def covered_until(end: int) -> Iterator[tuple[int, int, int]]:
        nonlocal position
        is_twice = believe_batch([Belief.LEFT] * len(ends)) is BatchBelief.TWICE
        if is_twice and position <= end:
            yield position, end, len(ends)
        position = max(position, end + 1)

    for first, last in attempts:
        yield from close_before(first)
        heappush(ends, last)
    yield from close_before(None)


def _count_recalled(session: Session, send: Send) -> int:
    """Whose mail the provider had, of a cancelled send, and did not mail."""
    if send.state is not SendState.CANCELLED:
        return 0
    recalled = select(Attempt.id).where(
        Attempt.send_id == Batch.send_id,
        Attempt.first_subscriber_id <= Batch.first_subscriber_id,
        Attempt.last_subscriber_id >= Batch.last_subscriber_id,
        Attempt.result == AttemptResult.RECALLED,
    )
    query = select(func.sum(Batch.to_mail)).where(
        Batch.send_id == send.id,
        Batch.state == BatchState.PLANNED,
        Batch.attempt_count > 0,
        recalled.exists(),
    )
    return int(session.scalar(query) or 0)


def _count_ended(session: Session, send_ids: Sequence[int]) -> dict[int, int]:
    """For each send, for how many copies that left the provider reported what became of them.

    A recalled attempt has events too, and they are left out. A mail server that accepts a copy and
    returns it later is counted twice.
    """
    found = {
        send_id: sum(counts.get(kind, 0) for kind in FINAL_EVENTS)
        for send_id, counts in count_events_of_sends(session, send_ids).items()
    }
    of_others = (
        select(Attempt.send_id, func.count())
        .join(ProviderEvent, ProviderEvent.attempt_id == Attempt.id)
        .where(Attempt.send_id.in_(send_ids), ~Attempt.left, ProviderEvent.kind.in_(FINAL_EVENTS))
        .group_by(Attempt.send_id)
    )
    for send_id, count in session.execute(of_others):
        found[send_id] -= count
    return found
