"""The archive of newsletters: editions, their later corrections, and correction editions."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from nif.database import Database
from nif.sends import outcomes
from nif.sends.models import Batch, BatchState, Send
from nif.services import Services
from nif.stories.models import ChangeKind, NoteSeverity
from nif.subscriptions.lists import archive_list, get_list
from tests.conftest import NOON
from tests.factories import a_list, a_story
from tests.sends.test_correction_sends import (
    HOUR,
    LATER,
    corrected,
    mail_what_is_due,
    mailed,
    readers,
)
from tests.web.newsroom.staff import text_of

DIGEST = "/newsletters/daily/2026-11-20"
LEAD = "Palisade has sold 4,100 songs."


@pytest.fixture
def digest(database: Database, services: Services) -> str:
    """The address of a digest to two readers with a story that is wrong, and one that is not."""
    with database.transaction() as session:
        daily = a_list(session)
        readers(session, daily, "ann", "bob")
        a_story(session, headline="Palisade Sells", lead=LEAD, at=NOON - HOUR)
        a_story(session, headline="All Is Well", at=NOON - 2 * HOUR)
        mailed(session, services, daily)
    return DIGEST


def set_right(
    database: Database, services: Services, kind: ChangeKind, severity: NoteSeverity
) -> str:
    """Correct the story and send its correction edition; returns the anchor of the note."""
    with database.transaction() as session:
        revision = session.get_one(Send, 1).edition.items[0].revision
        note = corrected(session, revision, kind, severity)
        sends = mail_what_is_due(session, services, now=LATER)
        send_off(session, sends)
        return f"note-{note.id}"


def send_off(session: Session, sends: list[Send]) -> None:
    for send in sends:
        accepted = update(Batch).where(Batch.send_id == send.id)
        session.execute(accepted.values(state=BatchState.ACCEPTED))
        assert outcomes.finish_send_if_done(session, send.id, now=LATER)


def test_a_correction_has_its_own_page_linked_from_the_archive(
    client: FlaskClient, database: Database, services: Services, digest: str
) -> None:
    assert client.get(f"{LATER:/newsletters/daily/%Y-%m-%d}/correction-1").status_code == 404
    anchor = set_right(database, services, ChangeKind.CORRECTION, NoteSeverity.SERIOUS)
    archive = client.get("/newsletters/daily/").text

    address = "/newsletters/daily/2026-11-21/correction-1"
    assert f'<a href="{address}">Correction: Palisade Sells Nothing</a>' in archive
    assert f'<a href="{DIGEST}">' in archive
    page = client.get(address).text
    assert f"#{anchor}" in page
    assert f'href="{digest}"' in page
    assert "said it was sold. It was not sold. Sent to 2 subscribers who" in text_of(page)
    for wrong in ("2026-11-21/correction-2", "2026-11-20/correction-1", "x/correction-1"):
        assert client.get(f"/newsletters/daily/{wrong}").status_code == 404


def test_the_page_of_an_edition_shows_later_corrections(
    client: FlaskClient, database: Database, services: Services, digest: str
) -> None:
    assert "Set right" not in client.get(digest).text
    anchor = set_right(database, services, ChangeKind.CORRECTION, NoteSeverity.MINOR)

    page = client.get(digest).text

    assert page.count("Corrected after this was sent.") == 1
    assert f'href="/articles/palisade-sells#{anchor}"' in page
    assert LEAD in page


def test_a_removed_story_is_not_in_the_archive(
    client: FlaskClient, database: Database, services: Services, digest: str
) -> None:
    set_right(database, services, ChangeKind.REMOVAL, NoteSeverity.SERIOUS)

    page = client.get(digest).text

    assert LEAD not in page
    assert "Corrected after this was sent." in page
    assert "Palisade Sells" in page
    assert "All Is Well" in page


def test_a_story_says_how_many_subscribers_got_its_correction(
    client: FlaskClient, database: Database, services: Services, digest: str
) -> None:
    assert "Sent to" not in client.get("/articles/palisade-sells").text

    set_right(database, services, ChangeKind.CORRECTION, NoteSeverity.SERIOUS)

    for address in ("/articles/palisade-sells", "/corrections"):
        page = client.get(address, follow_redirects=True).text
        assert "Sent to 2 subscribers who had received the error in a newsletter." in page


def test_retracted_text_is_struck_through_and_announced_to_screen_readers(
    client: FlaskClient, database: Database, services: Services, digest: str
) -> None:
    assert "<del" not in client.get("/articles/palisade-sells").text
    set_right(database, services, ChangeKind.RETRACTION, NoteSeverity.SERIOUS)

    page = client.get("/articles/palisade-sells", follow_redirects=True).text
    notice, begins = page.index("We no longer stand by it"), page.index("Retracted text begins")
    struck, lead = page.index('<del class="retracted">'), page.index("It was not sold")
    ends = page.index("Retracted text ends")

    assert notice < begins < struck < lead < page.index("</del>") < ends
    assert ends < page.index('id="transparency"')


def test_the_pages_of_an_archived_list_stay_and_offer_another_list(
    client: FlaskClient, database: Database, digest: str
) -> None:
    with database.transaction() as session:
        a_list(session, "weekly", title="NIF Weekly", tags=("deals",), language="de")
        archive_list(session, get_list(session, "daily"), now=NOON)

    index = text_of(client.get("/newsletters/").text)
    assert "Stories about Deals." in index
    assert index.index("Newsletters that ended NIF Daily") > index.index("NIF Weekly")
    own, edition = client.get("/newsletters/daily/"), client.get(digest)
    assert "This newsletter ended on 20 November 2026." in own.text
    for page in (own, edition):
        assert page.status_code == 200
        assert 'name="list" value="weekly"' in page.text
    assert '<html lang="de">' in client.get("/newsletters/weekly/").text
    assert "/newsletters/daily/" in client.get("/sitemaps/pages.xml").text
