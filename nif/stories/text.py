"""The markup of a story's lines, and the length of its text.

A line may have emphasis and links as in CommonMark (https://spec.commonmark.org/0.31.2/). A bullet
may end with the numbers of the sources that it cites: `It sold *twice* as many. [1, 2]`.
Everything else, HTML included, is plain text.
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
    """A stretch of text with the same formatting.

    `marks` is a subset of {"em", "strong"}; `address` is the target of a link.
    """

    text: str
    marks: frozenset[str] = frozenset()
    address: str | None = None


@lru_cache(maxsize=4096)
def parse_text_runs(text: str) -> Sequence[TextRun]:
    """The runs of a line."""
    return tuple(_parse_text_runs(text))


def render_inline_html(text: str) -> Markup:
    """A line as typeset HTML."""
    line_html = Markup("")
    for run in parse_text_runs(text):
        run_html: Markup = escape(typeset(run.text))
        for mark in sorted(run.marks):
            run_html = _HTML_OF_MARKS[mark].format(run_html)
        if run.address:
            run_html = Markup('<a href="{}">{}</a>').format(run.address, run_html)
        line_html += run_html
    return line_html


def strip_markup(text: str) -> str:
    """The text of a line without its markup."""
    return "".join(run.text for run in parse_text_runs(text))


def link_addresses_of(text: str) -> list[str]:
    """The targets of a line's links."""
    return [run.address for run in parse_text_runs(text) if run.address]


def split_source_references(bullet: str) -> tuple[str, list[int]]:
    """Split a bullet as typed into its text and the sorted numbers of the sources that it cites."""
    match = _SOURCE_REFERENCES.search(bullet)
    if match is None:
        return bullet, []
    return bullet[: match.start()], sorted({int(n) for n in match[1].split(",")})


def _parse_text_runs(text: str) -> Iterator[TextRun]:
    marks: list[str] = []
    address: str | None = None
    for token in _MARKDOWN.parseInline(text)[0].children or ():
        mark, _, event = token.type.rpartition("_")
        if mark == "link":
            href = str(token.attrs.get("href", "")) if event == "open" else ""
            address = href if is_web_address(href) else None
        elif event == "open":
            marks.append(mark)
        elif event == "close":
            marks.remove(mark)
        elif token.content:
            yield TextRun(token.content, frozenset(marks), address)


WORDS_PER_MINUTE = 238
"""The mean speed of silent reading in English (Brysbaert 2019)."""


def count_words(lead: str, sections: Iterable[Mapping[str, Any]]) -> int:
    """The number of words in lead, labels and bullets.

    `sections` are those of a working copy, with bullets as typed.
    """
    parts = [lead]
    for section in sections:
        parts.append(section["label"])
        parts += [strip_markup(split_source_references(bullet)[0]) for bullet in section["bullets"]]
    return sum(len(part.split()) for part in parts)


def reading_minutes_of(words: int) -> int:
    """Reading time in minutes: rounded half up, at least one."""
    return max(1, int(words / WORDS_PER_MINUTE + 0.5))
