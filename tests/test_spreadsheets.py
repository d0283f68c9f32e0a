"""Downloaded CSV files cannot run formulas in a spreadsheet."""

import csv
from io import StringIO

import pytest

from nif.spreadsheets import ROWS_PER_CHUNK, unescape_formula, write_csv


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_begins_like_a_formula_is_text(cell: str) -> None:
    _, row = csv.reader(StringIO("".join(write_csv(["cell"], [[cell]])), newline=""))

    assert row == [f"'{cell}"]
    assert unescape_formula(row[0]) == cell


@pytest.mark.parametrize("cell", ["'", "'s", "", "a"])
def test_an_apostrophe_is_removed_only_before_a_formula(cell: str) -> None:
    assert unescape_formula(cell) == cell


def test_a_long_file_is_streamed_in_chunks_and_complete() -> None:
    count = 2 * ROWS_PER_CHUNK + 1

    pieces = list(write_csv(["n", "none"], ((n, None) for n in range(count))))

    assert len(pieces) == 3
    rows = list(csv.reader(StringIO("".join(pieces))))
    assert rows == [["n", "none"], *([str(n), ""] for n in range(count))]
