"""The library: what goes in, what is said about it, and what goes out again."""

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
    count_picture_use,
    delete_picture,
    get_picture,
    list_pictures,
    retry_renditions,
)
from nif.media.models import DigitalSourceType, Picture, Rendition
from tests.conftest import NOON
from tests.media.pictures import Drawer, kept, said, taken

AI = "trainedAlgorithmicMedia"


def complaints(session: Session, **given: Any) -> dict[str, str]:
    declared_source_type = given.pop("declared_source_type", "")
    with pytest.raises(Invalid) as caught:
        add_picture(
            session,
            taken(Drawer(), declared_source_type=declared_source_type),
            said(**given),
            by=None,
            now=NOON,
        )
    return caught.value.problems


def test_a_picture_is_kept_with_what_is_said_about_it(session: Session) -> None:
    picture = kept(session, caption="The wall, on Friday.")

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
def test_what_is_missing_or_wrong_is_told_by_its_field(
    session: Session, given: Any, name: str
) -> None:
    assert list(complaints(session, **given)) == [name]


def test_the_same_file_is_kept_once(session: Session) -> None:
    first = taken(Drawer())
    picture = add_picture(session, first, said(), by=None, now=NOON)

    with pytest.raises(DuplicatePicture) as caught:
        add_picture(session, first, said(alt="Another"), by=None, now=NOON)

    assert caught.value.picture_id == picture.id


def test_words_that_no_file_carries_change_without_new_files(session: Session) -> None:
    picture = kept(session)

    change_picture(
        session, picture, said(alt="A wall", caption="New"), PictureFraming(), edits=0, now=NOON
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
def test_what_the_files_carry_or_show_has_them_made_anew(
    session: Session, words: Any, framing: PictureFraming
) -> None:
    picture = kept(session)
    picture.ready_set, picture.tries = 1, 2

    change_picture(session, picture, said(**words), framing, edits=0, now=NOON)

    assert (picture.requested_set, picture.ready_set, picture.tries) == (2, 1, 0)


def test_who_saves_over_somebody_else_is_told(session: Session) -> None:
    picture = kept(session)
    change_picture(session, picture, said(alt="Theirs"), PictureFraming(), edits=0, now=NOON)

    with pytest.raises(Conflict):
        change_picture(session, picture, said(alt="Mine"), PictureFraming(), edits=0, now=NOON)

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
def test_what_lies_outside_is_refused(session: Session, framing: PictureFraming, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        change_picture(session, kept(session), said(), framing, edits=0, now=NOON)

    assert list(caught.value.problems) == [name]


def test_what_ai_made_cannot_be_said_away_later(session: Session) -> None:
    told = taken(Drawer(), declared_source_type=AI)
    picture = add_picture(
        session, told, said(source_type=DigitalSourceType.BY_AI), by=None, now=NOON
    )

    with pytest.raises(Invalid):
        change_picture(session, picture, said(), PictureFraming(), edits=0, now=NOON)


def test_a_picture_that_a_story_shows_cannot_go(session: Session) -> None:
    picture = kept(session)
    count_picture_use(session, picture.id)
    session.refresh(picture)

    with pytest.raises(Conflict):
        delete_picture(session, picture)

    count_picture_use(session, picture.id, times=-1)
    session.refresh(picture)
    assert delete_picture(session, picture) == [picture.master]
    assert session.scalars(select(Picture)).all() == []
    with pytest.raises(NotFound):
        count_picture_use(session, picture.id)


def test_all_files_of_a_picture_go_with_it_and_no_others(session: Session) -> None:
    picture, other = kept(session), kept(session)
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


def test_trying_again_forgets_what_failed(session: Session) -> None:
    picture = kept(session)
    picture.tries, picture.claimed_at = 3, NOON

    retry_renditions(picture)

    assert (picture.tries, picture.claimed_at) == (0, None)


def test_the_library_is_read_page_by_page_the_newest_first(session: Session) -> None:
    ids = [kept(session).id for _ in range(5)]

    pages, after = [], None
    while True:
        page = list_pictures(session, after=after, size=2)
        pages.append([one.id for one in page.pictures])
        if (after := page.after) is None:
            break

    assert pages == [ids[:2:-1], ids[2:0:-1], ids[:1]]


@pytest.mark.parametrize("after", ["x", "-1", "9" * 19, "1;2", "١"])
def test_a_place_that_no_page_named_is_not_found(session: Session, after: str) -> None:
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
def test_pictures_are_found_by_all_of_the_words(
    session: Session, words: str, found: list[str]
) -> None:
    for alt in ("plain", "a_b", "Ångström 100%"):
        kept(session, alt=alt)

    assert [one.alt for one in list_pictures(session, words=words).pictures] == found
