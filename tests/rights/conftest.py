"""Ann, of whom every table holds something, and Bea, who is to be left alone."""

from datetime import timedelta

import orjson
import pytest
from sqlalchemy import select, update

from nif.audience.indexing import catch_up
from nif.audience.models import Segment
from nif.database import Database
from nif.importing import steering
from nif.importing.keeping import Stored
from nif.importing.models import ImportProblem, ImportRow
from nif.importing.picking import Columns
from nif.importing.recognising import Encoding, Form
from nif.mail.message import Copy, Message
from nif.mail.outbox import OutboxMailer
from nif.mail.posting import Letter, write_letter
from nif.parts import Parts
from nif.rights.people import Person, find_person
from nif.sends import chores, feedback
from nif.sends.events import Event
from nif.sends.models import Attempt, Delivery, Send
from nif.signups.models import Door, Why
from nif.signups.taking import Wish, take
from nif.stories.models import Story
from nif.stories.reporting import ReaderReport, ReportKind
from nif.subscriptions import joining
from nif.subscriptions.addresses import read_address
from nif.subscriptions.consenting import Circumstances
from nif.subscriptions.models import (
    AddressChange,
    MailingList,
    Refusal,
    Subscriber,
    Subscription,
    SubscriptionState,
    SubscriptionTopic,
    SuppressionReason,
)
from nif.subscriptions.suppressing import suppress
from tests.conftest import NOON
from tests.factories import a_draft, a_plain_send, a_subscription
from tests.sends.ledger import accept, claimed

ANN, BEA = "Ann.Reader@example.com", "bea@example.com"
FORM = Circumstances("/subscribe", "192.0.2.0/24", "I would like NIF to mail me.")
MAIL = Message("news@example.com", "NIF", "A mail", "Words\n", "<p>Words</p>")


@pytest.fixture
def send_id(database: Database, parts: Parts) -> int:
    """A send that Ann and Bea were mailed; the other rows of Ann come from real rules, or worse."""
    with database.transaction() as session:
        send = a_plain_send(session, ANN, BEA)
        mailing_list = session.get_one(MailingList, send.list_id)
        send_id = send.id
    accept(database, claimed(database, send_id))
    OutboxMailer(database.transaction).post(
        OutboxMailer(database.transaction).pack(
            MAIL, [Copy(one, {}, {}, {"r": one}) for one in (ANN, BEA)], attempt="a"
        )
    )
    with database.transaction() as session:
        ann = session.scalars(select(Subscriber).where(Subscriber.address == ANN)).one()
        _say_everything(session, ann, mailing_list.id)
    assert catch_up(database.transaction, now=NOON + timedelta(hours=1))
    return send_id


def _say_everything(session, ann, list_id):
    joining.ask_to_join(
        session, session.get_one(MailingList, list_id), read_address(ANN), FORM, now=NOON
    )
    other = a_subscription(session, session.get_one(MailingList, list_id), "cy@example.com")
    for why in (None, Why.TRAP):
        wish = Wish(Door.LINK, read_address(ANN), FORM, list_id if why else 0, why)
        take(session, wish, now=NOON)
    session.add(Refusal(canonical=ANN.lower(), at=NOON))
    for who in (ANN, BEA):
        write_letter(session, who, MAIL, now=NOON)
    session.flush()
    said = f"550 <{ANN.lower()}> is not here, says {ANN.upper()}"
    session.execute(update(Letter).where(Letter.address == ANN).values(trouble=said))
    session.execute(update(Attempt).values(why=said))
    session.execute(update(Send).values(trouble=said))
    session.execute(update(Delivery).where(Delivery.subscriber_id == ann.id).values(why=said))
    session.add(
        Event(
            **{"id": "e", "kind": "bounce", "attempt_id": session.scalar(select(Attempt.id))},
            **{"subscriber_id": ann.id, "happened_at": NOON, "received_at": NOON, "detail": said},
        )
    )
    escaped = orjson.dumps([{"email": ANN}]).replace(b"@", b"\\u0040")
    for body in (orjson.dumps([{"email": ANN, "reason": said}, {"email": BEA}]), escaped):
        feedback.receive(session, body, now=NOON)
    chores.begin(session, "x", every=timedelta(1), now=NOON)
    chores.note(session, "x", said, now=NOON)
    suppress(session, ANN.lower(), SuppressionReason.BOUNCED, source="event bounce", now=NOON)
    change = {"address": "new@example.com", "canonical": "new@example.com", "asked_at": NOON}
    session.add(AddressChange(subscriber_id=ann.id, **change))
    wish = {"address": ANN, "canonical": ANN.lower(), "asked_at": NOON}
    session.add(AddressChange(subscriber_id=other.subscriber_id, **wish))
    session.add(SubscriptionTopic(list_id=list_id, subscriber_id=ann.id, tag="deals"))
    _was_imported(session, ann, list_id)
    sought = {"field": "address", "operator": "contains", "value": ANN.lower()}
    conditions = {"match": "all", "conditions": [sought]}
    session.add(Segment(name=f"Where is {ANN}?", conditions=conditions, made_by="Ed", at=NOON))
    story: Story = a_draft(session)
    report = {"story_id": story.id, "n": 1, "kind": ReportKind.ERROR, "at": NOON}
    session.add(ReaderReport(**report, text=f"Write to {ANN}, please.", contact=ANN))
    session.flush()


def _was_imported(session, ann, list_id):
    run = steering.begin(
        session,
        session.get_one(MailingList, list_id),
        Stored("0" * 32, 1),
        "readers.csv",
        (Form(Encoding.UTF_8), Columns(email=0), True),
        now=NOON,
    )
    row = {"run_id": run.id, "subscriber_id": ann.id, "made": False}
    session.add(ImportRow(**row, after=SubscriptionState.CONFIRMED))
    session.add(ImportProblem(run_id=run.id, line=2, code="left", cell=ANN))


@pytest.fixture
def ann(database: Database, send_id: int) -> Person:
    with database.reading() as session:
        return find_person(session, read_address(ANN))


def subscription_of(session, address: str) -> Subscription:
    query = select(Subscription).join(Subscriber).where(Subscriber.address == address)
    return session.scalars(query).one()
