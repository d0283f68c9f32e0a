"""The preferences of a subscriber."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.services import Services
from nif.subscriptions.lists import archive_list, get_list
from nif.subscriptions.models import Subscription, SubscriptionTag
from nif.subscriptions.preferences import (
    get_subscriber_by_token,
    list_subscription_choices,
    preferences_token,
)
from tests.conftest import NOON
from tests.factories import a_list, a_story, a_subscription
from tests.web.public.forms import ask_for_link, link_in, queued_emails


@pytest.fixture
def subscription(database: Database) -> Subscription:
    with database.transaction() as session:
        daily = a_list(session)
        a_list(session, "weekly", title="NIF Weekly", schedule="weekly fri 08:00")
        return a_subscription(session, daily, "ann@example.com")


@pytest.fixture
def token(subscription: Subscription, services: Services) -> str:
    return preferences_token(subscription.subscriber_id, services.tokens)


def lists_of(session: Session, token: str, services: Services) -> list[str]:
    session.rollback()
    subscriber = get_subscriber_by_token(session, token, services.tokens)
    return [one.slug for one, on in list_subscription_choices(session, subscriber) if on]


def test_a_subscriber_changes_lists_and_sees_that_it_is_saved(
    client: FlaskClient, session: Session, token: str, services: Services
) -> None:
    assert "ann@example.com" in client.get(f"/preferences/{token}").text
    saved = client.post(f"/preferences/{token}", data={"list": "weekly"}, follow_redirects=True)

    assert "Saved" in saved.text
    assert lists_of(session, token, services) == ["weekly"]


def test_one_button_unsubscribes_from_everything(
    client: FlaskClient, session: Session, token: str, services: Services
) -> None:
    client.post(f"/preferences/{token}", data={"list": ["daily", "weekly"], "unsubscribe_all": "1"})

    assert lists_of(session, token, services) == []


def test_the_link_is_mailed_to_subscribers_only_and_the_page_never_reveals_it(
    client: FlaskClient,
    session: Session,
    subscription: Subscription,
    token: str,
    services: Services,
) -> None:
    known = ask_for_link(client, services, "Ann@example.com")
    unknown = ask_for_link(client, services, "bea@example.com")

    assert (known.status_code, known.location) == (unknown.status_code, unknown.location)
    assert [email.address for email in queued_emails(session)] == ["ann@example.com"]
    assert link_in(queued_emails(session)[0], "preferences") == f"/preferences/{token}"


def test_an_unsubscribe_token_does_not_open_the_preferences(
    client: FlaskClient, subscription: Subscription
) -> None:
    assert client.get("/preferences/" + "B" * 40).status_code == 404


def test_an_unknown_list_in_the_form_is_passed_over(
    client: FlaskClient, session: Session, token: str, services: Services
) -> None:
    client.post(f"/preferences/{token}", data={"list": ["daily", "nope"]})

    assert lists_of(session, token, services) == ["daily"]


def test_a_reader_chooses_topics_and_an_old_form_leaves_them_alone(
    client: FlaskClient, database: Database, session: Session, token: str
) -> None:
    with database.transaction() as writing:
        a_story(writing, tags=["AI", "Deals"])
        a_list(writing, "narrow", tags=("ai",))
    own = f"/preferences/{token}"
    assert 'value="deals"' in client.get(own).text
    assert "topic-narrow" not in client.get(own).text

    choice = {"list": ["daily", "narrow"], "topics": ["daily", "narrow"], "topic-daily": "deals"}
    client.post(own, data={**choice, "topic-weekly": "deals", "topic-narrow": "ai"})
    client.post(own, data={"list": "daily"})

    page = client.get(own).text
    assert 'name="topic-daily" value="deals" checked' in page
    assert 'name="topic-daily" value="ai">' in page
    rows = session.scalars(select(SubscriptionTag)).all()
    assert [(one.list_id, one.tag) for one in rows] == [(1, "deals")]
    records = client.get(f"{own}/receipts").text
    assert "changed your topics of NIF Daily" in records
    assert "NIF Daily only when there is something about: Deals." in records


def test_a_subscriber_of_an_archived_list_sees_that_and_can_unsubscribe(
    client: FlaskClient, database: Database, session: Session, token: str, services: Services
) -> None:
    with database.transaction() as writing:
        archive_list(writing, get_list(writing, "daily"), now=NOON)

    assert "It ended on 20 November 2026" in client.get(f"/preferences/{token}").text
    client.post(f"/preferences/{token}", data={"list": "weekly"})

    assert lists_of(session, token, services) == ["weekly"]
    assert "NIF Daily" not in client.get(f"/preferences/{token}").text
