"""What changed from one revision to another, line by line and word by word."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from nif.media.snapshots import AI_LABELS
from nif.stories.models import Revision
from nif.stories.text import link_addresses_of, strip_markup

# Each word takes the space behind it along: spaces alone would be compared with one another.
_WORDS = re.compile(r"\w+(?:['’.,:-]\w+)*\s*|[^\w\s]\s*|\s+")


PICTURE_PLACE = "Picture"


class DiffKind(StrEnum):
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class DiffLine:
    """A line of a revision. `where` names its place, `text` is shown; `words` are what it says,
    without the addresses of its links, and `sources` what it rests on."""

    place: str
    text: str
    words: str = ""
    sources: tuple[int, ...] = ()


@dataclass(frozen=True)
class DiffPiece:
    kind: DiffKind
    text: str


@dataclass(frozen=True)
class ChangedLine:
    """A line that differs: as it was and as it is, None where there was or is none."""

    before: DiffLine | None
    after: DiffLine | None

    @property
    def place(self) -> str:
        line = self.after or self.before
        return line.place if line else ""

    @property
    def change(self) -> str:
        """What became of the line: of a picture it is told also where no word differs."""
        if self.before and self.after:
            return "changed"
        return "added" if self.after else "removed"

    @property
    def pieces(self) -> Sequence[DiffPiece]:
        before = self.before.text if self.before else ""
        return diff_words(before, self.after.text if self.after else "")

    @property
    def changed_characters(self) -> int:
        return sum(len(piece.text) for piece in self.pieces if piece.kind is not DiffKind.SAME)


def compare_revisions(before: Revision, after: Revision) -> list[ChangedLine]:
    """The lines that differ, in the order of the page."""
    old, new = list(_revision_lines(before)), list(_revision_lines(after))
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    found: list[ChangedLine] = []
    for what, i, j, k, m in matcher.get_opcodes():
        if what != "equal":
            found += _pair_lines(old[i:j], new[k:m])
    return found


def count_changed_characters(changed_lines: Sequence[ChangedLine]) -> int:
    """How many characters were added or taken out."""
    return sum(changed_line.changed_characters for changed_line in changed_lines)


def diff_words(before: str, after: str) -> list[DiffPiece]:
    """The words of two texts: those they share, and those that only one of them has."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    found = []
    # In long texts words that come often are matched by their neighbours only: else a line of full
    # stops would take seconds.
    for what, i, j, k, m in SequenceMatcher(None, old, new).get_opcodes():
        if what == "equal":
            found.append(DiffPiece(DiffKind.SAME, "".join(old[i:j])))
            continue
        if i < j:
            found.append(DiffPiece(DiffKind.REMOVED, "".join(old[i:j])))
        if k < m:
            found.append(DiffPiece(DiffKind.ADDED, "".join(new[k:m])))
    return found


def _pair_lines(old: Sequence[DiffLine], new: Sequence[DiffLine]) -> Iterator[ChangedLine]:
    """Lines of the same place belong together, in their order."""
    for where in dict.fromkeys(line.place for line in (*old, *new)):
        was = [line for line in old if line.place == where]
        now = [line for line in new if line.place == where]
        yield from (ChangedLine(*pair) for pair in zip_longest(was, now))


def _revision_lines(revision: Revision) -> Iterator[DiffLine]:
    texts = {
        "Headline": revision.headline,
        "Line under the headline": revision.dek,
        "Byline": revision.byline,
        "Type": revision.story_type.value,
        "Lead": revision.lead,
    }
    lead = texts.pop("Lead")
    yield from (DiffLine(where, text, text) for where, text in texts.items() if text)
    yield from _picture_lines(revision.picture)
    if lead:
        yield DiffLine("Lead", lead, lead)
    for section in revision.sections:
        yield DiffLine("Section", section["label"], section["label"])
        for bullet in section["bullets"]:
            yield _bullet_line(section["label"], bullet["text"], tuple(bullet["sources"]))
        yield from _picture_lines(section.get("picture"))
    for sentence in revision.block:
        yield DiffLine("Transparency block", sentence["text"], sentence["text"])
    for source in revision.sources:
        names = (source["kind"].replace("_", " "), source["publisher"], source["title"])
        said = ", ".join(name for name in names if name)
        yield DiffLine("Source", f"{said}, {source['url']}" if source["url"] else said, said)
    for _, name in revision.tags:
        yield DiffLine("Topic", name)


def _picture_lines(record: Mapping[str, Any] | None) -> Iterator[DiffLine]:
    """What is told of a picture; its words name its files too, so that another cut is a change."""
    if record:
        shown = record["caption"] or record["alt"] or "A decorative picture"
        label = AI_LABELS.get(record["ai_use"], "")
        told = [shown, record["alt"], label, record["credit"], record["licence"]]
        text = " · ".join(dict.fromkeys(part for part in told if part))
        yield DiffLine(PICTURE_PLACE, text, json.dumps(record, sort_keys=True))


def _bullet_line(label: str, text: str, sources: tuple[int, ...]) -> DiffLine:
    words = strip_markup(text)
    told = [words, *(f"<{address}>" for address in link_addresses_of(text))]
    if sources:
        told.append(f"[{', '.join(map(str, sources))}]")
    return DiffLine(label or "Bullet", " ".join(told), words, sources)
