"""Saving while someone writes: nothing is lost, and nobody is overwritten unasked."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from nif.accounts.models import Account, RoleName
from nif.database import Database
from nif.stories.autosave import Autosave
from nif.stories.models import Story
from tests.register.entries import a_party
from tests.web.newsroom.staff import enrolled, sign_in, text_of
from tests.web.newsroom.test_stories import WHOLE, saved, the_story


@pytest.fixture
def other(app: Flask, database: Database, desk: FlaskClient) -> FlaskClient:
    """Bea at another desk."""
    email = enrolled(app, database, RoleName.EDITOR, "bea@example.com")
    with database.transaction() as session:
        session.execute(update(Account).where(Account.email == email).values(name="Bea"))
    return sign_in(app, email)


def texts(database: Database) -> list[tuple[int | None, str]]:
    with database.reading() as session:
        rows = session.scalars(select(Autosave).order_by(Autosave.id)).all()
        return [(row.edits, row.form["lead"]) for row in rows]


def test_the_first_words_make_a_draft(desk: FlaskClient, database: Database) -> None:
    answer = desk.post("/newsroom/stories/autosave", data={"lead": "It began."})

    assert answer.status_code == 201
    story_id = answer.json["id"]
    page = desk.get(f"/newsroom/stories/{story_id}").text
    assert "It began." in page
    assert "Untitled" in page
    assert texts(database) == [(0, "It began.")]


def test_each_saving_counts(desk: FlaskClient, database: Database) -> None:
    address = saved(desk)
    for edits, lead in enumerate(("One.", "Two.")):
        answer = desk.post(f"{address}/autosave", data={**WHOLE, "edits": edits, "lead": lead})
        assert answer.json["edits"] == edits + 1

    assert the_story(database).lead == "Two."


def test_a_headline_that_is_just_being_typed_takes_none_away(
    desk: FlaskClient, database: Database
) -> None:
    address = saved(desk)
    answer = desk.post(f"{address}/autosave", data={**WHOLE, "headline": " ", "edits": 0})

    assert answer.status_code == 200
    assert the_story(database).headline == WHOLE["headline"]


def test_what_the_draft_cannot_take_is_kept_and_told(desk: FlaskClient, database: Database) -> None:
    address = saved(desk)
    half = {**WHOLE, "edits": 0, "lead": "New.", "sources-0-url": "https:/"}

    answer = desk.post(f"{address}/autosave", data=half)

    assert answer.status_code == 200
    assert answer.json["edits"] == 0
    assert "full address" in answer.json["problems"]["sources-0-url"]
    assert the_story(database).lead == WHOLE["lead"]
    assert texts(database)[-1] == (None, "New.")


def test_the_second_is_told_who_saved_and_both_texts_are_kept(
    desk: FlaskClient, other: FlaskClient, database: Database
) -> None:
    address = saved(desk)
    other.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Bea's."})

    answer = desk.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Mine."})

    assert answer.status_code == 409
    assert (answer.json["by"], answer.json["mine"], answer.json["edits"]) == ("Bea", False, 1)
    assert the_story(database).lead == "Bea's."
    assert texts(database)[-2:] == [(1, "Bea's."), (None, "Mine.")]


def test_a_second_tab_is_told_that_it_was_oneself(desk: FlaskClient) -> None:
    address = saved(desk)
    desk.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "First tab."})

    answer = desk.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Second tab."})

    assert (answer.status_code, answer.json["mine"]) == (409, True)


def test_words_for_a_story_that_was_published_meanwhile_are_kept(
    desk: FlaskClient, database: Database
) -> None:
    address = saved(desk)
    desk.post(f"{address}/publish")

    answer = desk.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Too late."})

    assert (answer.status_code, answer.json["state"]) == (409, "published")
    assert texts(database)[-1] == (None, "Too late.")


def test_others_at_the_same_story_are_named(desk: FlaskClient, other: FlaskClient) -> None:
    address = saved(desk)
    other.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Bea's."})

    seen = desk.get(f"{address}/autosave").json
    assert [one["name"] for one in seen["editors"]] == ["Bea"]
    assert (seen["edits"], seen["by"]) == (1, "Bea")


def test_what_ai_wrote_stays_checked_for_the_text_of_that_moment(desk: FlaskClient) -> None:
    address = saved(desk)
    ticked = {**WHOLE, "ai": "assisted", "ai_checked": "now"}

    first = desk.post(f"{address}/autosave", data={**ticked, "edits": 0}).json["checked"]
    changed = {**ticked, "edits": 1, "ai_checked": first, "lead": "Changed after."}

    assert len(first) == 16
    assert desk.post(f"{address}/autosave", data=changed).json["checked"] == first


def test_a_version_is_brought_back_into_the_form_and_saved_when_asked(
    desk: FlaskClient, other: FlaskClient, database: Database
) -> None:
    address = saved(desk)
    desk.post(f"{address}/autosave", data={**WHOLE, "edits": 0, "lead": "Mine was here."})
    other.post(address, data={**WHOLE, "edits": 1, "lead": "Bea's."})

    page = desk.get(f"{address}/versions")
    assert "Bea" in text_of(page.text)
    links = [part.partition('"')[0] for part in page.text.split('href="')[1:]]
    pages = [desk.get(link).text for link in links if "?version=" in link]
    [back] = [page for page in pages if "Mine was here." in page]
    assert "It replaces the draft when you save it." in back
    assert 'name="edits" value="2"' in back
    assert the_story(database).lead == "Bea's."
    assert desk.get(f"{address}?version=999").status_code == 404


def test_two_texts_are_merged_field_by_field(
    desk: FlaskClient, other: FlaskClient, database: Database
) -> None:
    address = saved(desk)
    hers = {"lead": "Bea's.", "dek": "Bea's dek", "embargo_until": "2027-01-04T09:00"}
    other.post(address, data={**WHOLE, "edits": 0, **hers})
    mine = {**WHOLE, "edits": 0, "lead": "Mine.", "tags": "Mine"}

    page = desk.post(f"{address}/merge", data=mine)
    shown = text_of(page.text)
    assert [word in shown for word in ("Lead", "Dek", "Tags", "Bea saved it on")] == [True] * 4
    assert "Embargo until" in shown
    assert 'name="choose-headline"' not in page.text
    assert the_story(database).lead == "Bea's."

    taken = {"choose-dek": "theirs", "choose-embargo_until": "theirs"}
    merged = desk.post(f"{address}/merge/save", data={**mine, "edits": 1, **taken})
    assert merged.status_code == 303
    story = the_story(database)
    assert (story.lead, story.dek) == ("Mine.", "Bea's dek")
    assert story.embargo_until == datetime(2027, 1, 4, 9, tzinfo=UTC)
    assert [tag.name for tag in story.tags] == ["Mine"]
    again = desk.post(f"{address}/merge/save", data={**mine, "edits": 1})
    assert again.status_code == 409
    assert "Mine." in again.text


def test_a_live_preview_reads_as_the_page_will_and_stores_nothing(
    desk: FlaskClient, database: Database
) -> None:
    page = desk.post("/newsroom/preview", data=WHOLE).text

    assert "We covered it because it’s news regarding royalty audits." in page
    assert "Lumen Sync has let auditors in." in page
    assert "The same person wrote and edited this story." in page
    assert "15 words, 1 min to read" in page
    with database.reading() as session:
        assert session.scalars(select(Story)).all() == []


@pytest.mark.parametrize("given", [{}, {"story": "x"}, {"story": "99999999999999999999"}])
def test_a_preview_of_nothing_is_one_too(desk: FlaskClient, given: dict[str, str]) -> None:
    assert desk.post("/newsroom/preview", data=given).status_code == 200


def test_saving_by_itself_asks_for_the_token_of_the_page(app: Flask, desk: FlaskClient) -> None:
    app.config.update(WTF_CSRF_ENABLED=True, WTF_CSRF_METHODS={"POST"})
    page = desk.get("/newsroom/stories/new").text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    address, words = "/newsroom/stories/autosave", {"lead": "It began."}

    assert desk.post(address, data=words).status_code == 400
    assert desk.post(address, data=words, headers={"X-CSRFToken": "x"}).status_code == 400
    assert desk.post(address, data=words, headers={"X-CSRFToken": token}).status_code == 201


def test_the_preview_asks_again_only_who_answered_before_a_name_came_in(
    desk: FlaskClient, database: Database
) -> None:
    stale = "The story names someone new"
    address = saved(desk)
    with database.transaction() as session:
        a_party(session, "Lumen Sync")

    assert stale not in desk.post("/newsroom/preview", data=WHOLE).text
    number = address.rpartition("/")[2]
    assert stale in desk.post("/newsroom/preview", data={**WHOLE, "story": number}).text
