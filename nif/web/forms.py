"""Cleaning what forms send: single lines and whole numbers."""


def clean_line(text: str) -> str:
    """The text on one line, without control characters, which databases refuse."""
    return " ".join("".join(char for char in text if char.isprintable() or char.isspace()).split())


def parse_number(text: str, *, digits: int = 9) -> int:
    """A non-negative whole number of at most `digits` digits; 0 for any other text."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= digits
    return int(text) if is_number else 0
