"""Publishing a change, from the form to the page that readers see."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.models import RoleName
from nif.database import Database
from nif.stories.corrections import StoryNote
from nif.stories.drafts import get_story, save_draft
from nif.stories.models import Revision
from nif.stories.reader_reports import ReportKind, create_reader_report
from tests.conftest import NOON
from tests.factories import a_draft, a_story, story_copy
from tests.web.newsroom.staff import signed_in, text_of
from tests.web.newsroom.test_stories import WHOLE

LEAD = "Palisade has sold 4,100 songs."
CORRECTION = {
    "kind": "correction",
    "summary": "The number of songs",
    "incorrect_text": "4,100 songs were sold",
    "corrected_text": "4,200 songs were sold",
    "severity": "significant",
    "first_wrong_n": "1",
    "seen_n": "1",
    "seen_edits": "2",
    "cause": "Misread our notes",
}


@pytest.fixture
def address(database: Database) -> str:
    """The desk's address of a story that was published and then changed, but not published."""
    with database.transaction() as session:
        revision = a_story(session, headline="Palisade Sells", lead=LEAD)
        story = get_story(session, revision.story_id)
        copy = story_copy(headline="Palisade Sells", lead="Palisade has sold 4,200 songs.")
        save_draft(session, story, copy, edits=1, now=NOON)
    return f"/newsroom/stories/{story.id}"


def test_the_page_shows_what_changes_for_readers(desk: FlaskClient, address: str) -> None:
    page = desk.get(f"{address}/revise").text

    assert "<del>" in page
    assert "4,100" in page
    assert "This is more than style." in text_of(page)


def test_a_correction_reaches_the_page_with_what_was_wrong(
    desk: FlaskClient, client: FlaskClient, address: str
) -> None:
    answer = desk.post(f"{address}/revise", data=CORRECTION)
    assert answer.status_code == 303

    page = client.get("/articles/palisade-sells").text
    assert "Palisade has sold 4,200 songs." in page
    told = text_of(page)
    assert told.index("An earlier version of this story said 4,100 songs") < told.index("By Jo")
    assert "Version 2" in told
    assert "Misread" not in page


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "style"}, "kind"),
        ({"kind": "publish"}, "kind"),
        ({"kind": "clarification", "text": "x"}, "kind"),
        ({"incorrect_text": " "}, "incorrect_text"),
        ({"severity": "x"}, "severity"),
        ({"summary": ""}, "summary"),
        ({"first_wrong_n": "9"}, "first_wrong_n"),
    ],
)
def test_what_is_missing_is_told_beside_its_field_and_nothing_is_lost(
    desk: FlaskClient, client: FlaskClient, address: str, changes: dict[str, str], field: str
) -> None:
    page = desk.post(f"{address}/revise", data={**CORRECTION, **changes})

    assert page.status_code == 422
    assert f'id="{field}-problem"' in page.text
    assert "Misread our notes" in page.text
    assert LEAD in client.get("/articles/palisade-sells").text


@pytest.mark.parametrize("changes", [{"seen_n": "2"}, {"seen_edits": "1"}])
def test_a_change_that_someone_else_overtook_is_not_published(
    desk: FlaskClient, address: str, changes: dict[str, str]
) -> None:
    page = desk.post(f"{address}/revise", data={**CORRECTION, **changes})

    assert page.status_code == 409
    assert "Someone else changed this story" in page.text
    assert "Misread our notes" in page.text


def test_a_second_person_confirms_and_the_history_says_so(
    app: Flask, desk: FlaskClient, database: Database, address: str
) -> None:
    style = {**CORRECTION, "kind": "style"}
    stale = desk.post(f"{address}/confirm-style", data={"seen_edits": "1"})
    assert stale.status_code == 409
    desk.post(f"{address}/confirm-style", data={"seen_edits": "2"})
    assert desk.post(f"{address}/revise", data=style).status_code == 422

    other = signed_in(app, database, RoleName.ADMIN)
    assert other.post(f"{address}/revise", data=style).status_code == 303
    history = other.get("/articles/palisade-sells/history").text
    assert "confirmed that this changes style only" in history


def test_who_made_the_change_is_not_asked_to_be_the_second_person(
    app: Flask, desk: FlaskClient, database: Database, address: str
) -> None:
    lead = "Palisade has sold 4,300 songs."
    desk.post(address, data={**WHOLE, "headline": "Palisade Sells", "lead": lead, "edits": "2"})
    offer = "Confirm that it is style only"

    assert offer not in desk.get(f"{address}/revise").text
    refused = desk.post(f"{address}/confirm-style", data={"seen_edits": "3"})

    assert refused.status_code == 422
    assert "You took part in this change" in refused.text
    other = signed_in(app, database, RoleName.ADMIN)
    assert offer in other.get(f"{address}/revise").text
    assert other.post(f"{address}/confirm-style", data={"seen_edits": "3"}).status_code == 303


def test_a_draft_has_nothing_to_revise(desk: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        story = a_draft(session)

    assert desk.get(f"/newsroom/stories/{story.id}/revise").status_code == 409


def test_a_note_remembers_the_report_that_led_to_it_and_names_nobody(
    desk: FlaskClient, client: FlaskClient, database: Database, address: str
) -> None:
    with database.transaction() as session:
        revision = session.scalars(select(Revision)).one()
        told = create_reader_report(
            session, revision, ReportKind.ERROR, "4,200!", contact="a@b.example", now=NOON
        )
        elsewhere = create_reader_report(
            session, a_story(session), ReportKind.ERROR, "x", contact=None, now=NOON
        )
    desk.post(f"/newsroom/reports/{told.id}", data={"verdict": "upheld", "answer": "Right."})
    desk.post(f"/newsroom/reports/{elsewhere.id}", data={"verdict": "upheld", "answer": "Right."})

    desk.post(f"{address}/revise", data={**CORRECTION, "report": str(told.id)})
    desk.post(
        f"{address}/revise",
        data={
            **CORRECTION,
            "kind": "editors_note",
            "text": "More",
            "seen_n": "2",
            "report": str(elsewhere.id),
        },
    )

    with database.reading() as session:
        notes = session.scalars(select(StoryNote).order_by(StoryNote.id)).all()
    assert [note.report_id for note in notes] == [told.id, None]
    for page in (client.get("/articles/palisade-sells"), client.get("/corrections")):
        assert text_of(page.text).count("Reported by a reader.") == 1
        assert "a@b.example" not in page.text
    assert f'href="/articles/palisade-sells#note-{notes[0].id}"' in (
        desk.get(f"/newsroom/reports/{told.id}").text
    )
