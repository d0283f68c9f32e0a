"""Factories for test data. All optional arguments have defaults."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from nif.accounts.accounts import create_account
from nif.accounts.models import Account, RoleName
from nif.editions.digest import make_digest_of_slot
from nif.editions.messages import UNSUBSCRIBE_PLACEHOLDER
from nif.editions.models import Edition, EditionState
from nif.editions.schedule import Slot
from nif.imports.models import ImportedSubscription, ImportRun, ImportState
from nif.mail.message import Message
from nif.sends.models import Send
from nif.sends.planning import IMMEDIATE_TERMS, plan_send
from nif.services import Services
from nif.stories.drafts import SourceInput, StoryInput, create_draft
from nif.stories.models import ReasonCode, Revision, SourceKind, Story
from nif.stories.publishing import PAGE_VERSION, backdate_story, publish_story
from nif.stories.transparency_block import (
    AnswerInput,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
)
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.lists import ListSettings, create_list
from nif.subscriptions.models import (
    DailyListCount,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from nif.subscriptions.statistics import ARRIVALS, DEPARTURES, change_subscription_state
from tests.conftest import NOON

TERMS = IMMEDIATE_TERMS
"""The terms of planned sends; the tests of sends choose smaller batches."""

NOTHING_TO_DECLARE = {
    DeclarationQuestion.ORIGIN: AnswerInput(StoryOrigin.MONITORING),
    DeclarationQuestion.RELATIONSHIPS: AnswerInput(RelationshipDeclaration.NONE),
    DeclarationQuestion.MONEY: AnswerInput(StoryFunding.NONE),
    DeclarationQuestion.AI: AnswerInput(StoryAiUse.NONE),
}
_number = count(1)
HERE = ConsentContext(source="/subscribe", network="192.0.2.0/24")


def a_list(session: Session, slug: str = "daily", **given: Any) -> MailingList:
    settings = {"title": "NIF Daily", "schedule": "daily 07:30", "zone": "Europe/London", **given}
    created = settings.pop("created_at", NOON - timedelta(days=30))
    return create_list(session, ListSettings(slug=slug, **settings), now=created)


def a_subscription(
    session: Session,
    mailing_list: MailingList,
    address: str | None = None,
    state: SubscriptionState = SubscriptionState.CONFIRMED,
) -> Subscription:
    address = address or f"reader{next(_number)}@example.com"
    subscriber = Subscriber(address=address, canonical=address.lower(), created_at=NOON)
    session.add(subscriber)
    session.flush()
    subscription = Subscription(
        subscriber_id=subscriber.id,
        list_id=mailing_list.id,
        state=state,
        requested_at=NOON - timedelta(days=1),
        confirmed_at=NOON if state is SubscriptionState.CONFIRMED else None,
    )
    session.add(subscription)
    session.flush()
    change_subscription_state(session, subscription, None, source=HERE.source, now=NOON)
    return subscription


def an_import(session: Session, mailing_list: MailingList, *addresses: str) -> ImportRun:
    """A finished import of these addresses, which were not confirmed elsewhere."""
    form = {"size": 1, "encoding": "utf-8", "separator": ",", "has_header": True, "columns": {}}
    far = {
        "byte_offset": 1,
        "lines_read": 1,
        "undone_through_id": 0,
        "worked_seconds": 0.0,
        "dry_run_counts": {},
        "undo_counts": {},
        "problem_counts": {},
    }
    run = ImportRun(
        **{**form, **far},
        list_id=mailing_list.id,
        file_name="old.csv",
        consent_source="From <b>our</b> shop.",
        confirmed_elsewhere=False,
        state=ImportState.DONE,
        outcome_counts={"new": len(addresses)},
        created_at=NOON,
        started_at=NOON,
    )
    session.add(run)
    session.flush()
    pending = SubscriptionState.PENDING
    for address in addresses:
        one = a_subscription(session, mailing_list, address, pending)
        row = {
            "import_id": run.id,
            "subscriber_id": one.subscriber_id,
            "created_subscriber": True,
            "state_before": None,
        }
        session.add(ImportedSubscription(**row, state_after=pending))
    session.flush()
    return run


def story_copy(**given: Any) -> StoryInput:
    words: dict[str, Any] = {
        "headline": f"Palisade Records Sells Its Catalogue, Part {next(_number)}",
        "dek": "The buyer is not named",
        "lead": "Palisade Records has sold its catalogue.",
        "sections": [("Why it matters:", ["It is the largest sale of the year."])],
        "sources": [
            SourceInput(
                SourceKind.PUBLICATION, "The Turntable Gazette", "Sale", "https://example.com/sale"
            )
        ],
        "reason_code": ReasonCode.TOPIC_NEWS,
        "reason_subject": "catalogue sales",
        "byline": "Jo Reyes",
        "tags": ["Deals"],
        "answers": NOTHING_TO_DECLARE,
        **given,
    }
    return StoryInput(**words)


def a_draft(session: Session, **given: Any) -> Story:
    return create_draft(session, story_copy(**given), author_id=None, now=NOON)


def a_story(session: Session, *, at: datetime = NOON, **given: Any) -> Revision:
    """A published story; `at` is when."""
    story = a_draft(session, **given)
    revision = publish_story(session, story, by=None, now=at)
    backdate_story(session, story, moment=at)
    return revision


def an_edition(
    session: Session, services: Services, mailing_list: MailingList, *, now: datetime = NOON
) -> Edition:
    """A frozen edition of today's slot, with a story of its own."""
    a_story(session, at=now - timedelta(hours=1))
    edition = make_digest_of_slot(
        session, mailing_list, Slot(now.date(), now), services.mail_writer, now=now
    )
    assert edition is not None
    return edition


def a_send(session: Session, services: Services, *addresses: str, now: datetime = NOON) -> Send:
    """A planned send of a fresh list to these addresses."""
    mailing_list = a_list(session, slug=f"list-{next(_number)}")
    for address in addresses:
        a_subscription(session, mailing_list, address)
    send = plan_send(session, an_edition(session, services, mailing_list, now=now), TERMS, now=now)
    assert send is not None
    return send


def subscriptions(session: Session, mailing_list: MailingList, count: int) -> list[int]:
    """Insert confirmed subscriptions in bulk; returns the sorted ids of their subscribers."""
    names = [f"reader{next(_number)}@example.com" for _ in range(count)]
    people = [{"address": name, "canonical": name, "created_at": NOON} for name in names]
    ids = sorted(session.scalars(insert(Subscriber).returning(Subscriber.id), people))
    rows = [{"subscriber_id": each, "list_id": mailing_list.id} for each in ids]
    same = {"state": SubscriptionState.CONFIRMED, "requested_at": NOON, "confirmed_at": NOON}
    session.execute(insert(Subscription), [{**row, **same} for row in rows])
    mailing_list.confirmed_count += count
    session.flush()
    return ids


def a_plain_edition(
    session: Session, mailing_list: MailingList, *, now: datetime = NOON
) -> Edition:
    """A frozen edition without templates and stories."""
    link = UNSUBSCRIBE_PLACEHOLDER
    message = Message(
        "news@example.com", "NIF", "News", f"Leave: {link}\n", f'<a href="{link}">Leave</a>'
    )
    edition = Edition(
        list_id=mailing_list.id,
        slot=now.date(),
        due_at=now,
        made_at=now,
        state=EditionState.FROZEN,
        message=vars(message),
        content_hash="0" * 64,
    )
    session.add(edition)
    session.flush()
    return edition


def a_plain_send(session: Session, *addresses: str, count: int = 0, now: datetime = NOON) -> Send:
    """A planned send of a plain edition to these addresses and `count` more subscribers."""
    mailing_list = a_list(session, slug=f"list-{next(_number)}")
    for address in addresses:
        a_subscription(session, mailing_list, address)
    if count:
        subscriptions(session, mailing_list, count)
    send = plan_send(session, a_plain_edition(session, mailing_list, now=now), TERMS, now=now)
    assert send is not None
    return send


def an_account(
    session: Session, role: RoleName = RoleName.EDITOR, email: str = "ed@example.com"
) -> Account:
    return create_account(session, email, "Ed Itor", role, now=NOON)


def texts(sentences: Sequence[Any]) -> list[str]:
    """The texts of a block's sentences."""
    return [s["text"] if isinstance(s, dict) else s.text for s in sentences]


def page_version(session: Session) -> int:
    """The version of the public pages: the number of the last visible change."""
    return session.scalar(PAGE_VERSION) or 0


def confirmed_by_day(session: Session, mailing_list: MailingList) -> int:
    """The confirmed subscriptions of a list by its daily counts: arrivals less departures."""
    query = select(DailyListCount.metric, func.sum(DailyListCount.count)).group_by(
        DailyListCount.metric
    )
    counts = dict(session.execute(query.where(DailyListCount.list_id == mailing_list.id)).all())
    arrivals = sum(counts.get(metric, 0) for metric in ARRIVALS)
    departures = sum(counts.get(metric, 0) for metric in DEPARTURES)
    return int(arrivals - departures)
