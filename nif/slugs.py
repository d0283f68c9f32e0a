"""The last part of a story's address."""

import re
import unicodedata
from unicodedata import combining

LONGEST_SLUG = 90


def slugify(text: str) -> str:
    """Lower-case ASCII in which each run of other characters is one hyphen, apostrophes too.

    At most 90 characters, cut at a word's edge. Accents are folded: "Beyoncé" is "beyonce".
    """
    plain = "".join(ch for ch in unicodedata.normalize("NFKD", text) if not combining(ch))
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if len(slug) > LONGEST_SLUG:
        slug = slug[: LONGEST_SLUG + 1].rpartition("-")[0] or slug[:LONGEST_SLUG]
    return slug or "untitled"


def make_slug_unique(wanted: str, taken: set[str]) -> str:
    """`wanted`, or with the first of -2, -3, … that is not taken."""
    if wanted not in taken:
        return wanted
    n = 2
    while f"{wanted}-{n}" in taken:
        n += 1
    return f"{wanted}-{n}"
