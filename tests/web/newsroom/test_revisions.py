"""Publishing a revision, from the form to the page that readers see."""

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
    """The newsroom address of a published story with unpublished changes."""
    with database.transaction() as session:
        revision = a_story(session, headline="Palisade Sells", lead=LEAD)
        story = get_story(session, revision.story_id)
        copy = story_copy(headline="Palisade Sells", lead="Palisade has sold 4,200 songs.")
        save_draft(session, story, copy, edits=1, now=NOON)
    return f"/newsroom/stories/{story.id}"


def test_the_page_shows_what_changes_for_readers(editor: FlaskClient, address: str) -> None:
    page = editor.get(f"{address}/revise").text

    assert "<del>" in page
    assert "4,100" in page
    assert "This is more than style." in text_of(page)


def test_a_correction_appears_on_the_page_with_the_error(
    editor: FlaskClient, client: FlaskClient, address: str
) -> None:
    answer = editor.post(f"{address}/revise", data=CORRECTION)
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
def test_a_missing_value_is_reported_beside_its_field_and_nothing_is_lost(
    editor: FlaskClient, client: FlaskClient, address: str, changes: dict[str, str], field: str
) -> None:
    page = editor.post(f"{address}/revise", data={**CORRECTION, **changes})

    assert page.status_code == 422
    assert f'id="{field}-problem"' in page.text
    assert "Misread our notes" in page.text
    assert LEAD in client.get("/articles/palisade-sells").text


@pytest.mark.parametrize("changes", [{"seen_n": "2"}, {"seen_edits": "1"}])
def test_a_change_to_a_story_saved_meanwhile_is_not_published(
    editor: FlaskClient, address: str, changes: dict[str, str]
) -> None:
    page = editor.post(f"{address}/revise", data={**CORRECTION, **changes})

    assert page.status_code == 409
    assert "Someone else changed this story" in page.text
    assert "Misread our notes" in page.text


def test_a_second_person_confirms_a_style_edit_and_the_history_shows_it(
    app: Flask, editor: FlaskClient, database: Database, address: str
) -> None:
    style = {**CORRECTION, "kind": "style"}
    stale = editor.post(f"{address}/confirm-style", data={"seen_edits": "1"})
    assert stale.status_code == 409
    editor.post(f"{address}/confirm-style", data={"seen_edits": "2"})
    assert editor.post(f"{address}/revise", data=style).status_code == 422

    other = signed_in(app, database, RoleName.ADMIN)
    assert other.post(f"{address}/revise", data=style).status_code == 303
    history = other.get("/articles/palisade-sells/history").text
    assert "confirmed that this changes style only" in history


def test_the_author_of_a_change_cannot_be_the_second_person(
    app: Flask, editor: FlaskClient, database: Database, address: str
) -> None:
    lead = "Palisade has sold 4,300 songs."
    editor.post(address, data={**WHOLE, "headline": "Palisade Sells", "lead": lead, "edits": "2"})
    offer = "Confirm that it is style only"

    assert offer not in editor.get(f"{address}/revise").text
    refused = editor.post(f"{address}/confirm-style", data={"seen_edits": "3"})

    assert refused.status_code == 422
    assert "You took part in this change" in refused.text
    other = signed_in(app, database, RoleName.ADMIN)
    assert offer in other.get(f"{address}/revise").text
    assert other.post(f"{address}/confirm-style", data={"seen_edits": "3"}).status_code == 303


def test_a_draft_cannot_be_revised(editor: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        story = a_draft(session)

    assert editor.get(f"/newsroom/stories/{story.id}/revise").status_code == 409


def test_a_note_links_to_the_report_that_led_to_it_without_naming_the_reader(
    editor: FlaskClient, client: FlaskClient, database: Database, address: str
) -> None:
    with database.transaction() as session:
        revision = session.scalars(select(Revision)).one()
        told = create_reader_report(
            session, revision, ReportKind.ERROR, "4,200!", contact="a@b.example", now=NOON
        )
        elsewhere = create_reader_report(
            session, a_story(session), ReportKind.ERROR, "x", contact=None, now=NOON
        )
    editor.post(f"/newsroom/reports/{told.id}", data={"verdict": "upheld", "answer": "Right."})
    editor.post(f"/newsroom/reports/{elsewhere.id}", data={"verdict": "upheld", "answer": "Right."})

    editor.post(f"{address}/revise", data={**CORRECTION, "report": str(told.id)})
    editor.post(
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
        editor.get(f"/newsroom/reports/{told.id}").text
    )
