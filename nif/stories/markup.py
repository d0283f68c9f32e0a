"""What a line of a story may carry, and how it reads.

Emphasis and links as CommonMark writes them (https://spec.commonmark.org/0.31.2/), and at the end
of a bullet the sources that it rests on, by their numbers: `It sold *twice* as many. [1, 2]`.
Everything else, HTML too, is text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from nif.links import is_address
from nif.typography import typeset

_MARKDOWN = MarkdownIt("zero").enable(["emphasis", "link", "escape"])
_REFERENCES = re.compile(r"\s*\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]\s*$")
_TAGS = {"em": Markup("<em>{}</em>"), "strong": Markup("<strong>{}</strong>")}


@dataclass(frozen=True)
class Run:
    """Words that look the same: `marks` are of em and strong, `address` where they lead."""

    text: str
    marks: frozenset[str] = frozenset()
    address: str | None = None


@lru_cache(maxsize=4096)
def runs(text: str) -> Sequence[Run]:
    """A line in its runs."""
    return tuple(_runs(text))


def html(text: str) -> Markup:
    """A line as HTML, typeset."""
    marked_up = Markup("")
    for run in runs(text):
        words: Markup = escape(typeset(run.text))
        for mark in sorted(run.marks):
            words = _TAGS[mark].format(words)
        if run.address:
            words = Markup('<a href="{}">{}</a>').format(run.address, words)
        marked_up += words
    return marked_up


def plain(text: str) -> str:
    """A line's words alone."""
    return "".join(run.text for run in runs(text))


def addresses(text: str) -> list[str]:
    """Where a line's links lead."""
    return [run.address for run in runs(text) if run.address]


def with_sources(bullet: str) -> tuple[str, list[int]]:
    """A bullet as typed, as its line and the numbers of the sources that it rests on."""
    found = _REFERENCES.search(bullet)
    if found is None:
        return bullet, []
    return bullet[: found.start()], sorted({int(n) for n in found[1].split(",")})


def _runs(text: str) -> Iterator[Run]:
    marks: list[str] = []
    address: str | None = None
    for token in _MARKDOWN.parseInline(text)[0].children or ():
        mark, _, what = token.type.rpartition("_")
        if mark == "link":
            href = str(token.attrs.get("href", "")) if what == "open" else ""
            address = href if is_address(href) else None
        elif what == "open":
            marks.append(mark)
        elif what == "close":
            marks.remove(mark)
        elif token.content:
            yield Run(token.content, frozenset(marks), address)
