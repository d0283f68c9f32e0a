"""What an editor says about a picture: the words beside it, whose it is, how it came to be."""

from collections.abc import Iterator
from dataclasses import dataclass

from nif.errors import Invalid
from nif.links import is_address
from nif.media.models import Picture, SourceType

LONGEST = {
    "alt": 500,
    "credit": 200,
    "credit_url": 2000,
    "licence": 200,
    "licence_url": 2000,
    "caption": 600,
}

AI_TERMS = {
    "trainedAlgorithmicMedia": (SourceType.BY_AI,),
    "compositeWithTrainedAlgorithmicMedia": (SourceType.BY_AI, SourceType.WITH_AI),
}
"""What a file may say of itself, and what may then be said of it."""


@dataclass(frozen=True)
class Description:
    """All that is said about a picture. A decorative one has no `alt`, every other one has."""

    credit: str
    source_type: SourceType
    alt: str = ""
    is_decorative: bool = False
    credit_url: str = ""
    licence: str = ""
    licence_url: str = ""
    caption: str = ""


def check(said: Description, *, source_told: str = "") -> None:
    """Raises Invalid where something is missing, too long, or at odds with the file itself.

    `source_told` is the digital source type that the file names.
    """
    if found := dict(_problems(said, source_told)):
        raise Invalid(found)


def words_of(said: Description) -> str:
    """What a picture is found by: the same on all databases, whatever they hold for equal."""
    return " ".join((said.alt, said.credit, said.caption)).casefold()


def is_mislabelled(said: Description | Picture, source_told: str) -> bool:
    """Does the file itself say that AI had a part in it, and we do not?"""
    allowed = AI_TERMS.get(source_told)
    return allowed is not None and said.source_type not in allowed


def _problems(said: Description, source_told: str) -> Iterator[tuple[str, str]]:
    yield from _alt_problems(said)
    if not said.credit:
        yield "credit", "Say whose picture it is. Readers are told under it."
    for name in ("credit_url", "licence_url"):
        if (address := getattr(said, name)) and not is_address(address):
            yield name, "Give the whole address, beginning with https:// or http://."
    if is_mislabelled(said, source_told):
        yield "source_type", "The file itself says that AI had a part in it. Say so here."
    for name, most in LONGEST.items():
        if len(getattr(said, name)) > most:
            yield name, f"Make this shorter: {most:,} characters are the most."


def _alt_problems(said: Description) -> Iterator[tuple[str, str]]:
    if said.is_decorative and said.alt:
        yield "alt", "A decorative picture is passed over by screen readers: leave this empty."
    elif not said.is_decorative and not said.alt:
        yield "alt", "Say what the picture shows, for whoever cannot see it, or mark it decorative."
