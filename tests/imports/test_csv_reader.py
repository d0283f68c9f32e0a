"""Malformed files: each gives rows or an error message."""

import tracemalloc
from io import BytesIO

import pytest

from nif.errors import Invalid
from nif.imports import imports
from nif.imports.column_mapping import parse_address_cell, parse_import_moment, parse_row
from nif.imports.csv_reader import CsvLines, detect_csv_format, read_records

A, B = "ann@example.com", "bea@example.org"
PLAIN = "email\nann@example.com\nbea@example.org\n"
BOTH = [A, B]
LONG = "x" * 10_000_000


def utf16(text, order="le", bom=True):
    mark = {"le": b"\xff\xfe", "be": b"\xfe\xff"}[order] if bom else b""
    return mark + text.encode(f"utf-16-{order}")


ROWS = {
    "plain": (PLAIN.encode(), BOTH),
    "utf-8 bom": (b"\xef\xbb\xbf" + PLAIN.encode(), BOTH),
    "utf-16 le bom": (utf16(PLAIN), BOTH),
    "utf-16 be bom": (utf16(PLAIN, "be"), BOTH),
    "utf-16 le": (utf16(PLAIN * 9, bom=False), None),
    "utf-16 be": (utf16(PLAIN * 9, "be", bom=False), None),
    "utf-16 cut in a letter": (utf16(PLAIN) + b"\x61", None),
    "utf-16 crlf": (utf16(PLAIN.replace("\n", "\r\n")), BOTH),
    "utf-16 old mac": (utf16(PLAIN.replace("\n", "\r")), BOTH),
    "cp1252": (f"name,email\nJosé “Pepe”,{A}\nZoë,{B}\n".encode("cp1252"), BOTH),
    "cp1252 at the end": ((PLAIN * 99).encode() + b"caf\xe9@example.com\n", None),
    "latin capital": ("email;ville\nann@example.com;Évry\n".encode("latin-1"), [A]),
    "bytes that no encoding has": (PLAIN.encode() + b"\x81\x8d\x8f\n", [*BOTH, "address"]),
    "crlf": (PLAIN.replace("\n", "\r\n").encode(), BOTH),
    "old mac": (PLAIN.replace("\n", "\r").encode(), BOTH),
    "mixed line ends": (f"email\r\n{A}\n{B}\r\n".encode(), BOTH),
    "no line end": (PLAIN.rstrip().encode(), BOTH),
    "empty lines": (f"\n\nemail\n\n\n{A}\n\n{B}\n\n".encode(), BOTH),
    "no header": (f"{A}\n{B}\n".encode(), BOTH),
    "one address": (A.encode(), [A]),
    "header last column": (f"id,name,tags,Email Address\n1,x,y,{A}\n2,x,y,{B}\n".encode(), BOTH),
    "unknown header": (f"foo,bar\n1,{A}\n2,{B}\n".encode(), BOTH),
    "semicolons": (f"name;email\nx;{A}\ny;{B}\n".encode(), BOTH),
    "tabs": (f"name\temail\nx\t{A}\ny\t{B}\n".encode(), BOTH),
    "bars": (f"name|email\nx|{A}\ny|{B}\n".encode(), BOTH),
    "commas in semicolons": (f"name;email\nx, y;{A}\nz, w;{B}\n".encode(), BOTH),
    "sep line": (f"sep=;\r\nemail;n\r\n{A};1,2,3\r\n{B};4,5,6\r\n".encode(), BOTH),
    "sep line after a bom": (b"\xef\xbb\xbf" + f"sep=,\nemail,n\n{A},1\n".encode(), [A]),
    "quoted": (f'"email"\n"{A}"\n"{B}"\n'.encode(), BOTH),
    "quoted newline": (f'note,email\n"a\nb\n\nc",{A}\n"d",{B}\n'.encode(), BOTH),
    "quoted separator and quote": (f'note,email\n"a,""b""",{A}\n'.encode(), [A]),
    "quote never closed": (f'email,n\n"{A},1\n{B},2\n'.encode(), ["quote", B]),
    "quote never closed, long": (
        f'email,n\n"x,1\n{B},2\n'.encode() + f"{A},3\n".encode() * 300,
        ["quote", B] + [A] * 300,
    ),
    "two quotes never closed": (
        f'n,email\n"x,{A}\n"y,{B}\nz,{A}\n'.encode(),
        ["quote", "quote", A],
    ),
    "letters after a quote": (f'n,email\n"Jo" Smith,{A}\n'.encode(), [A]),
    "quote in a cell": (f'n,email\nJo "Bo" Smith,{A}\n'.encode(), [A]),
    "nul in a cell": (f"n,email\na\0b,{A}\nx,b\0ea@example.org\n".encode(), [A, "address"]),
    "nul line": (PLAIN.encode() + b"\0\0\0\n", [*BOTH, "address"]),
    "ten megabytes in a line": (f"email\n{A}\n{LONG}\n{B}\n".encode(), [A, "long", B]),
    "ten megabytes at the end": (f"email\n{A}\n{B}\n{LONG}".encode(), [*BOTH, "long"]),
    "ten megabytes, old mac": (f"email\r{A}\r{LONG}\r{B}\r".encode(), [A, "long", B]),
    "ten megabytes, utf-16": (utf16(f"email\n{A}\n{LONG}\n{B}\n"), [A, "long", B]),
    "ten megabytes in quotes": (f'email,n\n"{LONG}",1\n{B},2\n'.encode(), ["long", B]),
    "ten megabytes after a quote": (f'email,n\n"x\n{LONG}\n{B},2\n'.encode(), ["quote", "long", B]),
    "a large cell": (f"n,email\n{'y' * 200_000},{A}\nx,{B}\n".encode(), ["long", B]),
    "a hundred thousand columns": (b"email\n" + f"{A}\n".encode() + b"," * 100_000, [A, "empty"]),
    "too few columns": (f"n,email\nx\ny,{A}\n".encode(), ["short", A]),
    "too many columns": (f"n,email\nx,{A},,,,\n".encode(), [A]),
    "an empty cell": (f"n,email\nx,\ny,{A}\n".encode(), ["empty", A]),
    "spaces": (f"email\n  {A} \n\xa0{B}\u200b\n".encode(), BOTH),
    "upper case": (b"email\nAnn@EXAMPLE.com\n", ["Ann@example.com"]),
    "idn": ("email\nann@bücher.example\n".encode(), ["ann@xn--bcher-kva.example"]),
    "letters before the at": ("email\nänn@example.com\n".encode(), ["address"]),
    "a name and brackets": (f'email\nAnn Lee <{A}>\n"Lee, B" <{B}>\n'.encode(), BOTH),
    "mailto": (f"email\nmailto:{A}\n".encode(), [A]),
    "formula cells": (f"email,n\n=HYPERLINK(1),x\n{A},=1+1\n".encode(), ["address", A]),
    "escaped for spreadsheets": (
        b"email\n'=x@example.com\n'+y@example.com\n",
        ["=x@example.com", "+y@example.com"],
    ),
    "two addresses": (f"email\n{A}; {B}\n{B}\n".encode(), None),
    "a script": (
        b"email\n<script>alert(1)</script>@example.com\nann@example.com\n",
        ["address", A],
    ),
    "header twice": (f"email\n{A}\nemail\n{B}\n".encode(), [A, "address", B]),
    "only a header": (b"email,name\n", []),
}
REFUSED = {
    "empty": b"",
    "blank": b" \r\n\n\t",
    "bom alone": b"\xef\xbb\xbf",
    "xlsx": b"PK\x03\x04" + b"\0" * 99,
    "xls": b"\xd0\xcf\x11\xe0\xa1\xb1" + b"\0" * 99,
    "gzip": b"\x1f\x8b\x08" + b"\0" * 99,
    "pdf": b"%PDF-1.7\n" + b"\0" * 99,
    "noise": bytes(range(256)) * 9,
    "nuls": b"\0" * 5000,
    "utf-32": "email\nann@example.com\n".encode("utf-32"),
    "prose": b"Dear all,\nplease find the list attached.\n",
    "json": b'{"subscribers": [1, 2]}\n',
}


def parse_file(data):
    file = BytesIO(data)
    csv_format, columns, has_header = imports.detect_file_layout(file)
    records = list(read_records(CsvLines(file, csv_format.encoding), csv_format.separator))
    return [parse_row(record, columns) for record in records[1 if has_header else 0 :]]


@pytest.mark.parametrize("name", ROWS)
def test_a_malformed_file_still_gives_its_rows(name):
    data, expected = ROWS[name]

    rows = parse_file(data)

    results = [row.code or row.address.written for row in rows]
    if expected is None:
        assert A in results or B in results
    else:
        assert results == expected
    assert all(len(row.cell) <= 80 and row.cell.isprintable() for row in rows)


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_table_is_refused_with_a_sentence(name):
    with pytest.raises(Invalid) as refused:
        parse_file(REFUSED[name])

    assert refused.value.problems["file"].endswith(".")


def test_the_corpus_has_at_least_sixty_files():
    assert len(ROWS) + len(REFUSED) >= 60


@pytest.mark.parametrize(
    "data",
    [ROWS[name][0] for name in ("quoted newline", "quote never closed, long", "utf-16 crlf")],
)
def test_reading_can_resume_at_any_row(data):
    file = BytesIO(data)
    csv_format = detect_csv_format(file)
    all_records = list(read_records(CsvLines(file, csv_format.encoding), csv_format.separator))
    lines = CsvLines(BytesIO(data), csv_format.encoding)
    positions = [(lines.byte_offset, lines.lines_read)]
    for _ in read_records(lines, csv_format.separator):
        positions.append((lines.byte_offset, lines.lines_read))

    for number, (byte_offset, lines_read) in enumerate(positions[:20]):
        rest = list(
            read_records(
                CsvLines(BytesIO(data), csv_format.encoding, byte_offset, lines_read),
                csv_format.separator,
            )
        )
        assert rest == all_records[number:]


def test_a_huge_line_is_not_held_in_memory():
    file = BytesIO(b"email\n" + b"x" * 30_000_000 + b"\nann@example.com\n")
    csv_format = detect_csv_format(file)
    tracemalloc.start()
    try:
        assert len(list(read_records(CsvLines(file, csv_format.encoding), ","))) == 3
        assert tracemalloc.get_traced_memory()[1] < 6_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02", "2026-01-02T00:00:00+00:00"),
        ("2019-10-30T14:52:08.000Z", "2019-10-30T14:52:08+00:00"),
        ("2019-10-30 14:52:08 UTC", "2019-10-30T14:52:08+00:00"),
        ("2019-10-30T14:52:08+02:00", "2019-10-30T12:52:08+00:00"),
        *dict.fromkeys(
            ["3/4/2021", "", "0001-01-01", "tomorrow at 5", "9999-12-31T23:59:59-10:00"]
        ).items(),
    ],
)
def test_only_unambiguous_moments_are_read(text, expected):
    moment = parse_import_moment(text)
    assert (moment and moment.isoformat()) == expected


def test_an_address_is_read_from_brackets_after_a_name():
    assert parse_address_cell(f"Ann Lee <{A}>").written == A
    assert parse_address_cell("Ann Lee") is None
