"""What a line of a story may carry, and how it reads.

Emphasis and links as CommonMark writes them (https://spec.commonmark.org/0.31.2/), and at the end
of a bullet the sources that it rests on, by their numbers: `It sold *twice* as many. [1, 2]`.
Everything else, HTML too, is text.

How long a story is, and how long it takes to read.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from nif.links import is_web_address
from nif.typography import typeset

_MARKDOWN = MarkdownIt("zero").enable(["emphasis", "link", "escape"])
_SOURCE_REFERENCES = re.compile(r"\s*\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]\s*$")
_HTML_OF_MARKS = {"em": Markup("<em>{}</em>"), "strong": Markup("<strong>{}</strong>")}


@dataclass(frozen=True)
class TextRun:
    """Words that look the same: `marks` are of em and strong, `address` where they lead."""

    text: str
    marks: frozenset[str] = frozenset()
    address: str | None = None


@lru_cache(maxsize=4096)
def parse_text_runs(text: str) -> Sequence[TextRun]:
    """A line in its runs."""
    return tuple(_parse_text_runs(text))


def render_inline_html(text: str) -> Markup:
    """A line as HTML, typeset."""
    marked_up = Markup("")
    for run in parse_text_runs(text):
        words: Markup = escape(typeset(run.text))
        for mark in sorted(run.marks):
            words = _HTML_OF_MARKS[mark].format(words)
        if run.address:
            words = Markup('<a href="{}">{}</a>').format(run.address, words)
        marked_up += words
    return marked_up


def strip_markup(text: str) -> str:
    """A line's words alone."""
    return "".join(run.text for run in parse_text_runs(text))


def link_addresses_of(text: str) -> list[str]:
    """Where a line's links lead."""
    return [run.address for run in parse_text_runs(text) if run.address]


def split_source_references(bullet: str) -> tuple[str, list[int]]:
    """A bullet as typed, as its line and the numbers of the sources that it rests on."""
    found = _SOURCE_REFERENCES.search(bullet)
    if found is None:
        return bullet, []
    return bullet[: found.start()], sorted({int(n) for n in found[1].split(",")})


def _parse_text_runs(text: str) -> Iterator[TextRun]:
    marks: list[str] = []
    address: str | None = None
    for token in _MARKDOWN.parseInline(text)[0].children or ():
        mark, _, what = token.type.rpartition("_")
        if mark == "link":
            href = str(token.attrs.get("href", "")) if what == "open" else ""
            address = href if is_web_address(href) else None
        elif what == "open":
            marks.append(mark)
        elif what == "close":
            marks.remove(mark)
        elif token.content:
            yield TextRun(token.content, frozenset(marks), address)


WORDS_PER_MINUTE = 238
"""Silent reading of English (Brysbaert 2019)."""


def count_words(lead: str, sections: Iterable[Mapping[str, Any]]) -> int:
    """The words of lead, labels and bullets: what a reader reads under the headline.

    `sections` are those of a working copy, with bullets as they were typed.
    """
    parts = [lead]
    for section in sections:
        parts.append(section["label"])
        parts += [strip_markup(split_source_references(bullet)[0]) for bullet in section["bullets"]]
    return sum(len(part.split()) for part in parts)


def reading_minutes_of(words: int) -> int:
    """Reading time in minutes, rounded half up, and never none."""
    return max(1, int(words / WORDS_PER_MINUTE + 0.5))
