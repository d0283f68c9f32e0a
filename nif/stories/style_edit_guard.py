"""What no change of style may touch: silent edits are refused, and there is no grace period."""

import re
from collections.abc import Callable, Iterator, Sequence

from nif.stories.diff import PICTURE_PLACE, ChangedLine, compare_revisions
from nif.stories.models import Revision

MOST_CHANGED_CHARACTERS = 40
"""Of one line; beyond that nobody calls it a misspelling."""

_STRAIGHT_QUOTES = str.maketrans("‘’“”„«»", '\'\'"""""')
_NUMBERS = re.compile(
    r"(?<!\w)[-−+]?\d[\d.,:]*(?<![.,:])|\d+|"
    r"\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|"
    r"thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|[mbtr]+illions?|dozens?|"
    r"half|third|quarter|twice|double|triple|first|second|percent|per cent)\b|%",
    re.IGNORECASE,
)
_DATES = re.compile(
    r"\b(?:(?:jan|febr)uary|march|april|may|june|july|august|(?:sept|nov|dec)ember|october|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|yesterday|today|tonight|tomorrow|"
    r"(?:last|this|next) (?:week|month|year|spring|summer|autumn|winter))\b",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"[£$€¥₹]|\b(?:USD|GBP|EUR|JPY|pounds?|dollars?|euros?|yen|pence|cents?)\b", re.IGNORECASE
)
_QUOTATIONS = re.compile(r"\"[^\"]*\"?|(?<!\w)'[^']+'(?!\w)")
_NEGATIONS = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|nowhere|neither|nor|without|cannot|hardly|barely|"
    r"scarcely|den(?:y|ies|ied|ying)|refus\w+|fail(?:s|ed|ing)?|\w+n't)\b",
    re.IGNORECASE,
)
_HEDGES = re.compile(
    r"\b(?:alleg\w+|accus\w+|claim\w*|reported\w*|purported\w*|may|might|could|appears?|"
    r"apparently|likely|unlikely|probably|perhaps|about|around|nearly|almost|up to|at least)\b",
    re.IGNORECASE,
)
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
"""Words that begin a sentence and are no name."""

FactFinder = Callable[[str], Sequence[str]]


def list_protected_changes(before: Revision, after: Revision) -> list[str]:
    """What a change touches that style may not, in words that end "This touches …"."""
    changed_lines = compare_revisions(before, after)
    names = _make_name_finder([*_texts_of(before), *_texts_of(after)])
    return list(
        dict.fromkeys(what for one in changed_lines for what in _protected_changes(one, names))
    )


def explain_style_refusal(touches: Sequence[str]) -> str:
    """Why a change is not style."""
    listed = touches[0] if len(touches) == 1 else f"{', '.join(touches[:-1])} and {touches[-1]}"
    return (
        f"This touches {listed}, so it is not style. Say what it is, or have a second person "
        "confirm that it is style."
    )


def _protected_changes(changed_line: ChangedLine, names: FactFinder) -> Iterator[str]:
    where = changed_line.place
    was, now = (line.words if line else "" for line in (changed_line.before, changed_line.after))
    if where in PROTECTED_PLACES:
        if was != now:
            yield PROTECTED_PLACES[where]
        return
    if where == "Topic":
        return
    if was and now:
        yield from _changed_facts(was, now, names)
    else:
        yield "a whole line"
    if (
        changed_line.before
        and changed_line.after
        and changed_line.before.sources != changed_line.after.sources
    ):
        yield "what a statement rests on"
    if changed_line.changed_characters > MOST_CHANGED_CHARACTERS and was != now:
        yield f"more than {MOST_CHANGED_CHARACTERS} characters of a line"


PROTECTED_PLACES = {
    "Headline": "the headline",
    "Line under the headline": "the line under the headline",
    "Byline": "the byline",
    "Type": "the type of the story",
    "Transparency block": "the transparency block",
    "Source": "a source",
    PICTURE_PLACE: "a picture",
}
"""Places in which every word counts. Where only the address of a link changed, no word did."""


def _changed_facts(was: str, now: str, names: FactFinder) -> Iterator[str]:
    """In their order, not as a set: who sued whom is told by it alone."""
    was, now = was.translate(_STRAIGHT_QUOTES), now.translate(_STRAIGHT_QUOTES)
    for what, facts in (*FACT_FINDERS.items(), ("a name", names)):
        before, after = list(facts(was)), list(facts(now))
        if before != after:
            yield f"{what}{_first_difference(before, after)}"


FACT_FINDERS: dict[str, FactFinder] = {
    "a number": lambda text: [found.lower() for found in _NUMBERS.findall(text)],
    "a date": lambda text: [found.lower() for found in _DATES.findall(text)],
    "an amount of money": lambda text: [found.lower() for found in _MONEY.findall(text)],
    "a quotation": _QUOTATIONS.findall,
    "a negation": lambda text: [found.lower() for found in _NEGATIONS.findall(text)],
    "how sure we are": lambda text: [found.lower() for found in _HEDGES.findall(text)],
}


def _first_difference(before: Sequence[str], after: Sequence[str]) -> str:
    """The first that differs, where one became another."""
    pair = next(((a, b) for a, b in zip(before, after, strict=False) if a != b), None)
    if pair is None or max(map(len, pair)) > MOST_CHANGED_CHARACTERS:
        return ""
    return f" (“{pair[0]}”, now “{pair[1]}”)"


def _texts_of(revision: Revision) -> Iterator[str]:
    yield from (revision.headline, revision.dek, revision.lead)
    for section in revision.sections:
        yield from (bullet["text"] for bullet in section["bullets"])


def _make_name_finder(texts: Sequence[str]) -> FactFinder:
    """What finds the names of a line: capitalised words, but for those that only begin a sentence.

    A word at the beginning counts where it is a name elsewhere, or nothing shows that it is none.
    """
    plain = [text.translate(_STRAIGHT_QUOTES) for text in texts]
    inside, common = set(), set(_SENTENCE_STARTERS)
    for text in plain:
        for word, begins in _words_of(text):
            if word.islower():
                common.add(word)
            elif not begins:
                inside.add(word)

    def names(line: str) -> list[str]:
        return [
            word
            for word, begins in _words_of(line)
            if not word.islower() and (not begins or word in inside or word.lower() not in common)
        ]

    return names


def _words_of(text: str) -> Iterator[tuple[str, bool]]:
    """Each word, and whether it begins a sentence. What knows no capitals is never lower case."""
    for found in _WORD.finditer(text):
        yield found[0], _SENTENCE_START.search(text, 0, found.start()) is not None
