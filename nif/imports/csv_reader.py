"""Reading a file row by row: never more of it in memory than a piece, and never past a place
that was lost, so that reading can go on at any row after a kill.

What kind of file this is: its encoding, its separator, whether it begins with names of columns.

All of it is a proposal: the choice is shown, and a person may choose differently.
"""

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, BinaryIO, NamedTuple, cast

from nif.errors import Invalid

SAMPLE_BYTES = 256 * 1024
DETECTION_BLOCK = 1024 * 1024
SAMPLE_ROWS = 50


class FileEncoding(StrEnum):
    UTF_8 = "utf-8"
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"
    CP1252 = "cp1252"


SEPARATORS = (",", ";", "\t", "|")

BOMS = (
    (codecs.BOM_UTF8, FileEncoding.UTF_8),
    (codecs.BOM_UTF16_LE, FileEncoding.UTF_16_LE),
    (codecs.BOM_UTF16_BE, FileEncoding.UTF_16_BE),
)

NON_TEXT_SIGNATURES = (
    (b"PK\x03\x04", "This is an Excel workbook or a ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "This is an old Excel workbook"),
    (b"\x1f\x8b", "This is a compressed file"),
    (b"%PDF", "This is a PDF"),
    (b"\x89PNG", "This is a picture"),
    (b"\xff\xd8\xff", "This is a picture"),
    (b"SQLite format 3\0", "This is a database"),
    (codecs.BOM_UTF32_LE, "This is text in UTF-32, which hardly any program writes"),
    (codecs.BOM_UTF32_BE, "This is text in UTF-32, which hardly any program writes"),
)
SAVE_AS_CSV = "Save the table as CSV in UTF-8, and send that."


@dataclass(frozen=True)
class CsvFormat:
    """How a file is to be read. `start` is in bytes: what stands before it is no row."""

    encoding: FileEncoding
    separator: str = ","
    start: int = 0


def detect_csv_format(file: IO[bytes]) -> CsvFormat:
    """The form of a file; it is read once from its beginning to its end.

    Raises Invalid, for the field `file`, for what is no text.
    """
    file.seek(0)
    head = file.read(SAMPLE_BYTES)
    _expect_text_file(head)
    encoding = _detect_encoding(head, file)
    start, told = data_start_of(head, encoding)
    text = decode_sample(head[start:], encoding)
    return CsvFormat(encoding, told or detect_separator(text), start)


def chosen_csv_format(file: IO[bytes], encoding: str, separator: str) -> CsvFormat:
    """The form of a file by what a person chose."""
    file.seek(0)
    kind = FileEncoding(encoding)
    return CsvFormat(kind, separator, data_start_of(file.read(SAMPLE_BYTES), kind)[0])


def data_start_of(head: bytes, encoding: FileEncoding) -> tuple[int, str | None]:
    """Where the rows begin: after a mark of the byte order, and after Excel's `sep=;`, which tells
    the separator."""
    start = next((len(bom) for bom, kind in BOMS if kind is encoding and head.startswith(bom)), 0)
    line = decode_sample(head[start : start + 40], encoding).partition("\n")[0]
    told = _declared_separator(line)
    if told:
        start += len(f"{line}\n".encode(encoding))
    return start, told


def decode_sample(sample: bytes, encoding: FileEncoding) -> str:
    """A sample as text; a character that is cut off at its end is left out."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(sample)


def detect_separator(text: str) -> str:
    """The separator that cuts most of the rows of a sample into equally many cells."""
    best, most = ",", 0.0
    for separator in SEPARATORS:
        widths = [len(row) for row in parse_sample_rows(text, separator) if row]
        width = max(set(widths), key=widths.count) if widths else 0
        score = widths.count(width) / len(widths) * min(width, 8) if width > 1 else 0
        if score > most:
            best, most = separator, score
    return best


def parse_sample_rows(text: str, separator: str) -> list[list[str]]:
    """The first rows of a sample, as far as they can be read."""
    rows: list[list[str]] = []
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator)
    try:
        for row in reader:
            if len(rows) == SAMPLE_ROWS:
                break
            rows.append(row)
    except csv.Error:
        pass
    return rows


def _expect_text_file(head: bytes) -> None:
    if not head.strip(b"\0\r\n\t \xef\xbb\xbf\xff\xfe"):
        raise Invalid({"file": "This file is empty. Choose another."})
    for signature, called in NON_TEXT_SIGNATURES:
        if head.startswith(signature):
            raise Invalid({"file": f"{called}, not a CSV file. {SAVE_AS_CSV}"})
    if (
        not head.startswith(tuple(bom for bom, _ in BOMS))
        and _detect_utf16_without_bom(head) is None
    ):
        strange = sum(head.count(byte) for byte in b"\0\1\2\3\4\5\6\7\x0e\x0f\x10\x11\x12")
        if strange > len(head) / 50 + 20:
            raise Invalid({"file": f"This is no text that we can read. {SAVE_AS_CSV}"})


def _detect_encoding(head: bytes, file: IO[bytes]) -> FileEncoding:
    for bom, encoding in BOMS:
        if head.startswith(bom):
            return encoding
    wide = _detect_utf16_without_bom(head)
    if wide is not None:
        return wide
    return FileEncoding.UTF_8 if _is_utf8(file) else FileEncoding.CP1252


def _detect_utf16_without_bom(head: bytes) -> FileEncoding | None:
    """UTF-16 without its mark: every other byte of western text is then a NUL."""
    half = len(head) / 2
    if half and head[1::2].count(0) > half * 0.6 and head[::2].count(0) < half * 0.1:
        return FileEncoding.UTF_16_LE
    if half and head[::2].count(0) > half * 0.6 and head[1::2].count(0) < half * 0.1:
        return FileEncoding.UTF_16_BE
    return None


def _is_utf8(file: IO[bytes]) -> bool:
    """The whole of it, for the first letter that is none may stand on the last line."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while block := file.read(DETECTION_BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _declared_separator(line: str) -> str | None:
    told = line.strip('\r\n "').lower()
    return told[4:] if told.startswith("sep=") and told[4:] in SEPARATORS else None


MAX_LINE_LENGTH = 1_000_000
MAX_LINES_OF_ROW = 100
"""Lines of one row. More are not a note in a cell but a quotation mark that nobody closed."""

READ_BLOCK = 256 * 1024
UTF_16 = (FileEncoding.UTF_16_LE, FileEncoding.UTF_16_BE)


class UnreadableRow(NamedTuple):
    """A row that cannot be read: `long` or `quote`, and how it begins."""

    code: str
    cell: str


CsvRecord = tuple[int, list[str] | UnreadableRow]


class _LineTooLong(Exception):
    pass


class _UnclosedQuote(Exception):
    pass


class CsvLines:
    """The lines of a file from a place on, as the csv module wants them.

    `position` and `line` are where the next row begins and how many lines stand before it: also
    after lines were given back with `rewind`.
    """

    def __init__(self, file: IO[bytes], form: CsvFormat, position: int = 0, line: int = 0) -> None:
        self.position, self.line = max(position, form.start), line
        self.pulled: list[tuple[str | None, int]] = []
        self._again: deque[tuple[str | None, int]] = deque()
        self._fresh = _sized_lines(file, form.encoding, self.position)

    def __iter__(self) -> "CsvLines":
        return self

    def __next__(self) -> str:
        if len(self.pulled) == MAX_LINES_OF_ROW:
            raise _UnclosedQuote
        piece = self._again.popleft() if self._again else next(self._fresh)
        text, size = piece
        self.pulled.append(piece)
        self.position += size
        self.line += 1
        if text is None:
            raise _LineTooLong
        return text

    def rewind(self) -> None:
        """Give back all that was pulled for a row, but for its first line."""
        for piece in reversed(self.pulled[1:]):
            self._again.appendleft(piece)
            self.position -= piece[1]
            self.line -= 1


def read_records(lines: CsvLines, separator: str) -> Iterator[CsvRecord]:
    """Every row with the number of its first line; empty lines are passed over.

    A quotation mark that is never closed costs its own line and none after it.
    """
    # Strict, because a lax reader would make one row of two where two marks are missing.
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        first = lines.line + 1
        lines.pulled.clear()
        try:
            cells: list[str] | UnreadableRow = next(reader)
        except StopIteration:
            return
        except (csv.Error, _LineTooLong, _UnclosedQuote):
            cells = _recover_row(lines, separator)
        if cells:
            yield first, cells


def _recover_row(lines: CsvLines, separator: str) -> list[str] | UnreadableRow:
    """What can be made of a row that is not as it should be."""
    text = lines.pulled[0][0]
    lines.rewind()
    if text is None:
        return UnreadableRow("long", "")
    if text.count('"') % 2:
        return UnreadableRow("quote", text[:200])
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error:
        return UnreadableRow("long", text[:200])


def _sized_lines(
    file: IO[bytes], encoding: FileEncoding, position: int
) -> Iterator[tuple[str | None, int]]:
    """Lines and their sizes in bytes; None in place of one that is too long."""
    newline = _detect_newline(file, encoding)
    file.seek(position)
    if encoding in UTF_16:
        return _split_utf16(file, encoding, newline)
    return (
        _split_at_carriage_returns(file, encoding)
        if newline == "\r"
        else _split_at_line_feeds(file, encoding)
    )


def _detect_newline(file: IO[bytes], encoding: FileEncoding) -> str:
    """Lines end with a line feed, with or without more; with a carriage return alone on old
    Macs."""
    file.seek(0)
    head = file.read(READ_BLOCK).decode(encoding, "replace")
    return "\r" if "\r" in head and "\n" not in head else "\n"


def _split_at_line_feeds(
    file: IO[bytes], encoding: FileEncoding
) -> Iterator[tuple[str | None, int]]:
    while line := file.readline(MAX_LINE_LENGTH):
        size = len(line)
        if size < MAX_LINE_LENGTH:
            yield line.decode(encoding, "replace"), size
            continue
        while not line.endswith(b"\n") and (line := file.readline(READ_BLOCK)):
            size += len(line)
        yield None, size


def _split_at_carriage_returns(
    file: IO[bytes], encoding: FileEncoding
) -> Iterator[tuple[str | None, int]]:
    rest, skipped = b"", 0
    while block := file.read(READ_BLOCK):
        *lines, rest = (rest + block).split(b"\r")
        for line in lines:
            size, skipped = skipped + len(line) + 1, 0
            text = f"{line.decode(encoding, 'replace')}\n" if size < MAX_LINE_LENGTH else None
            yield text, size
        if skipped + len(rest) >= MAX_LINE_LENGTH:
            rest, skipped = b"", skipped + len(rest)
    if rest or skipped:
        yield (None if skipped else rest.decode(encoding, "replace")), skipped + len(rest)


def _split_utf16(
    file: IO[bytes], encoding: FileEncoding, newline: str
) -> Iterator[tuple[str | None, int]]:
    text = io.TextIOWrapper(cast("BinaryIO", _NonClosingFile(file)), encoding, "replace", newline)
    while line := text.readline(MAX_LINE_LENGTH):
        size = len(line.encode(encoding, "surrogatepass"))
        if len(line) < MAX_LINE_LENGTH:
            yield line.replace("\r", "\n") if newline == "\r" else line, size
            continue
        while not line.endswith(newline) and (line := text.readline(READ_BLOCK)):
            size += len(line.encode(encoding, "surrogatepass"))
        yield None, size


class _NonClosingFile(io.BufferedIOBase):
    """A file that is not closed with the text around it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._file.read(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        return self._file.read(size if size > 0 else READ_BLOCK)
