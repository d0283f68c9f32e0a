"""How long a story is, and how long it takes to read."""

from collections.abc import Iterable, Mapping
from typing import Any

from nif.stories.markup import plain, with_sources

WORDS_A_MINUTE = 238
"""Silent reading of English (Brysbaert 2019)."""


def count_words(lead: str, sections: Iterable[Mapping[str, Any]]) -> int:
    """The words of lead, labels and bullets: what a reader reads under the headline.

    `sections` are those of a working copy, with bullets as they were typed.
    """
    parts = [lead]
    for section in sections:
        parts.append(section["label"])
        parts += [plain(with_sources(bullet)[0]) for bullet in section["bullets"]]
    return sum(len(part.split()) for part in parts)


def minutes(words: int) -> int:
    """Reading time in minutes, rounded half up, and never none."""
    return max(1, int(words / WORDS_A_MINUTE + 0.5))
