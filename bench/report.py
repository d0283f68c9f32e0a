"""The output: a Markdown table for people, or one line of JSON per figure for machines."""

import sys
from collections.abc import Iterable, Mapping

from bench.figures import Figure

HEAD = ("figure", "database", "recipients", "value", "mark", "")


class Report:
    """Collects figures for standard output. Progress goes to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._figures: list[Figure] = []
        self._notes: list[str] = []

    def add(self, figure: Figure) -> None:
        self._figures.append(figure)
        if self._as_json:
            print(figure.to_json(), flush=True)

    def add_note(self, sentence: str) -> None:
        """Add a sentence below the table, once."""
        if sentence not in self._notes:
            self._notes.append(sentence)

    def progress(self, step: str) -> None:
        print(f"… {step}", file=sys.stderr, flush=True)

    def finish(self, facts: Mapping[str, str]) -> int:
        """Print the table; returns the exit status."""
        lines = [f"- {name}: {fact}" for name, fact in facts.items()]
        lines += ["", *_table(self._figures), "", *(f"- {note}" for note in self._notes)]
        print("\n".join(lines), file=sys.stderr if self._as_json else sys.stdout, flush=True)
        if not self._figures:
            return 2
        return 0 if all(figure.holds for figure in self._figures) else 1


def _table(figures: Iterable[Figure]) -> list[str]:
    rows = [HEAD, *(_row(figure) for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(_align, row, widths, range(len(HEAD)))) + " |" for row in rows]
    rule = [f"{'-' * (width - 1)}{':' if _is_number(n) else '-'}" for n, width in enumerate(widths)]
    return [lines[0], "| " + " | ".join(rule) + " |", *lines[1:]]


def _row(figure: Figure) -> tuple[str, ...]:
    size = "" if figure.size is None else f"{figure.size:,}"
    mark = "" if figure.mark is None else f"{figure.mark.value:,g}"
    if figure.mark is not None and figure.mark.at_most:
        mark = f"< {mark}"
    result = "" if figure.mark is None else "holds" if figure.holds else "missed"
    return figure.figure, figure.database, size, figure.format_value(), mark, result


def _align(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if _is_number(column) else cell.ljust(width)


def _is_number(column: int) -> bool:
    return HEAD[column] in {"recipients", "value", "mark"}
