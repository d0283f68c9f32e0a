"""What comes back from a form as text and is none."""


def parse_number(text: str, *, digits: int = 9) -> int:
    """A number of ours that came back with a form; 0 for anything else."""
    is_one = text.isascii() and text.isdecimal() and len(text) <= digits
    return int(text) if is_one else 0
