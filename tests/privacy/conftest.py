"""Ann, who has rows in every table, and Bea, whose rows must stay."""

from datetime import timedelta

import orjson
import pytest
from sqlalchemy import select, update

from nif.database import Database
from nif.imports import imports
from nif.imports.column_mapping import ColumnMapping
from nif.imports.csv_reader import CsvFormat, FileEncoding
from nif.imports.imports import StoredImportFile
from nif.imports.models import ImportedSubscription, ImportProblem
from nif.mail.addresses import parse_address
from nif.mail.message import Message, MessageCopy
from nif.mail.outbox import OutboxMailer
from nif.mail.transactional import TransactionalEmail, queue_transactional_email
from nif.privacy.data_map import Person, person_at_address
from nif.sends import periodic_tasks, provider_events
from nif.sends.models import Attempt, Delivery, ProviderEvent, Send
from nif.services import Services
from nif.signups.models import HoldReason, SignupKind
from nif.signups.requests import SignupRequest, queue_signup
from nif.stories.models import Story
from nif.stories.reader_reports import ReaderReport, ReportKind
from nif.subscribers.segment_queries import index_new_addresses
from nif.subscribers.segments import Segment
from nif.subscriptions import lifecycle
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.models import (
    AddressChange,
    MailingList,
    SignupRefusal,
    Subscriber,
    Subscription,
    SubscriptionState,
    SubscriptionTag,
    SuppressionReason,
)
from nif.subscriptions.suppression_list import suppress_address
from tests.conftest import NOON
from tests.factories import a_draft, a_plain_send, a_subscription
from tests.sends.helpers import accept, claimed_batch

ANN, BEA = "Ann.Reader@example.com", "bea@example.com"
FORM = ConsentContext("/subscribe", "192.0.2.0/24", "I would like NIF to mail me.")
MAIL = Message("news@example.com", "NIF", "A mail", "Words\n", "<p>Words</p>")


@pytest.fixture
def send_id(database: Database, services: Services) -> int:
    """A send that Ann and Bea were mailed, and rows of Ann in every other table."""
    with database.transaction() as session:
        send = a_plain_send(session, ANN, BEA)
        mailing_list = session.get_one(MailingList, send.list_id)
        send_id = send.id
    accept(database, claimed_batch(database, send_id))
    OutboxMailer(database.transaction).post(
        OutboxMailer(database.transaction).build_request(
            MAIL, [MessageCopy(one, {}, {}, {"r": one}) for one in (ANN, BEA)], attempt="a"
        )
    )
    with database.transaction() as session:
        ann = session.scalars(select(Subscriber).where(Subscriber.address == ANN)).one()
        _add_rows_everywhere(session, ann, mailing_list.id)
    assert index_new_addresses(database.transaction, now=NOON + timedelta(hours=1))
    return send_id


def _add_rows_everywhere(session, ann, list_id):
    lifecycle.request_subscription(
        session, session.get_one(MailingList, list_id), parse_address(ANN), FORM, now=NOON
    )
    other = a_subscription(session, session.get_one(MailingList, list_id), "cy@example.com")
    for reason in (None, HoldReason.HONEYPOT):
        signup = SignupRequest(
            SignupKind.PREFERENCES_LINK, parse_address(ANN), FORM, list_id if reason else 0, reason
        )
        queue_signup(session, signup, now=NOON)
    session.add(SignupRefusal(canonical=ANN.lower(), at=NOON))
    for address in (ANN, BEA):
        queue_transactional_email(session, address, MAIL, now=NOON)
    session.flush()
    message = f"550 <{ANN.lower()}> is not here, says {ANN.upper()}"
    session.execute(
        update(TransactionalEmail).where(TransactionalEmail.address == ANN).values(error=message)
    )
    session.execute(update(Attempt).values(reason=message))
    session.execute(update(Send).values(stop_detail=message))
    session.execute(update(Delivery).where(Delivery.subscriber_id == ann.id).values(reason=message))
    session.add(
        ProviderEvent(
            **{"id": "e", "kind": "bounce", "attempt_id": session.scalar(select(Attempt.id))},
            **{
                "subscriber_id": ann.id,
                "happened_at": NOON,
                "received_at": NOON,
                "detail": message,
            },
        )
    )
    escaped = orjson.dumps([{"email": ANN}]).replace(b"@", b"\\u0040")
    for body in (orjson.dumps([{"email": ANN, "reason": message}, {"email": BEA}]), escaped):
        provider_events.store_event_post(session, body, now=NOON)
    periodic_tasks.begin_task_if_due(session, "x", every=timedelta(1), now=NOON)
    periodic_tasks.record_task_result(session, "x", message, now=NOON)
    suppress_address(
        session, ANN.lower(), SuppressionReason.MANUAL, source="manual: asked", now=NOON
    )
    suppress_address(
        session, ANN.lower(), SuppressionReason.BOUNCED, source="event bounce", now=NOON
    )
    change = {"address": "new@example.com", "canonical": "new@example.com", "requested_at": NOON}
    session.add(AddressChange(subscriber_id=ann.id, **change))
    change = {"address": ANN, "canonical": ANN.lower(), "requested_at": NOON}
    session.add(AddressChange(subscriber_id=other.subscriber_id, **change))
    session.add(SubscriptionTag(list_id=list_id, subscriber_id=ann.id, tag="deals"))
    _add_import(session, ann, list_id)
    condition = {"field": "address", "operator": "contains", "value": ANN.lower()}
    conditions = {"match": "all", "conditions": [condition]}
    session.add(
        Segment(name=f"Where is {ANN}?", conditions=conditions, created_by="Ed", created_at=NOON)
    )
    story: Story = a_draft(session)
    report = {"story_id": story.id, "n": 1, "kind": ReportKind.ERROR, "at": NOON}
    session.add(ReaderReport(**report, text=f"Write to {ANN}, please.", contact=ANN))
    session.flush()


def _add_import(session, ann, list_id):
    run = imports.create_import(
        session,
        session.get_one(MailingList, list_id),
        StoredImportFile("0" * 32, 1),
        "readers.csv",
        (CsvFormat(FileEncoding.UTF_8), ColumnMapping(email=0), True),
        now=NOON,
    )
    row = {"import_id": run.id, "subscriber_id": ann.id, "created_subscriber": False}
    session.add(ImportedSubscription(**row, state_after=SubscriptionState.CONFIRMED))
    session.add(ImportProblem(import_id=run.id, line=2, code="unsubscribed", cell=ANN))


@pytest.fixture
def ann(database: Database, send_id: int) -> Person:
    with database.reading() as session:
        return person_at_address(session, parse_address(ANN))


def subscription_of(session, address: str) -> Subscription:
    query = select(Subscription).join(Subscriber).where(Subscriber.address == address)
    return session.scalars(query).one()
