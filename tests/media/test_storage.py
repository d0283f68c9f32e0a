"""A folder and a bucket store files alike."""

from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import NotFoundError
from obstore.store import LocalStore, MemoryStore

from nif.errors import Misconfigured, NotFound
from nif.media.storage import (
    BucketStorage,
    FolderStorage,
    MediaStorage,
    content_file_name,
    media_type_of,
    open_media_storage,
)
from nif.settings import load_settings

A, B = (content_file_name(data, "jpg", of="x") for data in (b"a", b"b"))
OUTSIDE = (
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "/etc/passwd",
    f"../{A}",
    f"{A}\0",
    f"{A}\n",
    A.upper(),
    "",
    "a.jpg",
    A.replace(".jpg", ".svg"),
)


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> MediaStorage:
    return (
        FolderStorage(tmp_path / "media")
        if request.param == "folder"
        else BucketStorage(MemoryStore(), NotFoundError)
    )


def test_a_stored_file_can_be_read_and_deleted(storage: MediaStorage) -> None:
    for _ in range(2):
        storage.put(A, b"a")
    storage.put(B, b"b")
    assert (storage.get(A), storage.get(B)) == (b"a", b"b")

    storage.delete([A, A])

    with pytest.raises(NotFound):
        storage.get(A)
    assert storage.get(B) == b"b"


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_cannot_lead_outside_the_storage(storage: MediaStorage, name: str) -> None:
    for ask in (
        storage.get,
        lambda name: storage.put(name, b"x"),
        lambda name: storage.delete([name]),
    ):
        with pytest.raises(NotFound):
            ask(name)
    with pytest.raises(NotFound):
        media_type_of(name)


def test_a_master_is_stored_but_not_public(storage: MediaStorage) -> None:
    name = content_file_name(b"m", "master", of="x")
    storage.put(name, b"m")

    assert storage.get(name) == b"m"
    with pytest.raises(NotFound):
        media_type_of(name)


def test_equal_files_of_two_pictures_have_different_names() -> None:
    assert content_file_name(b"a", "jpg", of="x") != content_file_name(b"a", "jpg", of="y")
    assert content_file_name(b"a", "jpg", of="x") == content_file_name(b"a", "jpg", of="x")


def test_a_folder_holds_no_half_written_file(tmp_path: Path) -> None:
    folder = FolderStorage(tmp_path)
    folder.put(A, b"a")

    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [A]
    assert (tmp_path / A[:2] / A[2:4] / A).exists()
    folder.delete([A])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_files_in_a_bucket_have_their_media_type() -> None:
    store = MemoryStore()
    BucketStorage(store, NotFoundError).put(A, b"a")

    attributes = store.get(f"{A[:2]}/{A[2:4]}/{A}").attributes
    assert attributes["Content-Type"] == "image/jpeg"
    assert "immutable" in attributes["Cache-Control"]


def test_the_bucket_library_works_on_a_local_folder(tmp_path: Path) -> None:
    """obstore's local folder stores no media types, so this test only reads."""
    FolderStorage(tmp_path).put(A, b"a")

    bucket = BucketStorage(LocalStore(tmp_path), NotFoundError)

    assert bucket.get(A) == b"a"
    bucket.delete([A, A])
    with pytest.raises(NotFound):
        bucket.get(A)


def test_the_settings_choose_the_storage(tmp_path: Path) -> None:
    def open_with(**given: Any) -> MediaStorage:
        return open_media_storage(load_settings(_env_file=None, instance_dir=tmp_path, **given))

    open_with().put(A, b"a")
    assert (tmp_path / "media").is_dir()
    open_with(media_dir=tmp_path / "elsewhere").put(A, b"a")
    assert (tmp_path / "elsewhere").is_dir()
    assert isinstance(open_with(media_url="s3://pictures/nif"), BucketStorage)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"media_url": "https://bucket.example.com"}, "NIF_MEDIA_URL must name a bucket"),
        ({"media_url": "s3://"}, "NIF_MEDIA_URL must name a bucket"),
        ({"media_base_url": "media.example.com"}, "NIF_MEDIA_BASE_URL must be an address"),
        ({"media_base_url": "https://x.example; script-src *"}, "NIF_MEDIA_BASE_URL must be"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(given: Any, words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        open_media_storage(load_settings(_env_file=None, **given))
