"""The library: adding, describing, finding and deleting pictures."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Conflict, Invalid, NotFound
from nif.media.library import (
    DuplicatePicture,
    PictureFraming,
    add_picture,
    change_picture,
    count_picture_uses,
    delete_picture,
    get_picture,
    list_pictures,
    retry_renditions,
)
from nif.media.models import DigitalSourceType, Picture, Rendition
from tests.conftest import NOON
from tests.media.pictures import (
    MemoryStorage,
    a_description,
    a_stored_upload,
    an_unprepared_picture,
)

AI = "trainedAlgorithmicMedia"


def problems_of(session: Session, **given: Any) -> dict[str, str]:
    declared_source_type = given.pop("declared_source_type", "")
    with pytest.raises(Invalid) as caught:
        add_picture(
            session,
            a_stored_upload(MemoryStorage(), declared_source_type=declared_source_type),
            a_description(**given),
            by=None,
            now=NOON,
        )
    return caught.value.problems


def test_a_picture_is_stored_with_its_description(session: Session) -> None:
    picture = an_unprepared_picture(session, caption="The wall, on Friday.")

    assert get_picture(session, picture.id).caption == "The wall, on Friday."
    assert picture.is_preparing
    assert (picture.focus_x, picture.focus_y, picture.crops, picture.use_count) == (0.5, 0.5, {}, 0)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"alt": ""}, "alt"),
        ({"is_decorative": True}, "alt"),
        ({"credit": ""}, "credit"),
        ({"credit_url": "javascript:alert(1)"}, "credit_url"),
        ({"licence_url": "https://exa mple.com"}, "licence_url"),
        ({"caption": "x" * 601}, "caption"),
        ({"declared_source_type": AI}, "source_type"),
        ({"declared_source_type": AI, "source_type": DigitalSourceType.WITH_AI}, "source_type"),
    ],
)
def test_problems_of_a_picture_are_reported_by_field(
    session: Session, given: Any, name: str
) -> None:
    assert list(problems_of(session, **given)) == [name]


def test_the_same_file_is_stored_once(session: Session) -> None:
    first = a_stored_upload(MemoryStorage())
    picture = add_picture(session, first, a_description(), by=None, now=NOON)

    again = a_stored_upload(MemoryStorage())
    again.sha256 = first.sha256
    with pytest.raises(DuplicatePicture) as caught:
        add_picture(session, again, a_description(alt="Another"), by=None, now=NOON)

    assert caught.value.picture_id == picture.id


def test_text_that_is_not_in_the_files_changes_without_new_files(session: Session) -> None:
    picture = an_unprepared_picture(session)

    change_picture(
        session,
        picture,
        a_description(alt="A wall", caption="New"),
        PictureFraming(),
        edits=0,
        now=NOON,
    )

    assert (picture.alt, picture.caption, picture.edits, picture.requested_set) == (
        "A wall",
        "New",
        1,
        1,
    )


@pytest.mark.parametrize(
    ("words", "framing"),
    [
        ({"credit": "Bo Ek"}, PictureFraming()),
        ({"source_type": DigitalSourceType.BY_AI}, PictureFraming()),
        ({}, PictureFraming(0.2, 0.5)),
        ({}, PictureFraming(crops={"square": [0.1, 0.2, 0.3]})),
    ],
)
def test_changes_that_the_files_contain_request_new_files(
    session: Session, words: Any, framing: PictureFraming
) -> None:
    picture = an_unprepared_picture(session)
    picture.ready_set, picture.attempts = 1, 2

    change_picture(session, picture, a_description(**words), framing, edits=0, now=NOON)

    assert (picture.requested_set, picture.ready_set, picture.attempts) == (2, 1, 0)


def test_concurrent_edits_conflict(session: Session) -> None:
    picture = an_unprepared_picture(session)
    change_picture(
        session, picture, a_description(alt="Theirs"), PictureFraming(), edits=0, now=NOON
    )

    with pytest.raises(Conflict):
        change_picture(
            session, picture, a_description(alt="Mine"), PictureFraming(), edits=0, now=NOON
        )

    assert picture.alt == "Theirs"


@pytest.mark.parametrize(
    ("framing", "name"),
    [
        (PictureFraming(focus_x=-1.0), "focus_x"),
        (PictureFraming(focus_y=1.01), "focus_y"),
        (PictureFraming(crops={"wide": [0.2, 0.2, 0.0]}), "wide"),
        (PictureFraming(crops={"wide": [1.0, 0.2, 0.5]}), "wide"),
        (PictureFraming(crops={"wide": [0.1]}), "wide"),
        (PictureFraming(crops={"original": [0.1, 0.1, 0.5]}), "original"),
    ],
)
def test_a_crop_outside_the_picture_is_refused(
    session: Session, framing: PictureFraming, name: str
) -> None:
    with pytest.raises(Invalid) as caught:
        change_picture(
            session, an_unprepared_picture(session), a_description(), framing, edits=0, now=NOON
        )

    assert list(caught.value.problems) == [name]


def test_a_declared_ai_source_cannot_be_denied_later(session: Session) -> None:
    upload = a_stored_upload(MemoryStorage(), declared_source_type=AI)
    picture = add_picture(
        session, upload, a_description(source_type=DigitalSourceType.BY_AI), by=None, now=NOON
    )

    with pytest.raises(Invalid):
        change_picture(session, picture, a_description(), PictureFraming(), edits=0, now=NOON)


def test_a_picture_shown_in_a_story_cannot_be_deleted(session: Session) -> None:
    picture = an_unprepared_picture(session)
    count_picture_uses(session, {picture.id: 1})
    session.refresh(picture)

    with pytest.raises(Conflict):
        delete_picture(session, picture)

    count_picture_uses(session, {picture.id: -1})
    session.refresh(picture)
    assert delete_picture(session, picture) == [picture.master]
    assert session.scalars(select(Picture)).all() == []
    with pytest.raises(NotFound):
        count_picture_uses(session, {picture.id: 1})


def test_deleting_a_picture_names_all_its_files_and_no_others(session: Session) -> None:
    picture, other = an_unprepared_picture(session), an_unprepared_picture(session)
    for n, one in enumerate((picture, picture, other)):
        session.add(
            Rendition(
                picture_id=one.id,
                set_number=n,
                shape="original",
                format="jpeg",
                width=480,
                height=320,
                size=9,
                name=f"{n}.jpg",
            )
        )
    session.flush()

    assert set(delete_picture(session, picture)) == {picture.master, "0.jpg", "1.jpg"}
    assert session.scalars(select(Rendition.name)).all() == ["2.jpg"]


def test_a_retry_is_due_at_once_however_often_it_failed(session: Session) -> None:
    picture = an_unprepared_picture(session)
    picture.attempts, picture.due_at = 3, None

    retry_renditions(picture, now=NOON)

    assert (picture.attempts, picture.due_at) == (0, NOON)


def test_a_retry_of_a_finished_picture_asks_for_nothing(session: Session) -> None:
    picture = an_unprepared_picture(session)
    picture.ready_set, picture.due_at = picture.requested_set, None

    retry_renditions(picture, now=NOON)

    assert picture.due_at is None


def test_pictures_are_listed_page_by_page_newest_first(session: Session) -> None:
    ids = [an_unprepared_picture(session).id for _ in range(5)]

    pages, after = [], None
    while True:
        page = list_pictures(session, after=after, size=2)
        pages.append([one.id for one in page.rows])
        if (after := page.after) is None:
            break

    assert pages == [ids[:2:-1], ids[2:0:-1], ids[:1]]


@pytest.mark.parametrize("after", ["x", "-1", "9" * 19, "1;2", "١"])
def test_an_invalid_cursor_raises_not_found(session: Session, after: str) -> None:
    with pytest.raises(NotFound):
        list_pictures(session, after=after)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", ["Ångström 100%", "a_b", "plain"]),
        ("ÅNGSTRÖM", ["Ångström 100%"]),
        ("100%", ["Ångström 100%"]),
        ("%", ["Ångström 100%"]),
        ("a_b", ["a_b"]),
        ("ana plain", ["plain"]),
        ("plain missing", []),
        ("'; DROP TABLE picture; --", []),
    ],
)
def test_pictures_are_found_by_all_words(session: Session, words: str, found: list[str]) -> None:
    for alt in ("plain", "a_b", "Ångström 100%"):
        an_unprepared_picture(session, alt=alt)

    assert [one.alt for one in list_pictures(session, words=words).rows] == found
