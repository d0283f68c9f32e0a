"""What the provider reports: kept as it came, then understood in sets, each event once.

Every rule here gives the same state for any order and any repetition of the same events.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import bindparam, or_, select, text, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from nif.database import insert_into, table_of
from nif.errors import Invalid
from nif.sends import guarding, matching, understanding
from nif.sends.events import Event, EventPost, Pulse, Report
from nif.sends.models import Attempt, Send
from nif.sends.understanding import Told
from nif.subscriptions.counting import count_days
from nif.subscriptions.days import Happening, day_of

log = logging.getLogger(__name__)

LARGEST_POST = 2_000_000
"""Bytes. SendGrid posts at 768 kB."""

PROMPT = timedelta(minutes=5)
"""SendGrid posts its events every half minute; what came sooner than this was not held up."""


def receive(session: Session, body: bytes, *, now: datetime) -> None:
    """Keep a post whose signature was found right. Raises Invalid where it is no list."""
    if not understanding.is_list(body):
        raise Invalid({"body": "A list of events was expected."})
    session.add(EventPost(received_at=now, body=body))


def process(session: Session, *, now: datetime) -> bool:
    """Understand the oldest post that waits; False where there is none.

    One at a time, for the sake of whoever else has to write meanwhile.
    """
    post = session.scalars(
        select(EventPost)
        .where(EventPost.trouble.is_(None))
        .order_by(EventPost.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if post is None:
        return False
    try:
        with session.begin_nested():
            _take_in(session, understanding.read(post.body), post.received_at, now)
            session.delete(post)
    except (DataError, IntegrityError) as error:
        log.warning("a post of events was set aside: %s", type(error).__name__)
        post.trouble = type(error).__name__
    return True


def take_up_again(session: Session) -> None:
    """Let posts that were set aside be processed once more."""
    session.execute(update(EventPost).values(trouble=None))


def _take_in(session: Session, told: list[Told], received_at: datetime, now: datetime) -> None:
    told = matching.match(session, told, now=now)
    new = _keep(session, told, received_at)
    if not new:
        return
    _note_pulse(session, new, received_at)
    sends = _sends_of(session, {one.attempt_id for one in new if one.attempt_id})
    ours = [one for one in new if one.attempt_id in sends]
    _note_heard(session, ours, received_at)
    counts = Counter((sends[one.attempt_id], one.kind) for one in ours if one.attempt_id)
    _count(session, counts)
    _count_days(session, sends, ours, received_at)
    matching.suppress(session, [one for one in ours if one.suppresses], now=now)
    guarding.check(session, {send_id for send_id, _ in counts})


def _keep(session: Session, told: list[Told], received_at: datetime) -> list[Told]:
    """Write down the events that are new; returns those."""
    rows = orjson.dumps([one[:6] for one in told]).decode()
    statement = _INSERTS[session.get_bind().dialect.name]
    new = set(session.scalars(statement, {"rows": rows, "received_at": received_at}))
    return [one for one in told if one.id in new]


# One document for all rows is an order of magnitude quicker to hand over than 2,000 rows are.
_RECEIVED_AT = bindparam("received_at", type_=table_of(Event).c.received_at.type)
_INSERTS = {
    "postgresql": text(
        """
        INSERT INTO event
            (id, kind, attempt_id, subscriber_id, happened_at, detail, received_at)
        SELECT one->>0, one->>1, one->>2, (one->>3)::bigint, to_timestamp((one->>4)::bigint),
            one->>5, :received_at
        FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS one
        ON CONFLICT DO NOTHING RETURNING id
        """
    ).bindparams(_RECEIVED_AT),
    "sqlite": text(
        """
        INSERT OR IGNORE INTO event
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


def _note_pulse(session: Session, new: Iterable[Told], received_at: datetime) -> None:
    """The stream is alive where something that has just happened comes in."""
    received = received_at.timestamp()
    seconds = {
        one.happened_at for one in new if 0 <= received - one.happened_at <= PROMPT.total_seconds()
    }
    if seconds:
        rows = [{"second": second, "received_at": received_at} for second in sorted(seconds)]
        session.execute(insert_into(session, Pulse).on_conflict_do_nothing(), rows)


DAILY = {
    "delivered": Happening.DELIVERED,
    "bounce": Happening.BOUNCED,
    "spamreport": Happening.COMPLAINED,
}
"""The events that are counted by list and day too."""

QUARTER = 900
"""Seconds. All clocks of the world change their day at a whole quarter of an hour."""


def _count_days(
    session: Session, sends: dict[str, int], ours: Iterable[Told], received_at: datetime
) -> None:
    """By the day on which it happened, which is never later than the one on which it was told."""
    latest = int(received_at.timestamp())
    quarters = Counter(
        (sends[one.attempt_id], min(one.happened_at, latest) // QUARTER, DAILY[one.kind])
        for one in ours
        if one.attempt_id and one.kind in DAILY
    )
    if not quarters:
        return
    of_sends = select(Send.id, Send.list_id).where(Send.id.in_({key[0] for key in quarters}))
    lists = dict(session.execute(of_sends).all())
    days = {
        quarter: day_of(session, datetime.fromtimestamp(quarter * QUARTER, UTC))
        for quarter in {key[1] for key in quarters}
    }
    counts = Counter[tuple[int, date, Happening]]()
    for (send_id, quarter, what), count in quarters.items():
        counts[lists[send_id], days[quarter], what] += count
    count_days(session, counts)


def _sends_of(session: Session, attempt_ids: Collection[str]) -> dict[str, int]:
    """The sends of those attempts that are ours, by attempt."""
    query = select(Attempt.id, Attempt.send_id).where(Attempt.id.in_(attempt_ids))
    return dict(session.execute(query).all()) if attempt_ids else {}


def _note_heard(session: Session, ours: Iterable[Told], heard_at: datetime) -> None:
    """Whatever is told of an attempt proves that it was taken.

    But for a fenced one, of which every copy is dropped where it was recalled.
    """
    heard, dropped = set[str](), set[str]()
    for one in ours:
        (dropped if one.kind == "dropped" else heard).add(one.attempt_id or "")
    proven = or_(Attempt.id.in_(heard), Attempt.id.in_(dropped - heard) & Attempt.fence.is_(None))
    session.execute(
        update(Attempt)
        .where(proven, Attempt.heard_at.is_(None))
        .values(heard_at=heard_at)
        .execution_options(synchronize_session=False)
    )


def _count(session: Session, counts: Counter[tuple[int, str]]) -> None:
    rows: Sequence[dict[str, Any]] = [
        {"send_id": send_id, "kind": kind, "count": count}
        for (send_id, kind), count in sorted(counts.items())
    ]
    if not rows:
        return
    statement = insert_into(session, Report)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Report.send_id, Report.kind],
            set_={"count": Report.count + statement.excluded["count"]},
        ),
        rows,
    )
