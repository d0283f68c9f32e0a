"""Where the files of pictures are stored: in a folder of this machine, or in an S3 bucket.

The name of a file is a hash of its content.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from nif.errors import Misconfigured, NotFound
from nif.media.models import PictureFormat
from nif.settings import Settings

EXTENSIONS = {PictureFormat.AVIF: "avif", PictureFormat.WEBP: "webp", PictureFormat.JPEG: "jpg"}
MEDIA_TYPES = {"avif": "image/avif", "webp": "image/webp", "jpg": "image/jpeg"}
PUBLIC_FILE_NAME = re.compile(r"[0-9a-f]{40}\.(avif|webp|jpg)")
STORED_FILE_NAME = re.compile(r"[0-9a-f]{40}\.(avif|webp|jpg|master)")
BUCKET_URL = re.compile(r"s3://[\w.-]+(/[\w./-]*)?", re.ASCII)
MEDIA_BASE_URL = re.compile(r"https?://[\w.:-]+(/[\w./~-]*[\w~-])?", re.ASCII)
CACHE_CONTROL = "public, max-age=31536000, immutable"


class MediaStorage(Protocol):
    """Stores files under the names that `content_file_name` gives. The content of a name never
    changes.
    """

    def put(self, name: str, data: bytes) -> None:
        """Store a file, completely or not at all. Storing it again is no error."""

    def get(self, name: str) -> bytes:
        """Raises NotFound."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; a missing one is no error."""


def content_file_name(data: bytes, ending: str, *, of: str) -> str:
    """The name of a file: a hash of its content and of the upload `of` that it was made from.

    So two pictures never share a file, even with equal content, and each can be deleted without
    the other.
    """
    return f"{hashlib.sha256(of.encode() + data).hexdigest()[:40]}.{ending}"


def media_type_of(name: str) -> str:
    """The media type of a public file. Raises NotFound for any other name."""
    match = PUBLIC_FILE_NAME.fullmatch(name)
    if match is None:
        raise NotFound("There is no such picture.")
    return MEDIA_TYPES[match[1]]


class FolderStorage:
    """Files in a folder of this machine, in two levels of subfolders."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, data: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{name}.{secrets.token_hex(4)}")
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def get(self, name: str) -> bytes:
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            raise NotFound("There is no such picture.") from None

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self._path(name).unlink(missing_ok=True)
            with suppress(OSError):
                # Fails unless the folder is empty.
                self._path(name).parent.rmdir()

    def _path(self, name: str) -> Path:
        return self._root / path_of_file(name)


def path_of_file(name: str) -> str:
    """Where a file is stored. Raises NotFound for an invalid name: it could be any path."""
    if not STORED_FILE_NAME.fullmatch(name):
        raise NotFound("There is no such picture.")
    return f"{name[:2]}/{name[2:4]}/{name}"


class BucketStorage:
    """Files in a bucket, by obstore. Keys and endpoint come from the environment's `AWS_…`."""

    def __init__(self, store: Any, not_found: type[Exception]) -> None:
        self._store = store
        self._not_found = (not_found, FileNotFoundError)

    def put(self, name: str, data: bytes) -> None:
        # For a CDN that serves the bucket.
        kind = MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        self._store.put(
            path_of_file(name),
            data,
            attributes={"Content-Type": kind, "Cache-Control": CACHE_CONTROL},
        )

    def get(self, name: str) -> bytes:
        try:
            return bytes(self._store.get(path_of_file(name)).bytes())
        except self._not_found:
            raise NotFound("There is no such picture.") from None

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(*self._not_found):
                self._store.delete(path_of_file(name))


def open_media_storage(settings: Settings) -> MediaStorage:
    """The storage that the settings name. Makes no request.

    obstore, the extra `s3`, is imported only here. Raises Misconfigured where it is missing, or an
    address is invalid.
    """
    # It becomes part of a response header, so it must not contain anything else.
    if settings.media_base_url and not MEDIA_BASE_URL.fullmatch(settings.media_base_url):
        raise Misconfigured(
            "NIF_MEDIA_BASE_URL must be an address such as https://media.example.com, "
            "without a slash at the end."
        )
    if not settings.media_url:
        return FolderStorage(settings.media_dir or settings.instance_dir / "media")
    if not BUCKET_URL.fullmatch(settings.media_url):
        raise Misconfigured("NIF_MEDIA_URL must name a bucket, such as s3://bucket/prefix.")
    try:
        errors, stores = import_module("obstore.exceptions"), import_module("obstore.store")
    except ModuleNotFoundError:
        raise Misconfigured(
            "NIF_MEDIA_URL names a bucket, for which obstore is needed: pip install 'nif[s3]'."
        ) from None
    try:
        return BucketStorage(stores.from_url(settings.media_url), errors.NotFoundError)
    except (errors.BaseError, ValueError) as error:
        raise Misconfigured(f"NIF_MEDIA_URL cannot be used: {error}") from None
