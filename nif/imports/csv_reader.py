"""Reading CSV files: detecting encoding and separator, and reading rows from any position.

What is detected is a proposal that a person can change. The reader holds no more than a few blocks
of the file in memory. It never moves its position past a row that it has not returned, so a killed
import can resume at any row.
"""

import codecs
import csv
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import IO, NamedTuple

from nif.errors import Invalid

SAMPLE_BYTES = 256 * 1024
DETECTION_BLOCK = 1024 * 1024
SAMPLE_ROWS = 50


class FileEncoding(StrEnum):
    UTF_8 = "utf-8"
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"
    CP1252 = "cp1252"


UTF_16 = {FileEncoding.UTF_16_LE, FileEncoding.UTF_16_BE}
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
    encoding: FileEncoding
    separator: str = ","


def detect_csv_format(file: IO[bytes]) -> CsvFormat:
    """Detect a file's format; reads the file from start to end once.

    Raises Invalid, for the field `file`, if it is not text.
    """
    file.seek(0)
    head = file.read(SAMPLE_BYTES)
    _expect_text_file(head)
    encoding = _detect_marked_encoding(head) or (
        FileEncoding.UTF_8 if _is_utf8(file) else FileEncoding.CP1252
    )
    start, declared = _data_start_of(head, encoding)
    text = _decode_sample(head[start:], encoding)
    return CsvFormat(encoding, declared or _detect_separator(text))


def _data_start_of(head: bytes, encoding: FileEncoding) -> tuple[int, str | None]:
    """Where the rows start, and the separator if Excel's `sep=;` line declares it.

    The rows follow the byte order mark and that line.
    """
    start = next((len(bom) for bom, kind in BOMS if kind is encoding and head.startswith(bom)), 0)
    line = _decode_sample(head[start : start + 40], encoding).partition("\n")[0]
    name, _, separator = line.strip('\r\n "').lower().partition("=")
    if name == "sep" and separator in SEPARATORS:
        return start + len(f"{line}\n".encode(encoding)), separator
    return start, None


def _decode_sample(sample: bytes, encoding: FileEncoding) -> str:
    """A sample as text, without a character that is cut off at its end."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(sample)


def _detect_separator(text: str) -> str:
    """The separator that splits the most rows of a sample into the same number of cells."""
    best, best_score, lines = ",", 0.0, text.splitlines(keepends=True)
    for separator in SEPARATORS:
        widths: list[int] = []
        with suppress(csv.Error):
            first_rows = islice(csv.reader(lines, delimiter=separator), SAMPLE_ROWS)
            widths.extend(len(row) for row in first_rows if row)
        width = max(set(widths), key=widths.count) if widths else 0
        score = widths.count(width) / len(widths) * min(width, 8) if width > 1 else 0
        if score > best_score:
            best, best_score = separator, score
    return best


def _expect_text_file(head: bytes) -> None:
    if not head.strip(b"\0\r\n\t \xef\xbb\xbf\xff\xfe"):
        raise Invalid({"file": "This file is empty. Choose another."})
    for signature, description in NON_TEXT_SIGNATURES:
        if head.startswith(signature):
            raise Invalid({"file": f"{description}, not a CSV file. {SAVE_AS_CSV}"})
    if _detect_marked_encoding(head) is None:
        control_characters = sum(map(head.count, b"\0\1\2\3\4\5\6\7\x0e\x0f\x10\x11\x12"))
        if control_characters > len(head) / 50 + 20:
            raise Invalid({"file": f"This file is not readable text. {SAVE_AS_CSV}"})


def _detect_marked_encoding(head: bytes) -> FileEncoding | None:
    """The encoding of a byte order mark, or UTF-16 without one: in western text every other byte
    is a NUL."""
    for bom, encoding in BOMS:
        if head.startswith(bom):
            return encoding
    half = len(head) / 2
    if half and head[1::2].count(0) > half * 0.6 and head[::2].count(0) < half * 0.1:
        return FileEncoding.UTF_16_LE
    if half and head[::2].count(0) > half * 0.6 and head[1::2].count(0) < half * 0.1:
        return FileEncoding.UTF_16_BE
    return None


def _is_utf8(file: IO[bytes]) -> bool:
    """Reads the whole file, because the first invalid character may be on its last line."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while block := file.read(DETECTION_BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


MAX_LINE_LENGTH = 1_000_000
MAX_LINES_OF_ROW = 100
"""Lines of one row. A row with more has an unclosed quotation mark, not a long note."""

READ_BLOCK = 256 * 1024


class UnreadableRow(NamedTuple):
    """A row that cannot be read. `code` is `long` or `quote`, `cell` its beginning."""

    code: str
    cell: str


SizedLine = tuple[str | None, int]
"""A line and its size in bytes, with None for the text of a line that is too long."""

CsvRecord = tuple[int, list[str] | UnreadableRow]


class _MalformedRow(Exception):
    """A line is too long, or a row has too many lines."""


class CsvLines:
    """The lines of a file from a position on, as the csv module reads them.

    `byte_offset` is where the next line starts and `lines_read` is the number of lines before it.
    `rewind` moves both back. `pulled` holds the lines of the current row with their sizes in bytes.
    """

    def __init__(
        self, file: IO[bytes], encoding: FileEncoding, byte_offset: int = 0, lines_read: int = 0
    ) -> None:
        file.seek(0)
        head = file.read(SAMPLE_BYTES)
        self.byte_offset = max(byte_offset, _data_start_of(head, encoding)[0])
        self.lines_read = lines_read
        self.pulled: list[SizedLine] = []
        self._pushed_back: deque[SizedLine] = deque()
        file.seek(self.byte_offset)
        # Line feeds end lines, also after a carriage return. Old Macs write carriage returns alone.
        start = head.decode(encoding, "replace")
        newline = "\r" if "\r" in start and "\n" not in start else "\n"
        self._unread = _split_lines(file, encoding, newline)

    def __iter__(self) -> "CsvLines":
        return self

    def __next__(self) -> str:
        if len(self.pulled) == MAX_LINES_OF_ROW:
            raise _MalformedRow
        line = self._pushed_back.popleft() if self._pushed_back else next(self._unread)
        text, size = line
        self.pulled.append(line)
        self.byte_offset += size
        self.lines_read += 1
        if text is None:
            raise _MalformedRow
        return text

    def rewind(self) -> None:
        """Return all lines of the current row except the first, to be read again."""
        for line in reversed(self.pulled[1:]):
            self._pushed_back.appendleft(line)
            self.byte_offset -= line[1]
            self.lines_read -= 1


def read_records(lines: CsvLines, separator: str) -> Iterator[CsvRecord]:
    """Every row with the number of its first line; empty lines are skipped.

    An unclosed quotation mark makes its own line unreadable, and none after it.
    """
    # Strict, because a lax reader would join two rows that each lack a quotation mark.
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        first_line = lines.lines_read + 1
        lines.pulled.clear()
        try:
            cells: list[str] | UnreadableRow = next(reader)
        except StopIteration:
            return
        except (csv.Error, _MalformedRow):
            cells = _recover_row(lines, separator)
        if cells:
            yield first_line, cells


def _recover_row(lines: CsvLines, separator: str) -> list[str] | UnreadableRow:
    """Read the first line of a malformed row by itself, if that is possible."""
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


def _split_lines(file: IO[bytes], encoding: FileEncoding, newline: str) -> Iterator[SizedLine]:
    # Latin-1 has a character for each byte, so a size stays right where the file is malformed.
    units = encoding if encoding in UTF_16 else "latin-1"
    decoder = codecs.getincrementaldecoder(units)("replace")
    rest, skipped = "", 0
    is_last = False
    while not is_last:
        block = file.read(READ_BLOCK)
        is_last = not block
        *lines, rest = (rest + decoder.decode(block, is_last)).split(newline)
        for line in lines:
            raw = line.encode(units)
            is_too_long = skipped or len(line) + 1 >= MAX_LINE_LENGTH
            text = None if is_too_long else f"{raw.decode(encoding, 'replace')}\n"
            yield text, skipped + len(raw) + len(newline.encode(units))
            skipped = 0
        if skipped or len(rest) >= MAX_LINE_LENGTH:
            rest, skipped = "", skipped + len(rest.encode(units))
    if rest or skipped:
        raw = rest.encode(units)
        yield (None if skipped else raw.decode(encoding, "replace")), skipped + len(raw)
