"""The differences between two revisions, and those that a change of style must not make.

NIF allows no silent edits, and no grace period.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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


MOST_CHANGED_CHARACTERS = 40
"""The limit for one line. A larger change is no corrected misspelling."""

PROTECTED_PLACES = {
    "Headline": "the headline",
    "Line under the headline": "the line under the headline",
    "Byline": "the byline",
    "Type": "the type of the story",
    "Transparency block": "the transparency block",
    "Source": "a source",
    PICTURE_PLACE: "a picture",
}
"""Places where any changed word is protected. A changed link address changes no word."""

NameFinder = Callable[[str], list[str]]

_STRAIGHT_QUOTES = str.maketrans("‘’“”„«»", '\'\'"""""')

FACT_PATTERNS = {
    "a number": r"(?<!\w)[-−+]?\d[\d.,:]*(?<![.,:])|\d+|"
    r"\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|"
    r"thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|[mbtr]+illions?|dozens?|"
    r"half|third|quarter|twice|double|triple|first|second|percent|per cent)\b|%",
    "a date": r"\b(?:(?:jan|febr)uary|march|april|may|june|july|august|(?:sept|nov|dec)ember|"
    r"october|(?:mon|tues|wednes|thurs|fri|satur|sun)day|yesterday|today|tonight|tomorrow|"
    r"(?:last|this|next) (?:week|month|year|spring|summer|autumn|winter))\b",
    "an amount of money": r"[£$€¥₹]|"
    r"\b(?:USD|GBP|EUR|JPY|pounds?|dollars?|euros?|yen|pence|cents?)\b",
    "a quotation": r"\"[^\"]*\"?|(?<!\w)'[^']+'(?!\w)",
    "a negation": r"\b(?:not|no|never|none|nobody|nothing|nowhere|neither|nor|without|cannot|"
    r"hardly|barely|scarcely|den(?:y|ies|ied|ying)|refus\w+|fail(?:s|ed|ing)?|\w+n't)\b",
    "how certain it is": r"\b(?:alleg\w+|accus\w+|claim\w*|reported\w*|purported\w*|may|might|"
    r"could|appears?|apparently|likely|unlikely|probably|perhaps|about|around|nearly|almost|up to|"
    r"at least)\b",
}
"""The facts of each kind in a line. Their case counts in quotations only."""

_WORD = re.compile(r"[^\W\d_][\w-]*")

_SENTENCE_START = re.compile(r"(?:^|[.!?:…]['\")\]]*)[\s'\"(\[–—-]*$")

_SENTENCE_STARTERS = frozenset(
    re.findall(
        r"\w+",
        "a after all also an and another any are as at because before both but by can despite "
        "during each even every few for from had has have he her here his how however i if in "
        "instead is it its last many more most much my new now of on one only or other our over "
        "she since so some such than that the their then there these they this those though to "
        "under until was we were what when where whether which while who why will with would yet",
    )
)
"""Words that often begin a sentence and are not names."""


def list_protected_changes(before: Revision, after: Revision) -> list[str]:
    """What a change touches that style must not, in words that complete "This touches …"."""
    names = _make_name_finder([*_texts_of(before), *_texts_of(after)])
    lines = compare_revisions(before, after)
    return list(
        dict.fromkeys(change for line in lines for change in _protected_changes(line, names))
    )


def explain_style_refusal(changes: Sequence[str]) -> str:
    """The message for an editor whose change is not style; `changes` are the protected ones."""
    listed = changes[0] if len(changes) == 1 else f"{', '.join(changes[:-1])} and {changes[-1]}"
    return (
        f"This touches {listed}, so it is more than style. Choose another kind of change, or ask a "
        "second person to confirm that it is style."
    )


def _protected_changes(changed_line: ChangedLine, names: NameFinder) -> Iterator[str]:
    place = changed_line.place
    before, after = changed_line.before, changed_line.after
    old_words = before.words if before else ""
    new_words = after.words if after else ""
    if place in PROTECTED_PLACES:
        if old_words != new_words:
            yield PROTECTED_PLACES[place]
        return
    if place == "Topic":
        return
    if old_words and new_words:
        yield from _changed_facts(old_words, new_words, names)
    else:
        yield "a whole line"
    if before and after and before.sources != after.sources:
        yield "the sources of a statement"
    if changed_line.changed_characters > MOST_CHANGED_CHARACTERS and old_words != new_words:
        yield f"more than {MOST_CHANGED_CHARACTERS} characters of a line"


def _changed_facts(old_words: str, new_words: str, names: NameFinder) -> Iterator[str]:
    """The kinds of facts that differ. Their order counts: "Ann sued Bo" is not "Bo sued Ann"."""
    both = [words.translate(_STRAIGHT_QUOTES) for words in (old_words, new_words)]
    found = {kind: [_find_facts(kind, words) for words in both] for kind in FACT_PATTERNS}
    found["a name"] = [names(words) for words in both]
    for kind, (before, after) in found.items():
        if before != after:
            yield f"{kind}{_first_difference(before, after)}"


def _find_facts(kind: str, words: str) -> list[str]:
    facts = re.findall(FACT_PATTERNS[kind], words, re.IGNORECASE)
    return facts if kind == "a quotation" else [fact.lower() for fact in facts]


def _first_difference(before: Sequence[str], after: Sequence[str]) -> str:
    """The first pair of different facts, in brackets; empty where there is no such pair."""
    pair = next(((a, b) for a, b in zip(before, after, strict=False) if a != b), None)
    if pair is None or max(map(len, pair)) > MOST_CHANGED_CHARACTERS:
        return ""
    return f" (“{pair[0]}”, now “{pair[1]}”)"


def _texts_of(revision: Revision) -> Iterator[str]:
    yield from (revision.headline, revision.dek, revision.lead)
    for section in revision.sections:
        yield from (bullet["text"] for bullet in section["bullets"])


def _make_name_finder(texts: Sequence[str]) -> NameFinder:
    """A finder of names: capitalised words, except those that only begin a sentence.

    The first word of a sentence counts as a name where `texts` have it capitalised elsewhere, or
    where they never have it in lower case.
    """
    capitalised, common = set(), set(_SENTENCE_STARTERS)
    for text in texts:
        for word, begins in _words_of(text.translate(_STRAIGHT_QUOTES)):
            if word.islower():
                common.add(word)
            elif not begins:
                capitalised.add(word)

    def find_names(line: str) -> list[str]:
        return [
            word
            for word, begins in _words_of(line)
            if not word.islower()
            and (not begins or word in capitalised or word.lower() not in common)
        ]

    return find_names


def _words_of(text: str) -> Iterator[tuple[str, bool]]:
    """Pairs of each word and whether it begins a sentence.

    A word of a script without capitals is never lower case to Python.
    """
    for match in _WORD.finditer(text):
        yield match[0], _SENTENCE_START.search(text, 0, match.start()) is not None
