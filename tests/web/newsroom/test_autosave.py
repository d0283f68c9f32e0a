"""Autosave and merging: no text is lost, and nobody is overwritten without asking."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from nif.accounts.models import Account, RoleName
from nif.database import Database
from nif.stories.drafts import Autosave
from nif.stories.models import Story
from tests.register.entries import a_party
from tests.web.newsroom.staff import enrolled, sign_in, text_of
from tests.web.newsroom.test_stories import WHOLE, saved, the_story


@pytest.fixture
def other(app: Flask, database: Database, editor: FlaskClient) -> FlaskClient:
    """A second editor, Bea."""
    email = enrolled(app, database, RoleName.EDITOR, "bea@example.com")
    with database.transaction() as session:
        session.execute(update(Account).where(Account.email == email).values(name="Bea"))
    return sign_in(app, email)


def texts(database: Database) -> list[tuple[int | None, str]]:
    with database.reading() as session:
        rows = session.scalars(select(Autosave).order_by(Autosave.id)).all()
        return [(row.edits, row.form["lead"]) for row in rows]


def test_the_first_text_creates_a_draft(editor: FlaskClient, database: Database) -> None:
    answer = editor.post("/newsroom/stories/autosave", data={"lead": "It began."})

    assert answer.status_code == 201
    story_id = answer.json["id"]
    page = editor.get(f"/newsroom/stories/{story_id}").text
    assert "It began." in page
    assert "Untitled" in page
    assert texts(database) == [(0, "It began.")]


def test_each_save_is_counted(editor: FlaskClient, database: Database) -> None:
    address = saved(editor)
    for edits, lead in enumerate(("One.", "Two.")):
        answer = editor.post(f"{address}/autosave", data={**WHOLE, "edits": edits, "lead": lead})
        assert answer.json["edits"] == edits + 1

    assert the_story(database).lead == "Two."


def test_an_empty_headline_does_not_replace_the_saved_one(
    editor: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    answer = editor.post(f"{address}/autosave", data={**WHOLE, "headline": " ", "edits": 0})

    assert answer.status_code == 200
    assert the_story(database).headline == WHOLE["headline"]


def test_text_that_the_draft_refuses_is_kept_and_reported(
    editor: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    half = {**WHOLE, "edits": 0, "lead": "New.", "sources-0-url": "https:/"}

    answer = editor.post(f"{address}/autosave", data=half)

    assert answer.status_code == 200
    assert answer.json["edits"] == 0
    assert "full address" in answer.json["problems"]["sources-0-url"]
    assert the_story(database).lead == WHOLE["lead"]
    assert texts(database)[-1] == (None, "New.")


def test_a_conflict_names_who_saved_and_keeps_both_texts(
    editor: FlaskClient, other: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    other.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Bea's."})

    answer = editor.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Mine."})

    assert answer.status_code == 409
    assert (answer.json["by"], answer.json["mine"], answer.json["edits"]) == ("Bea", False, 1)
    assert the_story(database).lead == "Bea's."
    assert texts(database)[-2:] == [(1, "Bea's."), (None, "Mine.")]


def test_a_conflict_with_ones_own_second_tab_says_so(editor: FlaskClient) -> None:
    address = saved(editor)
    editor.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "First tab."})

    answer = editor.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Second tab."})

    assert (answer.status_code, answer.json["mine"]) == (409, True)


def test_text_for_a_story_published_meanwhile_is_kept(
    editor: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    editor.post(f"{address}/publish")

    answer = editor.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Too late."})

    assert (answer.status_code, answer.json["state"]) == (409, "published")
    assert texts(database)[-1] == (None, "Too late.")


def test_other_editors_of_the_same_story_are_named(editor: FlaskClient, other: FlaskClient) -> None:
    address = saved(editor)
    other.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Bea's."})

    seen = editor.get(f"{address}/autosave").json
    assert [one["name"] for one in seen["editors"]] == ["Bea"]
    assert (seen["edits"], seen["by"]) == (1, "Bea")


def test_the_ai_check_holds_only_for_the_checked_text(editor: FlaskClient) -> None:
    address = saved(editor)
    ticked = {**WHOLE, "ai": "assisted", "ai_checked": "now"}

    first = editor.post(f"{address}/autosave", data={**ticked, "edits": 0}).json["checked"]
    changed = {**ticked, "edits": 1, "ai_checked": first, "lead": "Changed after."}

    assert len(first) == 16
    assert editor.post(f"{address}/autosave", data=changed).json["checked"] == first


def test_a_version_is_restored_into_the_form_and_saved_on_request(
    editor: FlaskClient, other: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    editor.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Mine was here."})
    other.post(address, data={**WHOLE, "edits": 1, "lead": "Bea's."})

    page = editor.get(f"{address}/versions")
    assert "Bea" in text_of(page.text)
    links = [part.partition('"')[0] for part in page.text.split('href="')[1:]]
    pages = [editor.get(link).text for link in links if "?version=" in link]
    [back] = [page for page in pages if "Mine was here." in page]
    assert "It replaces the draft when you save it." in back
    assert 'name="edits" value="2"' in back
    assert the_story(database).lead == "Bea's."
    assert editor.get(f"{address}?version=999").status_code == 404


def test_two_texts_are_merged_field_by_field(
    editor: FlaskClient, other: FlaskClient, database: Database
) -> None:
    address = saved(editor)
    hers = {"lead": "Bea's.", "dek": "Bea's dek", "embargo_until": "2027-01-04T09:00"}
    other.post(address, data={**WHOLE, "edits": 0, **hers})
    mine = {**WHOLE, "edits": 0, "lead": "Mine.", "tags": "Mine"}

    page = editor.post(f"{address}/merge", data=mine)
    shown = text_of(page.text)
    assert [word in shown for word in ("Lead", "Dek", "Tags", "Bea saved it on")] == [True] * 4
    assert "Embargo until" in shown
    assert 'name="choose-headline"' not in page.text
    assert the_story(database).lead == "Bea's."

    taken = {"choose-dek": "theirs", "choose-embargo_until": "theirs"}
    merged = editor.post(f"{address}/merge/save", data={**mine, "edits": 1, **taken})
    assert merged.status_code == 303
    story = the_story(database)
    assert (story.lead, story.dek) == ("Mine.", "Bea's dek")
    assert story.embargo_until == datetime(2027, 1, 4, 9, tzinfo=UTC)
    assert [tag.name for tag in story.tags] == ["Mine"]
    again = editor.post(f"{address}/merge/save", data={**mine, "edits": 1})
    assert again.status_code == 409
    assert "Mine." in again.text


def test_the_live_preview_matches_the_page_and_stores_nothing(
    editor: FlaskClient, database: Database
) -> None:
    page = editor.post("/newsroom/preview", data=WHOLE).text

    assert "We covered it because it’s news regarding royalty audits." in page
    assert "Lumen Sync has let auditors in." in page
    assert "The same person wrote and edited this story." in page
    assert "15 words, 1 min to read" in page
    with database.reading() as session:
        assert session.scalars(select(Story)).all() == []


@pytest.mark.parametrize("given", [{}, {"story": "x"}, {"story": "99999999999999999999"}])
def test_an_empty_form_can_be_previewed(editor: FlaskClient, given: dict[str, str]) -> None:
    assert editor.post("/newsroom/preview", data=given).status_code == 200


def test_autosave_requires_the_csrf_token(app: Flask, editor: FlaskClient) -> None:
    app.config.update(WTF_CSRF_ENABLED=True, WTF_CSRF_METHODS={"POST"})
    page = editor.get("/newsroom/stories/new").text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    address, words = "/newsroom/stories/autosave", {"lead": "It began."}

    assert editor.post(address, data=words).status_code == 400
    assert editor.post(address, data=words, headers={"X-CSRFToken": "x"}).status_code == 400
    assert editor.post(address, data=words, headers={"X-CSRFToken": token}).status_code == 201


def test_the_preview_asks_for_a_new_declaration_only_after_a_new_name(
    editor: FlaskClient, database: Database
) -> None:
    stale = "The story names someone new"
    address = saved(editor)
    with database.transaction() as session:
        a_party(session, "Lumen Sync")

    assert stale not in editor.post("/newsroom/preview", data=WHOLE).text
    number = address.rpartition("/")[2]
    assert stale in editor.post("/newsroom/preview", data={**WHOLE, "story": number}).text
