"""Subscribing, by people and by programs."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.services import Services
from nif.signups.models import HoldReason, Signup
from nif.subscriptions.lists import archive_list, get_list
from nif.subscriptions.models import Consent, Subscriber, Subscription, SubscriptionState
from tests.conftest import NOON
from tests.factories import a_list, a_subscription
from tests.web.public.forms import end_transaction, link_in, queued_emails, subscribe, ticket


@pytest.fixture(autouse=True)
def _lists(database: Database) -> None:
    with database.transaction() as session:
        a_subscription(session, a_list(session), "known@example.com")
        a_list(session, "weekly", title="NIF Weekly", schedule="weekly fri 08:00")


def states(session: Session, address: str) -> list[SubscriptionState]:
    query = select(Subscription.state).join(Subscriber).where(Subscriber.canonical == address)
    found = list(session.scalars(query))
    end_transaction(session)
    return found


def test_a_reader_signs_up_and_confirms(
    client: FlaskClient, services: Services, session: Session
) -> None:
    assert subscribe(client, services, "ann@example.com").location == "/subscribe/check-your-inbox"
    link = link_in(queued_emails(session)[0], "confirm")

    assert b"Yes, subscribe me" in client.get(link).data
    assert states(session, "ann@example.com") == [SubscriptionState.PENDING]

    assert client.post(link).location == "/subscribe/daily/welcome"
    assert b"Welcome" in client.get("/subscribe/daily/welcome").data
    assert states(session, "ann@example.com") == [SubscriptionState.CONFIRMED]


def test_confirming_again_says_that_one_is_subscribed(
    client: FlaskClient, services: Services, session: Session
) -> None:
    subscribe(client, services, "ann@example.com")
    link = link_in(queued_emails(session)[0], "confirm")
    client.post(link)

    assert client.post(link).status_code == 303
    assert b"You are subscribed" in client.get(link).data


def test_the_consent_records_the_wording_that_the_form_showed(
    client: FlaskClient, services: Services, session: Session
) -> None:
    page = client.get("/newsletters/daily/").text
    subscribe(client, services, "ann@example.com")

    consent = session.scalars(select(Consent)).one()
    words = session.connection().exec_driver_sql("SELECT text FROM consent_wording").scalar()
    assert words in page
    assert consent.source == "/subscribe"
    assert consent.network == "127.0.0.0/24"


def test_a_subscriber_learns_by_mail_only_that_they_are_subscribed(
    client: FlaskClient, services: Services, session: Session
) -> None:
    subscribe(client, services, "Known@Example.com")

    assert [email.message["subject"] for email in queued_emails(session)] == [
        "You are subscribed to NIF Daily"
    ]


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("", "Type your email address"),
        ("ann", "does not look like an email address"),
        ("ann@@example.com", "does not look like an email address"),
        ("a" * 300 + "@example.com", "at most 254 characters"),
        ("ann@gmial.com", "ann@gmail.com"),
    ],
)
def test_a_mistyped_address_is_explained_beside_the_field(
    client: FlaskClient, services: Services, session: Session, email: str, said: str
) -> None:
    answer = subscribe(client, services, email)

    assert answer.status_code == 422
    assert said in answer.text
    assert f'value="{email}"' in answer.text
    assert queued_emails(session) == []


def test_an_address_that_looks_mistyped_is_accepted_when_sent_again(
    client: FlaskClient, services: Services, session: Session
) -> None:
    subscribe(client, services, "ann@gmai.com", keep="ann@gmai.com")

    assert queued_emails(session)[0].address == "ann@gmai.com"


def test_an_unknown_list_is_answered_with_the_lists_on_offer(
    client: FlaskClient, services: Services
) -> None:
    posted = subscribe(client, services, "ann@example.com", list="nope")
    for page in (posted, client.get("/subscribe/nope")):
        assert page.status_code == 422
        assert "NIF Weekly" in page.text
    assert 'value="ann@example.com"' in posted.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"ticket": ""}, "form was incomplete"), ({"ticket": "x" * 40}, "form was incomplete")],
)
def test_a_form_without_a_valid_ticket_is_shown_again(
    client: FlaskClient, services: Services, session: Session, fields: dict[str, str], said: str
) -> None:
    answer = subscribe(client, services, "ann@example.com", **fields)

    assert answer.status_code == 422
    assert said in answer.text
    assert queued_emails(session) == []


def test_a_form_sent_after_months_is_shown_again(
    client: FlaskClient, services: Services, session: Session
) -> None:
    late = subscribe(client, services, "ann@example.com", ticket=ticket(services, age=10**7))

    assert "open for a long time" in late.text
    assert queued_emails(session) == []


def test_two_lists_on_one_day_are_confirmed_by_one_link(
    client: FlaskClient, services: Services, session: Session
) -> None:
    subscribe(client, services, "ann@example.com")
    subscribe(client, services, "ann@example.com", list="weekly")
    (email,) = queued_emails(session)
    link = link_in(email, "confirm")

    assert "Yes, subscribe me to NIF Daily and NIF Weekly" in client.get(link).text
    client.post(link)
    assert sorted(states(session, "ann@example.com")) == ["confirmed", "pending"]
    assert "Yes, subscribe me to NIF Weekly too" in client.get(link).text
    client.post(link, data={"all": "1"})
    assert states(session, "ann@example.com") == [SubscriptionState.CONFIRMED] * 2


def test_one_mail_a_day_goes_to_an_address_and_twenty_an_hour_to_a_network(
    client: FlaskClient, services: Services, session: Session
) -> None:
    for _ in range(3):
        subscribe(client, services, "victim@example.com")
    assert len(queued_emails(session)) == 1

    for n in range(20):
        subscribe(client, services, f"many{n}@example.com")
    assert len(queued_emails(session)) == 18
    held = session.scalars(select(Signup.hold_reason)).all()
    assert set(held) == {HoldReason.NETWORK}


def test_a_forged_link_is_answered_with_a_sentence(client: FlaskClient) -> None:
    answer = client.get("/confirm/" + "A" * 40)

    assert answer.status_code == 404
    assert "This link is not valid" in answer.text


def test_the_host_of_a_request_never_reaches_a_mail(
    client: FlaskClient, services: Services, session: Session
) -> None:
    client.post(
        "/subscribe",
        data={"email": "ann@example.com", "ticket": ticket(services), "list": "daily"},
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
    )
    subscribe(client, services, "bea@example.com")

    assert [email.address for email in queued_emails(session)] == ["bea@example.com"]
    assert "evil" not in str(queued_emails(session)[0].message)


def test_every_mail_has_an_unsubscribe_link_that_works(
    client: FlaskClient, services: Services, session: Session
) -> None:
    subscribe(client, services, "ann@example.com")
    email = queued_emails(session)[0]
    link = link_in(email, "unsubscribe")

    assert email.message["headers"]["List-Unsubscribe"].endswith(f"{link}>")
    assert client.post(link, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert states(session, "ann@example.com") == [SubscriptionState.UNSUBSCRIBED]


def test_a_hidden_list_is_not_offered_and_can_be_subscribed_to_by_its_link(
    client: FlaskClient, services: Services, database: Database, session: Session
) -> None:
    with database.transaction() as writing:
        a_list(writing, "private", title="NIF Private", is_shown=False)

    for page in ("/", "/subscribe", "/newsletters/", "/sitemap.xml", "/sitemaps/pages.xml"):
        assert "private" not in client.get(page).text.lower()
    own = client.get("/subscribe/private").text
    assert ("NIF Private" in own, "NIF Weekly" in own) == (True, False)

    subscribe(client, services, "ann@example.com", list="private")
    link = link_in(queued_emails(session)[0], "confirm")
    assert client.post(link).location == "/subscribe/private/welcome"


def test_a_list_archived_meanwhile_gets_no_subscription(
    client: FlaskClient, services: Services, database: Database, session: Session
) -> None:
    subscribe(client, services, "ann@example.com")
    link = link_in(queued_emails(session)[0], "confirm")
    with database.transaction() as writing:
        archive_list(writing, get_list(writing, "daily"), now=NOON)

    assert client.get(link).status_code == 410
    assert "has ended" in client.post(link, follow_redirects=True).text
    assert states(session, "ann@example.com") == [SubscriptionState.PENDING]
    home = client.get("/").text
    assert ("NIF Weekly" in home, "NIF Daily" in home) == (True, False)
