"""What changed from one revision to another, line by line and word by word."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from nif.media.freezing import AI_LABELS
from nif.stories.markup import addresses, plain
from nif.stories.models import Revision

# Each word takes the space behind it along: spaces alone would be compared with one another.
_WORDS = re.compile(r"\w+(?:['’.,:-]\w+)*\s*|[^\w\s]\s*|\s+")


PICTURE = "Picture"


class Fate(StrEnum):
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class Line:
    """A line of a revision. `where` names its place, `text` is shown; `words` are what it says,
    without the addresses of its links, and `sources` what it rests on."""

    where: str
    text: str
    words: str = ""
    sources: tuple[int, ...] = ()


@dataclass(frozen=True)
class Piece:
    fate: Fate
    text: str


@dataclass(frozen=True)
class Passage:
    """A line that differs: as it was and as it is, None where there was or is none."""

    before: Line | None
    after: Line | None

    @property
    def where(self) -> str:
        line = self.after or self.before
        return line.where if line else ""

    @property
    def what(self) -> str:
        """What became of the line: of a picture it is told also where no word differs."""
        if self.before and self.after:
            return "changed"
        return "added" if self.after else "removed"

    @property
    def pieces(self) -> Sequence[Piece]:
        before = self.before.text if self.before else ""
        return pieces(before, self.after.text if self.after else "")

    @property
    def changed(self) -> int:
        return sum(len(piece.text) for piece in self.pieces if piece.fate is not Fate.SAME)


def compare(before: Revision, after: Revision) -> list[Passage]:
    """The lines that differ, in the order of the page."""
    old, new = list(_lines(before)), list(_lines(after))
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    found: list[Passage] = []
    for what, i, j, k, m in matcher.get_opcodes():
        if what != "equal":
            found += _paired(old[i:j], new[k:m])
    return found


def changed(passages: Sequence[Passage]) -> int:
    """How many characters were added or taken out."""
    return sum(passage.changed for passage in passages)


def pieces(before: str, after: str) -> list[Piece]:
    """The words of two texts: those they share, and those that only one of them has."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    found = []
    # In long texts words that come often are matched by their neighbours only: else a line of full
    # stops would take seconds.
    for what, i, j, k, m in SequenceMatcher(None, old, new).get_opcodes():
        if what == "equal":
            found.append(Piece(Fate.SAME, "".join(old[i:j])))
            continue
        if i < j:
            found.append(Piece(Fate.REMOVED, "".join(old[i:j])))
        if k < m:
            found.append(Piece(Fate.ADDED, "".join(new[k:m])))
    return found


def _paired(old: Sequence[Line], new: Sequence[Line]) -> Iterator[Passage]:
    """Lines of the same place belong together, in their order."""
    for where in dict.fromkeys(line.where for line in (*old, *new)):
        was = [line for line in old if line.where == where]
        now = [line for line in new if line.where == where]
        yield from (Passage(*pair) for pair in zip_longest(was, now))


def _lines(revision: Revision) -> Iterator[Line]:
    texts = {
        "Headline": revision.headline,
        "Line under the headline": revision.dek,
        "Byline": revision.byline,
        "Type": revision.story_type.value,
        "Lead": revision.lead,
    }
    lead = texts.pop("Lead")
    yield from (Line(where, text, text) for where, text in texts.items() if text)
    yield from _picture(revision.picture)
    if lead:
        yield Line("Lead", lead, lead)
    for section in revision.sections:
        yield Line("Section", section["label"], section["label"])
        for bullet in section["bullets"]:
            yield _bullet(section["label"], bullet["text"], tuple(bullet["sources"]))
        yield from _picture(section.get("picture"))
    for sentence in revision.block:
        yield Line("Transparency block", sentence["text"], sentence["text"])
    for source in revision.sources:
        names = (source["kind"].replace("_", " "), source["publisher"], source["title"])
        said = ", ".join(name for name in names if name)
        yield Line("Source", f"{said}, {source['url']}" if source["url"] else said, said)
    for _, name in revision.tags:
        yield Line("Topic", name)


def _picture(record: Mapping[str, Any] | None) -> Iterator[Line]:
    """What is told of a picture; its words name its files too, so that another cut is a change."""
    if record:
        shown = record["caption"] or record["alt"] or "A decorative picture"
        label = AI_LABELS.get(record["ai_use"], "")
        told = [shown, record["alt"], label, record["credit"], record["licence"]]
        text = " · ".join(dict.fromkeys(part for part in told if part))
        yield Line(PICTURE, text, json.dumps(record, sort_keys=True))


def _bullet(label: str, text: str, sources: tuple[int, ...]) -> Line:
    words = plain(text)
    told = [words, *(f"<{address}>" for address in addresses(text))]
    if sources:
        told.append(f"[{', '.join(map(str, sources))}]")
    return Line(label or "Bullet", " ".join(told), words, sources)
