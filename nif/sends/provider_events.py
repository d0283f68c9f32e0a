"""Processing what the provider reports: posts are stored as they came, then processed.

Any order and any repetition of the same events leads to the same state. The content of a post is
untrusted until it is matched with an attempt of this installation; events about mail that NIF did
not send change nothing. Where they are about mail that this installation did send, and of which its
database knows nothing, they stop all sending: see `unknown_attempts`.
"""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, func, or_, select, text, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from nif.database import add_counts, table_of
from nif.errors import Invalid
from nif.logs import redact
from nif.mail.transactional import TransactionalEmail
from nif.sends import reputation
from nif.sends.models import (
    Attempt,
    Batch,
    BatchState,
    Canary,
    Delivery,
    LostEventPost,
    ProviderEvent,
    ProviderEventPost,
    Send,
    SendEventCount,
)
from nif.sends.unknown_attempts import record_unknown_events
from nif.subscriptions import suppression_outbox
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.lifecycle import unsubscribe_from_list
from nif.subscriptions.models import (
    ListMetric,
    Subscriber,
    Subscription,
    SuppressionReason,
    day_in_site_zone,
)
from nif.subscriptions.statistics import record_daily_counts
from nif.subscriptions.suppression_list import lock_suppressions, suppress_addresses

log = logging.getLogger(__name__)

MAX_EVENT_POST_BYTES = 2_000_000
"""SendGrid posts up to 768 kB at a time."""

LOSSES_APART = timedelta(minutes=1)

MATCH_LOOK_BACK = timedelta(days=30)
"""How long after a mail a bounce without our custom arguments is still attributed to it."""

COUNTED_BY_DAY = {
    "delivered": ListMetric.DELIVERED,
    "bounce": ListMetric.BOUNCED,
    "spamreport": ListMetric.COMPLAINED,
}
"""The events that are counted by list and day too, and as what."""

QUARTER_HOUR = 900
"""Seconds."""

MAX_ID_LENGTH = 100
MAX_KIND_LENGTH = 40
MAX_DETAIL_LENGTH = 500
MAX_EVENT_ADDRESS_LENGTH = 320
MAX_TIMESTAMP = 253_402_300_799
"""The end of the year 9999, the last that both databases store."""

DROPPED_EVENT = "dropped"
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

    `is_transactional`: it is about a transactional email, not about a send. `is_canary`: it is
    about a canary, whose mark is then its `attempt_id`. `item` is the event as it was posted.
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
    is_canary: bool = False
    item: Mapping[str, Any] = {}

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.happened_at, UTC)


def store_event_post(session: Session, body: bytes, *, now: datetime) -> None:
    """Store a post whose signature is valid. Raises Invalid where its body is not a list."""
    try:
        is_list = isinstance(_load_json(body), list)
    except (ValueError, RecursionError):
        is_list = False
    if not is_list:
        raise Invalid({"body": "A list of events was expected."})
    session.add(ProviderEventPost(received_at=now, body=body))


def record_lost_event_post(session: Session, *, lost_at: datetime) -> None:
    """A post of events was not stored, so silence proves nothing about the attempts before it.

    One a minute is enough: one is as bad as many.
    """
    recent = LostEventPost.lost_at.between(lost_at - LOSSES_APART, lost_at)
    if session.scalar(select(LostEventPost.id).where(recent).limit(1)) is None:
        session.add(LostEventPost(lost_at=lost_at))


def process_next_event_post(session: Session, *, now: datetime) -> bool:
    """Process the oldest waiting post; False where there is none.

    One post a transaction, so that others can write in between.
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
        log.warning("a post of events failed: %s", type(error).__name__)
        post.error = type(error).__name__
    return True


def retry_failed_event_posts(session: Session) -> None:
    """Have the posts that failed processed once more."""
    session.execute(update(ProviderEventPost).values(error=None))


def _process_events(
    session: Session, events: list[ParsedEvent], received_at: datetime, now: datetime
) -> None:
    events = _hear_canaries(session, events, received_at)
    events = [_match_event(session, event, now) for event in events]
    new = _insert_new_events(session, events, received_at)
    if not new:
        return
    attempt_ids = {event.attempt_id for event in new if event.attempt_id}
    query = select(Attempt.id, Send.id, Send.list_id).join(Send, Send.id == Attempt.send_id)
    rows = session.execute(query.where(Attempt.id.in_(attempt_ids))).all()
    sends: dict[str | None, int] = {attempt_id: send_id for attempt_id, send_id, _ in rows}
    lists: dict[str | None, int] = {attempt_id: list_id for attempt_id, _, list_id in rows}
    ours = [event for event in new if event.attempt_id in sends]
    if unknown := [event for event in new if event.attempt_id and event.attempt_id not in sends]:
        about_sends = [event for event in unknown if not event.is_transactional]
        record_unknown_events(session, about_sends, now=now)
    _mark_attempts_reported(session, ours, received_at)
    counts = Counter((sends[event.attempt_id], event.kind) for event in ours)
    by_kind = [
        {"send_id": send_id, "kind": kind, "count": count}
        for (send_id, kind), count in sorted(counts.items())
    ]
    add_counts(session, SendEventCount, by_kind)
    _count_by_day(session, lists, ours, received_at)
    suppress_from_events(session, ours, now=now)
    reputation.pause_sends_at_limits(session, {send_id for send_id, _ in counts})


def parse_events(body: bytes) -> list[ParsedEvent]:
    """The events of a post, each once, in the order of their ids.

    The fixed order keeps two posts with the same events from a deadlock. Events that cannot be read
    are skipped, and the log says how many.
    """
    by_id: dict[str, ParsedEvent] = {}
    unreadable = 0
    for item in _load_json(body):
        try:
            event = _parse_event(item)
            by_id[event.id] = event
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            unreadable += 1
    if unreadable:
        log.warning("%s events could not be read and were skipped", unreadable)
    return [by_id[event_id] for event_id in sorted(by_id)]


def _parse_event(item: dict[str, Any]) -> ParsedEvent:
    kind = _event_kind(item)
    happened_at = int(item["timestamp"])
    if not 0 <= happened_at <= MAX_TIMESTAMP:
        raise ValueError("timestamp out of range")
    detail = address = None
    if kind not in _SUCCESS_KINDS:
        # The provider's explanation often repeats the address.
        detail = _printable_or_none(item.get("reason") or item.get("response"), MAX_DETAIL_LENGTH)
        address = _printable_or_none(item.get("email"), MAX_EVENT_ADDRESS_LENGTH)
    is_drop = kind == DROPPED_EVENT
    return ParsedEvent(
        id=_printable(item["sg_event_id"], MAX_ID_LENGTH),
        kind=kind,
        attempt_id=_printable_or_none(item.get("nif_a"), 64),
        subscriber_id=_subscriber_id(item.get("nif_d")),
        happened_at=happened_at,
        detail=redact(detail) if detail else None,
        suppression_reason=_DROP_REASONS.get(str(item.get("reason")))
        if is_drop
        else _SUPPRESSING_KINDS.get(kind),
        address=address,
        is_transactional="nif_l" in item,
        is_canary="nif_c" in item,
        item=item,
    )


def _event_kind(item: dict[str, Any]) -> str:
    """SendGrid's name of the event, or ours where SendGrid distinguishes by another field only."""
    kind = _printable(item["event"], MAX_KIND_LENGTH)
    if kind == "bounce" and item.get("type") not in {None, "bounce"}:
        return "blocked"
    if kind == "open" and item.get("sg_machine_open") is True:
        return "machine_open"
    return kind


def _subscriber_id(value: object) -> int | None:
    """The subscriber's id, which is the second part of `nif_d`."""
    if not isinstance(value, str):
        return None
    number = value.rpartition(".")[2]
    return int(number) if number.isdecimal() and number.isascii() and len(number) < 19 else None


def _printable(text: str, max_length: int) -> str:
    """Untrusted text, shortened, with a space for each unprintable character."""
    if text.isprintable() and len(text) <= max_length:
        return text
    return "".join(ch if ch.isprintable() else " " for ch in text[:max_length])


def _printable_or_none(value: object, max_length: int) -> str | None:
    return _printable(value, max_length) if isinstance(value, str) else None


def _load_json(body: bytes) -> Any:
    """The JSON of a post, with a lenient parser where the strict, faster parser refuses it.

    Half a surrogate pair in a user agent must not cost the other events of the post.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body, parse_int=_parse_int)


def _parse_int(digits: str) -> int | float:
    """A number of any length; `int` refuses more than a few thousand digits."""
    return int(digits) if len(digits) < 20 else float(digits)


def suppress_from_events(session: Session, events: Iterable[ParsedEvent], *, now: datetime) -> None:
    """Suppress the addresses that these events are about."""
    moments: dict[tuple[SuppressionReason, str], dict[int, datetime]] = defaultdict(dict)
    for event in events:
        if event.subscriber_id and event.suppression_reason:
            moments[event.suppression_reason, event.kind][event.subscriber_id] = event.moment
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
    unsubscribes: Mapping[str, datetime],
    source: str,
    *,
    is_drop: bool = False,
    now: datetime,
) -> None:
    """Suppress and unsubscribe addresses that unsubscribed at the provider, by address and time.

    Left out are those that subscribed again since, and those that are on the provider's list only
    because NIF put them there. A subscriber who comes back at this moment locks first their
    subscription and then their suppression; the locks are taken in the same order here.
    """
    ids = select(Subscriber.id).where(Subscriber.canonical.in_(unsubscribes))
    keys = (Subscription.subscriber_id, Subscription.list_id)
    query = (
        select(Subscription)
        .where(Subscription.subscriber_id.in_(ids))
        .order_by(*keys)
        .with_for_update(of=Subscription)
        .execution_options(populate_existing=True)
    )
    subscriptions = session.scalars(query).all()
    lock_suppressions(session, unsubscribes)
    echoes = suppression_outbox.find_provider_echoes(session, unsubscribes, is_drop=is_drop)
    new = unsubscribes.keys() - echoes
    suppress_addresses(session, new, SuppressionReason.UNSUBSCRIBED, source=source, now=now)
    # List by list: a fixed order keeps two workers from a deadlock.
    for subscription in sorted(subscriptions, key=lambda each: (each.list_id, each.subscriber_id)):
        if subscription.subscriber.canonical in new:
            unsubscribe_from_list(session, subscription, ConsentContext(source), now=now)


def _match_event(session: Session, event: ParsedEvent, now: datetime) -> ParsedEvent:
    """Attribute an event without our custom arguments to the last mail that its address got.

    An asynchronous bounce, which comes back by mail, does not say which mail it is about.
    """
    reason, canonical = event.suppression_reason, (event.address or "").lower()
    is_marked = event.attempt_id and not event.is_transactional
    if reason is None or not canonical or is_marked:
        return event
    subscriber_id = session.scalar(select(Subscriber.id).where(Subscriber.canonical == canonical))
    if subscriber_id is None:
        return event
    if not event.is_transactional:
        since = now - MATCH_LOOK_BACK
        attempt_id = _last_attempt_to_subscriber(session, subscriber_id, since=since)
        if attempt_id is not None:
            return event._replace(attempt_id=attempt_id, subscriber_id=subscriber_id)
    transactional_email = select(TransactionalEmail.id).where(
        func.lower(TransactionalEmail.address) == canonical, TransactionalEmail.sent_at.is_not(None)
    )
    if session.scalar(transactional_email.limit(1)) is None:
        return event
    # An echo is an unsubscribe that was revoked since, or that the provider has from NIF alone.
    is_echo = reason is SuppressionReason.UNSUBSCRIBED and suppression_outbox.find_provider_echoes(
        session, {canonical: event.moment}, is_drop=event.kind == DROPPED_EVENT
    )
    if not is_echo:
        source = f"event {event.kind}"
        suppress_addresses(session, [canonical], reason, source=source, now=now)
    return event


def _last_attempt_to_subscriber(
    session: Session, subscriber_id: int, *, since: datetime
) -> str | None:
    """The last attempt by which a subscriber was certainly mailed."""
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


def _insert_new_events(
    session: Session, events: list[ParsedEvent], received_at: datetime
) -> list[ParsedEvent]:
    """Insert the events that are new; return those."""
    rows = orjson.dumps([event[:6] for event in events]).decode()
    statement = _INSERT_EVENTS[session.get_bind().dialect.name]
    new = set(session.scalars(statement, {"rows": rows, "received_at": received_at}))
    return [event for event in events if event.id in new]


# One JSON document for all rows is an order of magnitude faster than 2,000 rows of parameters.
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


def _hear_canaries(
    session: Session, events: Iterable[ParsedEvent], received_at: datetime
) -> list[ParsedEvent]:
    """Record which canaries were heard of; return the events that are not about canaries."""
    about_mail, heard = [], set[str]()
    for event in events:
        if event.is_canary and event.attempt_id:
            heard.add(event.attempt_id)
        else:
            about_mail.append(event)
    if heard:
        session.execute(
            update(table_of(Canary))
            .where(Canary.id.in_(heard), Canary.heard_at.is_(None))
            .values(heard_at=received_at)
        )
    return about_mail


def _count_by_day(
    session: Session,
    lists: Mapping[str | None, int],
    ours: Iterable[ParsedEvent],
    received_at: datetime,
) -> None:
    """Count by the list and by the day an event happened, which is not after it came in.

    `lists` are those of the attempts. In every time zone a day begins at a whole quarter of an
    hour, so few days have to be computed.
    """
    latest, days = int(received_at.timestamp()), dict[int, date]()
    counts = Counter[tuple[int, date, ListMetric]]()
    for event in ours:
        if event.kind not in COUNTED_BY_DAY:
            continue
        quarter = min(event.happened_at, latest) // QUARTER_HOUR * QUARTER_HOUR
        if quarter not in days:
            days[quarter] = day_in_site_zone(session, datetime.fromtimestamp(quarter, UTC))
        counts[lists[event.attempt_id], days[quarter], COUNTED_BY_DAY[event.kind]] += 1
    record_daily_counts(session, counts)


def _mark_attempts_reported(
    session: Session, ours: Iterable[ParsedEvent], seen_at: datetime
) -> None:
    """Record that events came in about these attempts, which proves that they were accepted.

    A drop proves nothing about a fenced attempt: after a recall every copy of it is dropped.
    """
    reported, dropped = set[str](), set[str]()
    for event in ours:
        (dropped if event.kind == DROPPED_EVENT else reported).add(event.attempt_id or "")
    proven = or_(
        Attempt.id.in_(reported), Attempt.id.in_(dropped - reported) & Attempt.fence.is_(None)
    )
    session.execute(
        update(table_of(Attempt))
        .where(proven, Attempt.event_seen_at.is_(None))
        .values(event_seen_at=seen_at)
    )
