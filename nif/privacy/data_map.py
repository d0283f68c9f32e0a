"""The data map: every table with data of a reader, what an export shows of it, what erasure does;
the export and the erasure of a person.

It is the only such list. A test goes through all tables and fails where one that refers to a
subscriber, or has a column for an address, is missing here.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Integer, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from nif import limits
from nif.database import Base
from nif.editions.versions import get_subject_of_version
from nif.imports.imports import blank_address_in_files
from nif.imports.models import ImportedSubscription, ImportProblem, ImportRun
from nif.limits import CONFIRMATION_LIMIT, MAIL_LIMIT
from nif.mail.addresses import EmailAddress
from nif.mail.outbox import OutboxMail
from nif.mail.transactional import TransactionalEmail
from nif.sends.models import Attempt, Batch, Delivery, ProviderEvent, ProviderEventPost, Send
from nif.sends.periodic_tasks import PeriodicTask
from nif.signups.held import delete_signups_of
from nif.signups.models import Signup
from nif.stories.reader_reports import ReaderReport
from nif.subscribers.segments import Segment
from nif.subscriptions.address_change import CHANGE_LIMIT, NEW_ADDRESS_LIMIT
from nif.subscriptions.consent import list_consent_receipts
from nif.subscriptions.models import (
    AddressChange,
    Consent,
    ListMetric,
    MailingList,
    SignupRefusal,
    Subscriber,
    Subscription,
    SubscriptionTag,
    Suppression,
)
from nif.subscriptions.statistics import count_departures, uncount_subscription
from nif.subscriptions.suppression_list import (
    ERASED_PLACEHOLDER,
    delete_suppression,
    is_erased_address,
    record_erased_address,
)
from nif.subscriptions.suppression_outbox import SuppressionOutboxEntry


@dataclass(frozen=True)
class Person:
    """The canonical form of an address, and the id of its subscriber; 0 without one."""

    canonical: str
    id: int

    @property
    def spellings(self) -> re.Pattern[str]:
        """A pattern that finds the address in a text, whatever its spelling."""
        return re.compile(re.escape(self.canonical), re.IGNORECASE)


def person_at_address(session: Session, address: EmailAddress) -> Person:
    """The owner of an address, known or not."""
    subscriber_id = select(Subscriber.id).where(Subscriber.canonical == address.canonical)
    return Person(address.canonical, session.scalar(subscriber_id) or 0)


def person_of_subscriber(subscriber: Subscriber) -> Person:
    return Person(subscriber.canonical, subscriber.id)


ExportedRows = list[dict[str, Any]]
Condition = Callable[[Person], ColumnElement[bool]]
Erasure = Callable[[Session, Person], object]

DELETED, CLEANED = "deleted", "the address is removed"
"""What erasure does with most tables: it deletes the rows of a person, or cleans texts."""


@dataclass(frozen=True)
class DataMapEntry:
    """A table with data of readers.

    `description` names it for the reader, and `on_erasure` says what erasure does with it: each of
    `erasures`; then, where that is DELETED, it deletes the rows of the person. `whose` is the
    condition for them. `exported` is what an export shows of each: attributes
    in the order of the rows' keys, renamed as in "at=happened_at"; or a function. It is None where
    the table contains addresses only in texts about something else, or hashed.
    """

    model: type[Base]
    description: str
    on_erasure: str
    whose: Condition | None = None
    exported: str | Callable[[Session, Person], ExportedRows] | None = None
    erasures: Sequence[Erasure] = ()

    @property
    def table(self) -> str:
        return str(self.model.__tablename__)

    def export(self, session: Session, person: Person) -> ExportedRows:
        if self.exported is None or self.whose is None:
            return []
        if callable(self.exported):
            return self.exported(session, person)
        query = select(self.model).where(self.whose(person))
        attributes = [name.partition("=") for name in self.exported.split()]
        return [
            {name: _read_attribute(row, path or name) for name, _, path in attributes}
            for row in session.scalars(query.order_by(*self.model.__table__.primary_key))
        ]

    def erase(self, session: Session, person: Person) -> None:
        for erase in self.erasures:
            erase(session, person)
        if self.on_erasure == DELETED and self.whose is not None:
            session.execute(delete(self.model).where(self.whose(person)))


def _read_attribute(row: Any, path: str) -> Any:
    for name in path.split("."):
        row = row.get(name) if isinstance(row, dict) else getattr(row, name, None)
    return row


def of_person(column: Any, *conditions: ColumnElement[bool]) -> Condition:
    """The rows whose column holds the id or the address of a person, in any spelling."""
    if isinstance(column.type, Integer):
        return lambda person: and_(column == person.id, *conditions)
    written = column if column.key == "canonical" else func.lower(column)
    return lambda person: written == person.canonical


def events_of(person: Person) -> ColumnElement[bool]:
    """An index leads from the attempts that included a person to their events."""
    attempts = select(Attempt.id).where(
        Attempt.first_subscriber_id <= person.id, Attempt.last_subscriber_id >= person.id
    )
    about = or_(ProviderEvent.attempt_id.in_(attempts), ProviderEvent.attempt_id.is_(None))
    return about & (ProviderEvent.subscriber_id == person.id)


def export_consents(session: Session, person: Person) -> ExportedRows:
    return list_consent_receipts(session, person.id) if person.id else []


def export_events(session: Session, person: Person) -> ExportedRows:
    """In the order in which they happened."""
    query = select(ProviderEvent).where(events_of(person))
    return [
        {"kind": one.kind, "at": one.happened_at, "detail": one.detail}
        for one in session.scalars(query.order_by(ProviderEvent.happened_at, ProviderEvent.id))
    ]


def export_imports(session: Session, person: Person) -> ExportedRows:
    query = (
        select(ImportRun)
        .join(ImportedSubscription, ImportedSubscription.import_id == ImportRun.id)
        .where(ImportedSubscription.subscriber_id == person.id)
    )
    return [
        {
            "list": run.mailing_list.slug,
            "file": run.file_name,
            "at": run.started_at,
            "consent_source": run.consent_source,
        }
        for run in session.scalars(query.order_by(ImportRun.id))
    ]


def export_deliveries(session: Session, person: Person) -> ExportedRows:
    """Every edition that was planned for this person, and its outcome."""
    query = (
        select(Send, MailingList.slug, Delivery.outcome, Batch.state, Attempt.version)
        .join(MailingList, MailingList.id == Send.list_id)
        .join(Delivery, Delivery.send_id == Send.id)
        .join(
            Batch,
            (Batch.send_id == Send.id)
            & (Batch.first_subscriber_id <= person.id)
            & (Batch.last_subscriber_id >= person.id),
        )
        .outerjoin(Attempt, Attempt.id == Batch.attempt_id)
        .where(Delivery.subscriber_id == person.id)
        .order_by(Send.id)
    )
    return [
        {
            "list": slug,
            "subject": get_subject_of_version(session, send.edition, version),
            "planned_at": send.created_at,
            "outcome": (outcome or state).value,
        }
        for send, slug, outcome, state, version in session.execute(query)
    ]


def erase_subscriptions(session: Session, person: Person) -> None:
    query = select(Subscription).where(Subscription.subscriber_id == person.id)
    for one in session.scalars(query.order_by(Subscription.list_id).with_for_update()).all():
        uncount_subscription(session, one)
        session.delete(one)
    session.flush()


def erase_changes_to_address(session: Session, person: Person) -> None:
    """Delete the changes of others to this address, too."""
    session.execute(delete(AddressChange).where(AddressChange.canonical == person.canonical))


def erase_limit_counts(session: Session, person: Person) -> None:
    """Delete the counts under unkeyed hashes of the address: they can be computed from it."""
    keys = [(MAIL_LIMIT, person.canonical), (CONFIRMATION_LIMIT, person.canonical)]
    keys += [(NEW_ADDRESS_LIMIT, person.canonical), (CHANGE_LIMIT, str(person.id))]
    limits.delete_attempts_of(session, keys)


def clean_event_posts(session: Session, person: Person) -> None:
    """Remove the address from webhook posts that are not processed yet.

    The events in them stay: they may prove that a batch was accepted.
    """
    for post in session.scalars(select(ProviderEventPost).with_for_update()):
        clean = remove_address_from_json(post.body, person)
        if clean != post.body:
            post.body = clean


def remove_address_from_json(body: bytes, person: Person) -> bytes:
    """JSON without an address, whatever its spelling and however it is escaped."""
    if person.canonical.encode() not in body.lower() and b"\\" not in body:
        return body
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        pattern = re.compile(re.escape(person.canonical.encode()), re.IGNORECASE)
        return pattern.sub(ERASED_PLACEHOLDER.encode(), body)
    clean = _redact_value(data, person.spellings)
    return body if clean == data else orjson.dumps(clean)


def _redact_value(value: Any, spellings: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return spellings.sub(ERASED_PLACEHOLDER, value)
    if isinstance(value, list):
        return [_redact_value(one, spellings) for one in value]
    if isinstance(value, dict):
        return {_redact_value(k, spellings): _redact_value(v, spellings) for k, v in value.items()}
    return value


def clean_segments(session: Session, person: Person) -> None:
    """Remove the address from saved segments: one may search for exactly this person."""
    for segment in session.scalars(select(Segment)):
        segment.name = person.spellings.sub(ERASED_PLACEHOLDER, segment.name)
        segment.conditions = _redact_value(segment.conditions, person.spellings)


def emptying(column: Any, whose: Condition) -> Erasure:
    """A function that empties a column in the rows of a person."""
    return lambda session, person: session.execute(
        update(column.class_).where(whose(person), column.is_not(None)).values({column.key: None})
    )


def cleaning(*columns: Any, whose: Condition | None = None) -> Erasure:
    """A function that removes the address, whatever its spelling, from columns of text.

    Error texts often repeat it. Without `whose` it is removed from every row.
    """

    def clean(session: Session, person: Person) -> None:
        escaped = re.sub(r"([\\%_])", r"\\\1", person.canonical)
        for column in columns:
            mentions = func.lower(column).like(f"%{escaped}%", escape="\\")
            query = select(column.class_).where(mentions)
            for row in session.scalars(query.where(whose(person)) if whose else query):
                text = person.spellings.sub(ERASED_PLACEHOLDER, getattr(row, column.key))
                setattr(row, column.key, text)
            session.flush()

    return clean


PLANNED = of_person(Delivery.subscriber_id, Delivery.send_id.in_(select(Send.id)))
IMPORTED = of_person(
    ImportedSubscription.subscriber_id, ImportedSubscription.import_id.in_(select(ImportRun.id))
)
"""The keys of both begin with the send and the import, which are few."""

DATA_MAP = (
    DataMapEntry(
        *(Consent, "Receipts: what you agreed to, and when", DELETED),
        *(of_person(Consent.subscriber_id), export_consents),
    ),
    DataMapEntry(
        *(Subscription, "Your newsletters", "deleted, and subtracted from the list's counters"),
        of_person(Subscription.subscriber_id),
        "list=mailing_list.slug title=mailing_list.title state requested_at confirmed_at "
        "unsubscribed_at",
        [erase_subscriptions],
    ),
    DataMapEntry(
        *(SubscriptionTag, "The topics that you chose", DELETED),
        *(of_person(SubscriptionTag.subscriber_id), "list=mailing_list.slug tag"),
    ),
    DataMapEntry(
        *(AddressChange, "A new address that you have not confirmed yet", DELETED),
        *(of_person(AddressChange.subscriber_id), "new_address=address requested_at"),
        [erase_changes_to_address],
    ),
    # Its rows are kept, so that the figures of past sends still add up.
    DataMapEntry(
        *(Delivery, "The newsletter mails that were planned for you"),
        "kept under a number that belongs to nobody, so that past sends still add up",
        *(PLANNED, export_deliveries),
        [cleaning(Delivery.reason, whose=PLANNED)],
    ),
    # The details are what the provider said about the mailbox. The rest stays for the figures.
    DataMapEntry(
        *(ProviderEvent, "What our mail provider reported about those mails"),
        "kept under a number that belongs to nobody, without its details",
        *(events_of, export_events),
        [emptying(ProviderEvent.detail, events_of)],
    ),
    DataMapEntry(
        *(ProviderEventPost, "Reports of the mail provider that are not processed yet", CLEANED),
        erasures=[clean_event_posts, cleaning(ProviderEventPost.error)],
    ),
    DataMapEntry(
        *(TransactionalEmail, "Single mails that we sent you in the last 30 days", DELETED),
        of_person(TransactionalEmail.address),
        "subject=message.subject queued_at sent_at",
        [cleaning(TransactionalEmail.error)],
    ),
    DataMapEntry(
        *(OutboxMail, "Mails in the outbox of a test installation", DELETED),
        *(of_person(OutboxMail.address), "subject posted_at=post.posted_at"),
    ),
    DataMapEntry(
        *(ImportedSubscription, "Imports from files that contained you", DELETED),
        *(IMPORTED, export_imports),
    ),
    DataMapEntry(
        *(ImportProblem, "Rows of such files that could not be imported"),
        f"{CLEANED}, from files that wait to be imported too",
        erasures=[cleaning(ImportProblem.cell)],
    ),
    DataMapEntry(
        *(Segment, "Conditions that our staff saved to find subscribers", CLEANED),
        erasures=[clean_segments],
    ),
    DataMapEntry(
        *(ReaderReport, "Errors that you reported to us, with your address for the answer"),
        "kept without the address",
        *(of_person(ReaderReport.contact), "kind text at"),
        [
            emptying(ReaderReport.contact, of_person(ReaderReport.contact)),
            cleaning(ReaderReport.text, ReaderReport.answer),
        ],
    ),
    DataMapEntry(
        *(Attempt, "Error messages of the mail provider about a batch of mails", CLEANED),
        erasures=[cleaning(Attempt.reason)],
    ),
    DataMapEntry(
        *(Send, "The reason why a send was stopped", CLEANED), erasures=[cleaning(Send.stop_detail)]
    ),
    DataMapEntry(
        *(PeriodicTask, "The reason why a daily task failed", CLEANED),
        erasures=[cleaning(PeriodicTask.error)],
    ),
    DataMapEntry(
        *(Signup, "Requests made with your address in our forms, not answered yet", DELETED),
        *(of_person(Signup.canonical), "kind requested_at request_count"),
        [lambda session, person: delete_signups_of(session, person.canonical)],
    ),
    DataMapEntry(
        *(SignupRefusal, "Your statement that it was not you who signed up", DELETED),
        *(of_person(SignupRefusal.canonical), "refused_at=at"),
    ),
    DataMapEntry(
        *(limits.RateLimitCount, "How often something was requested, under a hash", DELETED),
        erasures=[erase_limit_counts],
    ),
    DataMapEntry(
        *(Suppression, "Whether we must not mail you, and why"),
        "replaced by a keyed hash, so that no later import gets you mailed",
        *(of_person(Suppression.canonical), "reason source at"),
        [lambda session, person: delete_suppression(session, person.canonical)],
    ),
    DataMapEntry(
        *(SuppressionOutboxEntry, "What we told our mail provider about that", DELETED),
        *(of_person(SuppressionOutboxEntry.canonical), "suppressed changed_at pushed_at"),
    ),
    DataMapEntry(
        *(Subscriber, "Your address, since when we have it, and your pause", DELETED),
        *(of_person(Subscriber.id), "address created_at paused_until"),
    ),
)
"""In the order of erasure: what refers to a subscriber comes before the subscriber."""

STAFF_TABLES = {
    "account": "staff sign in with the address",
    "profile": "staff publish it on their page",
}
"""Tables whose addresses belong to staff and not to readers."""


def export_tables(session: Session, person: Person) -> list[tuple[DataMapEntry, ExportedRows]]:
    """What each table holds of a person. Tables without rows of them are included, because that is
    an answer too; those that cannot be searched by person are not (`list_unexported_tables`)."""
    return [
        (entry, entry.export(session, person))
        for entry in reversed(DATA_MAP)
        if entry.exported is not None
    ]


def list_unexported_tables() -> list[str]:
    """The descriptions of tables that may contain an address in a text or hashed."""
    return [entry.description for entry in reversed(DATA_MAP) if entry.exported is None]


def export_person(session: Session, person: Person, *, now: datetime) -> dict[str, Any]:
    """Everything that is known about a person, for one JSON document (GDPR Art. 15 and 20)."""
    tables = {
        entry.table: [_serialize_row(row) for row in rows]
        for entry, rows in export_tables(session, person)
    }
    return {
        "address": person.canonical,
        "exported_at": _serialize_value(now),
        "erased": is_erased_address(session, person.canonical),
        "known": any(tables.values()),
        "tables": tables,
        "not_exported": list_unexported_tables(),
    }


def export_receipts(session: Session, person: Person, *, now: datetime) -> dict[str, Any]:
    receipts = [_serialize_row(row) for row in list_consent_receipts(session, person.id)]
    return {"address": person.canonical, "exported_at": _serialize_value(now), "receipts": receipts}


def _serialize_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _serialize_value(value) for name, value in row.items()}


def _serialize_value(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def erase_person(
    session: Session, person: Person, folder: Path, *, source: str, now: datetime
) -> None:
    """Erase everything that is known about a person, in one transaction (GDPR Art. 17).

    `folder` holds the files of imports: the address is overwritten in those that wait.

    Deliveries keep a row under an id that is never used again, so that the certificates and figures
    of past sends still add up. A send that is under way skips them. The hash of the address
    remains, under a key of this installation, so that no form, import or list of the mail provider
    adds them again. Erasing a person twice, or one who was never known, is no error.

    Raises Misconfigured where there is no secret key.
    """
    # Locked, so that no other transaction adds rows that refer to the subscriber.
    session.scalar(select(Subscriber.id).where(Subscriber.id == person.id).with_for_update())
    record_erased_address(session, person.canonical, source=source, now=now)
    count_departures(session, person.id, ListMetric.ERASED, now=now)
    for entry in DATA_MAP:
        entry.erase(session, person)
    blank_address_in_files(session, folder, person.canonical)
    session.expire_all()
