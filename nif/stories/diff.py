"""The differences between two revisions, line by line and word by word."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from nif.media.models import AI_LABELS
from nif.stories.models import Revision
from nif.stories.text import link_addresses_of, strip_markup

# A word includes the space after it. Otherwise separate spaces would be matched with each other.
_WORDS = re.compile(r"\w+(?:['’.,:-]\w+)*\s*|[^\w\s]\s*|\s+")


PICTURE_PLACE = "Picture"


class DiffKind(StrEnum):
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class DiffLine:
    """A line of a revision.

    `place` is its label, `text` is shown. `words` is the text without link addresses, `sources`
    are the numbers of the sources that it cites.
    """

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
    """A line that differs: `before` is None for an added line, `after` for a removed one."""

    before: DiffLine | None
    after: DiffLine | None

    @property
    def place(self) -> str:
        line = self.after or self.before
        return line.place if line else ""

    @property
    def change(self) -> str:
        """One of "changed", "added" and "removed"."""
        if self.before and self.after:
            return "changed"
        return "added" if self.after else "removed"

    @property
    def pieces(self) -> Sequence[DiffPiece]:
        before = self.before.text if self.before else ""
        after = self.after.text if self.after else ""
        return diff_words(before, after)

    @property
    def changed_characters(self) -> int:
        return sum(len(piece.text) for piece in self.pieces if piece.kind is not DiffKind.SAME)


def compare_revisions(before: Revision, after: Revision) -> list[ChangedLine]:
    """The lines that differ between two revisions, in the order of the page."""
    old, new = list(_revision_lines(before)), list(_revision_lines(after))
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    changed_lines: list[ChangedLine] = []
    for opcode, i, j, k, m in matcher.get_opcodes():
        if opcode != "equal":
            changed_lines += _pair_lines(old[i:j], new[k:m])
    return changed_lines


def count_changed_characters(changed_lines: Sequence[ChangedLine]) -> int:
    """The number of characters that were added or removed."""
    return sum(changed_line.changed_characters for changed_line in changed_lines)


def diff_words(before: str, after: str) -> list[DiffPiece]:
    """Split two texts into the stretches of words that they share and that only one of them has."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    pieces = []
    # `autojunk` stays on: it matches frequent words of long texts by their neighbours only.
    # Without it, a long line of full stops would take seconds.
    for opcode, i, j, k, m in SequenceMatcher(None, old, new).get_opcodes():
        if opcode == "equal":
            found = {DiffKind.SAME: old[i:j]}
        else:
            found = {DiffKind.REMOVED: old[i:j], DiffKind.ADDED: new[k:m]}
        pieces += [DiffPiece(kind, "".join(words)) for kind, words in found.items() if words]
    return pieces


def _pair_lines(old: Sequence[DiffLine], new: Sequence[DiffLine]) -> Iterator[ChangedLine]:
    """Pair the lines that have the same place, in their order."""
    for place in dict.fromkeys(line.place for line in (*old, *new)):
        before = [line for line in old if line.place == place]
        after = [line for line in new if line.place == place]
        yield from (ChangedLine(*pair) for pair in zip_longest(before, after))


def _revision_lines(revision: Revision) -> Iterator[DiffLine]:
    texts = {
        "Headline": revision.headline,
        "Line under the headline": revision.dek,
        "Byline": revision.byline,
        "Type": revision.story_type.value,
    }
    yield from (DiffLine(place, text, text) for place, text in texts.items() if text)
    yield from _picture_lines(revision.picture)
    if revision.lead:
        yield DiffLine("Lead", revision.lead, revision.lead)
    for section in revision.sections:
        yield DiffLine("Section", section["label"], section["label"])
        for bullet in section["bullets"]:
            yield _bullet_line(section["label"], bullet["text"], tuple(bullet["sources"]))
        yield from _picture_lines(section.get("picture"))
    for sentence in revision.block:
        yield DiffLine("Transparency block", sentence["text"], sentence["text"])
    for source in revision.sources:
        names = (source["kind"].replace("_", " "), source["publisher"], source["title"])
        words = ", ".join(name for name in names if name)
        text = f"{words}, {source['url']}" if source["url"] else words
        yield DiffLine("Source", text, words)
    for _, name in revision.tags:
        yield DiffLine("Topic", name)


def _picture_lines(record: Mapping[str, Any] | None) -> Iterator[DiffLine]:
    """The line of a picture. Its `words` include its files, so that a new crop is a change."""
    if record:
        title = record["caption"] or record["alt"] or "A decorative picture"
        label = AI_LABELS.get(record["ai_use"], "")
        parts = [title, record["alt"], label, record["credit"], record["licence"]]
        text = " · ".join(dict.fromkeys(part for part in parts if part))
        yield DiffLine(PICTURE_PLACE, text, json.dumps(record, sort_keys=True))


def _bullet_line(label: str, text: str, sources: tuple[int, ...]) -> DiffLine:
    words = strip_markup(text)
    parts = [words, *(f"<{address}>" for address in link_addresses_of(text))]
    if sources:
        parts.append(f"[{', '.join(map(str, sources))}]")
    return DiffLine(label or "Bullet", " ".join(parts), words, sources)
