"""Putting pictures into a story at the desk, without a script and while it saves by itself."""

import re

import pytest
from flask.testing import FlaskClient

from nif.database import Database
from nif.media.library import delete_picture
from nif.media.models import Picture
from nif.stories.pictures import PICTURE_GONE
from tests.media.pictures import a_ready_picture, an_unprepared_picture
from tests.web.newsroom.staff import text_of
from tests.web.newsroom.test_autosave import other  # noqa: F401  (Bea at another desk)
from tests.web.newsroom.test_stories import WHOLE, saved, the_story

HOSTILE = '"><script>alert(1)</script>{{7*7}}'


@pytest.fixture
def pictures(database: Database) -> list[int]:
    """Two pictures whose files are there, and one that is still being prepared."""
    with database.transaction() as session:
        made = [a_ready_picture(session, alt=alt) for alt in ("A red wall", "A blue wall")]
        return [picture.id for picture in (*made, an_unprepared_picture(session, alt="A wet wall"))]


def chosen(page: str, name: str) -> str:
    """What a select of the form has chosen, in words."""
    (select,) = re.findall(rf'<select id="{name}".+?</select>', page, re.DOTALL)
    return "".join(re.findall(r"selected>(.+?)</option>", select))


def uses(database: Database, picture_id: int) -> int:
    with database.reading() as session:
        return session.get_one(Picture, picture_id).use_count


def test_pictures_are_chosen_saved_and_shown(
    desk: FlaskClient, database: Database, pictures: list[int]
) -> None:
    red, blue, _ = map(str, pictures)
    blank = desk.get("/newsroom/stories/new").text
    assert "A wet wall (being prepared)" in blank
    assert chosen(blank, "picture_id") == ""

    address = saved(desk, picture_id=red, **{"sections-0-picture": blue})

    page = desk.get(address).text
    assert chosen(page, "picture_id") == "A red wall"
    assert chosen(page, "sections-0-picture") == "A blue wall"
    assert page.count("<img") == 2
    story = the_story(database)
    assert (story.picture_id, story.sections[0]["picture"]) == (int(red), int(blue))
    preview = desk.get(f"{address}/preview").text
    assert preview.count('<figure class="picture">') == 2
    assert "G24" not in desk.get(f"{address}/publish").text


@pytest.mark.parametrize("wrong", ["99", "9" * 30, HOSTILE])
def test_what_is_no_picture_is_told_beside_its_field(
    desk: FlaskClient, pictures: list[int], wrong: str
) -> None:
    given = {**WHOLE, "sections-0-label": "", "sections-0-bullets": "", "picture_id": wrong}
    given |= {"sections-1-label": "Then:", "sections-1-bullets": "So.", "sections-1-picture": wrong}

    answer = desk.post("/newsroom/stories/new", data=given)

    assert answer.status_code == 422
    assert len(re.findall(r'id="(?:picture_id|sections-1-picture)-problem"', answer.text)) == 2
    assert chosen(answer.text, "sections-1-picture") == "No longer in the library"
    assert "<script>alert" not in answer.text
    assert 'href="#pictures"' not in answer.text


def test_a_picture_that_is_not_ready_keeps_the_story_back_with_a_link_to_its_field(
    desk: FlaskClient, pictures: list[int]
) -> None:
    address = saved(desk, **{"sections-0-picture": str(pictures[2])})

    page = desk.get(f"{address}/publish").text

    assert f'href="{address}#sections-0-picture"' in page
    assert "The picture of section 1 is still being prepared." in text_of(page)
    assert "Not ready yet" in text_of(desk.get("/newsroom/").text)
    assert desk.post(f"{address}/publish").status_code == 422


def test_saving_by_itself_keeps_the_choice_and_tells_what_is_gone(
    desk: FlaskClient, database: Database, pictures: list[int]
) -> None:
    address = saved(desk, picture_id=str(pictures[0]))
    with database.transaction() as session:
        delete_picture(session, session.get_one(Picture, pictures[1], with_for_update=True))

    kept_ = desk.post(f"{address}/autosave", data={**WHOLE, "picture_id": pictures[0]}).json
    lost = {**WHOLE, "edits": kept_["edits"], "sections-0-picture": pictures[1]}
    told = desk.post(f"{address}/autosave", data=lost).json

    assert kept_["problems"] == {}
    assert told["problems"] == {"sections-0-picture": PICTURE_GONE}
    assert the_story(database).picture_id == pictures[0]
    first, second = (
        desk.get(f"{address}?version={n}").text
        for n in re.findall(r"version=(\d+)", desk.get(f"{address}/versions").text)
    )
    assert PICTURE_GONE in first
    assert chosen(second, "picture_id") == "A red wall"


def test_two_choices_are_merged_by_name(
    desk: FlaskClient,
    other: FlaskClient,  # noqa: F811
    database: Database,
    pictures: list[int],
) -> None:
    red, blue, _ = map(str, pictures)
    address = saved(desk, picture_id=red)
    other.post(address, data={**WHOLE, "edits": 0, "picture_id": blue})
    mine = {**WHOLE, "edits": 0, "picture_id": red}

    page = desk.post(f"{address}/merge", data=mine).text

    assert re.search(r'<select name="picture_id".+A red wall.+</select>', page, re.DOTALL)
    assert '<p class="verbatim">A blue wall</p>' in page
    taken = {**mine, "edits": 1, "choose-picture_id": "theirs"}
    assert desk.post(f"{address}/merge/save", data=taken).status_code == 303
    assert the_story(database).picture_id == pictures[1]
    assert [uses(database, one) for one in pictures] == [0, 1, 0]


def test_the_live_preview_shows_what_is_chosen_and_counts_nothing(
    desk: FlaskClient, database: Database, pictures: list[int]
) -> None:
    given = {**WHOLE, "picture_id": pictures[0], "sections-0-picture": pictures[2]}

    page = desk.post("/newsroom/preview", data=given).text

    live = dict(re.findall(r'data-live="([\w-]+)">(.*?)(?=<div data-live|\Z)', page, re.DOTALL))
    assert "A red wall" in live["thumb-picture_id"]
    assert "<img" not in live["thumb-sections-0-picture"]
    assert live["page"].count('<figure class="picture">') == 1
    assert live["card"].count("<img") == 1
    assert uses(database, pictures[0]) == 0


def test_a_picture_that_a_story_shows_is_not_deleted(
    desk: FlaskClient, pictures: list[int]
) -> None:
    saved(desk, picture_id=str(pictures[0]))

    desk.post(f"/newsroom/pictures/{pictures[0]}/delete")

    assert desk.get(f"/newsroom/pictures/{pictures[0]}").status_code == 200
