"""Taking an address out of files that wait to be imported, without moving what stands behind it."""

import mmap
import re
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.importing.keeping import path_of
from nif.importing.models import ImportRun
from nif.importing.recognising import Encoding


def blank(session: Session, folder: Path, canonical: str) -> None:
    """Overwrite an address, in any spelling, in every file that is kept here.

    As many bytes stay, so that a run that was stopped goes on where it was; it then finds a row
    without an address. A file that is kept on another machine is not reached.
    """
    kept = select(ImportRun.stored, ImportRun.encoding).where(ImportRun.stored.is_not(None))
    for name, encoding in session.execute(kept):
        path = path_of(folder, name)
        if path.exists():
            for spelling in _spellings(canonical):
                _overwrite(path, spelling, Encoding(encoding))


def _spellings(canonical: str) -> set[str]:
    """Its domain in IDNA, as it is kept, and in the letters that people write."""
    local, _, domain = canonical.rpartition("@")
    try:
        written = domain.encode("ascii").decode("idna")
    except UnicodeError:
        written = domain
    return {canonical, f"{local}@{written}"}


def _overwrite(path: Path, spelling: str, encoding: Encoding) -> None:
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
