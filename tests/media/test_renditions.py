"""The worker makes the files; whoever dies at it leaves nothing that cannot be done again."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.errors import Conflict
from nif.media.library import PictureFraming, change_picture, delete_picture, get_picture
from nif.media.models import Picture, Rendition
from nif.media.renditions import (
    CLAIM_LIFETIME,
    MAX_TRIES,
    claim_picture,
    has_rendering_failed,
    make_due_renditions,
    record_renditions,
    select_due_picture,
)
from nif.media.snapshots import snapshot_picture
from tests.conftest import NOON
from tests.media.pictures import Drawer, kept, look_at, said


@pytest.fixture
def drawer() -> Drawer:
    return Drawer()


def a_kept_one(database: Database, drawer: Drawer, **given: str) -> int:
    with database.transaction() as session:
        return kept(session, drawer, **given).id


def test_the_files_are_made_and_then_shown(database: Database, drawer: Drawer) -> None:
    picture_id = a_kept_one(database, drawer)

    assert make_due_renditions(database.transaction, drawer, clock=lambda: NOON) == 1
    assert make_due_renditions(database.transaction, drawer, clock=lambda: NOON) == 0

    with database.reading() as session:
        picture = get_picture(session, picture_id)
        shapes = snapshot_picture(picture)["shapes"]
        assert not picture.is_preparing
        assert picture.tries == 0
        assert {one.name for one in picture.renditions} | {picture.master} == set(drawer.files)
    assert [file[1:] for file in shapes["original"]["jpeg"]] == [[480, 320], [900, 600]]
    assert shapes["share"] == {"jpeg": [[shapes["share"]["jpeg"][0][0], 1200, 630]]}
    for formats in shapes.values():
        for files in formats.values():
            for name, width, height in files:
                assert look_at(drawer.files[name]).size == (width, height)


def test_nothing_is_shown_before_it_is_made(database: Database, drawer: Drawer) -> None:
    picture_id = a_kept_one(database, drawer)

    with database.reading() as session, pytest.raises(Conflict):
        snapshot_picture(get_picture(session, picture_id))


def test_a_new_cut_leaves_the_files_of_the_old_one(database: Database, drawer: Drawer) -> None:
    picture_id = a_kept_one(database, drawer)
    make_due_renditions(database.transaction, drawer, clock=lambda: NOON)
    with database.transaction() as session:
        picture = get_picture(session, picture_id)
        before = snapshot_picture(picture)
        change_picture(session, picture, said(), PictureFraming(0.0, 0.0), edits=0, now=NOON)
        assert snapshot_picture(picture) == before

    make_due_renditions(database.transaction, drawer, clock=lambda: NOON)

    with database.reading() as session:
        after = snapshot_picture(get_picture(session, picture_id))
    assert after["shapes"]["square"] != before["shapes"]["square"]
    assert after["shapes"]["original"] == before["shapes"]["original"]
    assert {file[0] for file in before["shapes"]["square"]["jpeg"]} <= set(drawer.files)


def test_a_claimed_picture_is_nobody_elses_until_the_claim_is_old(
    database: Database, drawer: Drawer
) -> None:
    picture_id = a_kept_one(database, drawer)
    other_id = a_kept_one(database, drawer)
    with database.transaction() as session:
        assert [claim_picture(session, now=NOON).id for _ in range(2)] == [picture_id, other_id]
        assert claim_picture(session, now=NOON + CLAIM_LIFETIME - timedelta(seconds=1)) is None
        assert claim_picture(session, now=NOON + CLAIM_LIFETIME).id == picture_id


def test_what_cannot_be_made_is_given_up_after_some_tries(
    database: Database, drawer: Drawer
) -> None:
    picture_id = a_kept_one(database, drawer)
    drawer.files = dict.fromkeys(drawer.files, b"not a picture")
    moments = [NOON + n * CLAIM_LIFETIME for n in range(MAX_TRIES)]
    for now in moments:
        with pytest.raises(OSError, match="cannot identify"):
            make_due_renditions(database.transaction, drawer, clock=lambda now=now: now)

    later = moments[-1] + CLAIM_LIFETIME
    assert database.fetch_value(select_due_picture(now=later)) is None
    with database.reading() as session:
        picture = get_picture(session, picture_id)
        assert has_rendering_failed(picture, now=later)
        assert not has_rendering_failed(picture, now=moments[-1])


def test_a_slower_worker_changes_nothing_that_is_made(database: Database, drawer: Drawer) -> None:
    picture_id = a_kept_one(database, drawer)
    make_due_renditions(database.transaction, drawer, clock=lambda: NOON)
    late = Rendition(shape="wide", format="jpeg", width=1, height=1, size=1, name="late.jpg")

    with database.transaction() as session:
        assert record_renditions(session, picture_id, 1, [late])
        names = session.scalars(select(Rendition.name)).all()

    assert "late.jpg" not in names


def test_a_picture_deleted_meanwhile_leaves_no_files(database: Database, drawer: Drawer) -> None:
    class Deleting(Drawer):
        def put(self, name: str, data: bytes) -> None:
            super().put(name, data)
            with database.transaction() as session:
                for picture in session.scalars(select(Picture)):
                    self.delete(delete_picture(session, picture))

    drawer = Deleting()
    drawer.files = {}
    quiet = Drawer()
    a_kept_one(database, quiet)
    drawer.files.update(quiet.files)

    make_due_renditions(database.transaction, drawer, clock=lambda: NOON)

    assert drawer.files == {}
