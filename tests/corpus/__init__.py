"""What hostile people send: tests/corpus/injections.txt, and mixtures of it."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

FILE = Path(__file__).with_name("injections.txt")


@cache
def payloads() -> tuple[str, ...]:
    """Every payload, as it is to be sent. None has a NUL: see `NUL`."""
    lines = [line for line in FILE.read_text().split("\n") if line and not _is_heading(line)]
    return tuple(json.loads(line[5:]) if line.startswith('json "') else line for line in lines)


NUL = "a\0b<\0script>"
"""No database keeps it: doors drop it, and rules are never given it."""


def in_sets(longest: int, *, of: Sequence[str] | None = None) -> Iterator[str]:
    """Every payload, as few texts of at most so many characters as hold them all.

    A payload that is longer than that is cut.
    """
    text = ""
    for payload in of or payloads():
        part = payload[:longest]
        if text and len(text) + 1 + len(part) > longest:
            yield text
            text = ""
        text = f"{text} {part}" if text else part
    yield text


def mixed(longest: int = 300) -> st.SearchStrategy[str]:
    """Payloads whole, cut and glued together, with any other text between them."""
    whole = st.sampled_from(payloads())
    cut = st.builds(lambda text, a, b: text[a:b], whole, st.integers(0, 9), st.integers(0, 30))
    parts = st.one_of(whole, cut, st.text(max_size=6))
    return st.lists(parts, max_size=6).map(lambda found: "".join(found)[:longest])


def _is_heading(line: str) -> bool:
    return line == "#" or (line.startswith("# ") and line != "# Not a heading")
