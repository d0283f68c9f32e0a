"""A sentence of the transparency block."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sentence:
    """`kind` says what it discloses; `links` pairs words in it with their addresses."""

    kind: str
    text: str
    links: tuple[tuple[str, str], ...] = ()
