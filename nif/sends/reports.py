"""The queries that pages, commands and jobs ask about sends, and statistics of past sends."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import distinct, func, or_, select
from sqlalchemy.orm import Session, defer, joinedload

from nif.editions.models import Edition
from nif.editions.versions import has_withdrawn_story
from nif.paging import Page, paginate
from nif.sends.certificates import DeliveryCounts, count_deliveries_of_sends
from nif.sends.departures import list_sends_mailed_twice
from nif.sends.evidence import (
    ASK_PERSON_AFTER,
    AttemptResult,
    Belief,
    ReconciliationTiming,
    Silence,
    believe,
    judge_silence,
)
from nif.sends.models import (
    Attempt,
    Batch,
    BatchState,
    Delivery,
    DeliveryOutcome,
    ProviderEvent,
    ProviderEventPost,
    Send,
    SendState,
)
from nif.sends.outcomes import UNDECIDED_STATES
from nif.sends.reconciliation import evidence_about, read_event_stream
from nif.sends.repermission import RepermissionCampaign
from nif.sends.reputation import MailHealth, count_events_of_sends, mail_health_of_send
from nif.sends.unknown_attempts import knows_all_attempts
from nif.subscriptions.models import (
    DailyListCount,
    ListMetric,
    MailingList,
    Subscriber,
    day_in_site_zone,
)

TRACKING_EVENTS = ("open", "click")

SPEED_WINDOW = timedelta(minutes=2)
SPEED_WINDOW_MINIMUM = timedelta(seconds=20)
"""How much of the window has to have passed before an estimate is made."""


def list_deliverable_sends(session: Session, *, now: datetime) -> Sequence[int]:
    """The ids of the sends of which a batch can be posted now."""
    planned = select(Batch.id).where(Batch.send_id == Send.id, Batch.state == BatchState.PLANNED)
    waits = select(RepermissionCampaign.id).where(
        RepermissionCampaign.edition_id == Send.edition_id, RepermissionCampaign.available_at > now
    )
    query = select(Send.id).where(
        *(Send.state == SendState.SENDING, Send.starts_at <= now, knows_all_attempts()),
        *(planned.exists(), ~waits.exists()),
    )
    return session.scalars(query.order_by(Send.id)).all()


def list_sends_to_pause(session: Session) -> Sequence[tuple[int, int]]:
    """The sends that would mail a withdrawn story, started or not, with their editions' ids."""
    planned = select(Batch.id).where(Batch.send_id == Send.id, Batch.state == BatchState.PLANNED)
    query = select(Send.id, Send.edition_id).where(
        Send.state == SendState.SENDING, planned.exists(), has_withdrawn_story(Send.edition_id)
    )
    return [(send_id, edition_id) for send_id, edition_id in session.execute(query)]


_SENDS_WITH_EDITION = select(Send).options(joinedload(Send.edition), joinedload(Send.mailing_list))


def list_sends(session: Session, list_id: int, *, most: int = 30) -> Sequence[Send]:
    """The newest sends of a list, newest first."""
    query = _SENDS_WITH_EDITION.where(Send.list_id == list_id).order_by(Send.id.desc())
    return session.scalars(query.limit(most)).all()


def list_all_sends(session: Session, *, after: str | None = None, size: int = 50) -> Page[Send]:
    """The sends of all lists, newest first."""
    return paginate(session, _SENDS_WITH_EDITION, Send.id, after=after, size=size)


def list_unfinished_sends(session: Session, list_id: int) -> Sequence[Send]:
    """The sends of a list that are sending or paused, oldest first."""
    query = select(Send).where(
        Send.list_id == list_id, Send.state.in_([SendState.SENDING, SendState.PAUSED])
    )
    return session.scalars(query.order_by(Send.id)).all()


def list_sends_needing_attention(
    session: Session, *, most: int = 20, now: datetime
) -> Sequence[Send]:
    """The sends that need a person, newest first.

    They are paused, or have a batch that needs a decision, or mailed somebody twice of late.
    """
    needs_decision = select(Batch.id).where(
        Batch.send_id == Send.id, Batch.state == BatchState.AWAITING_DECISION
    )
    query = select(Send).where(
        or_(
            Send.state == SendState.PAUSED,
            (Send.state == SendState.SENDING) & needs_decision.exists(),
            Send.id.in_(list_sends_mailed_twice(session, now=now)),
        )
    )
    return session.scalars(query.order_by(Send.id.desc()).limit(most)).all()


def list_undecided_batches(session: Session, send: Send) -> Sequence[tuple[Batch, Attempt]]:
    """The undecided batches of a send, with the attempt in question."""
    return session.execute(
        select(Batch, Attempt)
        .join(Attempt, Attempt.id == Batch.attempt_id)
        .where(Batch.send_id == send.id, Batch.state.in_(UNDECIDED_STATES))
        .order_by(Batch.first_subscriber_id)
    ).all()


@dataclass(frozen=True)
class UndecidedBatch:
    """What a person has to know who decides about a batch.

    Of `heard_of` subscribers an event came in. `silence` is what the lack of events proves by now;
    while it is TOO_EARLY, the batch counts as not accepted at `not_before` at the earliest. Until
    `events_until` the provider repeats what it could not report.
    """

    batch: Batch
    attempt: Attempt
    heard_of: int
    silence: Silence
    not_before: datetime
    events_until: datetime


def describe_undecided_batch(
    session: Session, batch: Batch, attempt: Attempt, timing: ReconciliationTiming, *, now: datetime
) -> UndecidedBatch:
    evidence = evidence_about(attempt, now=now)
    stream = read_event_stream(session, evidence)
    heard_of = select(func.count(distinct(ProviderEvent.subscriber_id))).where(
        ProviderEvent.attempt_id == attempt.id
    )
    due_since = max(evidence.uncertain_since, evidence.goes_out_at or evidence.uncertain_since)
    return UndecidedBatch(
        batch,
        attempt,
        session.scalar(heard_of) or 0,
        judge_silence(evidence, stream, timing, now=now),
        due_since + timing.quiet_period + timing.canary_every,
        attempt.started_at + ASK_PERSON_AFTER,
    )


def count_settled_doubts(session: Session, *, most: int = 20) -> dict[Belief, int]:
    """How the newest attempts ended that had no clear answer at first."""
    newest = (
        select(Attempt.result, Attempt.event_seen_at)
        .where(
            Attempt.uncertain_since.is_not(None),
            Attempt.result.not_in([AttemptResult.UNCERTAIN, AttemptResult.RECALLING]),
        )
        .order_by(Attempt.uncertain_since.desc())
        .limit(most)
    )
    rows = session.execute(newest)
    return Counter(believe(result, is_reported=seen is not None) for result, seen in rows)


def undecided_attempt_of(session: Session, send: Send, batch_id: int) -> str:
    """The attempt that a batch is undecided about; empty where it is not undecided."""
    attempts = {batch.id: attempt.id for batch, attempt in list_undecided_batches(session, send)}
    return attempts.get(batch_id, "")


def list_refused_deliveries(
    session: Session, send: Send, *, most: int = 50
) -> Sequence[tuple[str | None, str | None]]:
    """Address and reason of refused deliveries; the address is None where it was erased since."""
    query = (
        select(Subscriber.address, Delivery.reason)
        .select_from(Delivery)
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(
            Delivery.send_id == send.id,
            Delivery.outcome.in_([DeliveryOutcome.REFUSED, DeliveryOutcome.RENDER_FAILED]),
        )
        .order_by(Delivery.subscriber_id)
        .limit(most)
    )
    return session.execute(query).all()


@dataclass(frozen=True)
class SendSpeed:
    """How many copies a second a send posts, and when it will be done at that speed."""

    per_second: float
    done_at: datetime


def estimate_send_speed(
    session: Session, send: Send, counts: DeliveryCounts, *, now: datetime
) -> SendSpeed | None:
    """The speed of the last two minutes; None where too little was accepted for an estimate."""
    if send.state is not SendState.SENDING or counts.pending == 0:
        return None
    copies, first = session.execute(
        select(func.sum(Batch.to_mail), func.min(Batch.settled_at)).where(
            Batch.send_id == send.id,
            Batch.state == BatchState.ACCEPTED,
            Batch.settled_at > now - SPEED_WINDOW,
        )
    ).one()
    if first is None or now - first < SPEED_WINDOW_MINIMUM:
        return None
    per_second = int(copies) / (now - first).total_seconds()
    if per_second == 0:
        return None
    return SendSpeed(per_second, now + timedelta(seconds=counts.pending / per_second))


def load_delivery_events(
    session: Session, subscriber_id: int, send_ids: Sequence[int], *, most: int = 50
) -> dict[int, list[ProviderEvent]]:
    """The events about a subscriber's copies of some sends, by send, oldest first."""
    is_theirs = ProviderEvent.subscriber_id == subscriber_id
    query = (
        select(Attempt.send_id, ProviderEvent)
        .join(ProviderEvent, (ProviderEvent.attempt_id == Attempt.id) & is_theirs)
        .where(
            Attempt.send_id.in_(send_ids),
            Attempt.first_subscriber_id <= subscriber_id,
            Attempt.last_subscriber_id >= subscriber_id,
        )
        .order_by(ProviderEvent.happened_at, ProviderEvent.received_at)
        .limit(most)
    )
    events: dict[int, list[ProviderEvent]] = {}
    for send_id, event in session.execute(query):
        events.setdefault(send_id, []).append(event)
    return events


def list_failed_event_posts(session: Session, *, most: int = 20) -> Sequence[ProviderEventPost]:
    """The posts of events that could not be processed, oldest first, without their bodies."""
    query = (
        select(ProviderEventPost)
        .options(defer(ProviderEventPost.body))
        .where(ProviderEventPost.error.is_not(None))
        .order_by(ProviderEventPost.id)
    )
    return session.scalars(query.limit(most)).all()


@dataclass(frozen=True)
class SendStatistics:
    """The numbers of one send.

    `unsubscribed` counts who left the list from the day the send started until the list's next
    send started: an unsubscribe link does not say in which mail it stood.
    """

    send: Send
    list_title: str
    subject: str
    day: date
    accepted: int
    event_counts: dict[str, int]
    unsubscribed: int

    @property
    def health(self) -> MailHealth:
        return mail_health_of_send(self.event_counts)

    @property
    def delivered(self) -> int:
        return self.event_counts.get("delivered", 0)

    @property
    def is_tracked(self) -> bool:
        """Did any open or click come in?"""
        return any(self.event_counts.get(kind) for kind in TRACKING_EVENTS)


def list_send_statistics(
    session: Session, lists: Sequence[MailingList], *, most: int, now: datetime
) -> list[SendStatistics]:
    """The newest started sends of some lists, newest first."""
    titles = {mailing_list.id: mailing_list.title for mailing_list in lists}
    # With several lists `+ 0` has SQLite walk the ids backwards, where it would sort all sends.
    of_lists = Send.list_id.in_(titles) if len(titles) == 1 else (Send.list_id + 0).in_(titles)
    newest = select(Send).where(of_lists, Send.starts_at <= now).order_by(Send.id.desc())
    sends = session.scalars(newest.limit(most)).all()
    if not sends:
        return []
    counts = count_deliveries_of_sends(session, sends)
    events = count_events_of_sends(session, [send.id for send in sends])
    # Only the subjects: the rest of a message is a hundred times as long.
    subjects: dict[int, str | None] = dict(
        session.execute(
            select(Edition.id, Edition.message["subject"].as_string()).where(
                Edition.id.in_([send.edition_id for send in sends])
            )
        ).all()
    )
    first_day = day_in_site_zone(session, min(send.starts_at for send in sends))
    unsubscribed = _unsubscribed_by_day(session, titles, first_day)
    ends: dict[int, date] = {}
    found = []
    for send in sends:
        day = day_in_site_zone(session, send.starts_at)
        end = max(ends.get(send.list_id, date.max), day + timedelta(days=1))
        ends[send.list_id] = day
        by_day = unsubscribed.get(send.list_id, {}).items()
        found.append(
            SendStatistics(
                send=send,
                list_title=titles[send.list_id],
                subject=subjects.get(send.edition_id) or "",
                day=day,
                accepted=counts[send.id].accepted,
                event_counts=events[send.id],
                unsubscribed=sum(count for other, count in by_day if day <= other < end),
            )
        )
    return found


def _unsubscribed_by_day(
    session: Session, list_ids: Collection[int], first: date
) -> dict[int, dict[date, int]]:
    """How many unsubscribed from each list on each day."""
    query = select(DailyListCount.list_id, DailyListCount.day, DailyListCount.count).where(
        DailyListCount.list_id.in_(list_ids),
        DailyListCount.day >= first,
        DailyListCount.metric == ListMetric.UNSUBSCRIBED,
    )
    found: dict[int, dict[date, int]] = {}
    for list_id, day, count in session.execute(query):
        found.setdefault(list_id, {})[day] = count
    return found
