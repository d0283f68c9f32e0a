"""Where files are kept: a folder of this machine, or a bucket; each file by the hash of itself."""

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from nif.errors import Misconfigured, NotFound
from nif.media.models import Format
from nif.settings import Settings

ENDINGS = {Format.AVIF: "avif", Format.WEBP: "webp", Format.JPEG: "jpg"}
TYPES = {"avif": "image/avif", "webp": "image/webp", "jpg": "image/jpeg"}
FOR_READERS = re.compile(r"[0-9a-f]{40}\.(avif|webp|jpg)")
OURS = re.compile(r"[0-9a-f]{40}\.(avif|webp|jpg|master)")


BUCKET = re.compile(r"s3://[\w.-]+(/[\w./-]*)?", re.ASCII)
ADDRESS = re.compile(r"https?://[\w.:-]+(/[\w./~-]*[\w~-])?", re.ASCII)


class Storage(Protocol):
    """Keeps files by names that `name_of` gave. What has a name never changes."""

    def put(self, name: str, data: bytes) -> None:
        """Keep a file, whole or not at all; once more is no error."""

    def get(self, name: str) -> bytes:
        """Raises NotFound."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; what is not there is no error."""


def name_of(data: bytes, ending: str, *, of: str) -> str:
    """The name of a file by what is in it. `of` is the hash of the upload that it was made of.

    So two pictures never share a file, even where their files are alike, and each can be deleted
    without the other.
    """
    return f"{hashlib.sha256(of.encode() + data).hexdigest()[:40]}.{ending}"


def type_of(name: str) -> str:
    """The media type of a file that readers may have. Raises NotFound for any other name."""
    match = FOR_READERS.fullmatch(name)
    if match is None:
        raise NotFound("There is no such picture.")
    return TYPES[match[1]]


class Folder:
    """Files under a folder of this machine, in two levels of folders."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, data: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_name(f"{name}.{secrets.token_hex(4)}")
        try:
            with whole.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            whole.replace(path)
        finally:
            whole.unlink(missing_ok=True)

    def get(self, name: str) -> bytes:
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            raise NotFound("There is no such picture.") from None

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self._path(name).unlink(missing_ok=True)
            with suppress(OSError):
                # Only an empty folder goes.
                self._path(name).parent.rmdir()

    def _path(self, name: str) -> Path:
        return self._root / checked(name)[:2] / name[2:4] / name


def checked(name: str) -> str:
    """A name of ours, so that no other path is ever made of it. Raises NotFound."""
    if not OURS.fullmatch(name):
        raise NotFound("There is no such picture.")
    return name


def open_storage(settings: Settings) -> Storage:
    """The storage that the settings name. Nothing is asked of the network.

    Raises Misconfigured where an address is none, or the library for buckets is not there.
    """
    # It stands in a header, so nothing else may stand in it.
    if settings.media_base_url and not ADDRESS.fullmatch(settings.media_base_url):
        raise Misconfigured(
            "NIF_MEDIA_BASE_URL must be an address such as https://media.example.com, "
            "without a slash at its end."
        )
    if not settings.media_url:
        return Folder(settings.media_dir or settings.instance_dir / "media")
    if not BUCKET.fullmatch(settings.media_url):
        raise Misconfigured("NIF_MEDIA_URL must name a bucket, such as s3://bucket/prefix.")
    try:
        buckets = import_module("nif.media.buckets")
    except ModuleNotFoundError:
        raise Misconfigured(
            "NIF_MEDIA_URL names a bucket, for which obstore is needed: pip install 'nif[s3]'."
        ) from None
    return cast("Storage", buckets.open_bucket(settings.media_url))
