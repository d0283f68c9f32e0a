"""Sign-ups from other sites: with a framed form, and with a form in plain HTML."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from nif.clock import utc_now
from nif.database import Database
from nif.services import Services
from nif.signups import attack_mode
from nif.subscriptions.lists import archive_list, get_list
from nif.subscriptions.models import Consent
from nif.tokens import TokenPurpose
from tests.conftest import NOON
from tests.factories import a_list
from tests.web.public.forms import answer_signups, end_transaction, queued_emails, ticket

FRAME = "/embed/private"


@pytest.fixture(autouse=True)
def _lists(database: Database) -> None:
    with database.transaction() as session:
        a_list(session)
        a_list(session, "private", title="NIF Private", is_shown=False, sender_name="Ed")


def sources(session: Session) -> list[str]:
    found = list(session.scalars(select(Consent.source).order_by(Consent.id)))
    end_transaction(session)
    return found


def test_only_the_embedded_form_may_be_framed(client: FlaskClient) -> None:
    for path in (FRAME, f"{FRAME}?asked=1"):
        answer = client.get(path)
        assert "frame-ancestors *" in answer.headers["Content-Security-Policy"]
        assert "X-Frame-Options" not in answer.headers
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert 'content="noindex"' in answer.text
        assert "<script" not in answer.text
    for path in ("/", "/subscribe/private", "/newsletters/private/", "/embed/none"):
        answer = client.get(path)
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"


def test_answers_to_the_embedded_form_stay_in_the_frame(
    client: FlaskClient, services: Services, session: Session
) -> None:
    assert client.post(FRAME, data={"email": "ann", "ticket": ticket(services)}).status_code == 422
    slip = client.post(FRAME, data={"email": "ann@gmial.com", "ticket": ticket(services)})
    assert ("frame-ancestors *" in str(slip.headers), "ann@gmail.com" in slip.text) == (True, True)

    data = {"email": "ann@example.com", "ticket": ticket(services), "list": "daily", "page": "/x"}
    answer = client.post(FRAME, data=data, headers={"Origin": "https://blog.example"})
    answer_signups(services)

    assert (answer.status_code, answer.location) == (303, f"{FRAME}?asked=1")
    assert "Set-Cookie" not in answer.headers
    assert "Check your inbox" in client.get(answer.location).text
    assert sources(session) == [FRAME]
    (email,) = queued_emails(session)
    assert email.message["subject"] == "Confirm: NIF Private"
    assert email.message["from_name"] == "Ed"


def test_the_embedded_form_has_the_same_checks_as_the_sites_form(
    client: FlaskClient, services: Services, session: Session
) -> None:
    for given in ({"ticket": ticket(services, age=0)}, {"ticket": ""}, {"website": "x"}):
        client.post(FRAME, data={"email": "bot@example.com", **given})

    answer_signups(services)
    assert queued_emails(session) == []


def embedded(
    client: FlaskClient, services: Services, database: Database, **given: str
) -> TestResponse:
    """What the plain form of a list posts."""
    with database.reading() as session:
        key = services.tokens.make(TokenPurpose.EMBED, get_list(session, "daily").id)
    origin = given.pop("origin", "https://blog.example:8443/")
    data = {"list": "daily", "key": key, "email": "ann@example.com", "website": "", **given}
    answer = client.post("/subscribe", data=data, headers={"Origin": origin})
    answer_signups(services)
    return answer


def test_a_form_on_another_site_needs_no_ticket_and_its_site_is_recorded(
    client: FlaskClient, services: Services, database: Database, session: Session
) -> None:
    answer = embedded(client, services, database)

    assert (answer.status_code, answer.location) == (303, "/subscribe/check-your-inbox")
    assert sources(session) == ["https://blog.example:8443"]
    embedded(client, services, database, origin="null", email="bea@example.com")
    assert sources(session)[1:] == ["another site"]


@pytest.mark.parametrize(
    "given", [{"key": "x" * 40}, {"list": "private"}, {"website": "x"}, {"email": "ann"}]
)
def test_the_key_of_a_form_on_another_site_is_good_for_its_list_only(
    client: FlaskClient,
    services: Services,
    database: Database,
    session: Session,
    given: dict[str, str],
) -> None:
    embedded(client, services, database, **given)

    assert queued_emails(session) == []


def test_during_an_attack_both_forms_ask_for_proof_on_this_site(
    client: FlaskClient, services: Services, database: Database, session: Session
) -> None:
    with database.transaction() as writing:
        now = utc_now()
        attack_mode.enable_attack_mode(writing, until=now + timedelta(hours=1), who="Ada", now=now)

    framed = client.post(FRAME, data={"email": "ann@example.com", "ticket": ticket(services)})
    answer_signups(services)

    for page in (client.get(FRAME), framed, embedded(client, services, database)):
        assert page.status_code == 200
        assert 'name="challenged"' in page.text
    assert "frame-ancestors *" in framed.headers["Content-Security-Policy"]
    assert 'value="ann@example.com"' in framed.text
    assert queued_emails(session) == []


def test_the_form_of_an_archived_list_says_so_everywhere(
    client: FlaskClient, services: Services, database: Database, session: Session
) -> None:
    with database.transaction() as writing:
        archive_list(writing, get_list(writing, "private"), now=NOON)
    data = {"email": "ann@example.com", "ticket": ticket(services), "list": "private"}

    for answer in (
        client.get(FRAME),
        client.post(FRAME, data=data),
        client.get("/subscribe/private"),
        client.post("/subscribe", data=data),
    ):
        assert answer.status_code == 410
        assert "NIF Private has ended" in answer.text
        assert re.search(r'href="/subscribe/daily"', answer.text)
    assert queued_emails(session) == []
