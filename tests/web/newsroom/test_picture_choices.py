"""Choosing pictures in the story form, with and without autosave."""

import re

import pytest
from flask.testing import FlaskClient

from nif.database import Database
from nif.media.library import delete_picture
from nif.media.models import Picture
from nif.stories.drafts import PICTURE_GONE
from tests.media.pictures import a_ready_picture, an_unprepared_picture
from tests.web.newsroom.staff import text_of
from tests.web.newsroom.test_autosave import other  # noqa: F401  (a fixture)
from tests.web.newsroom.test_stories import WHOLE, saved, the_story

HOSTILE = '"><script>alert(1)</script>{{7*7}}'


@pytest.fixture
def pictures(database: Database) -> list[int]:
    """Two pictures with ready files, and one still in preparation."""
    with database.transaction() as session:
        made = [a_ready_picture(session, alt=alt) for alt in ("A red wall", "A blue wall")]
        return [picture.id for picture in (*made, an_unprepared_picture(session, alt="A wet wall"))]


def chosen(page: str, name: str) -> str:
    """The label of the chosen option of a select box."""
    (select,) = re.findall(rf'<select id="{name}".+?</select>', page, re.DOTALL)
    return "".join(re.findall(r"selected>(.+?)</option>", select))


def uses(database: Database, picture_id: int) -> int:
    with database.reading() as session:
        return session.get_one(Picture, picture_id).use_count


def test_pictures_are_chosen_saved_and_shown(
    editor: FlaskClient, database: Database, pictures: list[int]
) -> None:
    red, blue, _ = map(str, pictures)
    blank = editor.get("/newsroom/stories/new").text
    assert "A wet wall (being prepared)" in blank
    assert chosen(blank, "picture_id") == ""

    address = saved(editor, picture_id=red, **{"sections-0-picture": blue})

    page = editor.get(address).text
    assert chosen(page, "picture_id") == "A red wall"
    assert chosen(page, "sections-0-picture") == "A blue wall"
    assert page.count("<img") == 2
    story = the_story(database)
    assert (story.picture_id, story.sections[0]["picture"]) == (int(red), int(blue))
    preview = editor.get(f"{address}/preview").text
    assert preview.count('<figure class="picture">') == 2
    assert "G24" not in editor.get(f"{address}/publish").text


@pytest.mark.parametrize("wrong", ["99", "9" * 30, HOSTILE])
def test_an_invalid_picture_is_reported_beside_its_field(
    editor: FlaskClient, pictures: list[int], wrong: str
) -> None:
    given = {**WHOLE, "sections-0-label": "", "sections-0-bullets": "", "picture_id": wrong}
    given |= {"sections-1-label": "Then:", "sections-1-bullets": "So.", "sections-1-picture": wrong}

    answer = editor.post("/newsroom/stories/new", data=given)

    assert answer.status_code == 422
    assert len(re.findall(r'id="(?:picture_id|sections-1-picture)-problem"', answer.text)) == 2
    assert chosen(answer.text, "sections-1-picture") == "No longer in the library"
    assert "<script>alert" not in answer.text
    assert 'href="#pictures"' not in answer.text


def test_a_picture_in_preparation_blocks_publishing_with_a_link_to_its_field(
    editor: FlaskClient, pictures: list[int]
) -> None:
    address = saved(editor, **{"sections-0-picture": str(pictures[2])})

    page = editor.get(f"{address}/publish").text

    assert f'href="{address}#sections-0-picture"' in page
    assert "The picture of section 1 is still being prepared." in text_of(page)
    assert "Not ready yet" in text_of(editor.get("/newsroom/").text)
    assert editor.post(f"{address}/publish").status_code == 422


def test_autosave_keeps_the_picture_choice_and_reports_missing_pictures(
    editor: FlaskClient, database: Database, pictures: list[int]
) -> None:
    address = saved(editor, picture_id=str(pictures[0]))
    with database.transaction() as session:
        delete_picture(session, session.get_one(Picture, pictures[1], with_for_update=True))

    kept_ = editor.post(f"{address}/autosave", data={**WHOLE, "picture_id": pictures[0]}).json
    lost = {**WHOLE, "edits": kept_["edits"], "sections-0-picture": pictures[1]}
    told = editor.post(f"{address}/autosave", data=lost).json

    assert kept_["problems"] == {}
    assert told["problems"] == {"sections-0-picture": PICTURE_GONE}
    assert the_story(database).picture_id == pictures[0]
    first, second = (
        editor.get(f"{address}?version={n}").text
        for n in re.findall(r"version=(\d+)", editor.get(f"{address}/versions").text)
    )
    assert PICTURE_GONE in first
    assert chosen(second, "picture_id") == "A red wall"


def test_merging_shows_picture_choices_by_label(
    editor: FlaskClient,
    other: FlaskClient,  # noqa: F811
    database: Database,
    pictures: list[int],
) -> None:
    red, blue, _ = map(str, pictures)
    address = saved(editor, picture_id=red)
    other.post(address, data={**WHOLE, "edits": 0, "picture_id": blue})
    mine = {**WHOLE, "edits": 0, "picture_id": red}

    page = editor.post(f"{address}/merge", data=mine).text

    assert re.search(r'<select name="picture_id".+A red wall.+</select>', page, re.DOTALL)
    assert '<p class="verbatim">A blue wall</p>' in page
    taken = {**mine, "edits": 1, "choose-picture_id": "theirs"}
    assert editor.post(f"{address}/merge/save", data=taken).status_code == 303
    assert the_story(database).picture_id == pictures[1]
    assert [uses(database, one) for one in pictures] == [0, 1, 0]


def test_the_live_preview_shows_chosen_pictures_and_counts_no_use(
    editor: FlaskClient, database: Database, pictures: list[int]
) -> None:
    given = {**WHOLE, "picture_id": pictures[0], "sections-0-picture": pictures[2]}

    page = editor.post("/newsroom/preview", data=given).text

    live = dict(re.findall(r'data-live="([\w-]+)">(.*?)(?=<div data-live|\Z)', page, re.DOTALL))
    assert "A red wall" in live["thumb-picture_id"]
    assert "<img" not in live["thumb-sections-0-picture"]
    assert live["page"].count('<figure class="picture">') == 1
    assert live["card"].count("<img") == 1
    assert uses(database, pictures[0]) == 0


def test_a_picture_chosen_in_a_story_cannot_be_deleted(
    editor: FlaskClient, pictures: list[int]
) -> None:
    saved(editor, picture_id=str(pictures[0]))

    editor.post(f"/newsroom/pictures/{pictures[0]}/delete")

    assert editor.get(f"/newsroom/pictures/{pictures[0]}").status_code == 200
