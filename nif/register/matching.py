"""Which parties a text names.

A name is found where its words stand one after the other as whole words, whatever the accents and
the apostrophes. Of names that begin together the longest counts: "Universal Music Group" is not
also "Universal". Each place of a text costs as many look-ups as names that begin with its word
have different lengths, however many names there are.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from nif.register.common_words import COMMON
from nif.register.models import Alias, Party, RegisterStamp
from nif.register.naming import pieces, plain

SHORT = 4
"""A name of one word and at most this many letters is found only as it is written."""

_OPENERS = " \t\"'([{*•-"
_ENDS = (".", "!", "?", ":", ";", "…", "\n", "\r")

Words = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One name: as it is written, and whose it is."""

    written: str
    party_id: int
    is_strict: bool
    is_common: bool


class Matcher:
    """Finds parties by `names`, which pairs the id of a party with one of its names."""

    def __init__(self, names: Iterable[tuple[int, str]]) -> None:
        self._entries: dict[Words, list[Entry]] = {}
        lengths: dict[str, set[int]] = {}
        for party_id, name in names:
            written = [piece.group() for piece in pieces(plain(name))]
            if not written:
                continue
            words = tuple(word.casefold() for word in written)
            self._entries.setdefault(words, []).append(_entry(party_id, written, words))
            lengths.setdefault(words[0], set()).add(len(words))
        self._lengths = {word: sorted(each, reverse=True) for word, each in lengths.items()}

    def find(self, text: str, *, tagged: Sequence[int] = ()) -> list[int]:
        """The ids of the parties that `text` names: those tagged first, then as they are named.

        A name that is also a common word ("Stack") counts only with its capital, and not where a
        sentence begins; whoever means it there tags it.
        """
        text = plain(text)
        found = pieces(text)
        words = [piece.group().casefold() for piece in found]
        parties = dict.fromkeys(tagged)
        covered = 0
        for at, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                if at + length <= covered:
                    break
                known = self._entries.get(tuple(words[at : at + length]), ())
                place = found[at : at + length]
                if named := [each.party_id for each in known if _counts(each, place, text)]:
                    parties.update(dict.fromkeys(named))
                    covered = at + length
                    break
        return list(parties)


_kept: WeakKeyDictionary[Any, tuple[str | None, Matcher]] = WeakKeyDictionary()


def matcher(session: Session) -> Matcher:
    """The matcher of all names and aliases, made anew only where one has changed."""
    stamp = session.scalar(select(RegisterStamp.stamp))
    pool = session.connection().engine.pool
    known = _kept.get(pool)
    if known is None or known[0] != stamp:
        own = select(Party.id, Party.name).where(Party.folded.is_not(None))
        others = select(Alias.party_id, Alias.name)
        rows = session.execute(union_all(own, others)).all()
        known = _kept[pool] = (stamp, Matcher((row[0], row[1]) for row in rows))
    return known[1]


def _entry(party_id: int, written: list[str], words: Words) -> Entry:
    common = len(words) == 1 and words[0] in COMMON
    short = len(words) == 1 and len(words[0]) <= SHORT
    return Entry(" ".join(written), party_id, common or short, common)


def _counts(entry: Entry, place: list[re.Match[str]], text: str) -> bool:
    start, end = place[0].start(), place[-1].end()
    if _is_part_of_a_word(text, start, end):
        return False
    if entry.is_strict and place[0].group() != entry.written:
        return False
    return not (entry.is_common and _begins_a_sentence(text, start))


def _is_part_of_a_word(text: str, start: int, end: int) -> bool:
    """Is this the O of O'Brien, or the Arc of d'Arc? The s of a possessive is no part."""
    if text[start - 1 : start] == "'" and start > 1 and text[start - 2].isalnum():
        return True
    after = re.match(r"'(\w+)", text[end : end + 20])
    return after is not None and after[1].casefold() != "s"


def _begins_a_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 20) : start].rstrip(_OPENERS)
    return not before or before.endswith(_ENDS)
