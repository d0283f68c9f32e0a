"""What the provider reports: kept as it came, then understood in sets, each event once.

Every rule here gives the same state for any order and any repetition of the same events.

Reading what the provider's webhook posted: hostile until it is matched with what is ours.

Whom an event is about, and what follows for them. What we did not mail is not ours to judge.
"""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, func, or_, select, text, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert, table_of
from nif.errors import Invalid
from nif.logs import redact
from nif.mail.transactional import TransactionalEmail
from nif.sends import reputation
from nif.sends.models import (
    Attempt,
    Batch,
    BatchState,
    Delivery,
    ProviderEvent,
    ProviderEventPost,
    Send,
    SendEventCount,
    StreamLiveness,
)
from nif.subscriptions import suppression_outbox
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.models import (
    ListMetric,
    Subscriber,
    Subscription,
    SuppressionReason,
    day_in_site_zone,
)
from nif.subscriptions.statistics import record_daily_counts
from nif.subscriptions.suppression_list import lock_suppressions, suppress_addresses
from nif.subscriptions.unsubscribe import unsubscribe_from_list

_log = logging.getLogger(__name__)

MAX_ID_LENGTH = 100
MAX_KIND_LENGTH = 40
MAX_DETAIL_LENGTH = 500
MAX_EVENT_ADDRESS_LENGTH = 320
MAX_TIMESTAMP = 253_402_300_799
"""The end of the year 9999, the last that a database takes."""

_SUCCESS_KINDS = frozenset({"processed", "delivered", "open", "click"})
_DROP_REASONS = {
    "Bounced Address": SuppressionReason.BOUNCED,
    "Spam Reporting Address": SuppressionReason.COMPLAINED,
    "Unsubscribed Address": SuppressionReason.UNSUBSCRIBED,
    "Invalid": SuppressionReason.INVALID,
}
_SUPPRESSING_KINDS = {
    "bounce": SuppressionReason.BOUNCED,
    "spamreport": SuppressionReason.COMPLAINED,
    "unsubscribe": SuppressionReason.UNSUBSCRIBED,
    "group_unsubscribe": SuppressionReason.UNSUBSCRIBED,
}


class ParsedEvent(NamedTuple):
    """The parts of an event that NIF acts on. `happened_at` is in Unix seconds.

    `of_letter` says that it is about a single mail that somebody had asked for, not about a send.
    """

    id: str
    kind: str
    attempt_id: str | None
    subscriber_id: int | None
    happened_at: int
    detail: str | None
    suppression_reason: SuppressionReason | None
    address: str | None
    is_transactional: bool = False


def is_event_list(body: bytes) -> bool:
    try:
        return isinstance(_load_json(body), list)
    except (ValueError, RecursionError):
        return False


def _load_json(body: bytes) -> Any:
    """The JSON of a post, also where one event holds what the strict and quick reader refuses.

    Half a surrogate pair in somebody's user agent must not cost the other events.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body, parse_int=_parse_int)


def _parse_int(digits: str) -> int | float:
    """A number of any length: more than a few thousand digits Python would not read."""
    return int(digits) if len(digits) < 20 else float(digits)


def parse_events(body: bytes) -> list[ParsedEvent]:
    """The events of a post, each once, in the order of their ids.

    In one order, so that two posts with the same events cannot wait for each other. What cannot be
    read is passed over, and says so in the log.
    """
    told: dict[str, ParsedEvent] = {}
    passed_over = 0
    for item in _load_json(body):
        try:
            one = _parse_event(item)
            told[one.id] = one
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            passed_over += 1
    if passed_over:
        _log.warning("%s events could not be read and were passed over", passed_over)
    return [told[event_id] for event_id in sorted(told)]


def _parse_event(item: dict[str, Any]) -> ParsedEvent:
    get = item.get
    kind = _event_kind(item, get)
    happened_at = int(item["timestamp"])
    if not 0 <= happened_at <= MAX_TIMESTAMP:
        raise ValueError("a moment that there is not")
    return ParsedEvent(
        _printable(item["sg_event_id"], MAX_ID_LENGTH),
        kind,
        _printable_or_none(get("nif_a"), 64),
        _subscriber_id(get("nif_d")),
        happened_at,
        None if kind in _SUCCESS_KINDS else _redacted_detail(get("reason") or get("response")),
        _DROP_REASONS.get(str(get("reason")))
        if kind == "dropped"
        else _SUPPRESSING_KINDS.get(kind),
        None
        if kind in _SUCCESS_KINDS
        else _printable_or_none(get("email"), MAX_EVENT_ADDRESS_LENGTH),
        "nif_l" in item,
    )


def _event_kind(item: dict[str, Any], get: Callable[[str], Any]) -> str:
    """The event's name, but for what SendGrid tells apart by another field only."""
    kind = _printable(item["event"], MAX_KIND_LENGTH)
    if kind == "bounce" and get("type") not in {None, "bounce"}:
        return "blocked"
    if kind == "open" and get("sg_machine_open") is True:
        return "machine_open"
    return kind


def _subscriber_id(mark: object) -> int | None:
    """The second part of `nif_d`, the subscriber's id."""
    if not isinstance(mark, str):
        return None
    number = mark.rpartition(".")[2]
    return int(number) if number.isdecimal() and number.isascii() and len(number) < 19 else None


def _printable(text: str, longest: int) -> str:
    """Text from the world outside, shortened and without what cannot be printed."""
    if text.isprintable() and len(text) <= longest:
        return text
    return "".join(ch if ch.isprintable() else " " for ch in text[:longest])


def _redacted_detail(value: object) -> str | None:
    """What the provider says happened, without the reader's address, which it likes to repeat."""
    return (
        redact(value[:MAX_DETAIL_LENGTH])
        if (value := _printable_or_none(value, MAX_DETAIL_LENGTH))
        else None
    )


def _printable_or_none(value: object, longest: int) -> str | None:
    return _printable(value, longest) if isinstance(value, str) else None


DROPPED_EVENT = "dropped"
MATCH_LOOK_BACK = timedelta(days=30)
"""How long after its mail a bounce without any mark is still taken for that mail's."""


def match_unmarked_events(
    session: Session, told: list[ParsedEvent], *, now: datetime
) -> list[ParsedEvent]:
    """Give the events that carry no mark of ours to the last mail that their address got.

    A bounce that comes back by mail, after the delivery, does not say which mail it is about.
    """
    return [
        _match_event(session, one, one.address.lower(), now)
        if one.suppression_reason and one.address and (one.is_transactional or not one.attempt_id)
        else one
        for one in told
    ]


def suppress_from_events(session: Session, told: Iterable[ParsedEvent], *, now: datetime) -> None:
    """Never mail again whom these events are about."""
    moments: dict[tuple[SuppressionReason, str], dict[int, datetime]] = defaultdict(dict)
    for one in told:
        if one.subscriber_id and one.suppression_reason:
            moments[one.suppression_reason, one.kind][one.subscriber_id] = _time_of_event(one)
    for (reason, kind), by_id in sorted(moments.items()):
        source = f"event {kind}"
        query = select(Subscriber.canonical, Subscriber.id).where(Subscriber.id.in_(by_id))
        by_address = {row[0]: by_id[row[1]] for row in session.execute(query)}
        if reason is SuppressionReason.UNSUBSCRIBED:
            is_drop = kind == DROPPED_EVENT
            apply_provider_unsubscribes(session, by_address, source, is_drop=is_drop, now=now)
        else:
            suppress_addresses(session, by_address, reason, source=source, now=now)


def apply_provider_unsubscribes(
    session: Session,
    wishes: Mapping[str, datetime],
    source: str,
    *,
    is_drop: bool = False,
    now: datetime,
) -> None:
    """These told the provider that they want no mail, at these moments; ours to keep all the same.

    Not those who have come back since, and not those whom only we told the provider of. Whoever
    comes back in this very moment holds their subscription and their suppression, in this order:
    so we wait for them before we look, or they for us.
    """
    theirs = select(Subscriber.id).where(Subscriber.canonical.in_(wishes))
    mine = select(Subscription).where(Subscription.subscriber_id.in_(theirs))
    keys = (Subscription.subscriber_id, Subscription.list_id)
    locked = mine.order_by(*keys).with_for_update(of=Subscription)
    subscriptions = session.scalars(locked.execution_options(populate_existing=True)).all()
    lock_suppressions(session, wishes)
    new = wishes.keys() - suppression_outbox.find_provider_echoes(session, wishes, is_drop=is_drop)
    suppress_addresses(session, new, SuppressionReason.UNSUBSCRIBED, source=source, now=now)
    # List by list, so that two who do this at once cannot wait for each other.
    for one in sorted(subscriptions, key=lambda one: (one.list_id, one.subscriber_id)):
        if one.subscriber.canonical in new:
            unsubscribe_from_list(session, one, ConsentContext(source), now=now)


def _match_event(session: Session, one: ParsedEvent, canonical: str, now: datetime) -> ParsedEvent:
    query = select(Subscriber.id).where(Subscriber.canonical == canonical)
    subscriber_id = session.scalar(query)
    if subscriber_id is None or one.suppression_reason is None:
        return one
    if not one.is_transactional:
        attempt_id = _last_attempt_to_subscriber(
            session, subscriber_id, since=now - MATCH_LOOK_BACK
        )
        if attempt_id is not None:
            return one._replace(attempt_id=attempt_id, subscriber_id=subscriber_id)
    if _was_sent_transactional_email(session, canonical) and not _is_echo(session, canonical, one):
        source = f"event {one.kind}"
        suppress_addresses(session, [canonical], one.suppression_reason, source=source, now=now)
    return one


def _is_echo(session: Session, canonical: str, one: ParsedEvent) -> bool:
    """Does it tell of a wish that was taken back since, or that only we told the provider of?"""
    if one.suppression_reason is not SuppressionReason.UNSUBSCRIBED:
        return False
    wish = {canonical: _time_of_event(one)}
    return bool(
        suppression_outbox.find_provider_echoes(session, wish, is_drop=one.kind == DROPPED_EVENT)
    )


def _time_of_event(one: ParsedEvent) -> datetime:
    return datetime.fromtimestamp(one.happened_at, UTC)


def _last_attempt_to_subscriber(
    session: Session, subscriber_id: int, *, since: datetime
) -> str | None:
    """The attempt by which a subscriber was mailed last, for certain."""
    recent = select(Send.id).where(Send.created_at > since)
    return session.scalar(
        select(Batch.attempt_id)
        .join(
            Delivery,
            (Delivery.send_id == Batch.send_id)
            & Delivery.subscriber_id.between(Batch.first_subscriber_id, Batch.last_subscriber_id),
        )
        .where(
            Delivery.subscriber_id == subscriber_id,
            Delivery.send_id.in_(recent),
            Delivery.outcome.is_(None),
            Batch.state == BatchState.ACCEPTED,
            Batch.attempt_id.is_not(None),
        )
        .order_by(Batch.send_id.desc())
        .limit(1)
    )


def _was_sent_transactional_email(session: Session, canonical: str) -> bool:
    found = select(TransactionalEmail.id).where(
        func.lower(TransactionalEmail.address) == canonical, TransactionalEmail.sent_at.is_not(None)
    )
    return session.scalar(found.limit(1)) is not None


MAX_EVENT_POST_BYTES = 2_000_000
"""Bytes. SendGrid posts at 768 kB."""

PROMPT_WITHIN = timedelta(minutes=5)
"""SendGrid posts its events every half minute; what came sooner than this was not held up."""


def store_event_post(session: Session, body: bytes, *, now: datetime) -> None:
    """Keep a post whose signature was found right. Raises Invalid where it is no list."""
    if not is_event_list(body):
        raise Invalid({"body": "A list of events was expected."})
    session.add(ProviderEventPost(received_at=now, body=body))


def process_next_event_post(session: Session, *, now: datetime) -> bool:
    """Understand the oldest post that waits; False where there is none.

    One at a time, for the sake of whoever else has to write meanwhile.
    """
    post = session.scalars(
        select(ProviderEventPost)
        .where(ProviderEventPost.error.is_(None))
        .order_by(ProviderEventPost.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if post is None:
        return False
    try:
        with session.begin_nested():
            _process_events(session, parse_events(post.body), post.received_at, now)
            session.delete(post)
    except (DataError, IntegrityError) as error:
        _log.warning("a post of events was set aside: %s", type(error).__name__)
        post.error = type(error).__name__
    return True


def retry_failed_event_posts(session: Session) -> None:
    """Let posts that were set aside be processed once more."""
    session.execute(update(ProviderEventPost).values(error=None))


def _process_events(
    session: Session, told: list[ParsedEvent], received_at: datetime, now: datetime
) -> None:
    told = match_unmarked_events(session, told, now=now)
    new = _insert_new_events(session, told, received_at)
    if not new:
        return
    _record_stream_liveness(session, new, received_at)
    sends = _sends_of_attempts(session, {one.attempt_id for one in new if one.attempt_id})
    ours = [one for one in new if one.attempt_id in sends]
    _mark_attempts_reported(session, ours, received_at)
    counts = Counter((sends[one.attempt_id], one.kind) for one in ours if one.attempt_id)
    _count_by_send(session, counts)
    _count_by_day(session, sends, ours, received_at)
    suppress_from_events(session, [one for one in ours if one.suppression_reason], now=now)
    reputation.pause_sends_over_limits(session, {send_id for send_id, _ in counts})


def _insert_new_events(
    session: Session, told: list[ParsedEvent], received_at: datetime
) -> list[ParsedEvent]:
    """Write down the events that are new; returns those."""
    rows = orjson.dumps([one[:6] for one in told]).decode()
    statement = _INSERT_EVENTS[session.get_bind().dialect.name]
    new = set(session.scalars(statement, {"rows": rows, "received_at": received_at}))
    return [one for one in told if one.id in new]


# One document for all rows is an order of magnitude quicker to hand over than 2,000 rows are.
_RECEIVED_AT = bindparam("received_at", type_=table_of(ProviderEvent).c.received_at.type)
_INSERT_EVENTS = {
    "postgresql": text(
        """
        INSERT INTO provider_event
            (id, kind, attempt_id, subscriber_id, happened_at, detail, received_at)
        SELECT one->>0, one->>1, one->>2, (one->>3)::bigint, to_timestamp((one->>4)::bigint),
            one->>5, :received_at
        FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS one
        ON CONFLICT DO NOTHING RETURNING id
        """
    ).bindparams(_RECEIVED_AT),
    "sqlite": text(
        """
        INSERT OR IGNORE INTO provider_event
            (id, kind, attempt_id, subscriber_id, happened_at, detail, received_at)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
            json_extract(value, '$[2]'), json_extract(value, '$[3]'),
            strftime('%Y-%m-%d %H:%M:%S.000000', json_extract(value, '$[4]'), 'unixepoch'),
            json_extract(value, '$[5]'), :received_at
        FROM json_each(:rows) WHERE true
        RETURNING id
        """
    ).bindparams(_RECEIVED_AT),
}


def _record_stream_liveness(
    session: Session, new: Iterable[ParsedEvent], received_at: datetime
) -> None:
    """The stream is alive where something that has just happened comes in."""
    received = received_at.timestamp()
    seconds = {
        one.happened_at
        for one in new
        if 0 <= received - one.happened_at <= PROMPT_WITHIN.total_seconds()
    }
    if seconds:
        rows = [{"second": second, "received_at": received_at} for second in sorted(seconds)]
        session.execute(
            conflict_aware_insert(session, StreamLiveness).on_conflict_do_nothing(), rows
        )


COUNTED_BY_DAY = {
    "delivered": ListMetric.DELIVERED,
    "bounce": ListMetric.BOUNCED,
    "spamreport": ListMetric.COMPLAINED,
}
"""The events that are counted by list and day too."""

QUARTER_HOUR = 900
"""Seconds. All clocks of the world change their day at a whole quarter of an hour."""


def _count_by_day(
    session: Session, sends: dict[str, int], ours: Iterable[ParsedEvent], received_at: datetime
) -> None:
    """By the day on which it happened, which is never later than the one on which it was told."""
    latest = int(received_at.timestamp())
    quarters = Counter(
        (
            sends[one.attempt_id],
            min(one.happened_at, latest) // QUARTER_HOUR,
            COUNTED_BY_DAY[one.kind],
        )
        for one in ours
        if one.attempt_id and one.kind in COUNTED_BY_DAY
    )
    if not quarters:
        return
    of_sends = select(Send.id, Send.list_id).where(Send.id.in_({key[0] for key in quarters}))
    lists = dict(session.execute(of_sends).all())
    days = {
        quarter: day_in_site_zone(session, datetime.fromtimestamp(quarter * QUARTER_HOUR, UTC))
        for quarter in {key[1] for key in quarters}
    }
    counts = Counter[tuple[int, date, ListMetric]]()
    for (send_id, quarter, what), count in quarters.items():
        counts[lists[send_id], days[quarter], what] += count
    record_daily_counts(session, counts)


def _sends_of_attempts(session: Session, attempt_ids: Collection[str]) -> dict[str, int]:
    """The sends of those attempts that are ours, by attempt."""
    query = select(Attempt.id, Attempt.send_id).where(Attempt.id.in_(attempt_ids))
    return dict(session.execute(query).all()) if attempt_ids else {}


def _mark_attempts_reported(
    session: Session, ours: Iterable[ParsedEvent], heard_at: datetime
) -> None:
    """Whatever is told of an attempt proves that it was taken.

    But for a fenced one, of which every copy is dropped where it was recalled.
    """
    heard, dropped = set[str](), set[str]()
    for one in ours:
        (dropped if one.kind == "dropped" else heard).add(one.attempt_id or "")
    proven = or_(Attempt.id.in_(heard), Attempt.id.in_(dropped - heard) & Attempt.fence.is_(None))
    session.execute(
        update(Attempt)
        .where(proven, Attempt.event_seen_at.is_(None))
        .values(event_seen_at=heard_at)
        .execution_options(synchronize_session=False)
    )


def _count_by_send(session: Session, counts: Counter[tuple[int, str]]) -> None:
    rows: Sequence[dict[str, Any]] = [
        {"send_id": send_id, "kind": kind, "count": count}
        for (send_id, kind), count in sorted(counts.items())
    ]
    if not rows:
        return
    statement = conflict_aware_insert(session, SendEventCount)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[SendEventCount.send_id, SendEventCount.kind],
            set_={"count": SendEventCount.count + statement.excluded["count"]},
        ),
        rows,
    )
