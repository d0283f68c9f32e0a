"""Reading a file row by row: never more of it in memory than a piece, and never past a place
that was lost, so that reading can go on at any row after a kill."""

import csv
import io
from collections import deque
from collections.abc import Iterator
from typing import IO, BinaryIO, NamedTuple, cast

from nif.importing.recognising import Encoding, Form

LONGEST_LINE = 1_000_000
MOST_LINES = 100
"""Lines of one row. More are not a note in a cell but a quotation mark that nobody closed."""

BLOCK = 256 * 1024
WIDE = (Encoding.UTF_16_LE, Encoding.UTF_16_BE)


class Broken(NamedTuple):
    """A row that cannot be read: `long` or `quote`, and how it begins."""

    code: str
    cell: str


Record = tuple[int, list[str] | Broken]


class _TooLong(Exception):
    pass


class _Unclosed(Exception):
    pass


class Lines:
    """The lines of a file from a place on, as the csv module wants them.

    `position` and `line` are where the next row begins and how many lines stand before it: also
    after lines were given back with `rewind`.
    """

    def __init__(self, file: IO[bytes], form: Form, position: int = 0, line: int = 0) -> None:
        self.position, self.line = max(position, form.start), line
        self.pulled: list[tuple[str | None, int]] = []
        self._again: deque[tuple[str | None, int]] = deque()
        self._fresh = _pieces(file, form.encoding, self.position)

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        if len(self.pulled) == MOST_LINES:
            raise _Unclosed
        piece = self._again.popleft() if self._again else next(self._fresh)
        text, size = piece
        self.pulled.append(piece)
        self.position += size
        self.line += 1
        if text is None:
            raise _TooLong
        return text

    def rewind(self) -> None:
        """Give back all that was pulled for a row, but for its first line."""
        for piece in reversed(self.pulled[1:]):
            self._again.appendleft(piece)
            self.position -= piece[1]
            self.line -= 1


def records(lines: Lines, separator: str) -> Iterator[Record]:
    """Every row with the number of its first line; empty lines are passed over.

    A quotation mark that is never closed costs its own line and none after it.
    """
    # Strict, because a lax reader would make one row of two where two marks are missing.
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        first = lines.line + 1
        lines.pulled.clear()
        try:
            cells: list[str] | Broken = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLong, _Unclosed):
            cells = _mend(lines, separator)
        if cells:
            yield first, cells


def _mend(lines: Lines, separator: str) -> list[str] | Broken:
    """What can be made of a row that is not as it should be."""
    text = lines.pulled[0][0]
    lines.rewind()
    if text is None:
        return Broken("long", "")
    if text.count('"') % 2:
        return Broken("quote", text[:200])
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error:
        return Broken("long", text[:200])


def _pieces(file: IO[bytes], encoding: Encoding, position: int) -> Iterator[tuple[str | None, int]]:
    """Lines and their sizes in bytes; None in place of one that is too long."""
    newline = _newline(file, encoding)
    file.seek(position)
    if encoding in WIDE:
        return _wide(file, encoding, newline)
    return _split(file, encoding) if newline == "\r" else _narrow(file, encoding)


def _newline(file: IO[bytes], encoding: Encoding) -> str:
    """Lines end with a line feed, with or without more; with a carriage return alone on old
    Macs."""
    file.seek(0)
    head = file.read(BLOCK).decode(encoding, "replace")
    return "\r" if "\r" in head and "\n" not in head else "\n"


def _narrow(file: IO[bytes], encoding: Encoding) -> Iterator[tuple[str | None, int]]:
    while line := file.readline(LONGEST_LINE):
        size = len(line)
        if size < LONGEST_LINE:
            yield line.decode(encoding, "replace"), size
            continue
        while not line.endswith(b"\n") and (line := file.readline(BLOCK)):
            size += len(line)
        yield None, size


def _split(file: IO[bytes], encoding: Encoding) -> Iterator[tuple[str | None, int]]:
    rest, skipped = b"", 0
    while block := file.read(BLOCK):
        *lines, rest = (rest + block).split(b"\r")
        for line in lines:
            size, skipped = skipped + len(line) + 1, 0
            text = f"{line.decode(encoding, 'replace')}\n" if size < LONGEST_LINE else None
            yield text, size
        if skipped + len(rest) >= LONGEST_LINE:
            rest, skipped = b"", skipped + len(rest)
    if rest or skipped:
        yield (None if skipped else rest.decode(encoding, "replace")), skipped + len(rest)


def _wide(file: IO[bytes], encoding: Encoding, newline: str) -> Iterator[tuple[str | None, int]]:
    text = io.TextIOWrapper(cast("BinaryIO", _Kept(file)), encoding, "replace", newline)
    while line := text.readline(LONGEST_LINE):
        size = len(line.encode(encoding, "surrogatepass"))
        if len(line) < LONGEST_LINE:
            yield line.replace("\r", "\n") if newline == "\r" else line, size
            continue
        while not line.endswith(newline) and (line := text.readline(BLOCK)):
            size += len(line.encode(encoding, "surrogatepass"))
        yield None, size


class _Kept(io.BufferedIOBase):
    """A file that is not closed with the text around it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._file.read(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        return self._file.read(size if size > 0 else BLOCK)
