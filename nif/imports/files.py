"""The files of imports: in a folder of this instance, under names that nobody can guess.

Taking an address out of files that wait to be imported, without moving what stands behind it.
"""

import mmap
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Invalid, NotFound
from nif.imports.csv_reader import FileEncoding
from nif.imports.models import ImportRun

COPY_BLOCK = 1024 * 1024
_STORED_NAME = re.compile(r"[0-9a-f]{32}")
FILE_GONE = "The file of this import is not kept any more. Choose it again for a new import."


class ImportStream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class StoredImportFile(NamedTuple):
    """A file that is kept, and its length in bytes."""

    name: str
    size: int


def store_import_file(stream: ImportStream, folder: Path, *, most: int) -> StoredImportFile:
    """Take at most `most` bytes into the folder; at one more, nothing is kept.

    Raises Invalid, for the field `file`.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = secrets.token_hex(16)
    path, size = folder / name, 0
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while block := stream.read(COPY_BLOCK):
                size += len(block)
                if size > most:
                    raise Invalid({"file": file_too_large_message(most)})
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        if not size:
            raise Invalid({"file": "This file is empty. Choose another."})
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return StoredImportFile(name, size)


def file_too_large_message(most: int) -> str:
    """The sentence for a file that is larger than `most` bytes."""
    return f"This file is too large: {most / 1_000_000:.3g} MB are the most. Nothing was kept."


@contextmanager
def open_import_file(folder: Path, name: str | None) -> Iterator[IO[bytes]]:
    """Raises NotFound where the file has gone."""
    try:
        with import_file_path(folder, name).open("rb") as file:
            yield file
    except FileNotFoundError:
        raise NotFound(FILE_GONE) from None


def delete_import_file(folder: Path, name: str | None) -> None:
    """Delete a file; what is not there is no error."""
    if name is not None:
        import_file_path(folder, name).unlink(missing_ok=True)


def import_file_path(folder: Path, name: str | None) -> Path:
    """Where a file is kept. Raises NotFound for a name that is none of ours."""
    if name is None or not _STORED_NAME.fullmatch(name):
        raise NotFound(FILE_GONE)
    return folder / name


def blank_address_in_files(session: Session, folder: Path, canonical: str) -> None:
    """Overwrite an address, in any spelling, in every file that is kept here.

    As many bytes stay, so that a run that was stopped goes on where it was; it then finds a row
    without an address. A file that is kept on another machine is not reached.
    """
    kept = select(ImportRun.stored_name, ImportRun.encoding).where(
        ImportRun.stored_name.is_not(None)
    )
    for name, encoding in session.execute(kept):
        path = import_file_path(folder, name)
        if path.exists():
            for spelling in _spellings_of_address(canonical):
                _overwrite_address(path, spelling, FileEncoding(encoding))


def _spellings_of_address(canonical: str) -> set[str]:
    """Its domain in IDNA, as it is kept, and in the letters that people write."""
    local, _, domain = canonical.rpartition("@")
    try:
        written = domain.encode("ascii").decode("idna")
    except UnicodeError:
        written = domain
    return {canonical, f"{local}@{written}"}


def _overwrite_address(path: Path, spelling: str, encoding: FileEncoding) -> None:
    try:
        wanted = spelling.encode(encoding)
    except UnicodeEncodeError:
        return  # What the encoding cannot write is not in the file.
    filler = "x".encode(encoding)
    filler *= len(wanted) // len(filler)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as whole:
        places = [match.span() for match in re.finditer(re.escape(wanted), whole, re.IGNORECASE)]
        for start, end in places:
            whole[start:end] = filler
