"""Cached pages are never older than the newest change."""

from flask.testing import FlaskClient

from nif.database import Database
from nif.services import Services
from nif.tokens import TokenPurpose
from nif.web.public.page_cache import FORM_TICKET_PLACEHOLDER
from tests.factories import a_list, a_story


def test_an_unchanged_page_is_answered_with_304(client: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        slug = a_story(session).slug
    first = client.get(f"/articles/{slug}")
    again = client.get(f"/articles/{slug}", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert "Vary" not in first.headers
    assert "Set-Cookie" not in first.headers


def test_publishing_is_seen_by_the_next_request(client: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_story(session, headline="The First")
    before = client.get("/")
    with database.transaction() as session:
        a_story(session, headline="The Second")
    after = client.get("/", headers={"If-None-Match": before.headers["ETag"]})

    assert after.status_code == 200
    assert "The Second" in after.text


def test_each_reader_gets_a_ticket_of_their_own(
    client: FlaskClient, database: Database, services: Services
) -> None:
    with database.transaction() as session:
        a_list(session)
        slug = a_story(session).slug
    page = client.get(f"/articles/{slug}").text

    assert FORM_TICKET_PLACEHOLDER not in page
    ticket = page.split('name="ticket" value="')[1].split('"')[0]
    assert services.tokens.open(TokenPurpose.FORM_TICKET, ticket)


def test_an_empty_cursor_leaves_no_other_front_page_in_memory(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_story(session)

    for address in ("/?after=", "/"):
        assert 'class="story-grid with-lead"' in client.get(address).text, address


def test_a_missing_page_is_not_cached(client: FlaskClient, database: Database) -> None:
    assert client.get("/articles/the-third").status_code == 404
    with database.transaction() as session:
        a_story(session, headline="The Third")

    assert client.get("/articles/the-third").status_code == 200


def test_a_nul_in_an_address_or_a_form_is_refused(client: FlaskClient) -> None:
    for path in ("/articles/a%00b", "/tags/a%00b", "/newsletters/a%00b/", "/?after=%00"):
        assert client.get(path).status_code == 400
    assert client.post("/subscribe", data={"email": "ann\0@example.com"}).status_code == 400


def test_an_empty_newsroom_says_so(client: FlaskClient) -> None:
    assert "Nothing is published yet" in client.get("/").text
    assert "no newsletter" in client.get("/subscribe").text
    assert client.get("/tags/nothing").status_code == 404
