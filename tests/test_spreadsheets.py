"""What is downloaded opens in a spreadsheet, and runs nothing there."""

import csv
from io import StringIO

import pytest

from nif.spreadsheets import LINES_AT_ONCE, unquoted, written


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_begins_like_a_formula_is_text(cell: str) -> None:
    _, row = csv.reader(StringIO("".join(written(["cell"], [[cell]])), newline=""))

    assert row == [f"'{cell}"]
    assert unquoted(row[0]) == cell


@pytest.mark.parametrize("cell", ["'", "'s", "", "a"])
def test_no_other_apostrophe_is_taken_off(cell: str) -> None:
    assert unquoted(cell) == cell


def test_a_long_file_comes_in_pieces_and_whole() -> None:
    count = 2 * LINES_AT_ONCE + 1

    pieces = list(written(["n", "none"], ((n, None) for n in range(count))))

    assert len(pieces) == 3
    rows = list(csv.reader(StringIO("".join(pieces))))
    assert rows == [["n", "none"], *([str(n), ""] for n in range(count))]
