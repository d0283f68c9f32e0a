"""Values of form fields: single lines, whole numbers, and local dates and times."""

from datetime import datetime
from zoneinfo import ZoneInfo

from nif.editions.schedule import resolve_local_time
from nif.web.current import settings


def clean_line(text: str) -> str:
    """The text on one line, without control characters, which databases refuse."""
    return " ".join("".join(char for char in text if char.isprintable() or char.isspace()).split())


def parse_number(text: str, *, digits: int = 9) -> int:
    """A non-negative whole number of at most `digits` digits; 0 for any other text."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= digits
    return int(text) if is_number else 0


def parse_local_datetime(text: str) -> datetime | None:
    """The UTC moment of a local date and time; None for other text and for years out of range."""
    try:
        local = datetime.fromisoformat(text.strip())
        return resolve_local_time(local.date(), local.time(), ZoneInfo(settings().time_zone))
    except (OverflowError, ValueError):
        return None


def format_datetime_input(moment: datetime) -> str:
    """A moment as the input's value: "2026-11-24T09:00"."""
    return f"{moment.astimezone(ZoneInfo(settings().time_zone)):%Y-%m-%dT%H:%M}"
