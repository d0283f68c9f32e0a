"""The data map: every table with data of a reader, what an export shows of it, what erasure does.

It is the only such list. A test goes through all tables and fails where one that refers to a
subscriber, or has a column for an address, is missing here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Select, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from nif import limits
from nif.imports.models import ImportedSubscription, ImportProblem, ImportRun
from nif.mail import outbox, transactional
from nif.mail.outbox import OutboxMail
from nif.mail.transactional import TransactionalEmail
from nif.privacy.consent_receipts import list_consent_receipts
from nif.privacy.person import Person
from nif.sends.models import Attempt, Batch, Delivery, ProviderEvent, ProviderEventPost, Send
from nif.sends.periodic_tasks import PeriodicTask
from nif.signups.held import delete_signups_of
from nif.signups.models import Signup
from nif.stories.reader_reports import ReaderReport
from nif.subscribers.models import Segment
from nif.subscriptions import suppression_list, suppression_outbox
from nif.subscriptions.address_change import CHANGE_LIMIT, NEW_ADDRESS_LIMIT
from nif.subscriptions.models import (
    AddressChange,
    Consent,
    MailingList,
    SignupRefusal,
    Subscriber,
    Subscription,
    SubscriptionTag,
    Suppression,
)
from nif.subscriptions.signup_limits import CONFIRMATION_LIMIT, MAIL_LIMIT
from nif.subscriptions.statistics import uncount_subscription
from nif.subscriptions.suppression_list import ERASED_PLACEHOLDER
from nif.subscriptions.suppression_outbox import SuppressionOutboxEntry

ExportedRows = list[dict[str, Any]]


def export_subscriber(session: Session, person: Person) -> ExportedRows:
    known = session.get(Subscriber, person.id)
    if known is None:
        return []
    return [
        {
            "address": known.address,
            "created_at": known.created_at,
            "paused_until": known.paused_until,
        }
    ]


def erase_subscriber_row(session: Session, person: Person) -> None:
    session.execute(delete(Subscriber).where(Subscriber.id == person.id))


def export_subscriptions(session: Session, person: Person) -> ExportedRows:
    query = select(Subscription).where(Subscription.subscriber_id == person.id)
    return [
        {
            "list": one.mailing_list.slug,
            "title": one.mailing_list.title,
            "state": one.state.value,
            "requested_at": one.requested_at,
            "confirmed_at": one.confirmed_at,
            "unsubscribed_at": one.unsubscribed_at,
        }
        for one in session.scalars(query.order_by(Subscription.list_id))
    ]


def erase_subscriptions(session: Session, person: Person) -> None:
    query = select(Subscription).where(Subscription.subscriber_id == person.id)
    for one in session.scalars(query.order_by(Subscription.list_id).with_for_update()).all():
        uncount_subscription(session, one)
        session.delete(one)
    session.flush()


def export_chosen_tags(session: Session, person: Person) -> ExportedRows:
    query = (
        select(MailingList.slug, SubscriptionTag.tag)
        .join(MailingList, MailingList.id == SubscriptionTag.list_id)
        .where(SubscriptionTag.subscriber_id == person.id)
        .order_by(MailingList.id, SubscriptionTag.tag)
    )
    return [{"list": slug, "tag": tag} for slug, tag in session.execute(query)]


def erase_chosen_tags(session: Session, person: Person) -> None:
    session.execute(delete(SubscriptionTag).where(SubscriptionTag.subscriber_id == person.id))


def export_consents(session: Session, person: Person) -> ExportedRows:
    return list_consent_receipts(session, person.id) if person.id else []


def erase_consents(session: Session, person: Person) -> None:
    session.execute(delete(Consent).where(Consent.subscriber_id == person.id))


def export_address_change(session: Session, person: Person) -> ExportedRows:
    one = session.get(AddressChange, person.id)
    return [{"new_address": one.address, "requested_at": one.requested_at}] if one else []


def erase_address_changes(session: Session, person: Person) -> None:
    """Delete the change that this person requested, and changes of others to this address."""
    is_theirs = or_(
        AddressChange.subscriber_id == person.id, AddressChange.canonical == person.canonical
    )
    session.execute(delete(AddressChange).where(is_theirs))


def export_import_rows(session: Session, person: Person) -> ExportedRows:
    query = select(ImportRun).where(ImportRun.id.in_(_import_runs_of(person)))
    return [
        {
            "list": run.mailing_list.slug,
            "file": run.file_name,
            "at": run.started_at,
            "consent_source": run.consent_source,
        }
        for run in session.scalars(query.order_by(ImportRun.id))
    ]


def erase_import_rows(session: Session, person: Person) -> None:
    """Delete the records of imports of this person. Undoing such an import skips them."""
    is_theirs = (
        ImportedSubscription.import_id.in_(_import_runs_of(person)),
        ImportedSubscription.subscriber_id == person.id,
    )
    session.execute(delete(ImportedSubscription).where(*is_theirs))


def _import_runs_of(person: Person) -> Select[int]:
    """The imports that contain a person. The key is searched import by import: there are few."""
    row = (ImportedSubscription.import_id == ImportRun.id) & (
        ImportedSubscription.subscriber_id == person.id
    )
    return select(ImportRun.id).where(exists().where(row))


def export_suppression(session: Session, person: Person) -> ExportedRows:
    one = session.get(Suppression, person.canonical)
    return [{"reason": one.reason.value, "source": one.source, "at": one.at}] if one else []


def erase_suppression(session: Session, person: Person) -> None:
    suppression_list.delete_suppression(session, person.canonical)


def export_suppression_outbox(session: Session, person: Person) -> ExportedRows:
    one = session.get(SuppressionOutboxEntry, person.canonical)
    if one is None:
        return []
    return [
        {"suppressed": one.suppressed, "changed_at": one.changed_at, "pushed_at": one.pushed_at}
    ]


def erase_suppression_outbox(session: Session, person: Person) -> None:
    suppression_outbox.delete_outbox_entry(session, person.canonical)


def export_signups(session: Session, person: Person) -> ExportedRows:
    query = select(Signup).where(Signup.canonical == person.canonical).order_by(Signup.id)
    return [
        {
            "kind": one.kind.value,
            "requested_at": one.requested_at,
            "request_count": one.request_count,
        }
        for one in session.scalars(query)
    ]


def erase_signups(session: Session, person: Person) -> None:
    delete_signups_of(session, person.canonical)


def export_signup_refusal(session: Session, person: Person) -> ExportedRows:
    one = session.get(SignupRefusal, person.canonical)
    return [{"refused_at": one.at}] if one else []


def erase_signup_refusal(session: Session, person: Person) -> None:
    session.execute(delete(SignupRefusal).where(SignupRefusal.canonical == person.canonical))


def erase_limit_counts(session: Session, person: Person) -> None:
    """Delete the counts under unkeyed hashes of the address: they can be computed from it."""
    keys = [(MAIL_LIMIT, person.canonical), (CONFIRMATION_LIMIT, person.canonical)]
    keys += [(NEW_ADDRESS_LIMIT, person.canonical), (CHANGE_LIMIT, str(person.id))]
    limits.delete_attempts_of(session, keys)


def export_deliveries(session: Session, person: Person) -> ExportedRows:
    """Every edition that was planned for this person, and its outcome."""
    query = (
        select(Send, MailingList.slug, Delivery.outcome, Batch.state)
        .join(MailingList, MailingList.id == Send.list_id)
        .join(Delivery, Delivery.send_id == Send.id)
        .join(
            Batch,
            (Batch.send_id == Send.id)
            & (Batch.first_subscriber_id <= person.id)
            & (Batch.last_subscriber_id >= person.id),
        )
        .where(Delivery.subscriber_id == person.id)
        .order_by(Send.id)
    )
    return [
        {
            "list": slug,
            "subject": (send.edition.message or {}).get("subject"),
            "planned_at": send.created_at,
            "outcome": (outcome or state).value,
        }
        for send, slug, outcome, state in session.execute(query)
    ]


def redact_deliveries(session: Session, person: Person) -> None:
    """Keep the rows, so that the figures of past sends still add up. Their id refers to nobody."""
    _redact_column(session, person, Delivery.reason, _deliveries_of(Delivery, person))


def export_events(session: Session, person: Person) -> ExportedRows:
    query = _events_of(person).order_by(ProviderEvent.happened_at, ProviderEvent.id)
    return [
        {"kind": one.kind, "at": one.happened_at, "detail": one.detail}
        for one in session.scalars(query)
    ]


def redact_events(session: Session, person: Person) -> None:
    """Delete what the provider said about the mailbox. The event itself stays, for the figures."""
    for one in session.scalars(_events_of(person).where(ProviderEvent.detail.is_not(None))):
        one.detail = None


def redact_event_posts(session: Session, person: Person) -> None:
    """Remove the address from webhook posts that are not processed yet.

    The events in them stay: they may prove that a batch was accepted.
    """
    for post in session.scalars(select(ProviderEventPost).with_for_update()):
        clean = remove_address_from_json(post.body, person)
        if clean != post.body:
            post.body = clean
    _redact_column(session, person, ProviderEventPost.error)


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


def export_transactional_emails(session: Session, person: Person) -> ExportedRows:
    query = select(TransactionalEmail).where(
        func.lower(TransactionalEmail.address) == person.canonical
    )
    return [
        {
            "subject": (one.message or {}).get("subject"),
            "queued_at": one.queued_at,
            "sent_at": one.sent_at,
        }
        for one in session.scalars(query.order_by(TransactionalEmail.id))
    ]


def erase_transactional_emails(session: Session, person: Person) -> None:
    transactional.delete_transactional_emails_to(session, person.canonical, also_waiting=True)
    _redact_column(session, person, TransactionalEmail.error)


def export_outbox_mails(session: Session, person: Person) -> ExportedRows:
    query = select(OutboxMail).where(func.lower(OutboxMail.address) == person.canonical)
    return [
        {"subject": one.subject, "posted_at": one.post.posted_at}
        for one in session.scalars(query.order_by(OutboxMail.id))
    ]


def erase_outbox_mails(session: Session, person: Person) -> None:
    outbox.delete_outbox_mails_to(session, person.canonical)


def export_reader_reports(session: Session, person: Person) -> ExportedRows:
    query = select(ReaderReport).where(func.lower(ReaderReport.contact) == person.canonical)
    return [
        {"kind": one.kind.value, "text": one.text, "at": one.at}
        for one in session.scalars(query.order_by(ReaderReport.id))
    ]


def redact_reader_reports(session: Session, person: Person) -> None:
    """Keep the report without its address for the answer, and without the address in its text."""
    session.execute(
        update(ReaderReport)
        .where(func.lower(ReaderReport.contact) == person.canonical)
        .values(contact=None)
    )
    for column in (ReaderReport.text, ReaderReport.answer):
        _redact_column(session, person, column)


def redact_segments(session: Session, person: Person) -> None:
    """Remove the address from saved segments: one may search for exactly this person."""
    for segment in session.scalars(select(Segment)):
        segment.name = person.spellings.sub(ERASED_PLACEHOLDER, segment.name)
        segment.conditions = _redact_value(segment.conditions, person.spellings)


def redaction_of(column: Any) -> Callable[[Session, Person], None]:
    """A function that removes the address from a column of error texts, which often repeat it."""
    return lambda session, person: _redact_column(session, person, column)


def _redact_column(session: Session, person: Person, column: Any, *where: Any) -> None:
    """Remove the address, whatever its spelling, from a text column."""
    escaped = re.sub(r"([\\%_])", r"\\\1", person.canonical)
    mentions = func.lower(column).like(f"%{escaped}%", escape="\\")
    for row in session.scalars(select(column.class_).where(mentions, *where)):
        setattr(row, column.key, person.spellings.sub(ERASED_PLACEHOLDER, getattr(row, column.key)))
    session.flush()


def _deliveries_of(model: type[Delivery], person: Person) -> Any:
    return (model.subscriber_id == person.id) & model.send_id.in_(select(Send.id))


def _events_of(person: Person) -> Select[ProviderEvent]:
    """The events of a person. An index leads from the attempts that included them to the events."""
    attempts = select(Attempt.id).where(
        Attempt.first_subscriber_id <= person.id, Attempt.last_subscriber_id >= person.id
    )
    about = or_(ProviderEvent.attempt_id.in_(attempts), ProviderEvent.attempt_id.is_(None))
    return select(ProviderEvent).where(about, ProviderEvent.subscriber_id == person.id)


@dataclass(frozen=True)
class DataMapEntry:
    """A table with data of readers.

    `description` names it for the reader, and `on_erasure` says what erasure does with it. `export`
    returns what an export shows of a person; it is None where the table contains addresses only in
    texts about something else, or hashed. `erase` does what erasure does.
    """

    table: str
    description: str
    on_erasure: str
    export: Callable[[Session, Person], ExportedRows] | None
    erase: Callable[[Session, Person], None]


DATA_MAP = (
    DataMapEntry(
        *("consent", "Receipts: what you agreed to, and when", "deleted"),
        *(export_consents, erase_consents),
    ),
    DataMapEntry(
        *("subscription", "Your newsletters", "deleted, and subtracted from the list's counters"),
        *(export_subscriptions, erase_subscriptions),
    ),
    DataMapEntry(
        *("subscription_tag", "The topics that you chose", "deleted"),
        *(export_chosen_tags, erase_chosen_tags),
    ),
    DataMapEntry(
        *("address_change", "A new address that you have not confirmed yet", "deleted"),
        *(export_address_change, erase_address_changes),
    ),
    DataMapEntry(
        *("delivery", "The newsletter mails that were planned for you"),
        "kept under a number that belongs to nobody, so that past sends still add up",
        *(export_deliveries, redact_deliveries),
    ),
    DataMapEntry(
        *("provider_event", "What our mail provider reported about those mails"),
        "kept under a number that belongs to nobody, without its details",
        *(export_events, redact_events),
    ),
    DataMapEntry(
        *("provider_event_post", "Reports of the mail provider that are not processed yet"),
        "the address is removed",
        *(None, redact_event_posts),
    ),
    DataMapEntry(
        *("transactional_email", "Single mails that we sent you in the last 30 days", "deleted"),
        *(export_transactional_emails, erase_transactional_emails),
    ),
    DataMapEntry(
        *("outbox_mail", "Mails in the outbox of a test installation", "deleted"),
        *(export_outbox_mails, erase_outbox_mails),
    ),
    DataMapEntry(
        *("imported_subscription", "Imports from files that contained you", "deleted"),
        *(export_import_rows, erase_import_rows),
    ),
    DataMapEntry(
        *("import_problem", "Rows of such files that could not be imported"),
        "the address is removed, from files that wait to be imported too",
        *(None, redaction_of(ImportProblem.cell)),
    ),
    DataMapEntry(
        *("segment", "Conditions that our staff saved to find subscribers"),
        "the address is removed",
        *(None, redact_segments),
    ),
    DataMapEntry(
        *("reader_report", "Errors that you reported to us, with your address for the answer"),
        "kept without the address",
        *(export_reader_reports, redact_reader_reports),
    ),
    DataMapEntry(
        *("attempt", "Error messages of the mail provider about a batch of mails"),
        "the address is removed",
        *(None, redaction_of(Attempt.reason)),
    ),
    DataMapEntry(
        *("send", "The reason why a send was stopped"),
        "the address is removed",
        *(None, redaction_of(Send.stop_detail)),
    ),
    DataMapEntry(
        *("periodic_task", "The reason why a daily task failed"),
        "the address is removed",
        *(None, redaction_of(PeriodicTask.error)),
    ),
    DataMapEntry(
        *("signup", "Requests made with your address in our forms, not answered yet", "deleted"),
        *(export_signups, erase_signups),
    ),
    DataMapEntry(
        *("signup_refusal", "Your statement that it was not you who signed up", "deleted"),
        *(export_signup_refusal, erase_signup_refusal),
    ),
    DataMapEntry(
        *("rate_limit", "How often something was requested, under a hash", "deleted"),
        *(None, erase_limit_counts),
    ),
    DataMapEntry(
        *("suppression", "Whether we must not mail you, and why"),
        "replaced by a keyed hash, so that no later import gets you mailed",
        *(export_suppression, erase_suppression),
    ),
    DataMapEntry(
        *("suppression_outbox", "What we told our mail provider about that", "deleted"),
        *(export_suppression_outbox, erase_suppression_outbox),
    ),
    DataMapEntry(
        *("subscriber", "Your address, since when we have it, and your pause", "deleted"),
        *(export_subscriber, erase_subscriber_row),
    ),
)
"""In the order of erasure: what refers to a subscriber comes before the subscriber."""

STAFF_TABLES = {
    "account": "staff sign in with the address",
    "profile": "staff publish it on their page",
}
"""Tables whose addresses belong to staff and not to readers."""
