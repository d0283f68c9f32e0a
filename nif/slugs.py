"""Slugs: the part of an address that names a story, a tag, a person or a party."""

import re
import unicodedata
from unicodedata import combining

LONGEST_SLUG = 90


def slugify(text: str) -> str:
    """Lower-case ASCII, with one hyphen for each run of other characters, apostrophes included.

    At most 90 characters, cut between words. Accents are folded: "Beyoncé" becomes "beyonce".
    """
    plain = "".join(ch for ch in unicodedata.normalize("NFKD", text) if not combining(ch))
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if len(slug) > LONGEST_SLUG:
        slug = slug[: LONGEST_SLUG + 1].rpartition("-")[0] or slug[:LONGEST_SLUG]
    return slug or "untitled"


def make_slug_unique(wanted: str, taken: set[str]) -> str:
    """`wanted`, with the first of the suffixes -2, -3, … that makes it unique where it is taken."""
    if wanted not in taken:
        return wanted
    n = 2
    while f"{wanted}-{n}" in taken:
        n += 1
    return f"{wanted}-{n}"
