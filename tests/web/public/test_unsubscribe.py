"""Unsubscribing: one click in a mail program, a button on the page, nothing on GET."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.services import Services
from nif.subscriptions.lifecycle import ALL_LISTS, unsubscribe_token
from nif.subscriptions.models import Consent, MailingList, Subscription, SubscriptionState
from nif.subscriptions.preferences import preferences_token
from tests.factories import a_list, a_subscription
from tests.web.public.forms import end_transaction


@pytest.fixture
def subscription(database: Database) -> Subscription:
    with database.transaction() as session:
        daily = a_list(session)
        a_subscription(session, daily, "noise@example.com")
        return a_subscription(session, daily, "ann@example.com")


@pytest.fixture
def link(subscription: Subscription, services: Services) -> str:
    token = unsubscribe_token(subscription.subscriber_id, subscription.list_id, services.tokens)
    return f"/unsubscribe/{token}"


def state_of(session: Session, subscription: Subscription) -> SubscriptionState:
    key = {"subscriber_id": subscription.subscriber_id, "list_id": subscription.list_id}
    state = session.get_one(Subscription, key).state
    end_transaction(session)
    return state


@pytest.mark.parametrize("multipart", [True, False])
def test_one_click_unsubscribes_without_cookie_csrf_token_or_redirect(
    client: FlaskClient, session: Session, subscription: Subscription, link: str, multipart: bool
) -> None:
    kind = "multipart/form-data" if multipart else "application/x-www-form-urlencoded"
    answer = client.post(link, data={"List-Unsubscribe": "One-Click"}, content_type=kind)

    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert "Set-Cookie" not in answer.headers
    assert state_of(session, subscription) is SubscriptionState.UNSUBSCRIBED
    assert session.scalars(select(MailingList.confirmed_count)).all() == [1]


def test_one_click_may_come_fifty_times_and_is_recorded_once(
    client: FlaskClient, session: Session, link: str
) -> None:
    for _ in range(50):
        assert client.post(link, data={"List-Unsubscribe": "One-Click"}).status_code == 200

    assert len(session.scalars(select(Consent)).all()) == 1


def test_a_scanner_that_opens_everything_changes_nothing(
    client: FlaskClient, session: Session, subscription: Subscription, link: str, services: Services
) -> None:
    preferences = f"/preferences/{preferences_token(subscription.subscriber_id, services.tokens)}"
    for address in (link, preferences):
        for method in ("GET", "HEAD", "OPTIONS"):
            assert client.open(address, method=method).status_code == 200

    assert state_of(session, subscription) is SubscriptionState.CONFIRMED
    assert session.scalars(select(Consent)).all() == []


def test_an_unknown_token_is_answered_like_any_other(client: FlaskClient) -> None:
    answer = client.post("/unsubscribe/nonsense", data={"List-Unsubscribe": "One-Click"})

    assert answer.status_code == 200
    assert client.get("/unsubscribe/nonsense").status_code == 404


def test_unsubscribing_on_the_page_can_be_undone_at_once(
    client: FlaskClient, session: Session, subscription: Subscription, link: str
) -> None:
    assert b"Unsubscribe from NIF Daily?" in client.get(link).data
    assert b"Undo: subscribe me again" in client.post(link, data={"on_page": "1"}).data
    assert state_of(session, subscription) is SubscriptionState.UNSUBSCRIBED

    back = client.post(link, data={"on_page": "1", "resubscribe": "1"})
    assert b"You are subscribed again" in back.data
    assert state_of(session, subscription) is SubscriptionState.CONFIRMED


def test_a_link_for_every_list_unsubscribes_from_all(
    client: FlaskClient,
    database: Database,
    session: Session,
    subscription: Subscription,
    services: Services,
) -> None:
    token = unsubscribe_token(subscription.subscriber_id, ALL_LISTS, services.tokens)
    client.post(f"/unsubscribe/{token}", data={"List-Unsubscribe": "One-Click"})

    assert state_of(session, subscription) is SubscriptionState.UNSUBSCRIBED
