"""Names as they are compared: without case, accents and the difference between apostrophes."""

import re
import unicodedata

_ALIKE = str.maketrans(
    {
        **dict.fromkeys("‘’ʼ′`´＇", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("“”„", '"'),
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        # Marks that nobody sees and that would cut a word in two.
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", None),
    }
)
_PIECE = re.compile(r"\w+|[^\w\s]")


def plain(text: str) -> str:
    """`text` without accents, with straight apostrophes and plain hyphens; its case is kept.

    NFD, not NFKD: "Spotify™" must not become "SpotifyTM".
    """
    if text.isascii():
        return text.replace("`", "'")
    text = unicodedata.normalize("NFD", text).translate(_ALIKE)
    return "".join(ch for ch in text if unicodedata.category(ch)[0] != "M")


def folded(name: str) -> str:
    """A name as it is compared with others."""
    return " ".join(plain(name).casefold().split())


def pieces(text: str) -> list[re.Match[str]]:
    """The words and signs of a plain text, in order: a word is a longest run of letters, digits."""
    return list(_PIECE.finditer(text))


def is_name(text: str) -> bool:
    """Has this a letter or a digit, so that it can be found in a text?"""
    return any(ch.isalnum() for ch in plain(text))
