"""A million subscribers on twenty lists, inserted in bulk, with years of finished sends."""

from datetime import timedelta

from sqlalchemy import Engine, text

from nif.clock import utc_now
from nif.database import Database
from nif.editions.models import Edition, EditionState
from nif.mail.message import Message
from nif.sends.models import Batch, BatchState, Send, SendState
from nif.subscriptions.lists import ListSettings, create_list
from nif.subscriptions.models import MailingList

LISTS = 20
SENDS = 50
"""Sends per list. With 50,000 subscribers each they represent 50,000,000 deliveries."""

BATCHES = 50
INSERT_ROWS = 100_000
YEARS = timedelta(days=3 * 365)
WORDS = ["maria", "jo", "reyes", "palisade", "turntable", "samira", "kofi", "lin"]
DOMAINS = ["gmail.com", "example.com", "example.org", "mail.example.net", "label.example"]

SERIES = {
    "sqlite": "(WITH RECURSIVE n(i) AS (SELECT :a UNION ALL SELECT i + 1 FROM n WHERE i < :b) "
    "SELECT i FROM n) AS n",
    "postgresql": "generate_series(CAST(:a AS bigint), CAST(:b AS bigint)) AS n(i)",
}
# The moment of the i-th subscriber: smaller numbers are older.
MOMENT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%S.000000', :now, '-' || ((:size - i) * :step) "
    "|| ' seconds')",
    "postgresql": "CAST(:now AS timestamptz) - make_interval(secs => (:size - i) * :step)",
}
INSERT_SUBSCRIBERS = """
INSERT INTO subscriber (id, address, canonical, created_at)
SELECT i, address, address, at FROM (SELECT i, {moment} AS at,
    CASE i % 8 {words} END || '.' || (i * 7919 % 1000003) || '.' || i || '@'
    || CASE i % 5 {domains} END AS address FROM {series}) AS subscribers
"""
INSERT_FIRST_SUBSCRIPTIONS = """
INSERT INTO subscription (subscriber_id, list_id, state, requested_at, confirmed_at,
    unsubscribed_at)
SELECT i, 1 + i % 20, CASE i % 10 WHEN 3 THEN 'pending' WHEN 4 THEN 'unsubscribed'
    ELSE 'confirmed' END,
    at, CASE i % 10 WHEN 3 THEN NULL ELSE at END, CASE i % 10 WHEN 4 THEN at END
FROM (SELECT i, {moment} AS at FROM {series}) AS subscribers
"""
INSERT_SECOND_SUBSCRIPTIONS = """
INSERT INTO subscription (subscriber_id, list_id, state, requested_at, confirmed_at)
SELECT i, 1 + (i + 7) % 20, 'confirmed', at, at
FROM (SELECT i, {moment} AS at FROM {series}) AS subscribers WHERE i % 2 = 0
"""
INSERT_CONSENTS = """
INSERT INTO consent (subscriber_id, list_id, action, at, source, network)
SELECT subscriber_id, list_id, {action}, {column},
    CASE subscriber_id % 40 WHEN 0 THEN '/preferences' WHEN 1 THEN '/newsletters' ELSE '/subscribe'
    END, '192.0.2.0/24'
FROM subscription WHERE subscriber_id BETWEEN :a AND :b AND {column} IS NOT NULL
"""
INSERT_SUPPRESSIONS = """
INSERT INTO suppression (canonical, reason, source, at)
SELECT canonical, 'bounced', 'event bounce', created_at FROM subscriber
WHERE id BETWEEN :a AND :b AND id % 50 = 0
"""
INSERT_DELIVERIES = """
INSERT INTO delivery (send_id, subscriber_id)
SELECT send.id, subscription.subscriber_id FROM send
JOIN subscription ON subscription.list_id = send.list_id WHERE subscriber_id % :every = 1
"""
INSERT_EVENTS = """
INSERT INTO provider_event (id, kind, subscriber_id, happened_at, received_at)
SELECT 'e' || id, CASE id % 30 WHEN 0 THEN 'click' ELSE 'delivered' END, id, created_at, created_at
FROM subscriber WHERE id BETWEEN :a AND :b
"""
UPDATE_COUNTERS = """
UPDATE mailing_list SET {state}_count = (SELECT COUNT(*) FROM subscription
    WHERE subscription.list_id = mailing_list.id AND subscription.state = '{state}')
"""


def fill_subscribers(database: Database, size: int) -> None:
    """Insert lists, subscribers, subscriptions, consents, suppressions and events."""
    now = utc_now()
    with database.transaction() as session:
        for number in range(1, LISTS + 1):
            list_settings = ListSettings(
                f"list-{number}", f"List {number}", "daily 07:30", "Europe/London"
            )
            create_list(session, list_settings, now=now - YEARS)
    fragments = {
        "words": _sql_cases(WORDS),
        "domains": _sql_cases(DOMAINS),
        "series": SERIES[database.engine.dialect.name],
        "moment": MOMENT[database.engine.dialect.name],
    }
    parameters = {"now": str(now.replace(microsecond=0, tzinfo=None)), "size": size}
    parameters["step"] = max(1, int(YEARS.total_seconds()) // size)
    consents = [
        INSERT_CONSENTS.format(action=f"'{action}'", column=column)
        for action, column in (("requested", "requested_at"), ("confirmed", "confirmed_at"))
    ]
    for first in range(1, size + 1, INSERT_ROWS):
        rows = {**parameters, "a": first, "b": min(size, first + INSERT_ROWS - 1)}
        inserts = [
            template.format(**fragments)
            for template in (
                INSERT_SUBSCRIBERS,
                INSERT_FIRST_SUBSCRIPTIONS,
                INSERT_SECOND_SUBSCRIPTIONS,
            )
        ]
        _execute(database.engine, [*inserts, *consents, INSERT_SUPPRESSIONS, INSERT_EVENTS], rows)
    states = ("pending", "confirmed", "unsubscribed")
    _execute(database.engine, [UPDATE_COUNTERS.format(state=state) for state in states], {})
    if database.engine.dialect.name == "postgresql":
        set_sequence = "SELECT setval(pg_get_serial_sequence('subscriber', 'id'), :size)"
        _execute(database.engine, [set_sequence], {"size": size})


def add_finished_sends(database: Database, size: int, every: int) -> None:
    """Insert finished sends with their batches, and the deliveries of one subscriber in `every`."""
    now = utc_now()
    message = Message("news@example.com", "NIF", "The news of the day", "Text\n", "<p>Text</p>")
    audience = size // LISTS
    with database.transaction() as session:
        for mailing_list in session.query(MailingList).all():
            for number in range(SENDS):
                at = now - timedelta(days=number + 1)
                edition = Edition(
                    list_id=mailing_list.id,
                    slot=at.date(),
                    due_at=at,
                    made_at=at,
                    state=EditionState.FROZEN,
                    message=vars(message),
                    content_hash="0" * 64,
                )
                session.add(edition)
                session.flush()
                send = Send(
                    edition_id=edition.id,
                    list_id=mailing_list.id,
                    state=SendState.FINISHED,
                    audience=audience,
                    created_at=at,
                    starts_at=at,
                    finished_at=at,
                )
                session.add(send)
                session.flush()
                session.add_all(_batches_of(send, size, audience))
            session.flush()
            session.expire_all()
    _execute(database.engine, [INSERT_DELIVERIES], {"every": every})


def _batches_of(send: Send, size: int, audience: int) -> list[Batch]:
    width = max(1, size // BATCHES)
    return [
        Batch(
            send_id=send.id,
            first_subscriber_id=1 + n * width,
            last_subscriber_id=(n + 1) * width if n < BATCHES - 1 else size,
            size=audience // BATCHES,
            state=BatchState.ACCEPTED,
            settled_at=send.created_at,
        )
        for n in range(BATCHES)
    ]


def _sql_cases(words: list[str]) -> str:
    return " ".join(f"WHEN {n} THEN '{word}'" for n, word in enumerate(words))


def _execute(engine: Engine, statements: list[str], parameters: dict[str, object]) -> None:
    with engine.begin() as connection:
        for statement in statements:
            clause = text(statement)
            used = {name: parameters[name] for name in clause._bindparams}
            connection.execute(clause, used)
