"""Slugs: the part of an address that names a story, a tag, a person or a party."""

import re
import unicodedata
from collections.abc import Collection
from itertools import chain, count
from unicodedata import combining

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session

LONGEST_SLUG = 90


def slugify(text: str, *, empty: str = "untitled") -> str:
    """Lower-case ASCII, with one hyphen for each run of other characters, apostrophes included.

    At most 90 characters, cut between words. Accents are folded: "Beyoncé" becomes "beyonce".
    `empty` stands for a text without any letter or digit that could be kept.
    """
    plain = "".join(ch for ch in unicodedata.normalize("NFKD", text) if not combining(ch))
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if len(slug) > LONGEST_SLUG:
        slug = slug[: LONGEST_SLUG + 1].rpartition("-")[0] or slug[:LONGEST_SLUG]
    return slug or empty


def find_free_slug(
    session: Session,
    column: Mapped[str] | Mapped[str | None],
    text: str,
    *,
    own: str | None = None,
    empty: str = "untitled",
) -> str:
    """The slug of a text, numbered where another row has it in `column`; `own` is the row's own."""
    wanted = slugify(text, empty=empty)
    taken = set(session.scalars(select(column).where(column.startswith(wanted))))
    return make_slug_unique(wanted, taken - {own})


def make_slug_unique(wanted: str, taken: Collection[str | None]) -> str:
    """`wanted`, with the first of the suffixes -2, -3, … that makes it unique where it is taken."""
    numbered = (f"{wanted}-{n}" for n in count(2))
    return next(slug for slug in chain([wanted], numbered) if slug not in taken)
