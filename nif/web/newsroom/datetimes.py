"""Values of `datetime-local` inputs, read and written in the site's time zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

from nif.editions.schedule import resolve_local_time
from nif.web.current import settings


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
