"""Injection payloads from injections.txt, in batches and random mixtures."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

FILE = Path(__file__).with_name("injections.txt")


@cache
def payloads() -> tuple[str, ...]:
    """Every payload as it is sent. None contains a NUL character: see `NUL`."""
    lines = [line for line in FILE.read_text().split("\n") if line and not _is_heading(line)]
    return tuple(json.loads(line[5:]) if line.startswith('json "') else line for line in lines)


NUL = "a\0b<\0script>"
"""A payload with a NUL character, which no database stores. Requests with it are refused."""


def payload_batches(longest: int, *, of: Sequence[str] | None = None) -> Iterator[str]:
    """All payloads, joined into as few texts of at most `longest` characters as possible.

    Longer payloads are cut.
    """
    text = ""
    for payload in of or payloads():
        part = payload[:longest]
        if text and len(text) + 1 + len(part) > longest:
            yield text
            text = ""
        text = f"{text} {part}" if text else part
    yield text


def payload_mixtures(longest: int = 300) -> st.SearchStrategy[str]:
    """Whole and cut payloads, joined, with arbitrary text between them."""
    whole = st.sampled_from(payloads())
    cut = st.builds(lambda text, a, b: text[a:b], whole, st.integers(0, 9), st.integers(0, 30))
    parts = st.one_of(whole, cut, st.text(max_size=6))
    return st.lists(parts, max_size=6).map(lambda found: "".join(found)[:longest])


def _is_heading(line: str) -> bool:
    return line == "#" or (line.startswith("# ") and line != "# Not a heading")
