"""What kind of file this is: its encoding, its separator, whether it begins with names of columns.

All of it is a proposal: the choice is shown, and a person may choose differently.
"""

import codecs
import csv
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

from nif.errors import Invalid

SAMPLE = 256 * 1024
BLOCK = 1024 * 1024
SAMPLE_ROWS = 50


class Encoding(StrEnum):
    UTF_8 = "utf-8"
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"
    CP1252 = "cp1252"


SEPARATORS = (",", ";", "\t", "|")

BOMS = (
    (codecs.BOM_UTF8, Encoding.UTF_8),
    (codecs.BOM_UTF16_LE, Encoding.UTF_16_LE),
    (codecs.BOM_UTF16_BE, Encoding.UTF_16_BE),
)

NO_TEXTS = (
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
class Form:
    """How a file is to be read. `start` is in bytes: what stands before it is no row."""

    encoding: Encoding
    separator: str = ","
    start: int = 0


def recognise(file: IO[bytes]) -> Form:
    """The form of a file; it is read once from its beginning to its end.

    Raises Invalid, for the field `file`, for what is no text.
    """
    file.seek(0)
    head = file.read(SAMPLE)
    _expect_text(head)
    encoding = _encoding(head, file)
    start, told = start_of(head, encoding)
    text = decoded(head[start:], encoding)
    return Form(encoding, told or separator_of(text), start)


def as_chosen(file: IO[bytes], encoding: str, separator: str) -> Form:
    """The form of a file by what a person chose."""
    file.seek(0)
    kind = Encoding(encoding)
    return Form(kind, separator, start_of(file.read(SAMPLE), kind)[0])


def start_of(head: bytes, encoding: Encoding) -> tuple[int, str | None]:
    """Where the rows begin: after a mark of the byte order, and after Excel's `sep=;`, which tells
    the separator."""
    start = next((len(bom) for bom, kind in BOMS if kind is encoding and head.startswith(bom)), 0)
    line = decoded(head[start : start + 40], encoding).partition("\n")[0]
    told = _told_separator(line)
    if told:
        start += len(f"{line}\n".encode(encoding))
    return start, told


def decoded(sample: bytes, encoding: Encoding) -> str:
    """A sample as text; a character that is cut off at its end is left out."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(sample)


def separator_of(text: str) -> str:
    """The separator that cuts most of the rows of a sample into equally many cells."""
    best, most = ",", 0.0
    for separator in SEPARATORS:
        widths = [len(row) for row in sample_rows(text, separator) if row]
        width = max(set(widths), key=widths.count) if widths else 0
        score = widths.count(width) / len(widths) * min(width, 8) if width > 1 else 0
        if score > most:
            best, most = separator, score
    return best


def sample_rows(text: str, separator: str) -> list[list[str]]:
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


def _expect_text(head: bytes) -> None:
    if not head.strip(b"\0\r\n\t \xef\xbb\xbf\xff\xfe"):
        raise Invalid({"file": "This file is empty. Choose another."})
    for signature, called in NO_TEXTS:
        if head.startswith(signature):
            raise Invalid({"file": f"{called}, not a CSV file. {SAVE_AS_CSV}"})
    if not head.startswith(tuple(bom for bom, _ in BOMS)) and _without_bom(head) is None:
        strange = sum(head.count(byte) for byte in b"\0\1\2\3\4\5\6\7\x0e\x0f\x10\x11\x12")
        if strange > len(head) / 50 + 20:
            raise Invalid({"file": f"This is no text that we can read. {SAVE_AS_CSV}"})


def _encoding(head: bytes, file: IO[bytes]) -> Encoding:
    for bom, encoding in BOMS:
        if head.startswith(bom):
            return encoding
    wide = _without_bom(head)
    if wide is not None:
        return wide
    return Encoding.UTF_8 if _is_utf8(file) else Encoding.CP1252


def _without_bom(head: bytes) -> Encoding | None:
    """UTF-16 without its mark: every other byte of western text is then a NUL."""
    half = len(head) / 2
    if half and head[1::2].count(0) > half * 0.6 and head[::2].count(0) < half * 0.1:
        return Encoding.UTF_16_LE
    if half and head[::2].count(0) > half * 0.6 and head[1::2].count(0) < half * 0.1:
        return Encoding.UTF_16_BE
    return None


def _is_utf8(file: IO[bytes]) -> bool:
    """The whole of it, for the first letter that is none may stand on the last line."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while block := file.read(BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _told_separator(line: str) -> str | None:
    told = line.strip('\r\n "').lower()
    return told[4:] if told.startswith("sep=") and told[4:] in SEPARATORS else None
