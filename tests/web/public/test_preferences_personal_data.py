"""A subscriber's own pages: pausing, changing the address, personal data and its erasure."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.database import Database
from nif.services import Services
from nif.subscriptions.models import Consent, Subscriber, Subscription
from nif.subscriptions.preferences import preferences_token
from tests.factories import a_list, a_subscription
from tests.web.public.forms import end_transaction, link_in, queued_emails, subscribe

ANN, NEW = "ann@example.com", "new@example.org"


@pytest.fixture
def subscription(database: Database) -> Subscription:
    with database.transaction() as session:
        return a_subscription(session, a_list(session), ANN)


@pytest.fixture
def page(subscription: Subscription, services: Services) -> str:
    return f"/preferences/{preferences_token(subscription.subscriber_id, services.tokens)}"


def subscriber(session: Session) -> Any:
    found = session.scalar(select(Subscriber))
    end_transaction(session)
    return found


def test_a_pause_is_shown_with_its_day_and_can_be_ended(client: FlaskClient, page: str) -> None:
    day = utc_now().date() + timedelta(days=20)
    shown_day = f"{day.day} {day:%B %Y}"

    paused = client.post(f"{page}/pause", data={"until": str(day)}, follow_redirects=True)
    assert f"You get no newsletters before {shown_day}" in paused.text
    assert "Resume now" in paused.text
    assert client.post(f"{page}/pause", data={"weeks": "2"}).status_code == 303
    resumed = client.post(f"{page}/pause", data={"resume": "1"}, follow_redirects=True)
    assert "You get your newsletters again" in resumed.text
    assert "Resume now" not in resumed.text


def test_an_invalid_date_is_explained_beside_the_field_and_kept(
    client: FlaskClient, page: str
) -> None:
    answer = client.post(f"{page}/pause", data={"until": "2020-01-01"})

    assert answer.status_code == 422
    assert 'value="2020-01-01" aria-invalid="true"' in answer.text
    assert client.post(f"{page}/pause", data={"weeks": "9"}).status_code == 422


def test_an_address_changes_by_the_link_in_the_new_inbox_and_the_old_address_is_notified(
    client: FlaskClient, session: Session, page: str
) -> None:
    assert client.post(f"{page}/address", data={"email": "no"}).status_code == 422
    asked = client.post(f"{page}/address", data={"email": NEW}, follow_redirects=True)
    to_new, to_old = queued_emails(session)

    assert "Check your new inbox" in asked.text
    assert (to_new.address, to_old.address) == (NEW, ANN)
    assert NEW not in json.dumps(to_old.message)
    assert link_in(to_old, "preferences") == f"{page}/address"
    link = link_in(to_new, "new-address")
    assert NEW in client.get(link).text
    assert subscriber(session).address == ANN
    moved = client.post(link, follow_redirects=True)
    assert "We write to this address from now on" in moved.text
    assert subscriber(session).address == NEW
    assert client.get(link).status_code == 410
    source = session.scalars(select(Consent.source).order_by(Consent.id.desc())).first()
    assert source == "/new-address"


def test_a_requested_change_of_address_can_be_cancelled(
    client: FlaskClient, session: Session, page: str
) -> None:
    client.post(f"{page}/address", data={"email": NEW})
    link = link_in(queued_emails(session)[0], "new-address")

    assert (
        "Saved"
        in client.post(f"{page}/address", data={"keep_address": "1"}, follow_redirects=True).text
    )
    assert client.get(link).status_code == 410


def test_personal_data_is_a_page_and_a_file_and_receipts_have_the_wording(
    client: FlaskClient, page: str
) -> None:
    client.post(page, data={"unsubscribe_all": "1"})
    client.post(page, data={"list": "daily"})

    assert ANN in client.get(f"{page}/data").text
    copy = client.get(f"{page}/data.json")
    assert "attachment" in copy.headers["Content-Disposition"]
    assert copy.get_json()["tables"]["subscriber"][0]["address"] == ANN
    receipts = client.get(f"{page}/receipts.json").get_json()["receipts"]
    assert [one["action"] for one in receipts] == ["unsubscribed", "confirmed"]
    assert receipts[1]["wording"] in client.get(page).text
    assert receipts[1]["wording"] in client.get(f"{page}/receipts").text
    assert receipts[1]["source"] == "/preferences"
    assert page.rpartition("/")[2] not in copy.text


def test_one_button_erases_the_data_and_every_later_link_and_form_answers_politely(
    client: FlaskClient, session: Session, services: Services, page: str
) -> None:
    assert ANN in client.get(f"{page}/erasure").text
    assert subscriber(session) is not None

    forgotten = client.post(f"{page}/erasure")

    assert (forgotten.status_code, subscriber(session)) == (200, None)
    for path in (page, f"{page}/data", f"{page}/erasure", f"{page}/address"):
        again = client.get(path)
        assert again.status_code == 404
        assert "will not mail you again" in again.text
    same = subscribe(client, services, "somebody@example.com")
    answer = subscribe(client, services, ANN)
    assert (answer.status_code, answer.location) == (same.status_code, same.location)
    assert ANN not in [one.address for one in queued_emails(session)]


def test_old_addresses_of_the_personal_data_redirect_and_keep_the_method(
    client: FlaskClient, session: Session, page: str
) -> None:
    for old, new in (("known", "data"), ("known.json", "data.json"), ("forget", "erasure")):
        answer = client.get(f"{page}/{old}")
        assert (answer.status_code, answer.location) == (308, f"{page}/{new}")

    erased = client.post(f"{page}/forget", follow_redirects=True)

    assert (erased.status_code, subscriber(session)) == (200, None)


def test_lists_of_a_family_are_offered_as_one_choice(
    client: FlaskClient, database: Database, session: Session, page: str
) -> None:
    with database.transaction() as changing:
        for slug, title in (("now", "As it happens"), ("weekly", "Weekly")):
            a_list(changing, slug, title=title).family = "news"

    assert client.get(page).text.count('type="radio"') == 3
    client.post(page, data={"list": "daily", "family-news": "weekly"})
    client.post(page, data={"list": "daily", "family-news": "now"})

    states = {one.mailing_list.slug: one.state for one in session.scalars(select(Subscription))}
    assert states == {"daily": "confirmed", "weekly": "unsubscribed", "now": "confirmed"}
