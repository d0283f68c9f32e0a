"""The worker makes the files; a worker that dies leaves nothing that cannot be repeated."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.errors import Conflict
from nif.media.library import PictureFraming, change_picture, delete_picture, get_picture
from nif.media.models import Picture, Rendition, snapshot_picture
from nif.media.renditions import (
    MAX_ATTEMPTS,
    RENDITION_LEASE,
    has_rendering_failed,
    make_due_renditions,
    record_renditions,
)
from tests.conftest import NOON
from tests.media.pictures import MemoryStorage, a_description, an_unprepared_picture, decode_image


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


def add_a_picture(database: Database, storage: MemoryStorage, **given: str) -> int:
    with database.transaction() as session:
        return an_unprepared_picture(session, storage, **given).id


def test_the_files_of_a_picture_are_made_and_then_shown(
    database: Database, storage: MemoryStorage
) -> None:
    picture_id = add_a_picture(database, storage)

    assert make_due_renditions(database.transaction, storage, clock=lambda: NOON) == 1
    assert make_due_renditions(database.transaction, storage, clock=lambda: NOON) == 0

    with database.reading() as session:
        picture = get_picture(session, picture_id)
        shapes = snapshot_picture(picture)["shapes"]
        assert not picture.is_preparing
        assert picture.attempts == 0
        assert {one.name for one in picture.renditions} | {picture.master} == set(storage.files)
    assert [file[1:] for file in shapes["original"]["jpeg"]] == [[480, 320], [900, 600]]
    assert shapes["share"] == {"jpeg": [[shapes["share"]["jpeg"][0][0], 1200, 630]]}
    for formats in shapes.values():
        for files in formats.values():
            for name, width, height in files:
                assert decode_image(storage.files[name]).size == (width, height)


def test_no_file_is_shown_before_it_is_made(database: Database, storage: MemoryStorage) -> None:
    picture_id = add_a_picture(database, storage)

    with database.reading() as session, pytest.raises(Conflict):
        snapshot_picture(get_picture(session, picture_id))


def test_a_new_set_keeps_the_files_of_the_old_one(
    database: Database, storage: MemoryStorage
) -> None:
    picture_id = add_a_picture(database, storage)
    make_due_renditions(database.transaction, storage, clock=lambda: NOON)
    with database.transaction() as session:
        picture = get_picture(session, picture_id)
        before = snapshot_picture(picture)
        change_picture(
            session, picture, a_description(), PictureFraming(0.0, 0.0), edits=0, now=NOON
        )
        assert snapshot_picture(picture) == before

    make_due_renditions(database.transaction, storage, clock=lambda: NOON)

    with database.reading() as session:
        after = snapshot_picture(get_picture(session, picture_id))
    assert after["shapes"]["square"] != before["shapes"]["square"]
    assert after["shapes"]["original"] == before["shapes"]["original"]
    assert {file[0] for file in before["shapes"]["square"]["jpeg"]} <= set(storage.files)


def test_a_picture_whose_worker_died_is_made_after_the_lease(
    database: Database, storage: MemoryStorage
) -> None:
    class Killed(BaseException):
        pass

    class Deadly(MemoryStorage):
        def get(self, name: str) -> bytes:
            raise Killed

    add_a_picture(database, storage)
    with pytest.raises(Killed):
        make_due_renditions(database.transaction, Deadly(), clock=lambda: NOON)

    early, late = NOON + RENDITION_LEASE - timedelta(seconds=1), NOON + RENDITION_LEASE
    assert make_due_renditions(database.transaction, storage, clock=lambda: early) == 0
    assert make_due_renditions(database.transaction, storage, clock=lambda: late) == 1


def test_a_picture_that_keeps_failing_is_given_up(
    database: Database, storage: MemoryStorage
) -> None:
    picture_id = add_a_picture(database, storage)
    storage.files = dict.fromkeys(storage.files, b"not a picture")
    moments = [NOON + n * RENDITION_LEASE for n in range(MAX_ATTEMPTS)]
    for now in moments:
        with pytest.raises(OSError, match="cannot identify"):
            make_due_renditions(database.transaction, storage, clock=lambda now=now: now)

    later = moments[-1] + RENDITION_LEASE
    assert make_due_renditions(database.transaction, storage, clock=lambda: later) == 0
    with database.reading() as session:
        picture = get_picture(session, picture_id)
        assert has_rendering_failed(picture, now=later)
        assert not has_rendering_failed(picture, now=moments[-1])


def test_a_slower_worker_does_not_replace_finished_files(
    database: Database, storage: MemoryStorage
) -> None:
    picture_id = add_a_picture(database, storage)
    make_due_renditions(database.transaction, storage, clock=lambda: NOON)
    late = Rendition(shape="wide", format="jpeg", width=1, height=1, size=1, name="late.jpg")

    with database.transaction() as session:
        assert record_renditions(session, picture_id, 1, [late])
        names = session.scalars(select(Rendition.name)).all()

    assert "late.jpg" not in names


def test_a_finished_picture_that_is_due_all_the_same_is_made_once_and_then_never(
    database: Database, storage: MemoryStorage
) -> None:
    picture_id = add_a_picture(database, storage)
    make_due_renditions(database.transaction, storage, clock=lambda: NOON)
    with database.transaction() as session:
        get_picture(session, picture_id).due_at = NOON

    make_due_renditions(database.transaction, storage, clock=lambda: NOON)

    with database.reading() as session:
        picture = get_picture(session, picture_id)
        assert (picture.due_at, picture.attempts) == (None, 0)


def test_a_picture_deleted_in_the_meantime_leaves_no_files(
    database: Database, storage: MemoryStorage
) -> None:
    class Deleting(MemoryStorage):
        def put(self, name: str, data: bytes) -> None:
            super().put(name, data)
            with database.transaction() as session:
                for picture in session.scalars(select(Picture)):
                    self.delete(delete_picture(session, picture))

    storage = Deleting()
    storage.files = {}
    quiet = MemoryStorage()
    add_a_picture(database, quiet)
    storage.files.update(quiet.files)

    make_due_renditions(database.transaction, storage, clock=lambda: NOON)

    assert storage.files == {}
