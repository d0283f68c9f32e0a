"""Subscribers who chose topics get editions with one of them, and corrections of what they got."""

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from nif.editions.digest import make_digest_of_slot
from nif.editions.models import Edition
from nif.editions.schedule import Slot
from nif.sends.models import BatchState, Delivery, Send
from nif.sends.planning import plan_send
from nif.services import Services
from nif.stories.models import ChangeKind, NoteSeverity, Revision
from nif.subscriptions.models import MailingList, Subscriber, Subscription
from nif.subscriptions.preferences import choose_tags
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_story, a_subscription
from tests.sends.test_correction_sends import DAY, HOUR, LATER, corrected, mail_what_is_due, posted


@pytest.fixture
def daily(session: Session) -> MailingList:
    return a_list(session)


def a_reader(session: Session, daily: MailingList, name: str, *tags: str) -> Subscription:
    made = a_subscription(session, daily, f"{name}@example.com")
    choose_tags(session, made, tags, HERE, now=NOON)
    return made


def sent(session: Session, services: Services, daily: MailingList, *, now: object = NOON) -> Send:
    edition = make_digest_of_slot(
        session, daily, Slot(now.date(), now), services.mail_writer, now=now
    )
    send = plan_send(session, session.get_one(Edition, edition.id), now=now)
    assert send is not None
    return send


def readers(session: Session, send: Send) -> list[str]:
    query = select(Subscriber.address).join(Delivery, Delivery.subscriber_id == Subscriber.id)
    found = session.scalars(query.where(Delivery.send_id == send.id).order_by(Subscriber.id))
    return [address.partition("@")[0] for address in found]


def test_a_subscriber_with_topics_gets_editions_that_have_one_of_them(
    session: Session, services: Services, daily: MailingList
) -> None:
    a_reader(session, daily, "all")
    a_reader(session, daily, "ai", "ai")
    a_reader(session, daily, "deals", "deals")
    a_reader(session, daily, "both", "ai", "deals")
    other = a_list(session, slug="other")
    both = session.scalars(select(Subscriber).where(Subscriber.address == "ai@example.com")).one()
    elsewhere = Subscription(
        subscriber_id=both.id, list_id=other.id, state="confirmed", requested_at=NOON
    )
    session.add(elsewhere)
    session.flush()
    choose_tags(session, elsewhere, ["deals"], HERE, now=NOON)
    a_story(session, at=NOON - HOUR, tags=["Deals"])

    send = sent(session, services, daily)

    assert readers(session, send) == ["all", "deals", "both"]
    assert send.audience == 3
    assert readers(session, sent(session, services, other)) == ["ai"]


def test_the_tags_of_the_pinned_revision_decide_who_gets_the_edition(
    session: Session, services: Services, daily: MailingList
) -> None:
    a_reader(session, daily, "ai", "ai")
    story = a_story(session, at=NOON - HOUR, tags=["AI"])
    edition = make_digest_of_slot(
        session, daily, Slot(NOON.date(), NOON), services.mail_writer, now=NOON
    )
    session.get_one(Revision, story.id).tags = [["deals", "Deals"]]

    send = plan_send(session, edition, now=NOON)

    assert send is not None
    assert (send.audience, str(send.state)) == (0, "finished")


def test_corrections_go_to_everyone_mailed_the_error_whatever_topics_they_chose(
    session: Session, services: Services, daily: MailingList
) -> None:
    """A significant one in a digest, a serious one by itself, whatever was chosen since."""
    had_it = a_reader(session, daily, "had-it")
    a_reader(session, daily, "never", "touring")
    story, another = (a_story(session, at=NOON - HOUR, tags=["AI"]) for _ in range(2))
    first = sent(session, services, daily)
    assert readers(session, first) == ["had-it"]
    choose_tags(session, had_it, ["touring"], HERE, now=NOON)

    corrected(session, story, ChangeKind.CORRECTION, NoteSeverity.SIGNIFICANT)
    second = sent(session, services, daily, now=NOON + DAY)
    assert readers(session, second) == ["had-it"]

    posted(session, first, BatchState.ACCEPTED)
    corrected(session, another, ChangeKind.RETRACTION, NoteSeverity.SERIOUS)
    (third,) = mail_what_is_due(session, services, now=LATER + DAY)
    assert readers(session, third) == ["had-it"]


def test_where_nobody_chose_topics_planning_takes_one_query_more(
    session: Session, services: Services, daily: MailingList
) -> None:
    a_reader(session, daily, "all")
    a_story(session, at=NOON - HOUR)
    edition = make_digest_of_slot(
        session, daily, Slot(NOON.date(), NOON), services.mail_writer, now=NOON
    )
    asked: list[str] = []
    event.listen(
        session.connection(),
        "before_cursor_execute",
        lambda *args: asked.append(args[2]) if "subscription_tag" in args[2] else None,
    )

    plan_send(session, edition, now=NOON)

    assert len(asked) == 1
    assert "LIMIT" in asked[0]
