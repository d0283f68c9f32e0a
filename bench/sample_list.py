"""A list with many subscribers, and an edition to send to it."""

from datetime import datetime, timedelta

from sqlalchemy import Select, case, insert, literal, select, text
from sqlalchemy.orm import Session

from bench.options import BenchFailed
from nif.clock import utc_now
from nif.database import Database
from nif.editions.digest import make_digest_of_slot
from nif.editions.models import Edition
from nif.editions.schedule import Slot
from nif.mail.message import MailWriter
from nif.stories.drafts import SourceInput, StoryInput, create_draft
from nif.stories.models import ReasonCode, SourceKind
from nif.stories.publishing import publish_story
from nif.subscriptions.lists import ListSettings, create_list
from nif.subscriptions.models import MailingList, Subscriber, Subscription, SubscriptionState
from tests.factories import NOTHING_TO_DECLARE

LIST = ListSettings("daily", "NIF Daily", "daily 07:30", "Europe/London")
INSERT_ROWS = 10_000
PENDING_EVERY = 101
"""Every 101st subscriber is pending and gets no mail."""

STORIES = 5
PARAGRAPH = (
    "The buyer, which already holds the rights to some 60,000 recordings, did not say what it "
    "paid; two people who saw the offer put it at nine times the catalogue's yearly income."
)


def fill_list(database: Database, size: int) -> int:
    """Create a list with `size` confirmed and some pending subscribers; returns its id."""
    now = utc_now()
    total = size + size // (PENDING_EVERY - 1)
    with database.transaction() as session:
        mailing_list = create_list(session, LIST, now=now - timedelta(days=30))
        for first in range(1, total + 1, INSERT_ROWS):
            numbers = range(first, min(first + INSERT_ROWS, total + 1))
            session.execute(
                insert(Subscriber), [_subscriber_row(number, now) for number in numbers]
            )
        columns = ["subscriber_id", "list_id", "state", "requested_at", "confirmed_at"]
        rows = _subscriptions(mailing_list.id, now)
        session.execute(insert(Subscription).from_select(columns, rows))
        mailing_list.confirmed_count, mailing_list.pending_count = size, total - size
    gather_statistics(database)
    return mailing_list.id


def load_expected_ids(session: Session, list_id: int, size: int) -> set[int]:
    """The ids of the confirmed subscribers. Raises BenchFailed if there are not `size`."""
    query = select(Subscription.subscriber_id).where(
        Subscription.list_id == list_id, Subscription.state == SubscriptionState.CONFIRMED
    )
    ids = set(session.scalars(query))
    if len(ids) != size:
        raise BenchFailed(f"{len(ids)} subscribers are confirmed instead of {size}")
    return ids


def make_edition(session: Session, list_id: int, mail_writer: MailWriter, *, days: int) -> Edition:
    """A frozen edition for the slot `days` from now, with stories published for it."""
    now = utc_now()
    for number in range(STORIES):
        story = create_draft(session, _story(days, number), author_id=None, now=now)
        publish_story(session, story, by=None, now=now)
    mailing_list = session.get_one(MailingList, list_id)
    slot = Slot(now.date() + timedelta(days=days), now)
    edition = make_digest_of_slot(session, mailing_list, slot, mail_writer, now=now)
    if edition is None or edition.message is None:
        raise BenchFailed("the stories made no edition")
    return edition


def _subscriber_row(number: int, now: datetime) -> dict[str, object]:
    address = f"reader.{number:07}@example.com"
    return {"address": address, "canonical": address, "created_at": now}


def _subscriptions(list_id: int, now: datetime) -> Select[tuple[int, int, str, datetime, datetime]]:
    is_pending = Subscriber.id % PENDING_EVERY == 0
    state_type = Subscription.__table__.c.state.type
    moment_type = Subscription.__table__.c.requested_at.type
    return select(
        Subscriber.id,
        literal(list_id),
        case(
            (is_pending, literal(SubscriptionState.PENDING, state_type)),
            else_=literal(SubscriptionState.CONFIRMED, state_type),
        ),
        literal(now, moment_type),
        case((is_pending, None), else_=literal(now, moment_type)),
    )


def gather_statistics(database: Database) -> None:
    """Run the analysis that PostgreSQL would run by itself within a minute."""
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("VACUUM ANALYZE"))


def _story(day: int, number: int) -> StoryInput:
    return StoryInput(
        headline=f"Palisade Records Sells Part {number + 1} of Its Catalogue, Day {day + 1}",
        dek="The buyer is not named",
        lead=PARAGRAPH,
        sections=[("Why it matters:", [PARAGRAPH] * 3), ("What is next:", [PARAGRAPH] * 2)],
        sources=[
            SourceInput(SourceKind.PUBLICATION, "The Gazette", "Sale", "https://example.com/sale")
        ],
        reason_code=ReasonCode.TOPIC_NEWS,
        reason_subject="catalogue sales",
        byline="Jo Reyes",
        tags=["Deals"],
        answers=NOTHING_TO_DECLARE,
    )
