"""Readers report errors in stories."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from nif.database import Database
from nif.services import Services
from nif.stories.reader_reports import ReaderReport
from tests.factories import a_draft, a_story
from tests.web.public.forms import ticket

AT = "/articles/palisade-sells/report"
SAID = {"kind": "error", "text": "It was £4m.\nI was there.", "email": ""}


@pytest.fixture(autouse=True)
def story(database: Database) -> None:
    with database.transaction() as session:
        a_story(session, headline="Palisade Sells")


def send(client: FlaskClient, services: Services, **fields: str) -> TestResponse:
    return client.post(AT, data={**SAID, "ticket": ticket(services), **fields})


def reports(database: Database) -> list[ReaderReport]:
    with database.reading() as session:
        return list(session.scalars(select(ReaderReport)))


def test_a_story_links_the_report_form(client: FlaskClient) -> None:
    assert f'href="{AT}"' in client.get("/articles/palisade-sells").text
    assert client.get(AT).status_code == 200


def test_a_report_is_stored_with_the_version_that_was_shown(
    client: FlaskClient, services: Services, database: Database
) -> None:
    answer = send(client, services, email="ann@example.com")

    assert answer.location.endswith(f"{AT}/thanks")
    (kept,) = reports(database)
    assert (kept.kind, kept.text, kept.n) == ("error", SAID["text"], 1)
    assert (kept.contact, kept.verdict) == ("ann@example.com", None)
    assert "ann@" not in client.get(answer.location).text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "x"}, "kind"),
        ({"text": " \n"}, "text"),
        ({"text": "x" * 4001}, "text"),
        ({"email": "ann@"}, "email"),
        ({"ticket": "x"}, "ticket"),
    ],
)
def test_a_mistake_is_explained_beside_its_field_and_nothing_is_lost(
    client: FlaskClient, services: Services, database: Database, fields: dict[str, str], field: str
) -> None:
    answer = send(client, services, **{"text": "I was there.", **fields})

    assert answer.status_code == 422
    assert f'id="{field}-problem"' in answer.text
    assert fields.get("text", "I was there.").strip() in answer.text
    assert reports(database) == []


def test_a_form_sent_too_fast_or_with_the_honeypot_filled_in_is_not_stored(
    client: FlaskClient, services: Services, database: Database
) -> None:
    quick = send(client, services, ticket=ticket(services, age=0))
    assert quick.status_code == 422
    assert send(client, services, website="https://spam.example").status_code == 303
    assert reports(database) == []


def test_a_network_may_send_ten_reports_an_hour(
    client: FlaskClient, services: Services, database: Database
) -> None:
    answers = [send(client, services).status_code for _ in range(11)]

    assert answers == [303] * 10 + [429]
    assert len(reports(database)) == 10


def test_only_published_stories_can_be_reported(
    client: FlaskClient, services: Services, database: Database
) -> None:
    with database.transaction() as session:
        a_draft(session, headline="Not Yet")

    assert client.get("/articles/not-yet/report").status_code == 404
    form = {**SAID, "ticket": ticket(services)}
    assert client.post("/articles/not-yet/report", data=form).status_code == 404


def test_a_report_is_shown_as_text(client: FlaskClient, services: Services) -> None:
    page = send(client, services, kind="", text="</textarea><script>", email='"><i>')

    assert "<script>" not in page.text.partition("<main")[2]
    assert '"><i>' not in page.text
