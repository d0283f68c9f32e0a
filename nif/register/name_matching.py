"""Finding the parties that a text names.

A name is found where its words follow each other as whole words, whatever the accents and kinds of
apostrophe. Of names that begin alike the longest counts: "Universal Music Group" is not also
"Universal". At each word of a text, one look-up is made per length of the names that begin with it,
however many names there are.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from nif.register.models import Party, PartyAlias, RegisterVersion

EXACT_CASE_LETTERS = 4
"""A name of one word with at most this many letters is found only in its exact case."""

_OPENING_SIGNS = " \t\"'([{*•-"
_SENTENCE_ENDS = (".", "!", "?", ":", ";", "…", "\n", "\r")

_REPLACEMENTS = str.maketrans(
    {
        **dict.fromkeys("‘’ʼ′`´＇", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("“”„", '"'),
        **dict(zip("øØłŁđĐ", "oOlLdD", strict=True)),
        **dict(zip("æÆœŒ", ("ae", "AE", "oe", "OE"), strict=True)),
        # Invisible characters that would split a word.
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", None),
    }
)
_TOKEN = re.compile(r"\w+|[^\w\s]")
NameWords = tuple[str, ...]


@dataclass(frozen=True)
class NameEntry:
    """One name as it is written, and its party."""

    written: str
    party_id: int
    is_strict: bool
    is_common: bool


class PartyMatcher:
    """Finds parties by `names`, which pairs the id of a party with one of its names."""

    def __init__(self, names: Iterable[tuple[int, str]]) -> None:
        self._entries: dict[NameWords, list[NameEntry]] = {}
        lengths: dict[str, set[int]] = {}
        for party_id, name in names:
            written = [piece.group() for piece in tokenize_text(normalize_text(name))]
            if not written:
                continue
            words = tuple(word.casefold() for word in written)
            is_common = len(words) == 1 and words[0] in COMMON_WORDS
            is_strict = is_common or (len(words) == 1 and len(words[0]) <= EXACT_CASE_LETTERS)
            entry = NameEntry(" ".join(written), party_id, is_strict, is_common)
            self._entries.setdefault(words, []).append(entry)
            lengths.setdefault(words[0], set()).add(len(words))
        self._lengths = {word: sorted(each, reverse=True) for word, each in lengths.items()}

    def find_party_ids(self, text: str, *, tagged: Sequence[int] = ()) -> list[int]:
        """The ids of the parties that `text` names: tagged ones first, then in order of appearance.

        A name that is also a common word ("Stack") counts only with a capital, and not at the
        beginning of a sentence. Where it is meant there, tag the party.
        """
        text = normalize_text(text)
        tokens = tokenize_text(text)
        words = [piece.group().casefold() for piece in tokens]
        parties = dict.fromkeys(tagged)
        covered = 0
        for start, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                if start + length <= covered:
                    break
                entries = self._entries.get(tuple(words[start : start + length]), ())
                place = tokens[start : start + length]
                if named_ids := [each.party_id for each in entries if _is_match(each, place, text)]:
                    parties.update(dict.fromkeys(named_ids))
                    covered = start + length
                    break
        return list(parties)


_matcher_cache: WeakKeyDictionary[Any, tuple[str | None, PartyMatcher]] = WeakKeyDictionary()


def get_party_matcher(session: Session) -> PartyMatcher:
    """The matcher of all names and aliases, rebuilt only after a name has changed."""
    version = session.scalar(select(RegisterVersion.version))
    pool = session.connection().engine.pool
    cached = _matcher_cache.get(pool)
    if cached is None or cached[0] != version:
        names = select(Party.id, Party.name).where(Party.folded_name.is_not(None))
        aliases = select(PartyAlias.party_id, PartyAlias.name)
        rows = session.execute(union_all(names, aliases)).all()
        cached = _matcher_cache[pool] = (version, PartyMatcher((row[0], row[1]) for row in rows))
    return cached[1]


def normalize_text(text: str) -> str:
    """`text` without accents, with straight apostrophes and plain hyphens; case is kept.

    NFD, not NFKD: "Spotify™" must not become "SpotifyTM".
    """
    if text.isascii():
        return text.replace("`", "'")
    text = unicodedata.normalize("NFD", text).translate(_REPLACEMENTS)
    return "".join(ch for ch in text if unicodedata.category(ch)[0] != "M")


def fold_name(name: str) -> str:
    """A name in the form in which names are compared: without case and accents."""
    return " ".join(normalize_text(name).casefold().split())


def tokenize_text(text: str) -> list[re.Match[str]]:
    """The words and signs of a normalized text, in order; a word is a run of letters and digits."""
    return list(_TOKEN.finditer(text))


def has_letter_or_digit(text: str) -> bool:
    """Does this contain a letter or digit, so that it can be found in a text?"""
    return any(ch.isalnum() for ch in normalize_text(text))


def _is_match(entry: NameEntry, place: list[re.Match[str]], text: str) -> bool:
    start, end = place[0].start(), place[-1].end()
    if _is_part_of_a_word(text, start, end):
        return False
    if entry.is_strict and place[0].group() != entry.written:
        return False
    return not (entry.is_common and _begins_a_sentence(text, start))


def _is_part_of_a_word(text: str, start: int, end: int) -> bool:
    """Is this the O of O'Brien, or the Arc of d'Arc? A possessive s does not count."""
    if text[start - 1 : start] == "'" and start > 1 and text[start - 2].isalnum():
        return True
    after = re.match(r"'(\w+)", text[end : end + 20])
    return after is not None and after[1].casefold() != "s"


def _begins_a_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 20) : start].rstrip(_OPENING_SIGNS)
    return not before or before.endswith(_SENTENCE_ENDS)


_COMMON_WORD_LIST = """
air all amp angel anthem arc arch arena art atlas audio back balance band bandwagon bar base
basement bass bay beacon bear beat beats beggars believe bell bird black blackbird block bloom
blue board boat bond book boost boss bounce bounty box brain branch brave bread break breakthrough
bridge bright broadcast buddy bull buzz cable cake camp canopy canvas capital castle catalyst
chain challenge channel chapter charge chart chase chief chord circle city class clear cloud
clover club coda code coin collective color column comet common compass cookie copper core count
cover craft creator crew cross crown crystal cube curve cut daily dance dash data dawn day deal
decade deep delta depth dice direct disc disco dispatch domino door double dream drift drive drop
drum drums dusk eagle early earth east echo eclipse edge edition element ember encore engine
ensemble epic equal era event ever exit express eye face fact factor factory fader falcon fan fans
fashion fast feed field film fire first flame flash fleet flight flip flow fly focus folk force
form forward fountain fox frame free friday friend front fuel full fund funk fuse future gain game
garden gate gem general genius ghost giant glass globe glow go gold good grand green grid groove
ground group grow guard guide guild gum hall halo hammer harbor harmony harvest hat hello here
hero hive hold home honey hope horizon host hot house human hush image impact index indie infinite
ink inn insight instant interval island ivory ivy jam jazz jet job jobs join journey joy jump
junction just key keys kin kind king kit label lab lake lamp lane laser last launch layer lead
leaf ledger legend lens level liberty life light lime line link lion list listen live local lock
loft logic long loop lord loud love lucky lumen lunar lyric magic magnet main major manual map
mark market mass master match matrix matter max maze medal media medium melody memory message
meter metro mid mind mint mirage mirror mix mode model modern moment monday monster moon motion
motive motor mountain move movement music muse mute myth name nature near nest net network new
news next night nine noise north note notes nothing nova now oak object ocean octave offer on one
open opera opus orange orb orbit orchard order organ origin other out owl pace pacer page paint
palace palette panda panel paper parade paradigm park partner party pass path pattern peak pearl
pen people performance photo piano pink pioneer pitch pixel place plan planet platform play player
plus point polar polygon pop port post power present press primary prime print prism pro prodigy
project promise proof pulse pure push puzzle quantum quarter queen quest question rabbit radar
radio rain rainbow range rave raven ray reach reactor real rebel record records red reef reel
refuge relay relic relief remix rescue reservoir resident reverb rewind rhythm rich ring rise
rising river road roar robin rock rocket roof room root rose round route royal ruby rule run rush
sage sail sample sand savage save scale scene scope score scout screen script sea search second
secret see seed select sense seven shade shadow shape share shed shine ship shock shop shore shot
show side sight sign signal silence silk silver single site six sky slate sleep slice smart smile
smoke snap snow social solid solo song songs sonic soul sound source south space spark spectrum
speed sphere spin spirit split spot spring square stack stage stages stand standard star start
state station status stay steady steam steel stem step stone store storm story strange stream
street strike string strong studio style sugar suite summer summit sun sunday super supreme
surface surge surf swan sweet swift switch symbol sync system table tag tank tape target tea team
tempo tent term test the theory thing third threads thrive thunder ticket tickets tide tiger tile
time tips titan today tone tool top torch total touch tour tower town track tracks trade trap
travel treble tree trend triangle tribe true trunk trust truth tune tunnel turn twin two type
ultra umbrella uncle under union unique unison unity up urban us valley value vapor vault venture
verse version vessel vibe victory video view village vine vinyl virtue vision vista visual vital
voice void volt volume voyage wall warp water wave waves way we web weekly well west whale wheel
whisper white wild will wind window wing wings winter wire wise wish witness wolf wonder wood word
words work works world yard year yellow yes young zero zone
"""

COMMON_WORDS = frozenset(_COMMON_WORD_LIST.split())
