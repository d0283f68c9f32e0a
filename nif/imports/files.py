"""Uploaded import files: kept in a folder of this installation under unguessable names."""

import mmap
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Invalid, NotFound
from nif.imports.csv_reader import FileEncoding
from nif.imports.models import ImportRun

COPY_BLOCK = 1024 * 1024
_STORED_NAME = re.compile(r"[0-9a-f]{32}")
FILE_GONE = "The file of this import is no longer stored. Upload it again for a new import."


class StoredImportFile(NamedTuple):
    """The name of a stored file, and its size in bytes."""

    name: str
    size: int


def store_import_file(stream: IO[bytes], folder: Path, *, max_bytes: int) -> StoredImportFile:
    """Copy a stream of at most `max_bytes` bytes into the folder, synced to disk.

    Raises Invalid, for the field `file`, if it is empty or larger; nothing is stored then.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = secrets.token_hex(16)
    path, size = folder / name, 0
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while block := stream.read(COPY_BLOCK):
                size += len(block)
                if size > max_bytes:
                    raise Invalid({"file": file_too_large_message(max_bytes)})
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        if not size:
            raise Invalid({"file": "This file is empty. Choose another."})
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return StoredImportFile(name, size)


def file_too_large_message(max_bytes: int) -> str:
    return f"This file is too large: at most {max_bytes / 1_000_000:.3g} MB. Nothing was stored."


@contextmanager
def open_import_file(folder: Path, name: str | None) -> Iterator[IO[bytes]]:
    """Raises NotFound if the file has been deleted."""
    try:
        with import_file_path(folder, name).open("rb") as file:
            yield file
    except FileNotFoundError:
        raise NotFound(FILE_GONE) from None


def delete_import_file(folder: Path, name: str | None) -> None:
    """Delete a file; a missing one is no error."""
    if name is not None:
        import_file_path(folder, name).unlink(missing_ok=True)


def import_file_path(folder: Path, name: str | None) -> Path:
    """The path of a stored file. Raises NotFound for a name that `store_import_file` never gave."""
    if name is None or not _STORED_NAME.fullmatch(name):
        raise NotFound(FILE_GONE)
    return folder / name


def blank_address_in_files(session: Session, folder: Path, canonical: str) -> None:
    """Overwrite an address, in any spelling, in every import file stored on this machine.

    The length stays the same, so a stopped run continues at its byte offset; the row then has no
    valid address. Files stored on another machine are not reached.
    """
    # The domain is stored in IDNA, and people write it in Unicode.
    spellings = {canonical}
    local, _, domain = canonical.rpartition("@")
    with suppress(UnicodeError):
        spellings.add(f"{local}@{domain.encode('ascii').decode('idna')}")
    stored = select(ImportRun.stored_name, ImportRun.encoding)
    for name, encoding in session.execute(stored.where(ImportRun.stored_name.is_not(None))):
        path = import_file_path(folder, name)
        if path.exists():
            for spelling in spellings:
                _overwrite_address(path, spelling, FileEncoding(encoding))


def _overwrite_address(path: Path, spelling: str, encoding: FileEncoding) -> None:
    try:
        address = spelling.encode(encoding)
    except UnicodeEncodeError:
        return  # A file in this encoding cannot contain the spelling.
    filler = "x".encode(encoding)
    filler *= len(address) // len(filler)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        spans = [match.span() for match in re.finditer(re.escape(address), content, re.IGNORECASE)]
        for start, end in spans:
            content[start:end] = filler
