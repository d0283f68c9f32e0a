"""The files of imports: in a folder of this instance, under names that nobody can guess."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from nif.errors import Invalid, NotFound

BLOCK = 1024 * 1024
_OURS = re.compile(r"[0-9a-f]{32}")
GONE = "The file of this import is not kept any more. Choose it again for a new import."


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Stored(NamedTuple):
    """A file that is kept, and its length in bytes."""

    name: str
    size: int


def keep(stream: Stream, folder: Path, *, most: int) -> Stored:
    """Take at most `most` bytes into the folder; at one more, nothing is kept.

    Raises Invalid, for the field `file`.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = secrets.token_hex(16)
    path, size = folder / name, 0
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while block := stream.read(BLOCK):
                size += len(block)
                if size > most:
                    raise Invalid({"file": too_large(most)})
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        if not size:
            raise Invalid({"file": "This file is empty. Choose another."})
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Stored(name, size)


def too_large(most: int) -> str:
    """The sentence for a file that is larger than `most` bytes."""
    return f"This file is too large: {most / 1_000_000:.3g} MB are the most. Nothing was kept."


@contextmanager
def opened(folder: Path, name: str | None) -> Iterator[IO[bytes]]:
    """Raises NotFound where the file has gone."""
    try:
        with path_of(folder, name).open("rb") as file:
            yield file
    except FileNotFoundError:
        raise NotFound(GONE) from None


def forget(folder: Path, name: str | None) -> None:
    """Delete a file; what is not there is no error."""
    if name is not None:
        path_of(folder, name).unlink(missing_ok=True)


def path_of(folder: Path, name: str | None) -> Path:
    """Where a file is kept. Raises NotFound for a name that is none of ours."""
    if name is None or not _OURS.fullmatch(name):
        raise NotFound(GONE)
    return folder / name
